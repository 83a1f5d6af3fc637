package main

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"nearside/bench/stat"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
)

// listFaces is the number of faces of a list whose matches are measured, and fewListFaces
// that of a list whose memory is measured.
const (
	listFaces    = 100
	fewListFaces = 10
)

// listRowBytes is the memory that a row costs for being in a list: its number in the list,
// and the number of the list in its record.
const listRowBytes = 4 + 3

// listSection measures the memory of many lists, and a match within a small one.
func (s *suite) listSection() error {
	if err := s.listMemory(); err != nil {
		return err
	}
	return s.listMatch()
}

func manyListID(n int) matcher.ID { return idOf(-1 - n) }

// putLists returns puts of lists lo to hi-1.
func putLists(lo, hi int) []store.Change {
	changes := make([]store.Change, 0, hi-lo)
	for i := lo; i < hi; i++ {
		changes = append(changes, store.Change{Kind: store.PutList, List: &matcher.List{ID: manyListID(i), CreateTime: timeOf(i)}})
	}
	return changes
}

// putRows returns puts of faces lo to hi-1. Each is in the list that listOf returns, or in
// no list if listOf returns a negative number.
func (s *suite) putRows(lo, hi int, listOf func(i int) int) []store.Change {
	v := s.registry.Version(u8x32)
	changes := make([]store.Change, 0, hi-lo)
	for i := lo; i < hi; i++ {
		o := &matcher.Object{ID: idOf(i), CreateTime: timeOf(i)}
		o.Descriptors[v.Type] = matcher.Descriptor{Version: v.Number, Data: shortRow(i, v.Length)}
		if list := listOf(i); list >= 0 {
			o.Lists = []matcher.ID{manyListID(list)}
		}
		changes = append(changes, store.Change{Kind: store.PutObject, Object: o})
	}
	return changes
}

// shortRow returns random bytes.
func shortRow(i, n int) []byte {
	data := make([]byte, n)
	for at := 0; at < n; at += 8 {
		binary.LittleEndian.PutUint64(data[at:], mix(uint64(i)<<8+uint64(at)))
	}
	return data
}

// shortEngine returns a matcher with rows in lists, which the caller closes.
func (s *suite) shortEngine(lists, rows int, listOf func(i int) int) (*memory.Memory, error) {
	m, err := memory.New(memory.Options{Registry: s.registry, Kernel: barKernel(), Workers: 1})
	if err != nil {
		return nil, err
	}
	for lo := 0; lo < lists; lo += applyRows {
		m.Apply(putLists(lo, min(lo+applyRows, lists)))
	}
	for lo := 0; lo < rows && s.ctx.Err() == nil; lo += applyRows {
		m.Apply(s.putRows(lo, min(lo+applyRows, rows), listOf))
	}
	return m, s.ctx.Err()
}

// heapBytes returns the size of the objects on the heap.
func heapBytes() float64 {
	var m runtime.MemStats
	for range 3 { // the last swept objects, and pools
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// listMemory measures the memory of a list, with and without faces. Lists use no memory
// outside the heap.
func (s *suite) listMemory() error {
	lists := s.size.listRows / listFaces
	rows := lists * fewListFaces
	engine := func(lists, rows int, listOf func(i int) int) (float64, error) {
		before := heapBytes()
		m, err := s.shortEngine(lists, rows, listOf)
		if err != nil {
			return 0, err
		}
		used := heapBytes() - before
		m.Close()
		return used / float64(max(1, s.size.listRows/listFaces)), nil
	}
	none := func(int) int { return -1 }
	scattered := func(i int) int { return i % lists }
	bare, err := engine(lists, 0, none)
	if err != nil {
		return err
	}
	unlisted, err := engine(0, rows, none)
	if err != nil {
		return err
	}
	listed, err := engine(lists, rows, scattered)
	if err != nil {
		return err
	}
	stored, err := s.storedListBytes(lists)
	if err != nil {
		return err
	}
	filled := stored - bare + listed - unlisted - fewListFaces*listRowBytes
	s.recordBar("lists-memory", stat.Summarize([]float64{max(stored, filled)}),
		fmt.Sprintf("%d lists: %.0f bytes without faces, %.0f with %d faces", lists, stored, filled, fewListFaces))
	return nil
}

// storedListBytes returns the memory of a list without faces in a matcher and its store. It
// does not count the caches and buffers of the database, which have a fixed size.
func (s *suite) storedListBytes(lists int) (float64, error) {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = rate }()
	m, err := memory.New(memory.Options{Registry: s.registry, Kernel: barKernel(), Workers: 1})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	db, err := store.Open(s.ctx, store.Options{Dir: filepath.Join(s.dir, "lists"), Applier: m, Cache: m})
	if err != nil {
		return 0, err
	}
	defer db.Close()          //nolint:errcheck // a temporary folder
	before := profiledBytes() // with the memory that the first list does not add
	const batch = 1000
	for lo := 0; lo < lists; lo += batch {
		err := db.Commit(s.ctx, func(tx *store.Tx) error {
			for _, c := range putLists(lo, min(lo+batch, lists)) {
				tx.PutList(c.List)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	used := profiledBytes() - before
	runtime.KeepAlive(m)
	return used / float64(lists), nil
}

// profiledBytes returns the size of the profiled objects on the heap, without those of the
// database. Before storedListBytes sets the rate, only a sample is profiled; the caller
// subtracts it.
func profiledBytes() float64 {
	for range 3 {
		runtime.GC()
	}
	records := make([]runtime.MemProfileRecord, 1<<14)
	n, ok := runtime.MemProfile(records, false)
	for !ok {
		records = make([]runtime.MemProfileRecord, 2*n)
		n, ok = runtime.MemProfile(records, false)
	}
	sum := int64(0)
	for i := range records[:n] {
		if !ofDatabase(records[i].Stack()) {
			sum += records[i].InUseBytes()
		}
	}
	return float64(sum)
}

// ofDatabase reports whether a stack has a function of the database.
func ofDatabase(stack []uintptr) bool {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "github.com/cockroachdb/") {
			return true
		}
		if !more {
			return false
		}
	}
}

// listMatch measures matches within lists of 100 faces. The faces of half of the lists are
// consecutive, those of the others are as far apart as possible.
func (s *suite) listMatch() error {
	rows := s.size.listRows
	half := rows / 2
	lists := half / listFaces // of each half
	listOf := func(i int) int {
		if i < half {
			return min(i/listFaces, lists-1)
		}
		return lists + (i-half)%lists
	}
	begin := time.Now()
	m, err := s.shortEngine(2*lists, rows, listOf)
	if err != nil {
		return err
	}
	defer m.Close()
	s.logf("   loaded %d faces in %d lists in %v", rows, 2*lists, time.Since(begin).Round(time.Second))
	together, err := s.timeListMatch(m, 0, lists, func(list, k int) int { return list*listFaces + k })
	if err != nil {
		return err
	}
	apart, err := s.timeListMatch(m, lists, lists, func(list, k int) int { return half + list - lists + k*lists })
	if err != nil {
		return err
	}
	slower := together
	if apart.Median > slower.Median {
		slower = apart
	}
	s.recordBar("list-100-of-10m", slower, fmt.Sprintf("%d rows: %.1f us if they are consecutive, %.1f us if scattered", rows, together.Median, apart.Median))
	return nil
}

// timeListMatch measures the microseconds of a match within lists of a matcher. faceOf
// returns the row of face k of a list.
func (s *suite) timeListMatch(m *memory.Memory, first, count int, faceOf func(list, k int) int) (stat.Summary, error) {
	const warm, calls = 8, 400 // lists that are searched in turn, so that their rows are in a cache
	v := s.registry.Version(u8x32)
	var requests [][]matcher.SubRequest
	for n := range warm {
		list := first + n*count/warm
		id := manyListID(list)
		subs := []matcher.SubRequest{{
			Reference:  &matcher.Reference{Type: matcher.RefRaw, Descriptor: matcher.Descriptor{Version: v.Number, Data: shortRow(-1-n, v.Length)}},
			Candidates: &matcher.Candidates{Limit: depth, Filter: matcher.Filter{ListID: &id}, Targets: []string{"face_id"}}, Version: v,
		}}
		if err := s.checkListMatch(m, subs, func(k int) int { return faceOf(list, k) }); err != nil {
			return stat.Summary{}, err
		}
		requests = append(requests, subs)
	}
	var medians []float64
	for range s.size.rounds {
		var took []float64
		for n := range calls {
			begin := time.Now()
			m.Match(s.ctx, requests[n%warm])
			took = append(took, time.Since(begin).Seconds()*1e6)
		}
		medians = append(medians, stat.Median(took))
	}
	return stat.Summarize(medians), s.ctx.Err()
}

// checkListMatch compares the distances of a match with those of all faces of its list.
func (s *suite) checkListMatch(m *memory.Memory, subs []matcher.SubRequest, faceOf func(k int) int) error {
	v := subs[0].Version
	var want, got []float64
	for k := range listFaces {
		want = append(want, v.Distance(subs[0].Reference.Descriptor.Data, shortRow(faceOf(k), v.Length)))
	}
	slices.Sort(want)
	r := m.Match(s.ctx, subs)[0]
	for _, match := range r.Matches {
		got = append(got, match.Distance)
	}
	if r.Err != nil || !slices.Equal(got, want[:depth]) {
		return fmt.Errorf("a match within a list of %d faces: %w, distances %v, want %v", listFaces, r.Err, got, want[:depth])
	}
	return nil
}
