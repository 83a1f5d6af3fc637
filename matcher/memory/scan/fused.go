package scan

import (
	"math"
	"sync"
	"sync/atomic"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// fused is what a search needs in addition if its reference has several descriptors
// (matcher.RefTogether). Each descriptor is a part: a search without hits, which takes the
// place of a reference in kernels. The fused search has the hits. A row within the limit of
// a part is compared with all parts before it becomes a hit (compare_fused.go).
//
// With FuseBest, a row has the distance of its nearest part. The limit of each part is the
// bound of the search.
//
// With FuseMean, a row has the mean of its similarities and the mean of its distances. It is
// ordered by similarity first, and then by distance. The value of a hit is a key. If the
// mean similarity of a row is at least s, then so is the similarity of one of its parts. So
// the limit of a part is the largest distance whose similarity is as large as that of the
// last hit.
type fused struct {
	version    *matcher.Version
	parts      []*Search
	mean       bool
	similarity func(distance float64) float64

	// For means: expMidpoint is about e^(-k*m). zero is the largest distance whose similarity
	// is above 0, and keyBase the bits of a distance below all those that a row with
	// similarity 0 can have.
	expMidpoint, zero float64
	keyBase           uint64
	limit             atomic.Pointer[partLimit]
	boundRows         atomic.Int64 // rows that were compared without bounds
	boundsOnce        sync.Once    // sets bounds
	bounds            similarityBounds

	// Search.mu guards these fields until the job is done.
	row       []byte             // memory for a row
	distances []float64          // memory for its distances from the parts
	ties      map[uint32]float64 // distances of rows that were compared with rows of equal similarity
}

// partLimit is the limit of the parts of a mean for a bound of the search.
type partLimit struct{ bound, limit float64 }

// rounding is a generous bound of the relative rounding error of a mean of at most
// matcher.PartsMax numbers.
const rounding = 1e-13

// fuse makes p the fused search of a reference with several parts. p.cut must be the limit
// of a distance.
func (p *Search) fuse(sub *matcher.SubRequest) {
	f := &fused{version: p.version, mean: sub.Reference.Fuse == matcher.FuseMean, similarity: p.version.SimilarityFunc()}
	for i := range sub.Reference.Parts {
		part := &Search{snap: p.snap, origin: p.origin, version: p.version, whole: p}
		part.setQuery(sub.Reference.Parts[i].Descriptor.Data)
		f.parts = append(f.parts, part)
	}
	if p.fused = f; !f.mean {
		return
	}
	f.expMidpoint = math.Exp(-f.version.Similarity.Steepness * f.version.Similarity.Midpoint)
	f.zero = p.version.DistanceLimit(math.SmallestNonzeroFloat64)
	f.keyBase = math.Float64bits(f.zero / 4)
	p.cut = keyMax
	if t := sub.Candidates.Threshold; t > 0 {
		p.cut = f.key(t, 0)
	}
}

// copyFor returns a copy of f for another search of the same reference.
func (f *fused) copyFor(whole *Search) *fused {
	c := &fused{
		version: f.version, mean: f.mean, similarity: f.similarity, expMidpoint: f.expMidpoint, zero: f.zero, keyBase: f.keyBase,
	}
	for _, p := range f.parts {
		c.parts = append(c.parts, &Search{
			snap: p.snap, origin: p.origin, version: p.version, query: p.query, floats: p.floats, inverse: p.inverse, whole: whole,
		})
	}
	return c
}

// isMean reports whether p has means of similarities, so that the values of its hits are
// keys.
func (p *Search) isMean() bool { return p.fused != nil && p.fused.mean }

const (
	keyMax     = math.MaxFloat64
	keyMaxBits = 0x7fef_ffff_ffff_ffff
	oneBits    = 0x3ff0_0000_0000_0000 // of 1.0
)

// key returns a number that orders rows of a mean by falling similarity, and those with
// similarity 0 by distance. Floats from 0 up sort like their bits: keys of similarities
// above 0 are below 1, the other ones are at least 1. No digit of the similarity is lost.
// Rows with the same similarity above 0 have the same key.
func (f *fused) key(sim, distance float64) float64 {
	if sim > 0 {
		return math.Float64frombits(oneBits - math.Float64bits(sim))
	}
	return math.Float64frombits(min(oneBits+math.Float64bits(distance)-f.keyBase, keyMaxBits))
}

// figuresOf returns the similarity of a key. For similarity 0, it also returns the distance.
func (f *fused) figuresOf(key float64) (sim, distance float64) {
	bits := math.Float64bits(key)
	switch {
	case bits < oneBits:
		return math.Float64frombits(oneBits - bits), 0
	case key == keyMax:
		return 0, math.Inf(1)
	}
	return 0, math.Float64frombits(bits - oneBits + f.keyBase)
}

// partWithin returns the limit of the parts: a row can become a hit of p only if its value
// for at least one part is at most this limit.
func (p *Search) partWithin() float64 {
	bound := math.Float64frombits(p.bound.Load())
	if !p.fused.mean {
		return bound
	}
	if l := p.fused.limit.Load(); l != nil && l.bound == bound {
		return l.limit
	}
	limit := p.fused.distanceLimit(bound)
	if v := p.version; v.Encoding == matcher.Uint8 {
		limit = math.Ceil(limit*float64(v.Scale*v.Scale)) + 1
	}
	p.fused.limit.Store(&partLimit{bound, limit})
	return limit
}

// distanceLimit returns a distance for a key: a row with at most that key has a part within
// this distance.
func (f *fused) distanceLimit(key float64) float64 {
	sim, distance := f.figuresOf(key)
	if sim > 0 {
		return f.farthest(sim * (1 - rounding))
	}
	// A row with a similarity above 0 has a part within zero. In any other row, the smallest
	// distance is at most the mean.
	return min(f.version.DistanceMax(), max(f.zero, distance*(1+rounding)))
}

// mayPass reports whether a row can have a key of at most bound, if its distances from the
// parts are at least those given. It is faster than exact similarities.
func (f *fused) mayPass(distances []float64, bound float64) bool {
	var distance, sim float64
	for _, d := range distances {
		distance += d
		if d <= f.zero {
			sim += f.atMost(d)
		}
	}
	n := float64(len(distances))
	return f.key(min(1, sim/n), distance/n*(1-rounding)) <= bound
}

// atMost returns a number that is a little larger than the similarity of a distance up to
// zero. math.Exp overflows for similarities close to 0.
func (f *fused) atMost(distance float64) float64 {
	const tiny = 1e-300
	c := f.version.Similarity
	return max(tiny, (1+f.expMidpoint)/(1+math.Exp(c.Steepness*(distance-c.Midpoint)))*(1+10*rounding))
}

// farthest returns a distance beyond which all similarities are below sim. It is at most a
// little larger than DistanceLimit(sim), which needs 64 steps.
func (f *fused) farthest(sim float64) float64 {
	k, m := f.version.Similarity.Steepness, f.version.Similarity.Midpoint
	d := m + math.Log((1+f.expMidpoint)/sim-1)/k
	d += 1e-9 * (1 + math.Abs(d))
	if d >= 0 && d < f.version.DistanceMax() && f.similarity(d) < sim { // false for NaN
		return d
	}
	return f.version.DistanceLimit(sim)
}

// means returns the means of the distances and of the similarities of a row.
func (p *Search) means(row uint32) (distance, sim float64) {
	return matcher.FuseMean.Fused(p.partDistances(row), p.fused.similarity)
}

// tieDistance returns the mean distance of a row, which decides between rows of equal
// similarity. It keeps some of these distances, because a row is compared several times.
func (p *Search) tieDistance(row uint32) float64 {
	f := p.fused
	if d, ok := f.ties[row]; ok {
		return d
	}
	if f.ties == nil || len(f.ties) >= 4*p.limit+64 {
		f.ties = map[uint32]float64{}
	}
	d, _ := p.means(row)
	f.ties[row] = d
	return d
}

// appendRowU8 appends uint8 row i of s to dst.
func appendRowU8(dst []byte, s *table.Slab, i int) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, s.Version.Length)...)
	block, _ := s.Block(i / simd.BlockRows)
	simd.GetRowU8(dst[at:], block, i%simd.BlockRows)
	return dst
}

// partDistances returns the distances of a row from the parts of p. They are valid until the
// next call.
func (p *Search) partDistances(row uint32) []float64 {
	f := p.fused
	v, i := p.snap.At(p.origin, row)
	slab := &v.Slabs[p.version.Type]
	var data []byte
	if p.version.Encoding == matcher.Float32 {
		data = slab.Row(i)
	} else {
		f.row = appendRowU8(f.row[:0], slab, i)
		data = f.row
	}
	f.distances = f.distances[:0]
	for _, part := range f.parts {
		f.distances = append(f.distances, p.version.Distance(part.query, data))
	}
	return f.distances
}
