package memory

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"nearside/matcher"
	"nearside/simd"
)

// sections returns the memory of the first n rows, in the order of a segment. The
// last block of a slab may hold more rows than that.
func (c *chunk) sections(n int) [][]byte {
	sections := [][]byte{
		bytesOf(c.ids[:n]), bytesOf(c.times[:n]), bytesOf(c.accounts[:n]),
		bytesOf(c.age[:n]), bytesOf(c.gender[:n]), bytesOf(c.ethnicGroup[:n]),
	}
	for _, column := range c.hashes {
		sections = append(sections, bytesOf(column[:n]))
	}
	sections = append(sections, bytesOf(c.details[:n]))
	switch c.layout.origin {
	case matcher.Events:
		sections = append(sections, c.events.sections(n)...)
	case matcher.Attributes:
		sections = append(sections, bytesOf(c.expires[:n]))
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

// sections returns the memory of the first n rows, but for tags: they are made
// again, with their names.
func (c *eventColumns) sections(n int) [][]byte {
	sections := [][]byte{
		bytesOf(c.end[:n]), bytesOf(c.emotion[:n]), bytesOf(c.mask[:n]),
		bytesOf(c.longitude[:n]), bytesOf(c.latitude[:n]), bytesOf(c.similarity[:n]),
	}
	for f := range c.meta {
		switch m := &c.meta[f]; {
		case m.numbers != nil:
			sections = append(sections, bytesOf(m.numbers[:n]))
		case m.hashes != nil:
			sections = append(sections, bytesOf(m.hashes[:n]))
		default:
			sections = append(sections, bytesOf(m.flags[:n]))
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
