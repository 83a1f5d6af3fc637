package main

import (
	"bufio"
	"io"
	"path/filepath"
	"strings"

	"nearside/internal/coding"
)

// outputPiece is the number of bytes that are compressed at once.
const outputPiece = 1 << 20

// writeCompressed calls write with a writer that compresses what it gets, and writes the
// result to file. The end of the name of path, .gz or .zst, is the coding. With another end, file
// gets what write writes.
func writeCompressed(path string, file io.Writer, write func(io.Writer) error) error {
	c := codings[strings.ToLower(filepath.Ext(path))]
	if c == coding.Identity {
		return write(file)
	}
	out := &compressor{file: file, stream: coding.Stream{Coding: c}}
	pieces := bufio.NewWriterSize(out, outputPiece)
	if err := write(pieces); err != nil {
		return err
	}
	if err := pieces.Flush(); err != nil {
		return err
	}
	_, err := file.Write(out.stream.AppendEnd(out.buffer[:0]))
	return err
}

// A compressor compresses each piece that is written to it. The caller writes the end.
type compressor struct {
	file   io.Writer
	stream coding.Stream
	buffer []byte // is used again
}

// Write implements io.Writer.
func (c *compressor) Write(piece []byte) (int, error) {
	c.buffer = c.stream.Append(c.buffer[:0], piece)
	if _, err := c.file.Write(c.buffer); err != nil {
		return 0, err
	}
	return len(piece), nil
}
