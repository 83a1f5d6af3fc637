package vectors

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// pageHeaderMax is the largest size of a page header in bytes. It may have the smallest
	// and the largest value of the page.
	pageHeaderMax = 1 << 20
	// tailSize is the size of the end of a file: the size of the footer and "PAR1".
	tailSize = 8
)

// checkFooter returns an error if the file says that its footer is larger than the file. The
// library would allocate that.
func checkFooter(r io.ReaderAt, size int64) error {
	var tail [tailSize]byte
	if size < tailSize {
		return nil // the library reports it
	}
	if _, err := r.ReadAt(tail[:], size-tailSize); err != nil {
		return fmt.Errorf("vectors: %w", err)
	}
	if footer := int64(binary.LittleEndian.Uint32(tail[:])); footer > size-tailSize {
		return fmt.Errorf("vectors: the file is damaged: its footer must have at most %d bytes, got %d", size-tailSize, footer)
	}
	return nil
}

// checkPages returns an error if a page of a chunk says that it is larger than the chunk.
// The library would allocate that. chunk is the part of a column in a row group of a file
// of size bytes.
func checkPages(r io.ReaderAt, size int64, chunk *format.ColumnMetaData) error {
	at := chunk.DataPageOffset
	if d := chunk.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	if at < 0 || chunk.TotalCompressedSize < 0 || chunk.TotalCompressedSize > size-at {
		return fmt.Errorf("the file is damaged: its column begins at %d and has %d bytes, but the file has %d", at, chunk.TotalCompressedSize, size)
	}
	for end := at + chunk.TotalCompressedSize; at < end; {
		header, n, err := readPageHeader(r, at, end)
		if err != nil {
			return err
		}
		at += n
		if left := end - at; int64(header.CompressedPageSize) > left || int64(header.UncompressedPageSize) > chunk.TotalUncompressedSize {
			return fmt.Errorf("the file is damaged: a page must have at most %d bytes, and %d decompressed, got %d and %d",
				left, chunk.TotalUncompressedSize, header.CompressedPageSize, header.UncompressedPageSize)
		}
		at += max(0, int64(header.CompressedPageSize)) // the library reports a negative size
	}
	return nil
}

// readPageHeader reads the page header at an offset, and returns its size. It does not read
// beyond end.
func readPageHeader(r io.ReaderAt, at, end int64) (*format.PageHeader, int64, error) {
	var err error
	for _, size := range []int64{4 << 10, pageHeaderMax} {
		data := make([]byte, min(size, end-at))
		if _, err = r.ReadAt(data, at); err != nil {
			return nil, 0, err
		}
		in := (&thrift.CompactProtocol{}).NewReaderFromBytes(data)
		header := &format.PageHeader{}
		if err = thrift.NewDecoder(in).Decode(header); err == nil {
			return header, int64(in.BytesRead()), nil
		}
	}
	return nil, 0, fmt.Errorf("the file is damaged: the header of a page: %w", err)
}

// metadataOf returns the description of a column in a row group.
func metadataOf(file *parquet.File, group, column int) *format.ColumnMetaData {
	return &file.Metadata().RowGroups[group].Columns[column].MetaData
}
