package table

import (
	"errors"
	"math"

	"nearside/matcher"
)

// errNoRoom means that there is no memory for a copy of a chunk.
var errNoRoom = errors.New("there is too little memory to rewrite rows; free memory or raise limits.memory")

// DropDead rewrites one chunk that has dead rows of the given IDs, so that these rows do
// not exist any more. It returns false if there is no such chunk. It begins at the chunk
// *next of the origin, and moves *next on. It calls breathe repeatedly, which may pause.
// Only the writer calls it.
func (t *Tables) DropDead(o matcher.Origin, erased func(matcher.ID) bool, next *int, breathe func()) (found bool, err error) {
	t.breathe = breathe
	defer func() { t.breathe = nil }()
	for ; *next < len(t.Newest.Views[o]); *next++ {
		v := &t.Newest.Views[o][*next]
		if v.Chunk == nil || !v.hasDead(erased) {
			continue
		}
		if !t.rewrite(o, uint32(*next), v.Live()) { //nolint:gosec // below ChunksMax
			return false, errNoRoom
		}
		*next++
		t.unmap()
		return true, nil
	}
	return false, nil
}

// hasDead reports whether a dead row has an ID for which erased returns true.
func (v *View) hasDead(erased func(matcher.ID) bool) bool {
	if v.Deaths == 0 {
		return false
	}
	for i := range v.Rows {
		if !v.Alive(i) && erased(v.IDs[i]) {
			return true
		}
	}
	return false
}

// Steps returns the steps of the byte copies of all descriptors of a version, without
// repetition.
func (s *Snapshot) Steps(version uint32) (steps []float64) {
	seen := map[float64]bool{}
	for o := range s.Views {
		for i := range s.Views[o] {
			c := s.Views[o][i].Chunk
			if c == nil {
				continue
			}
			for t := range c.Slabs {
				slab := &c.Slabs[t]
				if slab.Coarse == nil || slab.Version.Number != version || s.Views[o][i].Rows == 0 || seen[slab.Coarse.Step] {
					continue
				}
				seen[slab.Coarse.Step] = true
				steps = append(steps, slab.Coarse.Step)
			}
		}
	}
	return steps
}

// ByteCopy returns the byte copy that a chunk with a step has of a float32 descriptor of
// v.
func ByteCopy(v *matcher.Version, step float64, data []byte) []byte {
	scale := 1.0
	if v.Metric == matcher.Cosine {
		scale = 1 / Norm(data)
	}
	inverse := 1 / step
	values := make([]byte, 0, len(data)/4)
	for _, x := range floatsOf(data) {
		n := max(-127, min(127, math.RoundToEven(float64(x)*scale*inverse)))
		values = append(values, byte(int(n)+128))
	}
	return values
}

// floatsOf returns the float32 values of data, which may have any alignment.
func floatsOf(data []byte) []float32 {
	aligned := make([]float32, len(data)/4)
	copy(bytesOf(aligned), data)
	return aligned
}
