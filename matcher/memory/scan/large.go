package scan

import (
	"math"
	"slices"
	"sync"

	"nearside/matcher"
)

// largeMin is the limit from which an answer is large. The hits of large answers are
// selected and sorted by counting. A sort that compares has branches that the CPU often
// predicts wrongly, and each wrong prediction costs more than a comparison.
const largeMin = 256

// large has the hits of a large answer, almost in the order of rows. When there are limit
// hits, they are counted by level, and from then on the bound falls with every batch.
// Hits above the bound are dropped when there are too many.
type large struct {
	levels
	hits []Hit
	next int // number of hits at which some are dropped
}

var larges = sync.Pool{New: func() any { return new(large) }}

func newLarge(limit int) *large {
	l := larges.Get().(*large)
	l.levels.reset(limit)
	l.hits, l.next = l.hits[:0], limit
	return l
}

func (l *large) release() { larges.Put(l) }

// hitsMax returns the maximum number of hits that a large answer holds. With more room,
// hits are dropped less often.
func hitsMax(limit int) int { return max(2*limit, min(4*limit, 1<<14)) }

// offerLarge is offer for a large answer. It needs no IDs: all hits of the level in which
// the answer ends are kept, unless there are too many.
func (p *Search) offerLarge(found []Hit) {
	l, bound := p.large, p.within()
	for _, h := range found {
		if !(h.value <= bound) { // NaN is not a distance
			continue
		}
		if len(l.hits) == cap(l.hits) { // append alone copies large slices more often
			l.hits = slices.Grow(l.hits, max(8, len(l.hits)))
		}
		l.hits = append(l.hits, h)
		l.add(h.value)
		if len(l.hits) == l.next {
			p.dropAbove()
			bound = p.within()
		}
	}
	if l.lower() {
		p.lowerBound()
	}
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
	keys         []rowKey // of the hits, in the order in which they arrived
	order, spare []Hit    // Row is the index in keys
}

// rowKey is what an answer needs of each row.
type rowKey struct {
	id   matcher.ID
	time matcher.Time
}

var rankers = sync.Pool{New: func() any { return new(ranker) }}

// rankLarge is Ranked for a large answer. It reads the keys of all rows before it sorts
// the hits, because these are almost in the order of memory.
func (p *Search) rankLarge() ([]Hit, []matcher.Match) {
	l, r := p.large, rankers.Get().(*ranker)
	defer rankers.Put(r)
	l.hits = keepWithin(l.hits, p.within())
	n := len(l.hits)
	r.keys = slices.Grow(r.keys[:0], n)[:n]
	r.order = slices.Grow(r.order[:0], n)[:n]
	r.spare = slices.Grow(r.spare[:0], n)[:n]
	for i, h := range l.hits {
		v, at := p.snap.At(p.origin, h.Row)
		r.keys[i] = rowKey{v.IDs[at], v.Times[at]}
		r.order[i] = Hit{h.value, uint32(i)}
	}
	r.sort()
	rows := make([]matcher.Match, min(n, p.limit))
	for i := range rows {
		h := &r.order[i]
		k := &r.keys[h.Row]
		rows[i] = matcher.Match{ID: k.id, CreateTime: k.time, Distance: p.Distance(*h)}
		h.Row = l.hits[h.Row].Row
	}
	l.hits = l.hits[:copy(l.hits, r.order[:len(rows)])]
	return l.hits, rows
}

// sort sorts order by value, and hits of equal value by ID.
func (r *ranker) sort() {
	r.order, r.spare = sortByValue(r.order, r.spare)
	for lo := 0; lo < len(r.order); {
		hi := lo + 1
		for hi < len(r.order) && r.order[hi].value == r.order[lo].value {
			hi++
		}
		if hi-lo > 1 {
			slices.SortFunc(r.order[lo:hi], func(a, b Hit) int { return r.keys[a.Row].id.Compare(r.keys[b.Row].id) })
		}
		lo = hi
	}
}
