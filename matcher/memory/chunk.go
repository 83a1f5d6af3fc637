package memory

import (
	"encoding/binary"
	"math"
	"runtime"
	"unsafe"

	"nearside/matcher"
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
	versions    versions
	capacity    int
	descriptors [matcher.DescriptorTypes][]byte    // row-major, version.Size() each
	inverse     [matcher.DescriptorTypes][]float64 // cosine: 1/|row|

	ids         []matcher.ID
	times       []matcher.Time
	accounts    []uint32 // ordinal + 1; 0: none
	age         []matcher.Small
	gender      []matcher.Small
	ethnicGroup []matcher.Small
	external    []uint32 // hash of the field; 0: absent
	userData    []uint32 // hash of the field; 0: absent
	event       []uint32 // hash of the field; 0: absent
	details     []uint32 // where in an arena the other fields are
}

// regions is where chunks get their memory and give it back.
type regions struct {
	get func(size int, huge bool) ([]byte, error) // zeroed, outside the Go heap
	put func(mem []byte)
}

// newChunk maps a chunk for rows of vs. Its memory is unmapped when nothing
// refers to the chunk any more: snapshots keep it alive, and so must whoever
// holds only a slice of a column.
func newChunk(vs versions, rowsMax int, r regions) (*chunk, error) {
	rowBytes := 0
	for _, v := range vs {
		if v != nil {
			rowBytes += v.Size()
		}
	}
	c := &chunk{versions: vs, capacity: max(64, min(rowsMax, chunkBytesMax/max(1, rowBytes))) &^ 63}
	for t, v := range vs {
		if v == nil {
			continue
		}
		mem, err := r.get(c.capacity*v.Size(), true)
		if err != nil {
			return nil, err
		}
		runtime.AddCleanup(c, r.put, mem)
		c.descriptors[t] = mem
	}
	mem, err := r.get(c.capacity*columnBytes+columnCount*64, false)
	if err != nil {
		return nil, err
	}
	runtime.AddCleanup(c, r.put, mem)
	c.carve(mem)
	return c, nil
}

// columnBytes is what a row needs in columns, without its descriptors.
const (
	columnBytes = 16 + 8 + 4 + 3*2 + 4*4 + 8*int(matcher.DescriptorTypes)
	columnCount = 10 + int(matcher.DescriptorTypes)
)

func (c *chunk) carve(mem []byte) {
	n := c.capacity
	c.ids = carve[matcher.ID](&mem, n)
	c.times = carve[matcher.Time](&mem, n)
	c.accounts = carve[uint32](&mem, n)
	c.age = carve[matcher.Small](&mem, n)
	c.gender = carve[matcher.Small](&mem, n)
	c.ethnicGroup = carve[matcher.Small](&mem, n)
	c.external = carve[uint32](&mem, n)
	c.userData = carve[uint32](&mem, n)
	c.event = carve[uint32](&mem, n)
	c.details = carve[uint32](&mem, n)
	for t, v := range c.versions {
		if v != nil && v.Encoding == matcher.Float32 && v.Metric == matcher.Cosine {
			c.inverse[t] = carve[float64](&mem, n)
		}
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

// descriptor returns the bytes of row i, which belong to the chunk.
func (c *chunk) descriptor(t matcher.DescriptorType, i int) []byte {
	size := c.versions[t].Size()
	return c.descriptors[t][i*size : (i+1)*size : (i+1)*size]
}

// set writes row i, which no snapshot shows yet, but for its details.
func (c *chunk) set(i int, o *matcher.Object, account uint32) {
	for t, v := range c.versions {
		if v == nil {
			continue
		}
		row := c.descriptor(matcher.DescriptorType(t), i)
		copy(row, o.Descriptors[t].Data)
		if c.inverse[t] != nil {
			c.inverse[t][i] = 1 / norm(row)
		}
	}
	c.ids[i] = o.ID
	c.times[i] = o.CreateTime
	c.accounts[i] = account
	c.age[i], c.gender[i], c.ethnicGroup[i] = o.Age, o.Gender, o.EthnicGroup
	c.external[i] = hashString(o.ExternalID)
	c.userData[i] = hashString(o.UserData)
	c.event[i] = hashID(o.EventID)
}

// copyRow writes row i as row j of from, but for its details.
func (c *chunk) copyRow(i int, from *chunk, j int) {
	for t, v := range c.versions {
		if v == nil {
			continue
		}
		copy(c.descriptor(matcher.DescriptorType(t), i), from.descriptor(matcher.DescriptorType(t), j))
		if c.inverse[t] != nil {
			c.inverse[t][i] = from.inverse[t][j]
		}
	}
	c.ids[i], c.times[i], c.accounts[i] = from.ids[j], from.times[j], from.accounts[j]
	c.age[i], c.gender[i], c.ethnicGroup[i] = from.age[j], from.gender[j], from.ethnicGroup[j]
	c.external[i], c.userData[i], c.event[i] = from.external[j], from.userData[j], from.event[j]
}

// regionBytes is the address space of the chunk.
func (c *chunk) regionBytes() int {
	n := c.capacity * columnBytes
	for _, d := range c.descriptors {
		n += len(d)
	}
	return n
}

// norm returns |x| of float32 values.
func norm(x []byte) float64 {
	sum := 0.0
	for ; len(x) >= 4; x = x[4:] {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(x)))
		sum += v * v
	}
	return math.Sqrt(sum)
}
