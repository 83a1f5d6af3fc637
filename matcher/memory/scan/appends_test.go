package scan

import (
	"sync"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/simd"
)

// TestScanDuringAppends is for the race detector. It appends rows to the same blocks,
// zones and columns that a scan of an older snapshot reads. Only taking the snapshot
// synchronizes the scan with the writer.
func TestScanDuringAppends(t *testing.T) {
	similarity := matcher.Calibration{Midpoint: 1, Steepness: 1}
	for _, version := range []matcher.Version{
		{Number: 1, Length: 7, Scale: 1, Similarity: similarity},
		{Number: 1, Length: 7, Encoding: matcher.Float32, Similarity: similarity},
		{Number: 1, Length: 7, Encoding: matcher.Float32, Metric: matcher.Cosine, Exact: matcher.Plain, Similarity: similarity},
	} {
		p := newPair(t, pairOptions{kernel: simd.Kernels()[0], chunkRows: 4096}, version)
		v := p.Registry.Version(1)
		data := make([]byte, v.Size())
		data[0] = 1
		for i := range 1024 + 40 {
			p.commit(t, memorytest.Put(matcher.ID{1, byte(i >> 8), byte(i)}, 1, data))
		}
		p.commit(t, memorytest.Delete(matcher.ID{1, 0, 3}))
		conditions := matcher.Filter{CreateTime: matcher.Range[matcher.Time]{LT: new(matcher.Time(1))}, Fields: []matcher.FieldFilter{matcher.Within("age", matcher.Range[uint8]{LT: new(uint8(9))})}}
		q, narrow := p.query(&matcher.Filter{}), p.query(&conditions)

		var all sync.WaitGroup
		begun := make(chan struct{})
		all.Go(func() {
			w := newScanner(simd.Kernels()[0])
			set := &matcher.Candidates{Limit: 3, Order: matcher.ByTimeDesc}
			for n := range 50 {
				for _, q := range []*filter.Query{q, narrow} {
					s, err := q.Select(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					subs := []matcher.SubRequest{memorytest.Reference(v, data, set), memorytest.Reference(v, data, set)}
					for i := range subs {
						j := NewJob(s, v)
						for k := range subs[:i+1] {
							j.Searches = append(j.Searches, NewSearch(s.Snapshot(), &subs[k], Farthest(&subs[k])))
						}
						for k := range j.strips {
							if err := w.compareLease(&lease{tasks: []task{{j, &j.strips[k]}}}); err != nil {
								t.Error(err)
							}
						}
						j.Searches[0].matches()
					}
				}
				if n == 0 {
					close(begun)
				}
			}
		})
		<-begun
		for i := range 200 {
			p.commit(t, memorytest.Put(matcher.ID{2, byte(i)}, 1, data), memorytest.Delete(matcher.ID{1, 1, byte(i)}))
		}
		all.Wait()
	}
}
