package table

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"unsafe"

	"nearside/matcher"
	"nearside/simd"
)

// Sections returns the memory of the first n rows, in the order in which a segment stores
// it. The last block of a slab may also hold later rows.
func (c *Chunk) Sections(n int) [][]byte {
	sections := [][]byte{
		bytesOf(c.IDs[:n]), bytesOf(c.Times[:n]), bytesOf(c.Accounts[:n]),
	}
	for _, column := range c.Smalls {
		sections = append(sections, bytesOf(column[:n]))
	}
	for _, column := range c.Hashes {
		sections = append(sections, bytesOf(column[:n]))
	}
	sections = append(sections, bytesOf(c.records[:n]))
	switch c.Layout.Origin {
	case matcher.Events:
		sections = append(sections, c.Events.sections(n)...)
	case matcher.Attributes:
		sections = append(sections, bytesOf(c.Expires[:n]))
	}
	for t := range c.Slabs {
		if c.Versions[t] != nil {
			sections = append(sections, c.Slabs[t].sections(n)...)
		}
	}
	return sections
}

// FrozenSections returns the result of Sections, followed by the coarse copies, for a
// caller that reads them while more rows are appended. It copies the parts that an append
// could still change. Only the writer calls it.
func (c *Chunk) FrozenSections(n int) [][]byte {
	sections := c.Sections(n)
	for t := range c.Slabs {
		s := &c.Slabs[t]
		if tail := s.tail(n); len(tail) > 0 {
			i := slices.IndexFunc(sections, func(b []byte) bool { return len(b) > 0 && &b[0] == &tail[0] })
			sections[i] = slices.Clone(tail)
		}
	}
	for _, copied := range c.CoarseCopies() {
		sections = append(sections, copied.append(nil, n))
	}
	return sections
}

// CoarseCopies returns the coarse copies of the chunk, in the order in which
// FrozenSections appends them.
func (c *Chunk) CoarseCopies() (copies []*Coarse) {
	for t := range c.Slabs {
		if s := &c.Slabs[t]; s.Coarse != nil {
			copies = append(copies, s.Coarse)
		}
	}
	return copies
}

// sections returns the memory of the first n rows, except for tags. Tag bits and their
// names are rebuilt when a segment is loaded.
func (c *EventColumns) sections(n int) [][]byte {
	sections := [][]byte{
		bytesOf(c.End[:n]), bytesOf(c.Longitude[:n]), bytesOf(c.Latitude[:n]), bytesOf(c.Similarity[:n]),
	}
	for f := range c.Meta {
		switch m := &c.Meta[f]; {
		case m.Numbers != nil:
			sections = append(sections, bytesOf(m.Numbers[:n]))
		case m.Hashes != nil:
			sections = append(sections, bytesOf(m.Hashes[:n]))
		default:
			sections = append(sections, bytesOf(m.Flags[:n]))
		}
	}
	return sections
}

// append appends the encoding of c for the first n rows.
func (c *Coarse) append(dst []byte, n int) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, math.Float64bits(c.Step))
	for _, z := range c.zones[:(n+ZoneRows-1)/ZoneRows] {
		dst = le.AppendUint64(dst, math.Float64bits(z.error))
		dst = le.AppendUint64(dst, math.Float64bits(z.norm))
		dst = le.AppendUint64(dst, uint64(z.cuts))
	}
	for i := range c.Cut[:(n+63)/64] {
		dst = le.AppendUint64(dst, c.Cut[i].Load())
	}
	return dst
}

// Restore decodes what append wrote. It panics if b is too short.
func (c *Coarse) Restore(b []byte, n int) {
	next := func() uint64 {
		x := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return x
	}
	float := func() float64 { return math.Float64frombits(next()) }
	c.Step = float()
	for i := range (n + ZoneRows - 1) / ZoneRows {
		c.zones[i] = coarseZone{error: float(), norm: float(), cuts: int(next())}
	}
	for i := range (n + 63) / 64 {
		c.Cut[i].Store(next())
	}
}

// sections returns the memory of the first n rows.
func (s *Slab) sections(n int) (sections [][]byte) {
	if s.Blocks != nil {
		whole := n / simd.BlockRows * simd.BlockBytesU8(s.Version.Length)
		sections = append(sections, s.Blocks[:whole:whole], s.tail(n), bytesOf(s.Consts[:n]))
	}
	if s.Rows != nil {
		sections = append(sections, s.Rows[:n*s.Version.Size()])
	}
	if s.Inverse != nil {
		sections = append(sections, bytesOf(s.Inverse[:n]))
	}
	return sections
}

// tail returns the last block of the first n rows if n ends inside of it, and otherwise
// nil.
func (s *Slab) tail(n int) []byte {
	if s.Blocks == nil || n%simd.BlockRows == 0 {
		return nil
	}
	block, _ := s.Block(n / simd.BlockRows)
	return block
}

// bytesOf returns the memory of values. T must not contain pointers.
func bytesOf[T any](values []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(zero)))
}

// SlabSum returns a checksum of a slab of v with two sample rows. It changes when the
// memory layout of slabs changes, and when the hash function of the columns changes.
func SlabSum(v *matcher.Version) uint32 {
	const rows = simd.BlockRows
	columns := make([]byte, (rows+64)*(4+8)) // constants and inverse norms
	s := newSlab(v, rows, make([]byte, slabBytes(v, rows)), &columns)
	data := make([]byte, v.Size())
	for row := range 2 {
		for i := range data {
			data[i] = byte(i*7+i>>8+row) & 0x3f // small enough to be finite as float32
		}
		s.putRow(row, data)
	}
	sum := crc32.Checksum([]byte{byte(v.Type), byte(v.Encoding), byte(v.Metric)}, castagnoli)
	sections := s.sections(rows)
	if s.Coarse != nil {
		sections = append(sections, s.Coarse.append(nil, 2))
	}
	for _, p := range sections {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum ^ HashString("layout") ^ HashString(IDText(matcher.ID{1}))
}
