package table

import (
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"

	"nearside/matcher"
	"nearside/simd"
)

// ChunkRowsMax is the maximum number of rows in a chunk. Offsets of 16 bits address
// exactly this many rows, so the rows of a chunk are one container of a roaring bitmap.
const ChunkRowsMax = 1 << 16

// chunkBytesMax limits the descriptors of a chunk, in bytes. Without it, a chunk of very
// long descriptors would reserve gigabytes of address space for its first row.
const chunkBytesMax = 256 << 20

// ChunksMax is the maximum number of chunks of an origin: a row number has 32 bits, and
// 16 of them are the offset in the chunk.
const ChunksMax = 1 << 16

// Versions are the descriptor versions of a row, by type. nil: no descriptor of that
// type.
type Versions [matcher.DescriptorTypes]*matcher.Version

// descriptorBytes returns the memory that the descriptors of a row need, in bytes,
// including their coarse copies.
func (vs Versions) descriptorBytes() int {
	n := 0
	for _, v := range vs {
		if v != nil {
			n += slabBytes(v, simd.BlockRows) / simd.BlockRows
		}
	}
	return n
}

// Kind is the origin and the versions that all rows of a chunk have in common.
type Kind struct {
	Origin   matcher.Origin
	Versions Versions
}

// Chunk is a block of rows. The rows that a view shows never change. Only the writer of
// the store appends rows after them.
type Chunk struct {
	Layout   *Layout
	Versions Versions
	Capacity int
	Slabs    [matcher.DescriptorTypes]Slab // by type; zero for types without a version

	IDs      []matcher.ID
	Times    []matcher.Time
	Zones    []Zone            // of Times; the writer may be changing the last one
	Accounts []uint32          // ordinal + 1; 0: no account
	Smalls   [][]matcher.Small // by small field of the layout
	Hashes   [][]uint32        // of values, by text field of the layout; 0: absent
	records  []uint32          // position of the row's record in the arena

	Events  *EventColumns  // events only
	Expires []matcher.Time // attributes only

	byID    idOrder                 // for reading pages
	Segment atomic.Pointer[Segment] // the newest file with rows of this chunk; nil if there is none
}

// ZoneRows is the number of rows in a zone, and ZoneBlocks is the number of its blocks.
const (
	ZoneRows   = 1024
	ZoneBlocks = ZoneRows / simd.BlockRows
)

// Zone is the range of a column's values in a part of a chunk.
type Zone struct{ Min, Max matcher.Time }

// Segment describes a file of the start-up cache that holds the first rows of a chunk.
type Segment struct {
	ID   matcher.ID // random; also the name of the file
	Rows int
	Sum  uint32 // checksum of the file's header, which contains the checksums of all sections
}

// Regions allocates and frees the memory of chunks.
type Regions struct {
	Allocate func(size int, huge bool) ([]byte, error) // returns zeroed memory outside the Go heap
	Free     func(mem []byte)                          // frees memory that Allocate returned
}

// MappedRegions returns regions that map memory from the system and unmap it.
func MappedRegions() Regions { return Regions{newRegion, freeRegion} }

// newChunk maps a chunk for rows of vs. Its memory is unmapped when nothing refers to the
// chunk any more. Snapshots refer to it. Code that holds only a slice of a column must
// keep the chunk alive itself.
func newChunk(l *Layout, vs Versions, rowsMax int, r Regions) (*Chunk, error) {
	c := &Chunk{Layout: l, Versions: vs, Capacity: max(64, min(rowsMax, chunkBytesMax/max(1, vs.descriptorBytes()))) &^ 63}
	columns, err := r.Allocate(c.Capacity*l.columnBytes+l.columnCount*64, false)
	if err != nil {
		return nil, err
	}
	runtime.AddCleanup(c, r.Free, columns)
	for t, v := range vs {
		if v == nil {
			continue
		}
		mem, err := r.Allocate(slabBytes(v, c.Capacity), true)
		if err != nil {
			return nil, err
		}
		runtime.AddCleanup(c, r.Free, mem)
		c.Slabs[t] = newSlab(v, c.Capacity, mem, &columns)
	}
	c.carveColumns(columns)
	c.Zones = make([]Zone, (c.Capacity+ZoneRows-1)/ZoneRows)
	return c, nil
}

// carveColumns cuts the columns out of mem.
func (c *Chunk) carveColumns(mem []byte) {
	n := c.Capacity
	c.IDs = carve[matcher.ID](&mem, n)
	c.Times = carve[matcher.Time](&mem, n)
	c.Accounts = carve[uint32](&mem, n)
	for range c.Layout.Smalls {
		c.Smalls = append(c.Smalls, carve[matcher.Small](&mem, n))
	}
	for range c.Layout.Hashes {
		c.Hashes = append(c.Hashes, carve[uint32](&mem, n))
	}
	c.records = carve[uint32](&mem, n)
	switch c.Layout.Origin {
	case matcher.Events:
		c.Events = carveEvents(&mem, n, c.Layout.Meta)
	case matcher.Attributes:
		c.Expires = carve[matcher.Time](&mem, n)
	}
}

// carve takes n values from the front of mem, rounded up to whole cache lines. T must not
// contain pointers.
func carve[T any](mem *[]byte, n int) []T {
	const line = 64
	var zero T
	size := (n*int(unsafe.Sizeof(zero)) + line - 1) &^ (line - 1)
	part := (*mem)[:size:size]
	*mem = (*mem)[size:]
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(part))), n)
}

// setRow writes all of row i except its descriptors, its record and, for an event, its
// tags. No snapshot may show the row yet. meta is the parsed meta of an event.
func (c *Chunk) setRow(i int, o *matcher.Object, account uint32, meta any) {
	c.IDs[i] = o.ID
	c.setTime(i, o.CreateTime)
	c.Accounts[i] = account
	for s, f := range c.Layout.Smalls {
		c.Smalls[s][i] = f.Small(o)
	}
	var texts [textsBuffer]string
	for f, text := range c.Layout.appendTexts(texts[:0], o)[:len(c.Hashes)] {
		c.Hashes[f][i] = HashString(text)
	}
	switch c.Layout.Origin {
	case matcher.Events:
		c.Events.setRow(i, o, c.Layout.Meta, meta)
	case matcher.Attributes:
		c.Expires[i] = o.Expires
		if o.Expires == 0 {
			c.Expires[i] = Never
		}
	}
}

// Never is the expiry time of an object that does not expire.
const Never = matcher.Time(math.MaxInt64)

// setTime writes the time of row i, which comes after all rows written so far.
func (c *Chunk) setTime(i int, t matcher.Time) {
	c.Times[i] = t
	z := &c.Zones[i/ZoneRows]
	if i%ZoneRows == 0 {
		*z = Zone{t, t}
	}
	z.Min, z.Max = min(z.Min, t), max(z.Max, t)
}

// setZones computes the zones of the first n rows.
func (c *Chunk) setZones(n int) {
	for z, at := 0, 0; at < n; z, at = z+1, at+ZoneRows {
		times := c.Times[at:min(at+ZoneRows, n)]
		c.Zones[z] = Zone{slices.Min(times), slices.Max(times)}
	}
}

// copyRow copies row j of from to row i, except for its record and its tags.
func (c *Chunk) copyRow(i int, from *Chunk, j int) {
	var data []byte
	for t, v := range c.Versions {
		if v != nil {
			data = from.Slabs[t].appendTo(data[:0], j)
			c.Slabs[t].putRow(i, data)
		}
	}
	c.setTime(i, from.Times[j])
	c.IDs[i], c.Accounts[i] = from.IDs[j], from.Accounts[j]
	for s := range c.Smalls {
		c.Smalls[s][i] = from.Smalls[s][j]
	}
	for f := range c.Hashes {
		c.Hashes[f][i] = from.Hashes[f][j]
	}
	switch c.Layout.Origin {
	case matcher.Events:
		c.Events.copyRow(i, from.Events, j)
	case matcher.Attributes:
		c.Expires[i] = from.Expires[j]
	}
}

// regionBytes returns the size of the chunk's address space, in bytes.
func (c *Chunk) regionBytes() int {
	n := c.Capacity * c.Layout.columnBytes
	for t := range c.Slabs {
		n += len(c.Slabs[t].Blocks) + len(c.Slabs[t].Rows)
	}
	return n
}
