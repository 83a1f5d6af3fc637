package scan

import "math"

// similarityBounds has upper bounds of similarities: that of step n holds for distances of
// at least n*size. They exclude rows of a mean without exponentials.
type similarityBounds struct {
	size float64 // of a step; 0: the bounds cannot be used
	at   [2048]float32
}

// boundsRows is the number of rows of a search from which bounds are used. They cost as much
// as many rows.
const boundsRows = 256

// boundsFor returns the bounds of similarities for another number of rows, or nil if there
// were few rows yet.
func (f *fused) boundsFor(rows int) *similarityBounds {
	if f.boundRows.Load() < boundsRows {
		f.boundRows.Add(int64(rows))
		return nil
	}
	f.boundsOnce.Do(f.setBounds)
	return &f.bounds
}

func (f *fused) setBounds() {
	b := &f.bounds
	size := min(f.zero, f.version.DistanceMax()) / float64(len(b.at)-1)
	if !(size > 0) || math.IsInf(1/size, 0) {
		return
	}
	for n := range b.at {
		// Distances are divided by the size with a rounding error.
		if d := max(0, float64(n)-1e-6) * size; d <= f.zero {
			b.at[n] = math.Nextafter32(float32(f.atMost(d)), 2)
		}
	}
	b.size = size
}

// exclude reports whether a row cannot have a key of at most bound for f, because its
// distances from the parts are at least those given. It decides less often than mayPass.
func (b *similarityBounds) exclude(f *fused, distances []float64, bound float64) bool {
	const tiny = 1e-30 // smaller numbers lose digits as float32
	sim, _ := f.figuresOf(bound)
	if b == nil || b.size == 0 || sim < tiny {
		return false
	}
	sum := float32(0)
	for _, d := range distances {
		sum += b.at[int(min(d/b.size, float64(len(b.at)-1)))]
	}
	return float64(sum) < sim*float64(len(distances))*(1-1e-5) // 1e-5 is for the rounding of the sum
}
