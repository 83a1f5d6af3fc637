package segment

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// CopyStep is the step of the byte copies of a version in a segment.
type CopyStep struct {
	Version *matcher.Version
	Step    float64
}

// Check reads an open segment without the manifest. It verifies the checksum of every section,
// and returns the steps of its byte copies of float32 descriptors. It calls pace, unless
// nil, with the bytes that it has read.
func Check(ctx context.Context, file io.ReaderAt, r *matcher.Registry, pace func(bytes int)) (steps []CopyStep, err error) {
	f := io.NewSectionReader(file, 0, math.MaxInt64)
	header := make([]byte, HeaderBytes)
	if _, err := io.ReadFull(f, header); err != nil {
		return nil, fmt.Errorf("the header cannot be read: %w", err)
	}
	vs, sections, err := checkHeader(header, r)
	if err != nil {
		return nil, err
	}
	var copied []*matcher.Version
	for _, v := range vs {
		if v != nil && v.Encoding == matcher.Float32 && table.HasBlocks(v) {
			copied = append(copied, v)
		}
	}
	// The byte copies are described before the last two sections, which are records.
	first := len(sections) - 2 - len(copied)
	if first < 0 {
		return nil, errSections
	}
	for i, s := range sections {
		begin, err := checkSection(ctx, f, s, pace)
		if err != nil {
			return nil, fmt.Errorf("section %d: %w", i, err)
		}
		if i >= first && i < first+len(copied) {
			if len(begin) < 8 {
				return nil, errSections
			}
			steps = append(steps, CopyStep{copied[i-first], math.Float64frombits(binary.LittleEndian.Uint64(begin))})
		}
	}
	return steps, nil
}

// checkHeader parses a header without the manifest.
func checkHeader(b []byte, r *matcher.Registry) (vs table.Versions, sections []section, err error) {
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(body):]) || string(body[:len(Magic)]) != Magic {
		return vs, nil, errors.New("the header is damaged")
	}
	d := reader{body[len(Magic)+len(matcher.ID{})+8:]} // after the ID, the rows and the layout
	if vs, err = d.versions(r); err != nil {
		return vs, nil, err
	}
	n := d.uint32()
	if n > sectionsMax {
		return vs, nil, errSections
	}
	for range n {
		sections = append(sections, section{d.uint64(), d.uint32()})
	}
	return vs, sections, nil
}

// checkSection reads the next section of f and verifies its checksum. It returns the first
// bytes of the section, at least eight if it has as many.
func checkSection(ctx context.Context, f io.Reader, s section, pace func(bytes int)) (begin []byte, err error) {
	piece := make([]byte, min(s.size, 1<<20))
	sum := uint32(0)
	for left := s.size; left > 0; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b := piece[:min(left, uint64(len(piece)))]
		if _, err := io.ReadFull(f, b); err != nil {
			return nil, err
		}
		if begin == nil {
			begin = append(begin, b[:min(len(b), 64)]...)
		}
		sum = crc32.Update(sum, castagnoli, b)
		left -= uint64(len(b))
		if pace != nil {
			pace(len(b))
		}
	}
	if sum != s.sum {
		return nil, errors.New("the checksum is wrong")
	}
	return begin, nil
}
