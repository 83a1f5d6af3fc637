package memory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
)

// togetherVersions are versions of every form of scan. Two calibrations make nearly all
// similarities 0 or 1, so that mean similarities are equal and distances decide.
var togetherVersions = []matcher.Version{
	{Length: 2, Scale: 8, Similarity: matcher.Calibration{Midpoint: 20, Steepness: 0.2}}, // many rows have the same distance
	{Length: 40, Scale: 8, Similarity: matcher.Calibration{Midpoint: 200, Steepness: 0.05}},
	{Length: 512, Scale: 128, Similarity: matcher.Calibration{Midpoint: 20, Steepness: 0.5}},
	{Length: 40, Scale: 8, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1000}},
	{Length: 40, Scale: 8, Similarity: matcher.Calibration{Midpoint: 300, Steepness: 0.4}},
	{Length: 40, Encoding: matcher.Float32, Similarity: matcher.Calibration{Midpoint: 5, Steepness: 1}},
	{Length: 40, Encoding: matcher.Float32, Exact: matcher.Plain, Similarity: matcher.Calibration{Midpoint: 5, Steepness: 1}},
	{Length: 40, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: matcher.Calibration{Midpoint: 0.3, Steepness: 9}},
	{Length: 40, Encoding: matcher.Float32, Metric: matcher.Cosine, Exact: matcher.Plain, Similarity: matcher.Calibration{Midpoint: 0.3, Steepness: 9}},
	{Length: 40, Encoding: matcher.Float32, Similarity: matcher.Calibration{Midpoint: 0.1, Steepness: 4000}},
}

// TestTogether compares references of type together with the oracle: both ways to fuse,
// several numbers of parts, alone and beside other references, with each form of scan.
func TestTogether(t *testing.T) {
	for i, v := range togetherVersions {
		v.Number = 1
		if v.Encoding == matcher.Float32 {
			v.Scale = 0
		}
		t.Run(fmt.Sprintf("%v_%v_%v_%d_%v", v.Encoding, v.Metric, v.Exact, v.Length, v.Similarity.Steepness), func(t *testing.T) {
			testTogether(t, v, uint64(i))
		})
	}
}

func testTogether(t *testing.T, custom matcher.Version, seed uint64) {
	n := 900
	if testkit.RaceEnabled {
		n = 300
	}
	p := newPair(t, Options{chunkRows: 256}, custom)
	v := p.options.Registry.Version(1)
	rng := rand.New(rand.NewPCG(seed, 31))
	var people [][]byte
	for range 12 {
		people = append(people, randomDescriptor(rng, v))
	}
	var changes []store.Change
	for i := range n {
		c := memorytest.Put(matcher.ID{byte(rng.Uint32()), byte(i >> 8), byte(i)}, 1, picture(rng, v, people))
		c.Object.CreateTime = matcher.Time(rng.IntN(n / 2))
		c.Object.Age = matcher.SmallOf(uint8(i % 100))
		changes = append(changes, c)
	}
	p.commit(t, changes...)
	subs := togetherSubs(rng, v, people, changes)
	want := p.Expect(subs)
	edges := p.edges(subs, want)
	wantEdges := p.Expect(edges)
	eachEngine(t, p.Memory, func(t *testing.T) {
		p.check(t, subs, want)
		p.check(t, edges, wantEdges)
		for i := range subs { // each in a job of its own
			p.check(t, subs[i:i+1], want[i:i+1])
		}
	})
}

// TestTogetherRandomRows compares means with the oracle over several zones of random rows, so
// that most tiles have a row within the limit of a part.
func TestTogetherRandomRows(t *testing.T) {
	const n = 2500
	for i, custom := range togetherVersions {
		if testkit.RaceEnabled && i%3 > 0 {
			continue
		}
		custom.Number = 1
		if custom.Encoding == matcher.Float32 {
			custom.Scale = 0
		}
		t.Run(fmt.Sprintf("%v_%v_%v_%d_%v", custom.Encoding, custom.Metric, custom.Exact, custom.Length, custom.Similarity.Steepness), func(t *testing.T) {
			p := newPair(t, Options{}, custom)
			v := p.options.Registry.Version(1)
			rng := rand.New(rand.NewPCG(uint64(i), 32))
			var changes []store.Change
			for i := range n {
				c := memorytest.Put(matcher.ID{byte(rng.Uint32()), byte(i >> 8), byte(i)}, 1, randomDescriptor(rng, v))
				c.Object.Age = matcher.SmallOf(uint8(i % 100))
				changes = append(changes, c)
			}
			p.commit(t, changes...)
			var subs []matcher.SubRequest
			for _, parts := range []int{2, 7} {
				ref := &matcher.Reference{Type: matcher.RefTogether, Fuse: matcher.FuseMean, Descriptor: matcher.Descriptor{Version: 1}}
				for range parts {
					ref.Parts = append(ref.Parts, matcher.Reference{Type: matcher.RefRaw, Descriptor: matcher.Descriptor{Version: 1, Data: randomDescriptor(rng, v)}})
				}
				for _, c := range []*matcher.Candidates{
					{Limit: 7},
					{Limit: 300},
					{Limit: 5, Threshold: 1e-5},
					{Limit: 7, Filter: matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: new(uint8(97))}))},
					{Limit: 7, Filter: matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: new(uint8(30))}))},
					{Limit: 9, Order: matcher.ByTimeDesc},
				} {
					subs = append(subs, matcher.SubRequest{Reference: ref, Candidates: c, Version: v})
				}
			}
			want := p.Expect(subs)
			eachEngine(t, p.Memory, func(t *testing.T) {
				p.check(t, subs, want)
				p.check(t, subs[:1], want[:1])
			})
		})
	}
}

// picture returns a descriptor near that of a person, equal to it, or anywhere.
func picture(rng *rand.Rand, v *matcher.Version, people [][]byte) []byte {
	if rng.IntN(3) == 0 {
		return randomDescriptor(rng, v)
	}
	data := slices.Clone(testkit.Pick(rng, people...))
	other := randomDescriptor(rng, v)
	size := v.Size() / v.Length
	for range rng.IntN(v.Length+1) / 3 {
		at := rng.IntN(v.Length) * size
		copy(data[at:at+size], other[at:])
	}
	return data
}

// togetherSubs returns sub-requests with references of type together, and some others.
func togetherSubs(rng *rand.Rand, v *matcher.Version, people [][]byte, rows []store.Change) []matcher.SubRequest {
	var few []matcher.ID // a small selection
	for i := 1; i < len(rows); i += 40 {
		few = append(few, rows[i].Object.ID)
	}
	younger := func(age uint8) matcher.Filter {
		return matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: &age}))
	}
	sets := []*matcher.Candidates{
		{Limit: 1},
		{Limit: 7},
		{Limit: 5, Filter: younger(3)},
		{Limit: 40, Filter: younger(50), Threshold: 0.3},
		{Limit: 6, Filter: matcher.Filter{IDs: few}},
		{Limit: 9, Order: matcher.ByTimeDesc, Threshold: 0.4},
		{Limit: 9, Order: matcher.ByTimeAsc},
		{Limit: 300},
		{Limit: 2 * len(rows)},
	}
	var subs []matcher.SubRequest
	for i, count := range []int{2, 5, 1, 7, 32, 3} {
		ref := &matcher.Reference{Type: matcher.RefTogether, Fuse: matcher.Fuse(i % 2), Descriptor: matcher.Descriptor{Version: 1}}
		person := testkit.Pick(rng, people...)
		for range count {
			data := picture(rng, v, [][]byte{person})
			ref.Parts = append(ref.Parts, matcher.Reference{Type: matcher.RefRaw, Descriptor: matcher.Descriptor{Version: 1, Data: data}})
		}
		other := *ref
		other.Fuse = 1 - ref.Fuse
		for n, c := range sets {
			if count == 32 && n > 3 {
				break
			}
			subs = append(subs, matcher.SubRequest{Reference: ref, Candidates: c, Version: v}, matcher.SubRequest{Reference: &other, Candidates: c, Version: v})
			if i%2 == 0 {
				subs = append(subs, memorytest.Reference(v, picture(rng, v, people), c))
			}
		}
	}
	return subs
}

// edges returns sub-requests whose thresholds are the similarity of a row of an answer, and
// the next floats.
func (p *pair) edges(subs []matcher.SubRequest, want []memorytest.Expected) (edges []matcher.SubRequest) {
	for i, sub := range subs {
		if len(sub.Reference.Parts) == 0 || len(want[i].Rows) == 0 || i%5 != 0 {
			continue
		}
		at := want[i].Rows[len(want[i].Rows)/2].Similarity()
		for _, threshold := range []float64{at, math.Nextafter(at, 2), math.Nextafter(at, -1)} {
			c := *sub.Candidates
			c.Threshold = min(1, max(0, threshold))
			sub.Candidates = &c
			edges = append(edges, sub)
		}
	}
	return edges
}
