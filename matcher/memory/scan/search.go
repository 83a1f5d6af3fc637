package scan

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// Search is one reference of a job: its descriptor, the order in which rows are ranked,
// and the hits so far. Workers share it. A reference with several descriptors is a fused
// search, which has parts (fused.go).
type Search struct {
	snap     *table.Snapshot
	origin   matcher.Origin
	version  *matcher.Version
	query    []byte    // the descriptor
	floats   []float32 // the same values for float32
	inverse  float64   // cosine only: 1/|query|
	order    matcher.Order
	limit    int          // number of rows, or of groups, from the first to the last of the answer
	skip     int          // number of them that are not in the answer
	cut      float64      // largest value that passes the threshold
	batch    int          // number of hits that a worker collects before it offers them
	excluded []matcher.ID // rows that are left out

	bound atomic.Uint64 // bits of the float64 value above which a row cannot become a hit
	mu    sync.Mutex
	hits  []Hit  // the first limit hits so far, and later ones that are not dropped yet
	last  Hit    // the last of the first limit hits; set when full
	full  bool   // there were at least limit hits
	large *large // the hits of a large answer, in place of the three fields above; nil: the answer is not large

	groups    *groups    // the first groups, in place of hits during the scan; nil: rows are not grouped
	groupRows *groupRows // the rows of known groups; nil: the search does not look for them
	counter   *counter   // counts rows or groups and keeps no hits; nil: the search does not count
	values    []string   // of the groups of hits; set when the hits of groups are ranked
	fused     *fused     // of a search with parts
	whole     *Search    // of a part: the search that has its hits
}

// Farthest returns the largest distance that passes the threshold of a sub-request.
func Farthest(sub *matcher.SubRequest) float64 {
	if sub.Candidates.Threshold > 0 {
		return sub.Version.DistanceLimit(sub.Candidates.Threshold)
	}
	return sub.Version.DistanceMax()
}

// NewSearch prepares a sub-request for a scan of snap. farthest is Farthest(sub).
func NewSearch(snap *table.Snapshot, sub *matcher.SubRequest, farthest float64) *Search {
	c, v := sub.Candidates, sub.Version
	p := &Search{
		snap: snap, origin: c.Origin, version: v, order: c.Order, limit: c.Ranked(), skip: c.Offset, cut: farthest, excluded: sub.Excluded(),
	}
	if c.Group != nil {
		p.groups = newGroups(groupText(c), c.Group.Size)
	}
	if v.Encoding == matcher.Uint8 {
		p.cut = math.Ceil(farthest * float64(v.Scale*v.Scale))
		for p.cut > 0 && v.FromSum(uint32(p.cut)) > farthest {
			p.cut--
		}
	}
	switch parts := sub.Reference.Parts; len(parts) {
	case 0:
		p.setQuery(sub.Reference.Descriptor.Data)
	case 1:
		p.setQuery(parts[0].Descriptor.Data) // best and mean are the same
	default:
		p.fuse(sub)
	}
	p.prepare()
	return p
}

// groupText returns the index in records of the text by which rows are grouped.
func groupText(c *matcher.Candidates) int {
	return slices.Index(table.Shapes[c.Origin].Texts, c.Group.By)
}

// setQuery sets the descriptor.
func (p *Search) setQuery(query []byte) {
	p.query = query
	if p.version.Encoding == matcher.Uint8 {
		return
	}
	p.floats = table.Floats(slices.Clone(query)) // a copy, for its alignment
	if p.version.Metric == matcher.Cosine {
		p.inverse = 1 / table.Norm(query)
	}
}

// batchMax is the largest number of hits that a worker collects before it offers them.
// The bound falls only when hits are offered, so a batch is a small part of the limit.
const batchMax = 64

// prepare sets what follows from the order, the limit and the cut.
func (p *Search) prepare() {
	p.batch = max(1, min(p.limit/16, batchMax))
	if p.order == matcher.BySimilarity && p.limit >= largeMin && p.groups == nil && !p.isMean() {
		p.large = newLarge(p.limit)
	}
	p.bound.Store(math.Float64bits(p.cut))
}

// Release returns the memory of the search for use by others. The search must not be used
// after that.
func (p *Search) Release() {
	if p.large != nil {
		p.large.release()
		p.large = nil
	}
}

// scale returns the factor that gives the query length 1 under cosine, and otherwise 1.
func (p *Search) scale() float64 {
	if p.version.Metric == matcher.Cosine {
		return p.inverse
	}
	return 1
}

// exact returns the distance of a float32 row. For an order by time it returns NaN; push
// then computes the distance, but only for rows that are early or late enough to become
// hits.
func (p *Search) exact(row []byte) float64 {
	if p.order != matcher.BySimilarity {
		return math.NaN()
	}
	return p.version.Distance(p.query, row)
}

// within returns the value above which a row cannot become a hit. This value only falls,
// so a caller with an older value compares only a few rows too many.
func (p *Search) within() float64 {
	if p.whole != nil {
		return p.whole.partWithin()
	}
	return math.Float64frombits(p.bound.Load())
}

// Hit is a row that may belong to an answer. value ranks rows by distance: it is the
// exact sum for uint8 and the distance for float32, or the key of a mean (fused.go). NaN
// means that it is not computed yet.
type Hit struct {
	value float64
	Row   uint32
}

// Distance returns the distance of a hit as the answer reports it.
func (p *Search) Distance(h Hit) float64 {
	if p.isMean() {
		distance, _ := p.means(h.Row)
		return distance
	}
	if p.version.Encoding == matcher.Uint8 {
		return p.version.FromSum(uint32(h.value))
	}
	return h.value
}

// compare is the total order of the answer. It returns a negative number if a comes
// first.
func (p *Search) compare(a, b Hit) int {
	var c int
	switch p.order {
	case matcher.ByTimeAsc:
		c = cmp.Compare(p.time(a), p.time(b))
	case matcher.ByTimeDesc:
		c = cmp.Compare(p.time(b), p.time(a))
	default:
		if a.value < b.value { // cmp.Compare is slower, because it orders NaN too
			return -1
		} else if a.value > b.value {
			return 1
		}
	}
	if c != 0 || a.Row == b.Row {
		return c
	}
	if p.isMean() && p.order == matcher.BySimilarity { // the mean similarities are equal
		if c = cmp.Compare(p.tieDistance(a.Row), p.tieDistance(b.Row)); c != 0 {
			return c
		}
	}
	return p.id(a).Compare(p.id(b))
}

func (p *Search) time(h Hit) matcher.Time {
	v, i := p.snap.At(p.origin, h.Row)
	return v.Times[i]
}

func (p *Search) id(h Hit) matcher.ID {
	v, i := p.snap.At(p.origin, h.Row)
	return v.IDs[i]
}
