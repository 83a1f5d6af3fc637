package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"nearside/matcher"
)

// source gives a file as lines of JSON.
type source interface {
	// appendLine appends the next line, with its newline, to dst. It returns
	// io.EOF at the end, and errLongLine after it skipped a line.
	appendLine(dst []byte) ([]byte, error)
	// offset is the number of bytes of the file that were read.
	offset() int64
	close()
}

// lineBytesMax bounds a line that is sent. A server takes 1 MiB unless it was
// configured otherwise, and says so itself.
const lineBytesMax = 16 << 20

var errLongLine = fmt.Errorf("line is longer than %d bytes and was not sent", lineBytesMax)

// check opens the file to see that it can be read, and that its vectors are
// of version v.
func (j *job) check(v *matcher.Version) error {
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
	if j.vectors {
		if j.bytes < 0 { // its content is read twice
			return fmt.Errorf("%s: is not a regular file", j.path)
		}
		f, err := openVectors(j.path, j.format, v)
		if err != nil {
			return err
		}
		f.close()
		return nil
	}
	file, err := os.Open(j.path)
	if err != nil {
		return err
	}
	closeRead(file)
	return nil
}

// open returns the lines of the file.
func (j *job) open(ctx context.Context, v *matcher.Version, origin matcher.Origin, stdin io.Reader) (source, error) {
	if j.path == "-" {
		return &textSource{in: bufio.NewReaderSize(stdin, 256<<10)}, nil
	}
	if !j.vectors {
		file, err := os.Open(j.path)
		if err != nil {
			return nil, err
		}
		return &textSource{in: bufio.NewReaderSize(file, 256<<10), file: file}, nil
	}
	hash, err := contentHash(ctx, j.path)
	if err != nil {
		return nil, err
	}
	f, err := openVectors(j.path, j.format, v)
	if err != nil {
		return nil, err
	}
	return newVectorSource(f, hash, v, origin), nil
}

// textSource is a file that has lines of JSON already.
type textSource struct {
	in   *bufio.Reader
	file *os.File // nil: somebody else's
	read int64
}

func (s *textSource) offset() int64 { return s.read }

func (s *textSource) close() {
	if s.file != nil {
		closeRead(s.file)
	}
}

func (s *textSource) appendLine(dst []byte) ([]byte, error) {
	start, long := len(dst), false
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

// vectorSource makes objects of vectors.
type vectorSource struct {
	*vectorFile
	name       string // before the row, in the name of an ID
	idField    string
	descriptor string // the field
	version    uint32
	row        []byte
}

func newVectorSource(f *vectorFile, hash string, v *matcher.Version, origin matcher.Origin) *vectorSource {
	s := &vectorSource{
		vectorFile: f, name: "nearside:" + hash + ":", idField: origin.Singular() + "_id",
		descriptor: "descriptor", version: v.Number, row: make([]byte, f.rows.RowSize()),
	}
	if origin == matcher.Events {
		s.descriptor = v.Type.String() + "_descriptor"
	}
	return s
}

func (s *vectorSource) offset() int64 { return s.rows.Offset() }

func (s *vectorSource) appendLine(dst []byte) ([]byte, error) {
	number := strconv.FormatInt(s.rows.Row(), 10)
	if err := s.rows.Next(s.row); err != nil {
		return dst, err
	}
	dst = append(dst, `{"`...)
	dst = append(dst, s.idField...)
	dst = append(dst, `":"`...)
	dst = append(dst, matcher.NameID(s.name+number).String()...)
	dst = append(dst, `","external_id":"`...)
	dst = append(dst, number...)
	dst = append(dst, `","`...)
	dst = append(dst, s.descriptor...)
	dst = append(dst, `":{"version":`...)
	dst = strconv.AppendUint(dst, uint64(s.version), 10)
	dst = append(dst, `,"data":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, s.row)
	return append(dst, "\"}}\n"...), nil
}

// contentHash returns the first 16 hex digits of a file's SHA-256.
func contentHash(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer closeRead(file)
	hash := sha256.New()
	block := make([]byte, 1<<20)
	for ctx.Err() == nil {
		n, err := file.Read(block)
		hash.Write(block[:n])
		switch {
		case errors.Is(err, io.EOF):
			return hex.EncodeToString(hash.Sum(nil))[:16], nil
		case err != nil:
			return "", err
		}
	}
	return "", errors.New("interrupted")
}
