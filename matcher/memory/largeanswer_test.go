package memory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
)

// TestLargeAnswers compares answers of many rows with the oracle. The rows are in several
// chunks of several strips, some are deleted, and many have equal distances. Limits are
// near the limit from which answers are large, and near the number of rows.
func TestLargeAnswers(t *testing.T) {
	n, lengths := 5000, []int{2, 40}
	if testkit.RaceEnabled {
		n, lengths = 1500, lengths[:1]
	}
	for _, encoding := range []matcher.Encoding{matcher.Uint8, matcher.Float32} {
		for _, length := range lengths { // descriptors of length 2 have many equal distances
			t.Run(fmt.Sprintf("%v/%d", encoding, length), func(t *testing.T) {
				v := matcher.Version{Number: 1, Length: length, Encoding: encoding, Scale: 8, Similarity: matcher.Calibration{Midpoint: float64(length) / 4, Steepness: 2}}
				if encoding == matcher.Float32 {
					v.Scale = 0
				}
				testLargeAnswers(t, v, n)
			})
		}
	}
}

func testLargeAnswers(t *testing.T, v matcher.Version, n int) {
	p := newPair(t, Options{chunkRows: 1024}, v)
	rng := rand.New(rand.NewPCG(uint64(v.Length), 9))
	var changes, deletes []store.Change
	for i := range n {
		c := memorytest.Put(matcher.ID{byte(rng.Uint32()), byte(i >> 8), byte(i)}, 1, randomDescriptor(rng, &v))
		c.Object.CreateTime = matcher.Time(rng.IntN(n / 2))
		c.Object.Age = matcher.SmallOf(uint8(i % 100))
		changes = append(changes, c)
		if i%9 == 0 {
			deletes = append(deletes, memorytest.Delete(c.Object.ID))
		}
	}
	p.commit(t, changes...)
	p.commit(t, deletes...)
	live := n - len(deletes)
	var some []matcher.ID // so few that they are a small selection
	for i := 1; i < n; i += 40 {
		some = append(some, changes[i].Object.ID)
	}
	younger := func(age uint8) matcher.Filter {
		return matcher.Where(matcher.Within("age", matcher.Range[uint8]{LT: &age}))
	}
	sets := []*matcher.Candidates{
		{Limit: 5000, Filter: younger(2)},
		{Limit: 300, Filter: younger(10)},
		{Limit: 1000, Filter: younger(60), Threshold: 0.4},
		{Limit: 256, Filter: matcher.Filter{IDs: some}},
		{Limit: 700, Order: matcher.ByTimeDesc, Threshold: 0.5},
		{Limit: live, Order: matcher.ByTimeAsc},
	}
	for _, limit := range []int{255, 256, 257, 1000, 2048, live - 1, live, live + 1, 4 * live} {
		sets = append(sets, &matcher.Candidates{Limit: limit})
	}
	var subs []matcher.SubRequest
	for range 2 {
		query := randomDescriptor(rng, &v)
		for _, c := range sets {
			subs = append(subs, memorytest.Reference(p.options.Registry.Version(1), query, c))
		}
	}
	want := p.Expect(subs)
	eachEngine(t, p.Memory, func(t *testing.T) {
		p.check(t, subs, want)
		p.check(t, subs[:len(sets)], want[:len(sets)]) // one reference for each set of candidates
	})
}

// TestLargeAnswersAtOnce compares answers of requests that run at once with the oracle.
// They share the memory of large answers. Some are cancelled, and some of their rows are
// deleted meanwhile.
func TestLargeAnswersAtOnce(t *testing.T) {
	p := newPair(t, Options{chunkRows: 512, Workers: 3},
		matcher.Version{Number: 1, Length: 3, Scale: 8, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 2}})
	v, rng := p.options.Registry.Version(1), rand.New(rand.NewPCG(4, 2))
	var changes []store.Change
	for i := range 1500 {
		changes = append(changes, memorytest.Put(matcher.ID{byte(rng.Uint32()), byte(i >> 8), byte(i)}, 1, randomDescriptor(rng, v)))
	}
	p.commit(t, changes...)
	requests := make([][]matcher.SubRequest, 24)
	want, results := make([][]memorytest.Expected, len(requests)), make([][]matcher.Result, len(requests))
	for i := range requests {
		set := &matcher.Candidates{Limit: 256 + rng.IntN(1500), Targets: []string{}}
		moment := p.Moment(nil, nil, []*matcher.Candidates{set})
		for range 1 + rng.IntN(3) {
			sub := memorytest.Reference(v, randomDescriptor(rng, v), set)
			sub.Moment = moment
			requests[i] = append(requests[i], sub)
		}
		want[i] = p.Expect(requests[i])
	}
	var calls sync.WaitGroup
	for i, subs := range requests {
		calls.Go(func() { results[i] = p.Match(t.Context(), subs) })
		ctx, cancel := context.WithCancel(t.Context())
		calls.Go(func() { p.Match(ctx, subs) })
		calls.Go(cancel)
	}
	calls.Go(func() {
		for i := range 300 {
			p.Apply([]store.Change{memorytest.Delete(changes[i].Object.ID)})
		}
	})
	calls.Wait()
	for i := range requests {
		memorytest.CheckResults(t, requests[i], results[i], want[i])
	}
}

// randomDescriptor returns a descriptor of v, whose elements have few different values.
func randomDescriptor(rng *rand.Rand, v *matcher.Version) []byte {
	data := make([]byte, v.Length)
	for i := range data {
		data[i] = byte(rng.IntN(64))
	}
	if v.Encoding == matcher.Uint8 {
		return data
	}
	values := make([]float32, v.Length)
	for i, x := range data {
		values[i] = float32(x) / 64
	}
	return memorytest.PackFloats(values)
}

// TestBareAnswer checks that rows have objects only if the targets need them, and that the
// rows are the same otherwise.
func TestBareAnswer(t *testing.T) {
	p := newPair(t, Options{}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 600)...)
	for _, limit := range []int{5, 500} {
		for _, c := range []struct {
			targets []string
			bare    bool
		}{{nil, false}, {[]string{}, true}, {[]string{"face_id", "distance"}, true}, {[]string{"similarity", "user_data"}, false}} {
			set := &matcher.Candidates{Limit: limit, Targets: c.targets}
			subs := []matcher.SubRequest{memorytest.Reference(p.options.Registry.Version(1), []byte{1, 2, 3}, set)}
			r := p.Match(t.Context(), subs)[0]
			for i, m := range r.Matches {
				stored := p.Faces[m.ID]
				switch {
				case c.bare && m.Object != nil:
					t.Fatalf("%v: row %d has an object", c.targets, i)
				case !c.bare && (m.Object == nil || m.Object.ID != m.ID || m.Object.UserData != stored.UserData || m.Object.CreateTime != m.CreateTime):
					t.Fatalf("%v: the object of %s is %+v", c.targets, m.ID, m.Object)
				}
				r.Matches[i].CreateTime = stored.CreateTime
			}
			memorytest.CheckResults(t, subs, []matcher.Result{r}, p.Expect(subs))
		}
	}
}
