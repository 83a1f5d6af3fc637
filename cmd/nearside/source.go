package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"nearside/internal/vectors"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// source reads a file as lines of JSON.
type source interface {
	// appendLine appends the next line, with its newline, to dst. It returns
	// io.EOF at the end, and a skippedLineError for a line that cannot be sent.
	appendLine(dst []byte) ([]byte, error)
	// offset returns the number of bytes of the file that were read.
	offset() int64
	close()
}

// lineBytesMax bounds the memory of a line. The server has its own limits,
// limits.line_bytes and limits.body_bytes. Tests reduce it.
var lineBytesMax = 256 << 20

// skippedLineError is the reason why a line cannot be sent. Reading can continue with
// the next line.
type skippedLineError string

func (s skippedLineError) Error() string { return string(s) }

var errLongLine = skippedLineError(fmt.Sprintf("line is longer than %d bytes and was not sent", lineBytesMax))

// checkFile checks that the file can be opened, and that its vectors fit version v.
func (j *job) checkFile(v *matcher.Version, o matcher.Origin) error {
	if j.path == "-" {
		return nil
	}
	info, err := os.Stat(j.path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s: is a directory", j.path)
	}
	if info.Mode().IsRegular() {
		j.bytes = info.Size()
	}
	if j.hasRows() && j.bytes < 0 { // a pipe cannot be read twice: first for the hash, then for the rows
		return fmt.Errorf("%s: is not a regular file", j.path)
	}
	switch {
	case j.table != "":
		return j.checkTable(v, o)
	case j.vectors:
		f, err := openVectors(j.path, j.inputFormat, v)
		if err != nil {
			return err
		}
		j.note = f.rows.Conversion()
		f.close()
		return nil
	}
	in, err := openInput(j.path, j.inputFormat)
	if err != nil {
		return err
	}
	in.close()
	return nil
}

// openSource opens the file as lines of JSON.
func (j *job) openSource(ctx context.Context, v *matcher.Version, origin matcher.Origin, stdin io.Reader) (source, error) {
	lines, err := j.openLines(ctx, v, origin, stdin)
	if err == nil && j.contentIDs {
		lines = &contentIDs{source: lines, field: origin.Singular() + "_id"}
	}
	return lines, err
}

func (j *job) openLines(ctx context.Context, v *matcher.Version, origin matcher.Origin, stdin io.Reader) (source, error) {
	if !j.hasRows() {
		s, in := &textSource{}, stdin
		if j.bytes < 0 {
			s.live = ctx
		}
		if j.path != "-" {
			file, err := openInput(j.path, j.inputFormat)
			if err != nil {
				return nil, err
			}
			s.file, in = file, file
		}
		s.in = bufio.NewReaderSize(in, 256<<10)
		return s, nil
	}
	hash := ""
	if !j.contentIDs {
		var err error
		if hash, err = contentHash(ctx, j.path, j.inputFormat); err != nil {
			return nil, err
		}
	}
	if j.table != "" {
		return j.openTableSource(hash, v, origin)
	}
	f, err := openVectors(j.path, j.inputFormat, v)
	if err != nil {
		return nil, err
	}
	return newVectorSource(f, hash, v, origin), nil
}

// textSource is a file of JSON lines.
type textSource struct {
	in   *bufio.Reader
	file *inputFile      // nil: the standard input
	read int64           // bytes after decompression
	live context.Context // context of the import, if another program may be writing the lines; nil: a regular file
}

// signalDelay is how long a signal may take to arrive here after it ended the program
// at the other end of the pipe.
const signalDelay = 200 * time.Millisecond

// cutError returns an error if a last line without a newline may be incomplete. Ctrl-C
// also ends the program that writes the line.
func (s *textSource) cutError() error {
	if s.live == nil {
		return nil
	}
	timer := time.NewTimer(signalDelay)
	defer timer.Stop()
	select {
	case <-s.live.Done():
		return context.Cause(s.live)
	case <-timer.C:
		return nil
	}
}

func (s *textSource) offset() int64 {
	if s.file != nil {
		return s.file.count
	}
	return s.read
}

func (s *textSource) close() {
	if s.file != nil {
		s.file.close()
	}
}

func (s *textSource) appendLine(dst []byte) ([]byte, error) {
	start, long := len(dst), false
	if s.read == 0 {
		s.skipMark()
	}
	for {
		part, err := s.in.ReadSlice('\n')
		s.read += int64(len(part))
		if long = long || len(dst)-start+len(part) > lineBytesMax; long {
			dst = dst[:start]
		} else {
			dst = append(dst, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && (len(dst) > start || long): // the last line has no newline
			if err := s.cutError(); err != nil {
				return dst[:start], err
			}
		case err != nil:
			return dst[:start], err
		}
		if long {
			return dst, errLongLine
		}
		if !bytes.HasSuffix(dst, []byte("\n")) {
			dst = append(dst, '\n')
		}
		return dst, nil
	}
}

// skipMark skips a byte order mark before the first line, which files from Windows may
// have.
func (s *textSource) skipMark() {
	const mark = "\xef\xbb\xbf"
	if head, _ := s.in.Peek(len(mark)); string(head) == mark { // the next read returns the error
		n, _ := s.in.Discard(len(mark)) // cannot fail after Peek
		s.read += int64(n)
	}
}

// vectorSource turns vectors into objects.
type vectorSource struct {
	*vectorFile
	name       string // the text before the row from which an ID is derived; empty: objects have no ID
	idField    string
	descriptor string // the field of the descriptor
	version    uint32
	row        []byte
}

func newVectorSource(f *vectorFile, hash string, v *matcher.Version, origin matcher.Origin) *vectorSource {
	s := &vectorSource{
		vectorFile: f, idField: origin.Singular() + "_id",
		descriptor: descriptorField(v, origin), version: v.Number, row: make([]byte, f.rows.RowSize()),
	}
	if hash != "" {
		s.name = "nearside:" + hash + ":"
	}
	return s
}

func (s *vectorSource) offset() int64 { return s.in.count }

func (s *vectorSource) appendLine(dst []byte) ([]byte, error) {
	number := strconv.FormatInt(s.rows.Row(), 10)
	if err := s.rows.Next(s.row); err != nil {
		if fault, ok := errors.AsType[*vectors.ValueError](err); ok {
			err = skippedLineError(fault.Detail())
		}
		return dst, err
	}
	dst = append(dst, `{"`...)
	if s.name != "" {
		dst = append(dst, s.idField...)
		dst = append(dst, `":"`...)
		dst = append(dst, matcher.NameID(s.name+number).String()...)
		dst = append(dst, `","`...)
	}
	dst = append(dst, `external_id":"`...)
	dst = append(dst, number...)
	dst = append(dst, `","`...)
	dst = append(dst, s.descriptor...)
	dst = append(dst, `":`...)
	dst = appendDescriptor(dst, s.version, s.row)
	return append(dst, "}\n"...), nil
}

// appendDescriptor appends a descriptor as JSON.
func appendDescriptor(dst []byte, version uint32, data []byte) []byte {
	dst = append(dst, `{"version":`...)
	dst = strconv.AppendUint(dst, uint64(version), 10)
	dst = append(dst, `,"data":"`...)
	dst = wire.AppendBase64(dst, data)
	return append(dst, `"}`...)
}

// descriptorField returns the name of the descriptor of objects of o.
func descriptorField(v *matcher.Version, o matcher.Origin) string {
	if o == matcher.Events {
		return v.Type.String() + "_descriptor"
	}
	return "descriptor"
}

// contentHash returns the first 16 hex digits of the SHA-256 of a file's content. A
// compressed file has the hash of what it contains, so that its objects have the same ids
// as those of the file before it was compressed.
func contentHash(ctx context.Context, path string, f inputFormat) (string, error) {
	in, err := openInput(path, f)
	if err != nil {
		return "", err
	}
	defer in.close()
	hash := sha256.New()
	block := make([]byte, 1<<20)
	for ctx.Err() == nil {
		n, err := in.Read(block)
		hash.Write(block[:n])
		switch {
		case errors.Is(err, io.EOF):
			return hex.EncodeToString(hash.Sum(nil))[:16], nil
		case err != nil:
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
	return "", context.Cause(ctx)
}

// showNote prints the note of a file, if it has one.
func (j *job) showNote(s *system) {
	if j.note != "" {
		_, _ = fmt.Fprintf(s.stderr, "nearside: %s: %s\n", j.path, j.note) // the note is not essential
	}
}
