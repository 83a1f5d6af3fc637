package memory

import (
	"time"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// Eraser drops the deleted rows of erased objects, chunk by chunk.
type Eraser struct {
	memory *Memory
	origin matcher.Origin
	erased func(matcher.ID) bool
	next   int
	last   time.Time // end of the last pause
}

// breatheShare is the pause while a chunk is rewritten, as a multiple of the time of the
// work before it. Matches need the processors. Writes wait until the chunk is rewritten:
// about a third of a second for 65,536 rows of 512 bytes.
const breatheShare = 3

func (e *Eraser) breathe() {
	time.Sleep(breatheShare * time.Since(e.last))
	e.last = time.Now()
}

// NewEraser returns an Eraser for the objects of an origin for whose IDs erased returns
// true. They must have been deleted.
func (m *Memory) NewEraser(o matcher.Origin, erased func(matcher.ID) bool) *Eraser {
	return &Eraser{memory: m, origin: o, erased: erased}
}

// Step rewrites one chunk without its deleted rows. It returns false if no chunk with
// rows of the erased objects is left. It must be called within a transaction of the store,
// see [store.Store.CommitAlone].
func (e *Eraser) Step() (more bool, err error) {
	e.last = time.Now()
	return e.memory.tables.DropDead(e.origin, e.erased, &e.next, e.breathe)
}

// CopySteps returns the steps of the byte copies that the memory has of descriptors of a
// version.
func (m *Memory) CopySteps(version uint32) []float64 {
	return m.tables.Snapshot().Steps(version)
}

// ByteCopy returns the byte copy of a float32 descriptor of v, with a step of
// [Memory.CopySteps].
func ByteCopy(v *matcher.Version, step float64, data []byte) []byte {
	return table.ByteCopy(v, step, data)
}
