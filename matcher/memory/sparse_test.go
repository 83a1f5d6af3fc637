package memory

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
	"nearside/simd"
)

// TestScatteredEqualsBruteForce tests filters that leave from a few to all blocks of a
// chunk, for one reference and for several. The last block of the chunk is not full.
func TestScatteredEqualsBruteForce(t *testing.T) {
	for _, k := range memorytest.Kernels() {
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
				kind = 2 // mostly cut, but not enough to make a strip poor
			}
			return memorytest.Adversary(r, dims, kind)
		}
		data := make([]byte, dims)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		return data
	}
	var changes []store.Change
	for range 3000 + 13 {
		c := memorytest.Put(matcher.NewID(), 1, row())
		c.Object.Age = matcher.SmallOf(uint8(r.IntN(100)))
		changes = append(changes, c)
	}
	p.commit(t, changes...)
	for _, percent := range []uint8{1, 3, 5, 8, 20, 100} {
		set := &matcher.Candidates{Limit: 7, Filter: matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: &percent}))}
		var subs []matcher.SubRequest
		for range 8 {
			subs = append(subs, memorytest.Reference(v, row(), set))
		}
		p.check(t, subs, p.Expect(subs))
		for i := range subs[:4] {
			p.check(t, subs[i:i+1], p.Expect(subs[i:i+1]))
		}
	}
}
