package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"unsafe"

	"nearside/matcher"
	"nearside/simd"
)

// A segment is a file with the first rows of a chunk, as they are in memory:
// a header of segmentHeader bytes, then the sections of [chunk.sections] one after
// the other, the lengths of the arena's blocks, and the blocks. It is written
// once. The ordinals in it are those of the manifest.
const (
	segmentMagic  = "nearseg\x01"
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
func (s *segment) appendHeader(dst []byte, vs versions, sections []section) []byte {
	start := len(dst)
	dst = append(dst, segmentMagic...)
	dst = append(dst, s.id[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(s.rows))
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
func (s *segment) parseHeader(b []byte, r *matcher.Registry) (vs versions, sections []section, err error) {
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
	columns := make([]byte, rows*columnBytes+columnCount*64)
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
	return sum ^ hashString("layout") ^ hashID(matcher.ID{1})
}

// sections returns the memory of the first n rows, in the order of a segment. The
// last block of a slab may hold more rows than that.
func (c *chunk) sections(n int) [][]byte {
	sections := [][]byte{
		bytesOf(c.ids[:n]), bytesOf(c.times[:n]), bytesOf(c.accounts[:n]),
		bytesOf(c.age[:n]), bytesOf(c.gender[:n]), bytesOf(c.ethnicGroup[:n]),
		bytesOf(c.external[:n]), bytesOf(c.userData[:n]), bytesOf(c.event[:n]), bytesOf(c.details[:n]),
	}
	for t := range c.slabs {
		if c.versions[t] != nil {
			sections = append(sections, c.slabs[t].sections(n)...)
		}
	}
	return sections
}

// frozenSections is sections, and those of coarse copies, for who reads them
// while rows are added behind: the writer calls it, and what both have is
// copied.
func (c *chunk) frozenSections(n int) [][]byte {
	sections := c.sections(n)
	for t := range c.slabs {
		s := &c.slabs[t]
		if tail := s.tail(n); len(tail) > 0 {
			i := slices.IndexFunc(sections, func(b []byte) bool { return len(b) > 0 && &b[0] == &tail[0] })
			sections[i] = slices.Clone(tail)
		}
		if s.coarse != nil {
			sections = append(sections, s.coarse.append(nil, n))
		}
	}
	return sections
}

// append appends what c says of the first n rows.
func (c *coarse) append(dst []byte, n int) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, math.Float64bits(c.step))
	for _, z := range c.zones[:(n+zoneRows-1)/zoneRows] {
		dst = le.AppendUint64(dst, math.Float64bits(z.error))
		dst = le.AppendUint64(dst, math.Float64bits(z.norm))
		dst = le.AppendUint64(dst, uint64(z.cuts))
	}
	for i := range c.cut[:(n+63)/64] {
		dst = le.AppendUint64(dst, c.cut[i].Load())
	}
	return dst
}

// restore reads what append wrote.
func (c *coarse) restore(b []byte, n int) {
	r := reader{b}
	float := func() float64 { return math.Float64frombits(r.uint64()) }
	c.step = float()
	for i := range (n + zoneRows - 1) / zoneRows {
		c.zones[i] = coarseZone{error: float(), norm: float(), cuts: int(r.uint64())}
	}
	for i := range (n + 63) / 64 {
		c.cut[i].Store(r.uint64())
	}
}

// sections returns the memory of the first n rows.
func (s *slab) sections(n int) (sections [][]byte) {
	if s.blocks != nil {
		whole := n / simd.BlockRows * simd.BlockBytesU8(s.version.Length)
		sections = append(sections, s.blocks[:whole:whole], s.tail(n), bytesOf(s.consts[:n]))
	}
	if s.rows != nil {
		sections = append(sections, s.rows[:n*s.version.Size()])
	}
	if s.inverse != nil {
		sections = append(sections, bytesOf(s.inverse[:n]))
	}
	return sections
}

// tail returns the block of which only some rows are among the first n.
func (s *slab) tail(n int) []byte {
	if s.blocks == nil || n%simd.BlockRows == 0 {
		return nil
	}
	block, _ := s.block(n / simd.BlockRows)
	return block
}

// bytesOf returns the memory of values, which hold no pointers.
func bytesOf[T any](values []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(zero)))
}
