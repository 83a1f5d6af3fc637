package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// A segment is a file with the first rows of a chunk, as they are in memory. It has a
// header of HeaderBytes, then the sections of [table.Chunk.FrozenSections] one after the
// other, the lengths of the arena's blocks, and the blocks. It is written once. Its
// ordinals are those of the manifest. Change Magic whenever the format changes in a way
// that [table.SlabSum] does not cover: in the columns or in the encoding of records.
const (
	Magic       = "nearseg\x02"
	HeaderBytes = 1024
	Suffix      = ".seg"
)

// fileName returns the name of the file of a segment.
func fileName(s *table.Segment) string { return s.ID.String() + Suffix }

// section describes a section of the file, as the header stores it.
type section struct {
	size uint64 // bytes
	sum  uint32 // CRC-32C
}

// sectionsMax is the maximum number of sections in a header.
const sectionsMax = 64

// appendHeader appends the header of a segment. It also computes the checksum and sets
// s.Sum.
func appendHeader(dst []byte, s *table.Segment, l *table.Layout, vs table.Versions, sections []section) []byte {
	start := len(dst)
	dst = append(dst, Magic...)
	dst = append(dst, s.ID[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(s.Rows))
	dst = binary.LittleEndian.AppendUint32(dst, l.Sum())
	dst = appendVersions(dst, vs)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(sections)))
	for _, p := range sections {
		dst = binary.LittleEndian.AppendUint64(dst, p.size)
		dst = binary.LittleEndian.AppendUint32(dst, p.sum)
	}
	dst = append(dst, make([]byte, start+HeaderBytes-4-len(dst))...)
	s.Sum = crc32.Checksum(dst[start:], castagnoli)
	return binary.LittleEndian.AppendUint32(dst, s.Sum)
}

// parseHeader parses and verifies the header of the file that s names.
func parseHeader(b []byte, s *table.Segment, l *table.Layout, r *matcher.Registry) (vs table.Versions, sections []section, err error) {
	body := b[:len(b)-4]
	sum := crc32.Checksum(body, castagnoli)
	switch {
	case sum != binary.LittleEndian.Uint32(b[len(b)-4:]):
		return vs, nil, errors.New("the header is damaged")
	case string(body[:len(Magic)]) != Magic:
		return vs, nil, errors.New("the format is unknown")
	case sum != s.Sum || matcher.ID(body[len(Magic):]) != s.ID:
		return vs, nil, errors.New("it is not the file that the manifest names")
	}
	d := reader{body[len(Magic)+len(s.ID):]}
	if rows := int(d.uint32()); rows != s.Rows {
		return vs, nil, fmt.Errorf("it has %d rows, the manifest says %d", rows, s.Rows)
	}
	if d.uint32() != l.Sum() {
		return vs, nil, fmt.Errorf("its columns of %s have another layout, because the configuration or the program changed", l.Origin)
	}
	if vs, err = d.versions(r); err != nil {
		return vs, nil, err
	}
	n := d.uint32()
	if n > sectionsMax {
		return vs, nil, fmt.Errorf("it has %d sections, at most %d are possible", n, sectionsMax)
	}
	for range n {
		sections = append(sections, section{d.uint64(), d.uint32()})
	}
	return vs, sections, nil
}

// reader reads numbers from bytes whose checksum was verified. It panics if there are too
// few bytes, which happens only if the format has changed.
type reader struct{ rest []byte }

// bytes returns the next n bytes.
func (r *reader) bytes(n int) []byte {
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.bytes(4)) }

func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.bytes(8)) }

// appendVersions appends the version numbers and everything else that the layout of a
// chunk depends on.
func appendVersions(dst []byte, vs table.Versions) []byte {
	for _, v := range vs {
		number, layout := uint32(0), uint32(0)
		if v != nil {
			number, layout = v.Number, table.SlabSum(v)
		}
		dst = binary.LittleEndian.AppendUint32(dst, number)
		dst = binary.LittleEndian.AppendUint32(dst, layout)
	}
	return dst
}

// versions reads what appendVersions wrote. It returns an error if a version has another
// layout now.
func (r *reader) versions(registry *matcher.Registry) (vs table.Versions, err error) {
	for t := range vs {
		number, layout := r.uint32(), r.uint32()
		if number == 0 {
			continue
		}
		v := registry.Version(number)
		switch {
		case v == nil:
			return vs, fmt.Errorf("it has descriptors of version %d, which is not configured any more", number)
		case int(v.Type) != t || table.SlabSum(v) != layout:
			return vs, fmt.Errorf("its descriptors of version %d have another layout, because the configuration or the program changed", number)
		}
		vs[t] = v
	}
	return vs, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
