package scan

import (
	"math"
	"math/bits"
	"slices"

	"nearside/matcher"
)

// offer adds rows that may belong to the answer.
func (p *Search) offer(found []Hit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.excluded != nil {
		found = slices.DeleteFunc(found, func(h Hit) bool { return slices.Contains(p.excluded, p.id(h)) })
	}
	bound := p.cut
	switch {
	case p.large != nil:
		p.offerLarge(found)
		return
	case p.groups != nil:
		for _, h := range found {
			p.pushGrouped(h)
		}
		bound = p.groupBound()
	case p.groupRows != nil:
		for _, h := range found {
			p.pushGroupRow(h)
		}
		bound = p.groupRowsBound()
	case p.counter != nil:
		for _, h := range found {
			p.countHit(h)
		}
		bound = p.counter.bound(p.cut)
	default:
		for _, h := range found {
			p.push(h)
		}
		if p.full && p.order == matcher.BySimilarity {
			bound = p.last.value
		}
	}
	if bound < p.within() {
		p.bound.Store(math.Float64bits(bound))
	}
}

// push adds a row if it passes the threshold and may be among the first limit rows of the
// order. Rows collect until there are twice as many as wanted; then the later half is
// dropped. So a row costs a few comparisons, whatever the limit.
func (p *Search) push(h Hit) {
	if p.full && !p.before(h, p.last) || !p.measure(&h) {
		return
	}
	if len(p.hits) == cap(p.hits) { // append alone copies large slices more often
		p.hits = slices.Grow(p.hits, min(max(8, len(p.hits)), 2*p.limit-len(p.hits)))
	}
	p.hits = append(p.hits, h)
	switch n := len(p.hits); {
	case n == 2*p.limit:
		p.dropLater()
	case n == p.limit && !p.full:
		p.last, p.full = slices.MaxFunc(p.hits, p.compare), true
	}
}

// dropLater keeps the first limit hits. There must be at least as many.
func (p *Search) dropLater() {
	p.selectFirst(p.hits, p.limit)
	p.hits = p.hits[:p.limit]
	p.last, p.full = p.hits[p.limit-1], true
}

// selectFirst moves the first n hits of the order to the front, the last of them to
// hits[n-1]. It is the quickselect of Hoare (1961), with the median of three as pivot, and
// sorts when the pivots are bad too often.
func (p *Search) selectFirst(hits []Hit, n int) {
	lo, hi := 0, len(hits)-1
	for rounds := 2 * bits.Len(uint(len(hits))); lo < hi; rounds-- {
		if rounds == 0 {
			slices.SortFunc(hits[lo:hi+1], p.compare)
			return
		}
		pivot := p.median(hits[lo], hits[lo+(hi-lo)/2], hits[hi])
		i, j := lo, hi
		for i <= j {
			for p.before(hits[i], pivot) {
				i++
			}
			for p.before(pivot, hits[j]) {
				j--
			}
			if i <= j {
				hits[i], hits[j] = hits[j], hits[i]
				i, j = i+1, j-1
			}
		}
		switch { // hits up to j are not after the pivot, hits from i on are not before it
		case n-1 <= j:
			hi = j
		case n-1 >= i:
			lo = i
		default:
			return
		}
	}
}

func (p *Search) median(a, b, c Hit) Hit {
	if p.before(b, a) {
		a, b = b, a
	}
	switch {
	case p.before(b, c):
		return b
	case p.before(a, c):
		return c
	default:
		return a
	}
}

// before reports whether a comes before b in the answer.
func (p *Search) before(a, b Hit) bool {
	if p.order == matcher.BySimilarity && a.value != b.value {
		return a.value < b.value
	}
	return p.compare(a, b) < 0
}

// Ranked returns the rows of the answer in its order. They have no object, and a time only
// if the order is by time. The job must be done.
func (p *Search) Ranked(similarity func(distance float64) float64) []matcher.Match {
	if p.large != nil {
		return p.rankLarge(similarity)
	}
	if p.groups != nil || p.groupRows != nil {
		p.takeGroups()
	} else {
		if len(p.hits) > p.limit {
			p.dropLater()
		}
		slices.SortFunc(p.hits, p.compare)
		p.hits = p.hits[min(p.skip, len(p.hits)):]
	}
	rows := make([]matcher.Match, len(p.hits))
	// The first loop only copies: its rows are far apart in memory, and the processor waits
	// for several of them at a time.
	for i, h := range p.hits {
		rows[i].ID = p.id(h)
		if p.order != matcher.BySimilarity {
			rows[i].CreateTime = p.time(h)
		}
	}
	for i, h := range p.hits {
		rows[i].Distance, rows[i].Similarity = p.figures(h, similarity)
	}
	return rows
}

// figures returns the distance and the similarity of a hit.
func (p *Search) figures(h Hit, similarity func(distance float64) float64) (distance, sim float64) {
	if p.isMean() {
		return p.means(h.Row)
	}
	distance = p.Distance(h)
	return distance, similarity(distance)
}

// valueOf computes the value of a row.
func (p *Search) valueOf(row uint32) float64 {
	switch {
	case p.isMean():
		distance, sim := p.means(row)
		return p.fused.key(sim, distance)
	case p.fused != nil:
		return slices.Min(p.partDistances(row))
	}
	v, i := p.snap.At(p.origin, row)
	return p.version.Distance(p.query, v.Slabs[p.version.Type].Row(i))
}

// Hits returns the hits of the rows that Ranked has returned. They are valid until Release.
func (p *Search) Hits() []Hit {
	if p.large != nil {
		return p.large.ranked(p.skip)
	}
	return p.hits
}
