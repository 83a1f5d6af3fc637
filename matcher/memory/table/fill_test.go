package table

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"nearside/matcher"
)

// TestFill checks that every row has its own descriptor after Fill, if there are enough
// rows for several goroutines and if they fill more than one chunk.
func TestFill(t *testing.T) {
	tables := NewTables(Options{Registry: emptyRegistry(t), ChunkRows: 1024})
	random := rand.NewChaCha8([32]byte{3})
	for _, n := range []int{1, fillMin, 7*fillMin + 5} {
		u, data, rows := tables.Begin(), make([][]byte, n), make([]uint32, n)
		for i := range n {
			o := &matcher.Object{}
			data[i] = make([]byte, 512)
			_, _ = random.Read(data[i])
			_, _ = random.Read(o.ID[:])
			o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 59, Data: data[i]}
			rows[i] = u.Append(o)
		}
		u.Fill()
		tables.Lock()
		u.Finish()
		tables.Unlock()
		for i, row := range rows {
			var o matcher.Object
			tables.Newest.WithDescriptors(&o, row)
			if !bytes.Equal(o.Descriptors[matcher.FaceDescriptor].Data, data[i]) {
				t.Fatalf("row %d of %d has another descriptor", i, n)
			}
		}
	}
}
