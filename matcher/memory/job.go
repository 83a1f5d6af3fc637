package memory

import (
	"math/bits"
	"time"

	"nearside/matcher"
	"nearside/simd"
)

// stripBytes is how much a worker reads at once, of descriptors or of their
// copies: less than a tenth of a millisecond at memory speed for one reference,
// so that what comes later is not kept waiting, and much more than it costs to
// take it.
const stripBytes = 2 << 20

// stripRows returns the rows of a strip of v, a power of two.
func stripRows(v *matcher.Version) int {
	size := v.Size()
	if hasBlocks(v) {
		size = simd.BlockBytesU8(v.Length) / simd.BlockRows
	}
	rows := max(64, min(1<<14, stripBytes/size))
	return 1 << (bits.Len(uint(rows)) - 1)
}

// strip is a part of a chunk, for one job.
type strip struct {
	view   *view
	base   uint32   // row of offset 0 of the chunk
	lo, hi int      // offsets; lo is a multiple of 64
	mask   []uint64 // selected rows, from lo; nil: all of them
	share  float64  // of blocks with a selected row
	work   float64  // of one reference
	taken  bool     // guarded by scheduler.mu
}

// job is one selection to be compared with some references of one version.
// The fields below the empty line are guarded by scheduler.mu.
type job struct {
	origin  matcher.Origin
	version *matcher.Version
	probes  []*probe
	strips  []strip
	index   [][]int32 // strip by chunk and place in it, -1: none
	rows    int       // selected rows that have a descriptor of the version
	work    float64   // of all strips, for one reference
	more    int       // references that its request compares with the same rows later
	begun   bool      // its request has compared others with the same rows already

	at        int       // strips before it are taken
	left      int       // strips that nobody has taken
	running   int       // workers that are at a strip
	shared    int       // most references of other jobs that shared a strip
	deadline  time.Time // of its request; zero: none
	closed    bool
	cancelled bool
	failed    error
	done      chan struct{}
}

// turns is what jobs are ordered by: strips that nobody has taken, times
// references, those that come later included. Who has begun is near its end.
func (j *job) turns() int { return j.left*len(j.probes) + len(j.strips)*j.more }

// hasBegun reports whether something was spent on the request of j.
func (j *job) hasBegun() bool { return j.begun || j.left < len(j.strips) }

// next returns the first strip that nobody has taken; there must be one.
func (j *job) next() *strip {
	for j.strips[j.at].taken {
		j.at++
	}
	return &j.strips[j.at]
}

// same returns the strip of j that has the rows of s, which is one of lead;
// nil when j does not need it.
func (j *job) same(lead *job, s *strip) *strip {
	if j.version != lead.version || j.origin != lead.origin {
		return nil
	}
	chunk := int(s.base >> 16)
	if chunk >= len(j.index) || j.index[chunk] == nil {
		return nil
	}
	place := s.lo / stripRows(j.version)
	if place >= len(j.index[chunk]) || j.index[chunk][place] < 0 {
		return nil
	}
	mine := &j.strips[j.index[chunk][place]]
	if mine.taken || mine.view.chunk != s.view.chunk { // another chunk took the place since
		return nil
	}
	return mine
}

// newJob lists the strips of a selection that have rows of v.
func newJob(s *Selection, v *matcher.Version) *job {
	table := s.snap.tables[s.origin]
	j := &job{origin: s.origin, version: v, index: make([][]int32, len(table)), done: make(chan struct{})}
	for i := range table {
		view := &table[i]
		if view.live() == 0 || view.versions[v.Type] != v {
			continue
		}
		selected, all := s.words(uint32(i))
		if selected == nil && !all {
			continue
		}
		j.add(view, uint32(i), selected)
	}
	j.left = len(j.strips)
	return j
}

// add cuts a chunk into strips. selected has a bit per row; nil: all are.
func (j *job) add(v *view, chunk uint32, selected []uint64) {
	rows := stripRows(j.version)
	places := make([]int32, (v.n+rows-1)/rows)
	for p := range places {
		lo := p * rows
		s := strip{view: v, base: chunk << 16, lo: lo, hi: min(v.n, lo+rows), share: 1}
		n := s.hi - lo
		if selected != nil {
			s.mask = selected[lo/64 : (s.hi+63)/64]
			blocks := 0
			n, blocks = count(s.mask)
			s.share = float64(blocks) / float64((s.hi-s.lo+15)/16)
		}
		if n == 0 {
			places[p] = -1
			continue
		}
		j.rows += n
		places[p] = int32(len(j.strips))
		j.strips = append(j.strips, s)
	}
	j.index[chunk] = places
}

// count returns the rows of a mask and the blocks of 16 that have one.
func count(mask []uint64) (rows, blocks int) {
	for _, w := range mask {
		rows += bits.OnesCount64(w)
		blocks += bits.OnesCount64(blocksOf(w))
	}
	return rows, blocks
}

// blocksOf sets the last bit of every block of 16 rows that has a bit in word,
// and no other.
func blocksOf(word uint64) uint64 {
	const last = 0x8000_8000_8000_8000
	return (word&^last + ^uint64(last) | word) & last // the sum carries into the last bit, not beyond
}
