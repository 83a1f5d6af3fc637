package coding

import (
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// FileWindowMax is the largest window, in bytes, of a zstd file. It bounds the memory that
// the file can claim. The program zstd has the same limit.
const FileWindowMax = 128 << 20

// NewFileReader returns a reader that decompresses a file which the user has chosen. [Reader]
// is for data from clients: it allows smaller windows only. The caller closes the returned
// reader, which does not close from.
func NewFileReader(c Coding, from io.Reader) (io.ReadCloser, error) {
	switch c {
	case Gzip:
		r, err := gzip.NewReader(from)
		if err != nil {
			return nil, err
		}
		return r, nil
	case Zstd:
		// With one worker, the decoder has no goroutines.
		r, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(FileWindowMax))
		if err != nil {
			return nil, err
		}
		return r.IOReadCloser(), nil
	}
	return io.NopCloser(from), nil
}
