package memory

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
)

// TestBoundedEqualsBruteForce tests zones with rows of one kind and zones with mixed
// rows.
func TestBoundedEqualsBruteForce(t *testing.T) {
	for _, metric := range []matcher.Metric{matcher.L2, matcher.Cosine} {
		for kind := range 8 {
			t.Run(fmt.Sprint(metric, kind), func(t *testing.T) {
				r := rand.New(rand.NewPCG(7, uint64(kind)))
				const dims = 24
				p := newPair(t, Options{Workers: 2}, matcher.Version{
					Number: 1, Encoding: matcher.Float32, Length: dims, Metric: metric, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 3},
				})
				v := p.options.Registry.Version(1)
				row := func(i int) []byte {
					k := kind
					if k == 7 {
						k = i % 7
					}
					for {
						if data := memorytest.Adversary(r, dims, k); v.CheckData(data) == nil {
							return data
						}
					}
				}
				var changes []store.Change
				for i := range 2500 {
					changes = append(changes, memorytest.Put(matcher.NewID(), 1, row(i)))
				}
				p.commit(t, changes...)
				set := &matcher.Candidates{Limit: 7}
				byTime := &matcher.Candidates{Limit: 7, Order: matcher.ByTimeDesc, Threshold: 0.3}
				var subs []matcher.SubRequest
				for i := range 9 {
					subs = append(subs, memorytest.Reference(v, row(i), set), memorytest.Reference(v, row(i), byTime))
				}
				p.check(t, subs, p.Expect(subs))
				p.check(t, subs[:1], p.Expect(subs[:1]))
			})
		}
	}
}
