package memory

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/simd"
)

// moment is a selection with what it must give.
type moment struct {
	set       *matcher.Candidates
	selection *Selection
	faces     map[matcher.ID]*matcher.Object
}

// TestLease: jobs that share a strip get their own answers each, whatever the
// others want of it: other rows, few or many, of older or newer snapshots,
// some of whose rows stand in one block.
func TestLease(t *testing.T) {
	for _, k := range simd.Kernels() {
		t.Run(k.Name(), func(t *testing.T) {
			if !k.Usable() {
				t.Skip("this CPU cannot run the kernel")
			}
			similarity := matcher.Calibration{Midpoint: 3, Steepness: 1}
			for _, v := range []matcher.Version{
				{Number: 1, Length: 21, Scale: 128, Similarity: similarity},
				{Number: 1, Length: 5, Encoding: matcher.Float32, Similarity: similarity},
				{Number: 1, Length: 5, Encoding: matcher.Float32, Exact: matcher.Plain, Similarity: similarity},
				{Number: 1, Length: 5, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: similarity},
			} {
				testLease(t, k, v)
			}
		})
	}
}

func testLease(t *testing.T, k *simd.Kernel, version matcher.Version) {
	rng := rand.New(rand.NewPCG(1, uint64(version.Metric)))
	p := newPair(t, Options{Kernel: k, chunkRows: 1024}, version)
	v := p.options.Registry.Version(1)
	data := func() []byte {
		b := make([]byte, v.Size())
		for i := range b {
			b[i] = byte(rng.Uint32()) & 0x3f // finite as floats
		}
		return b
	}
	var moments []moment
	for n := range 12 {
		var changes []store.Change
		for range 1 + rng.IntN(70) {
			c := put(matcher.ID{byte(rng.Uint32()), byte(n)}, 1, data())
			c.Object.Age = matcher.SmallOf(uint8(rng.IntN(100)))
			changes = append(changes, c)
		}
		if n > 0 {
			for id := range p.faces {
				if rng.IntN(20) == 0 {
					changes = append(changes, del(id))
				}
			}
		}
		p.commit(t, changes...)
		if n%4 == 3 { // another chunk takes the place of the first one, sooner or later
			p.compact(func(v *view) bool { return v.deaths > 0 })
		}
		for _, age := range []uint8{255, 60, 3} {
			set := &matcher.Candidates{Limit: 7, Order: matcher.Order(rng.IntN(3)), Filter: matcher.Filter{Age: matcher.Range[uint8]{LT: &age}}}
			if age == 255 {
				set.Filter = matcher.Filter{}
			}
			s, err := p.selection(t.Context(), matcher.Faces, &set.Filter, nil)
			if err != nil {
				t.Fatal(err)
			}
			moments = append(moments, moment{set, s, maps.Clone(p.faces)})
		}
	}
	w := newScanner(k)
	rounds := 500
	if underRace {
		rounds = 50
	}
	shared := 0
	for range rounds {
		var l lease
		var chosen []moment
		var subs [][]matcher.SubRequest
		for range 1 + rng.IntN(5) {
			m := moments[rng.IntN(len(moments))]
			j := newJob(m.selection, v)
			if len(j.strips) == 0 {
				continue
			}
			var mine []matcher.SubRequest
			for range 1 + rng.IntN(4) {
				mine = append(mine, reference(v, data(), m.set))
				j.probes = append(j.probes, newProbe(m.selection.snap, &mine[len(mine)-1]))
			}
			place := &j.strips[0]
			if len(l.parts) > 0 {
				place = j.same(l.parts[0].job, l.parts[0].strip)
			}
			if place == nil { // its rows are in another chunk
				continue
			}
			l.parts = append(l.parts, part{j, place})
			chosen, subs = append(chosen, m), append(subs, mine)
		}
		if len(l.parts) == 0 {
			continue
		}
		shared = max(shared, len(l.parts))
		if err := w.do(&l); err != nil {
			t.Fatal(err)
		}
		for i, m := range chosen {
			o := oracle{registry: p.options.Registry, faces: m.faces}
			for n, probe := range l.parts[i].job.probes {
				want, _, _ := o.match(&subs[i][n])
				if got := answers(probe.matches(m.set)); !slices.Equal(got, want) {
					t.Fatalf("%v: job %d of %d, reference %d:\n got %v\nwant %v", v.Encoding, i, len(chosen), n, got, want)
				}
			}
		}
	}
	if shared < 3 {
		t.Errorf("at most %d jobs shared a strip", shared)
	}
}
