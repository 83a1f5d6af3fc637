package scan

import (
	"math/bits"
	"slices"
	"time"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// stripBytes is the number of bytes of descriptors, or of their copies, that a worker
// reads at once. For one reference, this takes less than a tenth of a millisecond at
// memory speed, so a new job does not wait long. The time to take a strip is much shorter
// than that.
const stripBytes = 2 << 20

// stripRows returns the number of rows in a strip of v, a power of two.
func stripRows(v *matcher.Version) int {
	size := v.Size()
	if table.HasBlocks(v) {
		size = simd.BlockBytesU8(v.Length) / simd.BlockRows
	}
	rows := max(64, min(1<<14, stripBytes/size))
	return 1 << (bits.Len(uint(rows)) - 1)
}

// strip is a part of a chunk, or a part of a small selection, to be compared for one job.
// A strip of a small selection has only the fields few, work and taken.
type strip struct {
	few    []uint32 // row numbers in ascending order; nil: a part of a chunk
	view   *table.View
	base   uint32   // number of the row at offset 0 of the chunk
	lo, hi int      // offsets; lo is a multiple of 64
	mask   []uint64 // selected rows, starting at lo; nil: all rows
	share  float64  // fraction of blocks that have a selected row
	work   float64  // work for one reference
	taken  bool     // guarded by Scheduler.mu
}

// Job is one selection to be compared with some references of one version. Scheduler.mu
// guards the fields after the empty line.
type Job struct {
	origin   matcher.Origin
	version  *matcher.Version
	Searches []*Search // with the parts of fused searches in their place
	Counts   int       // number of searches that only count, for references that have another search
	strips   []strip
	index    [][]int32  // index in strips, by chunk and place in the chunk; -1: no selected row; nil for a small selection
	Rows     int        // number of selected rows that have a descriptor of the version
	work     float64    // work of all strips, for one reference
	Later    int        // number of references that the request compares with the same rows after this job
	Begun    bool       // the request has already compared other references with the same rows
	Account  matcher.ID // account of the request; zero: none

	at        int       // all strips before this one are taken
	left      int       // number of strips not taken yet
	running   int       // number of workers comparing a strip of this job
	SharedMax int       // maximum of sharedWith over the strips taken
	deadline  time.Time // deadline of the request; zero: none
	closed    bool
	cancelled bool
	failed    error
	done      chan struct{}
}

// Add adds a reference to j: its search, or the parts of a fused search.
func (j *Job) Add(s *Search) {
	if s.fused != nil {
		j.Searches = append(j.Searches, s.fused.parts...)
	} else {
		j.Searches = append(j.Searches, s)
	}
}

// remaining is the number by which jobs are ordered: strips not taken yet, times
// references. It includes the references that come after this job. A job that has started
// is usually close to finishing.
func (j *Job) remaining() int { return j.left*len(j.Searches) + len(j.strips)*j.Later }

// hasBegun reports whether any work was spent on the request of j.
func (j *Job) hasBegun() bool { return j.Begun || j.left < len(j.strips) }

// nextStrip returns the first strip that is not taken. There must be one.
func (j *Job) nextStrip() *strip {
	for j.strips[j.at].taken {
		j.at++
	}
	return &j.strips[j.at]
}

// matchingStrip returns the strip of j with the same rows as s, which is a strip of
// other. It returns nil if j does not need those rows.
func (j *Job) matchingStrip(other *Job, s *strip) *strip {
	if j.version != other.version || j.origin != other.origin || s.few != nil {
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
	own := &j.strips[j.index[chunk][place]]
	if own.taken || own.view.Chunk != s.view.Chunk { // the index belongs to another chunk in the other job's snapshot
		return nil
	}
	return own
}

// NewJob returns a job with those strips of a selection that have rows of v.
func NewJob(s *filter.Selection, v *matcher.Version) *Job {
	views := s.Views()
	j := &Job{origin: s.Origin(), version: v, done: make(chan struct{})}
	if rows, ok := s.Few(); ok {
		j.addFew(views, rows)
		return j
	}
	j.index = make([][]int32, len(views))
	for i := range views {
		view := &views[i]
		if view.Live() == 0 || view.Versions[v.Type] != v {
			continue
		}
		selected, all := s.Words(uint32(i))
		if selected == nil && !all {
			continue
		}
		j.addChunk(view, uint32(i), selected)
	}
	j.left = len(j.strips)
	return j
}

// addFew cuts the rows of a small selection into strips. They are not shared with other
// jobs, because so few rows are compared faster than shared.
func (j *Job) addFew(views []table.View, rows []uint32) {
	other := func(row uint32) bool { return views[row>>16].Versions[j.version.Type] != j.version }
	if slices.ContainsFunc(rows, other) {
		rows = slices.DeleteFunc(slices.Clone(rows), other)
	}
	j.Rows = len(rows)
	for part := range slices.Chunk(rows, stripRows(j.version)/simd.BlockRows) {
		j.strips = append(j.strips, strip{few: part})
	}
	j.left = len(j.strips)
}

// addChunk cuts a chunk into strips. selected has one bit per row; nil means all rows.
func (j *Job) addChunk(v *table.View, chunk uint32, selected []uint64) {
	rows := stripRows(j.version)
	places := make([]int32, (v.Rows+rows-1)/rows)
	for p := range places {
		lo := p * rows
		s := strip{view: v, base: chunk << 16, lo: lo, hi: min(v.Rows, lo+rows), share: 1}
		n := s.hi - lo
		if selected != nil {
			s.mask = selected[lo/64 : (s.hi+63)/64]
			blocks := 0
			n, blocks = countRows(s.mask)
			s.share = float64(blocks) / float64((s.hi-s.lo+15)/16)
		}
		if n == 0 {
			places[p] = -1
			continue
		}
		j.Rows += n
		places[p] = int32(len(j.strips))
		j.strips = append(j.strips, s)
	}
	j.index[chunk] = places
}

// countRows returns the number of rows in a mask, and the number of blocks of 16 that
// have any of them.
func countRows(mask []uint64) (rows, blocks int) {
	for _, w := range mask {
		rows += bits.OnesCount64(w)
		blocks += bits.OnesCount64(blocksOf(w))
	}
	return rows, blocks
}

// blocksOf returns a word with the last bit of each block of 16 rows set if word has a
// bit in that block. All other bits are zero.
func blocksOf(word uint64) uint64 {
	const last = 0x8000_8000_8000_8000
	return (word&^last + ^uint64(last) | word) & last // each sum carries into the last bit of its block, never beyond
}
