package memory

import (
	"sync"
	"testing"

	"nearside/matcher"
	"nearside/simd"
)

// TestWriterBesideScan is for the race detector: rows are appended to the very
// blocks, zones and columns that an older snapshot is read from, and nothing
// but the snapshot orders the two.
func TestWriterBesideScan(t *testing.T) {
	similarity := matcher.Calibration{Midpoint: 1, Steepness: 1}
	for _, version := range []matcher.Version{
		{Number: 1, Length: 7, Scale: 1, Similarity: similarity},
		{Number: 1, Length: 7, Encoding: matcher.Float32, Similarity: similarity},
		{Number: 1, Length: 7, Encoding: matcher.Float32, Metric: matcher.Cosine, Exact: matcher.Plain, Similarity: similarity},
	} {
		p := newPair(t, Options{Kernel: simd.Kernels()[0], chunkRows: 4096}, version)
		v := p.options.Registry.Version(1)
		data := make([]byte, v.Size())
		data[0] = 1
		for i := range 1024 + 40 {
			p.commit(t, put(matcher.ID{1, byte(i >> 8), byte(i)}, 1, data))
		}
		p.commit(t, del(matcher.ID{1, 0, 3}))
		filter := matcher.Filter{CreateTime: matcher.Range[matcher.Time]{LT: new(matcher.Time(1))}, Age: matcher.Range[uint8]{LT: new(uint8(9))}}
		p.mu.RLock()
		q := p.bind(matcher.Faces, &matcher.Filter{}, nil, 0)
		narrow := p.bind(matcher.Faces, &filter, nil, 0)
		p.mu.RUnlock()
		narrow.columns(&filter)

		var all sync.WaitGroup
		begun := make(chan struct{})
		all.Go(func() {
			w := newScanner(simd.Kernels()[0])
			set := &matcher.Candidates{Limit: 3, Order: matcher.ByTimeDesc}
			for n := range 50 {
				for _, q := range []*query{q, narrow} {
					s, err := q.run(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					subs := []matcher.SubRequest{reference(v, data, set), reference(v, data, set)}
					for i := range subs {
						j := newJob(s, v)
						for k := range subs[:i+1] {
							j.probes = append(j.probes, newProbe(s.snap, &subs[k]))
						}
						for k := range j.strips {
							if err := w.do(&lease{parts: []part{{j, &j.strips[k]}}}); err != nil {
								t.Error(err)
							}
						}
						j.probes[0].matches(set)
					}
				}
				if n == 0 {
					close(begun)
				}
			}
		})
		<-begun
		for i := range 200 {
			p.commit(t, put(matcher.ID{2, byte(i)}, 1, data), del(matcher.ID{1, 1, byte(i)}))
		}
		all.Wait()
	}
}
