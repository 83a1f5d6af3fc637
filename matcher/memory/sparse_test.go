package memory

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/simd"
)

// TestScatteredEqualsBruteForce: filters that leave from few to all blocks of a
// chunk, whose last one is not full, for one reference and for several.
func TestScatteredEqualsBruteForce(t *testing.T) {
	for _, k := range simd.Kernels() {
		for _, encoding := range []matcher.Encoding{matcher.Uint8, matcher.Float32} {
			t.Run(fmt.Sprint(k.Name(), " ", encoding), func(t *testing.T) {
				if !k.Usable() {
					t.Skip("this CPU cannot run the kernel")
				}
				scattered(t, k, encoding)
			})
		}
	}
}

func scattered(t *testing.T, k *simd.Kernel, encoding matcher.Encoding) {
	const dims = 20
	r := rand.New(rand.NewPCG(9, uint64(encoding)))
	version := matcher.Version{Number: 1, Encoding: encoding, Length: dims, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 3}}
	if encoding == matcher.Uint8 {
		version.Scale = 128
	}
	p := newPair(t, Options{Workers: 2, Kernel: k}, version)
	v := p.options.Registry.Version(1)
	row := func() []byte {
		if encoding == matcher.Float32 {
			kind := 0
			if r.IntN(30) == 0 {
				kind = 2 // mostly cut, but no strip is poor
			}
			return adversary(r, dims, kind)
		}
		data := make([]byte, dims)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		return data
	}
	var changes []store.Change
	for range 3000 + 13 {
		c := put(matcher.NewID(), 1, row())
		c.Object.Age = matcher.SmallOf(uint8(r.IntN(100)))
		changes = append(changes, c)
	}
	p.commit(t, changes...)
	for _, percent := range []uint8{1, 3, 5, 8, 20, 100} {
		set := &matcher.Candidates{Limit: 7, Filter: matcher.Filter{Age: matcher.Range[uint8]{LT: &percent}}}
		var subs []matcher.SubRequest
		for range 8 {
			subs = append(subs, reference(v, row(), set))
		}
		p.check(t, subs, p.expect(subs))
		for i := range subs[:4] {
			p.check(t, subs[i:i+1], p.expect(subs[i:i+1]))
		}
	}
}
