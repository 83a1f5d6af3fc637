//go:build !race

package memory

import (
	"math/rand/v2"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
)

// TestAllocations checks that a match's allocations depend on the number of chunks and of
// results, but not on the number of rows.
func TestAllocations(t *testing.T) {
	fill := func(rows int) *pair {
		p := newPair(t, Options{Workers: 2},
			matcher.Version{Number: 1, Length: 32, Scale: 128, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}},
			matcher.Version{Number: 2, Length: 8, Encoding: matcher.Float32, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
		rng := rand.New(rand.NewPCG(1, 1))
		var changes []store.Change
		for i := range rows {
			data := make([]byte, 32)
			for j := range data {
				data[j] = byte(rng.Uint32()) & 0x3f // small enough to be finite as floats
			}
			c := memorytest.Put(matcher.ID{1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}, 1+uint32(i&1), data)
			c.Object.Age = matcher.SmallOf(uint8(i / 2 % 100))
			changes = append(changes, c)
		}
		p.commit(t, changes...)
		return p
	}
	few, many := fill(2_000), fill(120_000)
	for name, c := range map[string]matcher.Candidates{
		"all":                        {Limit: 5},
		"threshold":                  {Limit: 5, Threshold: 0.9},
		"one in 100, in whole words": {Limit: 5, Filter: matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: new(uint8(1))}))},
		"half":                       {Limit: 5, Filter: matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: new(uint8(50))}))},
	} {
		for _, version := range []uint32{1, 2} {
			allocs := func(p *pair) float64 {
				subs := []matcher.SubRequest{memorytest.Reference(p.options.Registry.Version(version), make([]byte, 32), &c)}
				return testing.AllocsPerRun(20, func() {
					if r := p.Match(t.Context(), subs); r[0].Err != nil {
						t.Fatal(r)
					}
				})
			}
			if a, b := allocs(few), allocs(many); b > a+10 || b > 100 {
				t.Errorf("%s, version %d: %v allocations for 2,000 rows, %v for 120,000", name, version, a, b)
			} else {
				t.Logf("%s, version %d: %v allocations for 2,000 rows, %v for 120,000", name, version, a, b)
			}
		}
	}
}
