package memory

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"nearside/matcher"
)

// probe is one reference of a job: what is looked for, how it is ranked, and
// what was found so far. Workers share it.
type probe struct {
	snap      *snapshot
	origin    matcher.Origin
	version   *matcher.Version
	query     []byte    // the descriptor
	floats    []float32 // the same, for float32
	inverse   float64   // 1/|query| under cosine
	order     matcher.Order
	limit     int
	threshold float64
	cut       float64 // value beyond which no row passes the threshold

	bound atomic.Uint64 // bits of the value above which a row cannot enter
	mu    sync.Mutex
	hits  []hit // a heap, the last of the order at its root
}

// newProbe prepares a sub-request for a scan of snap.
func newProbe(snap *snapshot, sub *matcher.SubRequest) *probe {
	c, v := sub.Candidates, sub.Version
	p := &probe{
		snap: snap, origin: c.Origin, version: v, query: sub.Reference.Descriptor.Data,
		order: c.Order, limit: c.Limit, threshold: c.Threshold, cut: v.DistanceMax(),
	}
	if c.Threshold > 0 {
		p.cut = v.Cut(c.Threshold)
	}
	if v.Encoding == matcher.Uint8 {
		p.cut = math.Ceil(p.cut * float64(v.Scale*v.Scale))
	} else {
		p.floats = floats(slices.Clone(p.query)) // a copy, for its alignment
		if v.Metric == matcher.Cosine {
			p.inverse = 1 / norm(p.query)
		}
	}
	p.bound.Store(math.Float64bits(p.cut))
	return p
}

// scale is what makes the query one of length 1 under cosine.
func (p *probe) scale() float64 {
	if p.version.Metric == matcher.Cosine {
		return p.inverse
	}
	return 1
}

// exact returns the distance of a float32 row. Orders by time need it only of
// rows that are early or late enough: push asks again.
func (p *probe) exact(row []byte) float64 {
	if p.order != matcher.BySimilarity {
		return math.NaN()
	}
	return p.version.Distance(p.query, row)
}

// within returns the value above which a row cannot enter. It only falls, so
// who holds an older one compares a few rows too many.
func (p *probe) within() float64 { return math.Float64frombits(p.bound.Load()) }

// offer adds rows that may be in the answer.
func (p *probe) offer(found []hit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range found {
		p.push(h)
	}
	if p.order == matcher.BySimilarity && len(p.hits) == p.limit {
		p.bound.Store(math.Float64bits(min(p.cut, p.hits[0].value)))
	}
}

// hit is a row that may be in an answer. value is what distances are ranked
// by: the exact sum for uint8, the distance for float32.
type hit struct {
	value float64
	row   uint32
}

// push adds a row if it passes the threshold and is among the first limit of
// the order.
func (p *probe) push(h hit) {
	full := len(p.hits) == p.limit
	if full && p.compare(h, p.hits[0]) >= 0 {
		return
	}
	if math.IsNaN(h.value) {
		v, i := p.snap.at(p.origin, h.row)
		h.value = p.version.Distance(p.query, v.slabs[p.version.Type].row(i))
	}
	if p.threshold > 0 && p.version.SimilarityOf(p.distance(h)) < p.threshold {
		return
	}
	if full {
		p.hits[0] = h
		p.down(0)
		return
	}
	p.hits = append(p.hits, h)
	for i := len(p.hits) - 1; i > 0; {
		parent := (i - 1) / 2
		if p.compare(p.hits[i], p.hits[parent]) <= 0 {
			break
		}
		p.hits[i], p.hits[parent] = p.hits[parent], p.hits[i]
		i = parent
	}
}

func (p *probe) down(i int) {
	for {
		worst := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(p.hits); child++ {
			if p.compare(p.hits[child], p.hits[worst]) > 0 {
				worst = child
			}
		}
		if worst == i {
			return
		}
		p.hits[i], p.hits[worst] = p.hits[worst], p.hits[i]
		i = worst
	}
}

func (p *probe) distance(h hit) float64 {
	if p.version.Encoding == matcher.Uint8 {
		return p.version.FromSum(uint32(h.value))
	}
	return h.value
}

// compare is the total order of the answer: below 0 when a comes first.
func (p *probe) compare(a, b hit) int {
	var c int
	switch p.order {
	case matcher.ByTimeAsc:
		c = cmp.Compare(p.time(a), p.time(b))
	case matcher.ByTimeDesc:
		c = cmp.Compare(p.time(b), p.time(a))
	default:
		c = cmp.Compare(a.value, b.value)
	}
	if c != 0 || a.row == b.row {
		return c
	}
	return p.id(a).Compare(p.id(b))
}

func (p *probe) time(h hit) matcher.Time {
	v, i := p.snap.at(p.origin, h.row)
	return v.times[i]
}

func (p *probe) id(h hit) matcher.ID {
	v, i := p.snap.at(p.origin, h.row)
	return v.ids[i]
}
