package scan

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sync"

	"nearside/matcher"
)

// largeMin is the limit from which an answer by similarity is large. The hits of large
// answers are selected and sorted by counting. A sort that compares has branches that the CPU often
// predicts wrongly, and each wrong prediction costs more than a comparison.
const largeMin = 256

// large has the hits of a large answer, almost in the order of rows. When there are limit
// hits, they are counted by level, and from then on each batch can lower the bound. Hits
// above the bound are dropped when there are too many.
type large struct {
	levels
	hits   []Hit
	next   int     // number of hits at which dropAbove is called next
	ranker *ranker // set when the hits are sorted
}

// larges keeps the memory of large answers, by the number of bits of the limit, so that an
// answer neither holds far more memory than it needs nor begins with far less.
var larges [bits.UintSize + 1]sync.Pool

// newLarge returns a large answer without hits.
func newLarge(limit int) *large {
	l, ok := larges[bits.Len(uint(limit))].Get().(*large)
	if !ok {
		l = new(large)
	}
	l.reset(limit)
	l.hits, l.next = l.hits[:0], limit
	return l
}

// release returns the memory of l to the pools.
func (l *large) release() {
	class := bits.Len(uint(l.limit))
	if l.ranker != nil {
		rankers[class].Put(l.ranker)
		l.ranker = nil
	}
	larges[class].Put(l)
}

// hitsMax returns the maximum number of hits that a large answer holds. With more room,
// hits are dropped less often.
func hitsMax(limit int) int { return max(2*limit, min(4*limit, 1<<14)) }

// offerLarge is offer for a large answer. It needs no IDs: all hits of the level in which
// the answer ends are kept, unless there are too many.
func (p *Search) offerLarge(found []Hit) {
	l := p.large
	for len(found) > 0 {
		n := min(len(found), l.next-len(l.hits))
		l.take(found[:n], p.within())
		if found = found[n:]; len(l.hits) == l.next {
			p.dropAbove()
		}
	}
	if l.lower() {
		p.lowerBound()
	}
}

// take adds and counts those hits that are within bound, the bound of the search.
func (l *large) take(found []Hit, bound float64) {
	if cap(l.hits)-len(l.hits) < len(found) { // append alone copies large slices more often
		l.hits = slices.Grow(l.hits, min(max(len(found), len(l.hits)), l.next-len(l.hits)))
	}
	hits := l.hits
	for _, h := range found {
		if h.value <= bound { // false for NaN, which is not a distance
			hits = append(hits, h)
			l.counts[l.of(h.value)]++
		}
	}
	l.within += len(hits) - len(l.hits)
	l.hits = hits
}

// dropAbove drops the hits above the bound, and counts the others by narrower levels.
// There must be at least limit hits.
func (p *Search) dropAbove() {
	l, room := p.large, hitsMax(p.limit)
	l.hits = keepWithin(l.hits, p.within())
	l.recount(l.hits)
	l.hits = keepWithin(l.hits, l.bound())
	if len(l.hits) > room-room/4 { // many have the same value
		p.selectFirst(l.hits, p.limit)
		l.hits = l.hits[:p.limit]
		l.recount(l.hits)
	}
	l.next = room
	p.lowerBound()
}

// lowerBound sets the bound after the levels have changed.
func (p *Search) lowerBound() {
	p.bound.Store(math.Float64bits(min(p.cut, p.large.bound())))
}

// keepWithin keeps the hits whose values are at most bound, in their order.
func keepWithin(hits []Hit, bound float64) []Hit {
	n := 0
	for _, h := range hits {
		hits[n] = h
		if h.value <= bound { // without a jump, which would often be predicted wrongly
			n++
		}
	}
	return hits[:n]
}

// ranker is the memory in which a large answer is sorted.
type ranker struct {
	ids          []matcher.ID // of the hits, in the order in which they arrived
	order, spare []Hit        // Row is the index in ids
}

// rankers keeps rankers by the number of bits of the limit, as larges does.
var rankers [bits.UintSize + 1]sync.Pool

// rankLarge is Ranked for a large answer. It reads the IDs of all rows before it sorts the
// hits, because these are almost in the order of memory.
func (p *Search) rankLarge(similarity func(distance float64) float64) []matcher.Match {
	l := p.large
	r, ok := rankers[bits.Len(uint(p.limit))].Get().(*ranker)
	if !ok {
		r = new(ranker)
	}
	l.ranker = r
	l.hits = keepWithin(l.hits, p.within())
	n := len(l.hits)
	r.ids = slices.Grow(r.ids[:0], n)[:n]
	r.order = slices.Grow(r.order[:0], n)[:n]
	r.spare = slices.Grow(r.spare[:0], n)[:n]
	for i, h := range l.hits {
		v, at := p.snap.At(p.origin, h.Row)
		r.ids[i] = v.IDs[at]
		r.order[i] = Hit{h.value, uint32(i)}
	}
	r.sort()
	ranked := r.order[min(p.skip, n):min(p.limit, n)]
	rows := make([]matcher.Match, len(ranked))
	for i := range rows {
		h, row := ranked[i], &rows[i]
		row.ID, row.Distance = r.ids[h.Row], p.Distance(h)
		row.Similarity = similarity(row.Distance)
	}
	return rows
}

// ranked is Hits for a large answer. It leaves out the first skip hits.
func (l *large) ranked(skip int) []Hit {
	n := min(len(l.hits), l.limit)
	skip = min(skip, n)
	ranked := l.ranker.spare[:n-skip]
	for i := range ranked {
		ranked[i] = l.hits[l.ranker.order[skip+i].Row]
	}
	return ranked
}

// sort sorts order by value, and hits of equal value by ID.
func (r *ranker) sort() {
	r.order, r.spare = sortByValue(r.order, r.spare)
	for lo := 0; lo < len(r.order); {
		hi := lo + 1
		for hi < len(r.order) && r.order[hi].value == r.order[lo].value {
			hi++
		}
		switch tied := r.order[lo:hi]; {
		case len(tied) > tiesFew:
			slices.SortFunc(tied, func(a, b Hit) int { return r.ids[a.Row].Compare(r.ids[b.Row]) })
		case len(tied) > 1:
			r.sortFew(tied)
		}
		lo = hi
	}
}

// tiesFew is the largest number of hits of equal value that sortFew sorts.
const tiesFew = 12

// sortFew sorts a few hits by ID. Most runs of equal values are short.
func (r *ranker) sortFew(tied []Hit) {
	for i := 1; i < len(tied); i++ {
		for j := i; j > 0 && r.before(tied[j], tied[j-1]); j-- {
			tied[j], tied[j-1] = tied[j-1], tied[j]
		}
	}
}

// before reports whether the ID of a is before that of b.
func (r *ranker) before(a, b Hit) bool {
	x, y := &r.ids[a.Row], &r.ids[b.Row]
	if first, second := binary.BigEndian.Uint64(x[:]), binary.BigEndian.Uint64(y[:]); first != second {
		return first < second
	}
	return x.Compare(*y) < 0
}
