package memory

import (
	"cmp"
	"math"
	"slices"

	"nearside/matcher"
)

// hit is a row that may be in an answer. value is what distances are ranked
// by: the exact sum for uint8, the distance for float32.
type hit struct {
	value float64
	row   uint32
}

// topK keeps the first limit rows of an order, the last of them at the root of
// a heap.
type topK struct {
	probe *probe
	hits  []hit
}

// bound returns the value above which a row cannot enter.
func (t *topK) bound() float64 {
	p := t.probe
	if p.order == matcher.BySimilarity && len(t.hits) == p.limit {
		return min(p.cut, t.hits[0].value)
	}
	return p.cut
}

// offer adds a row if it passes the threshold and is among the first.
func (t *topK) offer(h hit) {
	p := t.probe
	full := len(t.hits) == p.limit
	if full && p.compare(h, t.hits[0]) >= 0 {
		return
	}
	if p.threshold > 0 && p.version.SimilarityOf(p.distance(h)) < p.threshold {
		return
	}
	if full {
		t.hits[0] = h
		t.down(0)
		return
	}
	t.hits = append(t.hits, h)
	for i := len(t.hits) - 1; i > 0; {
		parent := (i - 1) / 2
		if p.compare(t.hits[i], t.hits[parent]) <= 0 {
			break
		}
		t.hits[i], t.hits[parent] = t.hits[parent], t.hits[i]
		i = parent
	}
}

func (t *topK) down(i int) {
	for {
		worst := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(t.hits); child++ {
			if t.probe.compare(t.hits[child], t.hits[worst]) > 0 {
				worst = child
			}
		}
		if worst == i {
			return
		}
		t.hits[i], t.hits[worst] = t.hits[worst], t.hits[i]
		i = worst
	}
}

// probe is one reference of a pass: what is looked for and how it is ranked.
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

// newProbe prepares a sub-request for a scan of snap.
func newProbe(snap *snapshot, sub *matcher.SubRequest) probe {
	c, v := sub.Candidates, sub.Version
	p := probe{
		snap: snap, origin: c.Origin, version: v, query: sub.Reference.Descriptor.Data,
		order: c.Order, limit: c.Limit, threshold: c.Threshold, cut: v.DistanceMax(),
	}
	if c.Threshold > 0 {
		p.cut = v.Cut(c.Threshold)
	}
	if v.Encoding == matcher.Uint8 {
		p.cut = math.Ceil(p.cut * float64(v.Scale*v.Scale))
		return p
	}
	p.floats = floats(slices.Clone(p.query)) // a copy, for its alignment
	if v.Metric == matcher.Cosine {
		p.inverse = 1 / norm(p.query)
	}
	return p
}
