package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"nearside/matcher"
	"nearside/simd"
)

// A segment is a file with the first rows of a chunk, as they are in memory:
// a header of segmentHeader bytes, then the sections of [chunk.frozenSections] one
// after the other, the lengths of the arena's blocks, and the blocks. It is written
// once. The ordinals in it are those of the manifest. The magic changes with
// whatever [layoutOf] does not see: the columns, and what details look like.
const (
	segmentMagic  = "nearseg\x02"
	segmentHeader = 1024
	segmentSuffix = ".seg"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is what a manifest says of a file, and the file of itself.
type segment struct {
	id   matcher.ID // random; the file's name
	rows int
	sum  uint32 // of the header, which has the sums of all sections
}

func (s *segment) name() string { return s.id.String() + segmentSuffix }

// section is what a header says of a section of the file.
type section struct {
	size uint64 // bytes
	sum  uint32 // CRC-32C
}

// sectionsMax bounds the sections of a header.
const sectionsMax = 64

// appendHeader appends the header of a segment, whose sum is not known yet, and
// sets the sum.
func (s *segment) appendHeader(dst []byte, l *layout, vs versions, sections []section) []byte {
	start := len(dst)
	dst = append(dst, segmentMagic...)
	dst = append(dst, s.id[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(s.rows))
	dst = binary.LittleEndian.AppendUint32(dst, l.sum())
	dst = appendVersions(dst, vs)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(sections)))
	for _, p := range sections {
		dst = binary.LittleEndian.AppendUint64(dst, p.size)
		dst = binary.LittleEndian.AppendUint32(dst, p.sum)
	}
	dst = append(dst, make([]byte, start+segmentHeader-4-len(dst))...)
	s.sum = crc32.Checksum(dst[start:], castagnoli)
	return binary.LittleEndian.AppendUint32(dst, s.sum)
}

// parseHeader reads the header of the file that s names.
func (s *segment) parseHeader(b []byte, l *layout, r *matcher.Registry) (vs versions, sections []section, err error) {
	body := b[:len(b)-4]
	sum := crc32.Checksum(body, castagnoli)
	switch {
	case sum != binary.LittleEndian.Uint32(b[len(b)-4:]):
		return vs, nil, errors.New("the header is damaged")
	case string(body[:len(segmentMagic)]) != segmentMagic:
		return vs, nil, errors.New("the format is unknown")
	case sum != s.sum || matcher.ID(body[len(segmentMagic):]) != s.id:
		return vs, nil, errors.New("it is another file than the manifest means")
	}
	d := reader{body[len(segmentMagic)+len(s.id):]}
	if rows := int(d.uint32()); rows != s.rows {
		return vs, nil, fmt.Errorf("it has %d rows, the manifest says %d", rows, s.rows)
	}
	if d.uint32() != l.sum() {
		return vs, nil, fmt.Errorf("it has columns of %s as they were before the configuration changed", l.origin)
	}
	if vs, err = d.versions(r); err != nil {
		return vs, nil, err
	}
	n := d.uint32()
	if n > sectionsMax {
		return vs, nil, fmt.Errorf("it has %d sections", n)
	}
	for range n {
		sections = append(sections, section{d.uint64(), d.uint32()})
	}
	return vs, sections, nil
}

// reader takes numbers off bytes whose checksum was right, so that there are
// enough of them unless the format changed.
type reader struct{ rest []byte }

func (r *reader) take(n int) []byte {
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }

func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

// appendVersions appends what the layout of a chunk depends on.
func appendVersions(dst []byte, vs versions) []byte {
	for _, v := range vs {
		number, layout := uint32(0), uint32(0)
		if v != nil {
			number, layout = v.Number, layoutOf(v)
		}
		dst = binary.LittleEndian.AppendUint32(dst, number)
		dst = binary.LittleEndian.AppendUint32(dst, layout)
	}
	return dst
}

func (r *reader) versions(registry *matcher.Registry) (vs versions, err error) {
	for t := range vs {
		number, layout := r.uint32(), r.uint32()
		if number == 0 {
			continue
		}
		v := registry.Version(number)
		switch {
		case v == nil:
			return vs, fmt.Errorf("it has descriptors of version %d, which is not configured any more", number)
		case int(v.Type) != t || layoutOf(v) != layout:
			return vs, fmt.Errorf("it has descriptors of version %d as they were before the configuration or the program changed", number)
		}
		vs[t] = v
	}
	return vs, nil
}

// layoutOf returns a number that changes with what a slab of v looks like: it
// is the checksum of a slab with two rows. It also changes with the hashes in
// columns.
func layoutOf(v *matcher.Version) uint32 {
	const rows = simd.BlockRows
	columns := make([]byte, (rows+64)*(4+8)) // constants and lengths
	s := newSlab(v, rows, make([]byte, slabBytes(v, rows)), &columns)
	data := make([]byte, v.Size())
	for row := range 2 {
		for i := range data {
			data[i] = byte(i*7+i>>8+row) & 0x3f // as float32 it is finite
		}
		s.put(row, data)
	}
	sum := crc32.Checksum([]byte{byte(v.Type), byte(v.Encoding), byte(v.Metric)}, castagnoli)
	sections := s.sections(rows)
	if s.coarse != nil {
		sections = append(sections, s.coarse.append(nil, 2))
	}
	for _, p := range sections {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum ^ hashString("layout") ^ hashString(idText(matcher.ID{1}))
}
