package memory

import (
	"math"
	"runtime"
	"sync/atomic"
	"unsafe"

	"nearside/matcher"
	"nearside/simd"
)

// chunkRowsMax is the rows of a chunk, which is what 16 bits count: a chunk is
// one container of a roaring bitmap.
const chunkRowsMax = 1 << 16

// chunkBytesMax bounds the descriptors of a chunk, so that very long ones do
// not reserve gigabytes of address space for their first row.
const chunkBytesMax = 256 << 20

// chunksMax is the chunks of an origin: a row's number has 32 bits.
const chunksMax = 1 << 16

// versions are the descriptor versions of a row, by type; nil: it has none.
type versions [matcher.DescriptorTypes]*matcher.Version

// kind is what all rows of a chunk have in common.
type kind struct {
	origin   matcher.Origin
	versions versions
}

// chunk is a block of rows. Rows below a view's n never change; the store's
// writer alone appends behind them.
type chunk struct {
	layout   *layout
	versions versions
	capacity int
	slabs    [matcher.DescriptorTypes]slab // by type; without a version: none

	ids         []matcher.ID
	times       []matcher.Time
	zones       []zone   // of times; the last may be at work
	accounts    []uint32 // ordinal + 1; 0: none
	age         []matcher.Small
	gender      []matcher.Small
	ethnicGroup []matcher.Small
	hashes      [][]uint32 // by field of the layout, of what the field has; 0: absent
	details     []uint32   // where in an arena the other fields are

	events  *eventColumns  // of events
	expires []matcher.Time // of attributes

	segment atomic.Pointer[segment] // the newest file with rows of the chunk; nil: there is none
}

// zoneRows is the rows of a zone, zoneBlocks its blocks.
const (
	zoneRows   = 1024
	zoneBlocks = zoneRows / simd.BlockRows
)

// zone is the range of a column in a part of a chunk.
type zone struct{ min, max matcher.Time }

// regions is where chunks get their memory and give it back.
type regions struct {
	get func(size int, huge bool) ([]byte, error) // zeroed, outside the Go heap
	put func(mem []byte)
}

// newChunk maps a chunk for rows of vs. Its memory is unmapped when nothing
// refers to the chunk any more: snapshots keep it alive, and so must whoever
// holds only a slice of a column.
func newChunk(l *layout, vs versions, rowsMax int, r regions) (*chunk, error) {
	c := &chunk{layout: l, versions: vs, capacity: max(64, min(rowsMax, chunkBytesMax/max(1, vs.descriptorBytes()))) &^ 63}
	columns, err := r.get(c.capacity*l.columnBytes+l.columnCount*64, false)
	if err != nil {
		return nil, err
	}
	runtime.AddCleanup(c, r.put, columns)
	for t, v := range vs {
		if v == nil {
			continue
		}
		mem, err := r.get(slabBytes(v, c.capacity), true)
		if err != nil {
			return nil, err
		}
		runtime.AddCleanup(c, r.put, mem)
		c.slabs[t] = newSlab(v, c.capacity, mem, &columns)
	}
	c.carve(columns)
	c.zones = make([]zone, (c.capacity+zoneRows-1)/zoneRows)
	return c, nil
}

func (c *chunk) carve(mem []byte) {
	n := c.capacity
	c.ids = carve[matcher.ID](&mem, n)
	c.times = carve[matcher.Time](&mem, n)
	c.accounts = carve[uint32](&mem, n)
	c.age = carve[matcher.Small](&mem, n)
	c.gender = carve[matcher.Small](&mem, n)
	c.ethnicGroup = carve[matcher.Small](&mem, n)
	for range c.layout.hashes {
		c.hashes = append(c.hashes, carve[uint32](&mem, n))
	}
	c.details = carve[uint32](&mem, n)
	switch c.layout.origin {
	case matcher.Events:
		c.events = carveEvents(&mem, n, c.layout.meta)
	case matcher.Attributes:
		c.expires = carve[matcher.Time](&mem, n)
	}
}

// carve takes n values off mem, at a cache line. T must hold no pointers.
func carve[T any](mem *[]byte, n int) []T {
	const line = 64
	var zero T
	size := (n*int(unsafe.Sizeof(zero)) + line - 1) &^ (line - 1)
	part := (*mem)[:size:size]
	*mem = (*mem)[size:]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(part))), n)
}

// set writes row i, which no snapshot shows yet, but for its details. meta is
// what an event has, parsed.
func (c *chunk) set(i int, o *matcher.Object, account uint32, meta any) {
	for t, v := range c.versions {
		if v != nil {
			c.slabs[t].put(i, o.Descriptors[t].Data)
		}
	}
	c.ids[i] = o.ID
	c.setTime(i, o.CreateTime)
	c.accounts[i] = account
	c.age[i], c.gender[i], c.ethnicGroup[i] = o.Age, o.Gender, o.EthnicGroup
	var texts [textsMax]string
	for f, text := range textsOf(texts[:0], o)[:len(c.hashes)] {
		c.hashes[f][i] = hashString(text)
	}
	switch c.layout.origin {
	case matcher.Events:
		c.events.set(i, o, c.layout.meta, meta)
	case matcher.Attributes:
		c.expires[i] = o.Expires
		if o.Expires == 0 {
			c.expires[i] = never
		}
	}
}

// never is the time of expiry of what does not expire.
const never = matcher.Time(math.MaxInt64)

// setTime writes the time of row i, which is behind all others.
func (c *chunk) setTime(i int, t matcher.Time) {
	c.times[i] = t
	z := &c.zones[i/zoneRows]
	if i%zoneRows == 0 {
		*z = zone{t, t}
	}
	z.min, z.max = min(z.min, t), max(z.max, t)
}

// copyRow writes row i as row j of from, but for its details.
func (c *chunk) copyRow(i int, from *chunk, j int) {
	var data []byte
	for t, v := range c.versions {
		if v != nil {
			data = from.slabs[t].appendTo(data[:0], j)
			c.slabs[t].put(i, data)
		}
	}
	c.setTime(i, from.times[j])
	c.ids[i], c.accounts[i] = from.ids[j], from.accounts[j]
	c.age[i], c.gender[i], c.ethnicGroup[i] = from.age[j], from.gender[j], from.ethnicGroup[j]
	for f := range c.hashes {
		c.hashes[f][i] = from.hashes[f][j]
	}
	switch c.layout.origin {
	case matcher.Events:
		c.events.copyRow(i, from.events, j)
	case matcher.Attributes:
		c.expires[i] = from.expires[j]
	}
}

// regionBytes is the address space of the chunk.
func (c *chunk) regionBytes() int {
	n := c.capacity * c.layout.columnBytes
	for t := range c.slabs {
		n += len(c.slabs[t].blocks) + len(c.slabs[t].rows)
	}
	return n
}
