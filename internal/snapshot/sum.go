package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// pieceBytes is how much of a file is read or written at once.
const pieceBytes = 256 << 10

// summed reads a file of a snapshot, sums what it reads, and ends with ctx. read, unless nil,
// is called with the size of each piece.
type summed struct {
	ctx   context.Context
	in    io.Reader
	hash  hash.Hash
	bytes int64
	read  func(n int)
}

func newSummed(ctx context.Context, in io.Reader, read func(n int)) *summed {
	return &summed{ctx: ctx, in: in, hash: sha256.New(), read: read}
}

func (s *summed) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, context.Cause(s.ctx)
	}
	n, err := s.in.Read(p)
	s.hash.Write(p[:n]) // never fails
	s.bytes += int64(n)
	if s.read != nil {
		s.read(n)
	}
	return n, err
}

// discard reads the rest.
func (s *summed) discard() error {
	_, err := io.CopyBuffer(onlyWriter{io.Discard}, s, make([]byte, pieceBytes))
	return err
}

// file returns what was read as a file of a manifest.
func (s *summed) file(path string) File {
	return File{Path: path, Bytes: s.bytes, SHA256: hex.EncodeToString(s.hash.Sum(nil))}
}

// eachFile calls f with each file in the folder dir, in the order of paths, and its path
// with slashes. A file that is neither a folder nor a regular file is an error.
func eachFile(dir string, f func(path string, in *os.File) error) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		path := filepath.ToSlash(relative)
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		in, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }() // it was only read
		return f(path, in)
	})
}
