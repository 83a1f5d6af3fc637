package memory

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"nearside/matcher"
)

// schedulerPair has 500 rows and two sub-requests.
func schedulerPair(t *testing.T, workers int) (*pair, []matcher.SubRequest) {
	t.Helper()
	p := newPair(t, Options{chunkRows: 64, Workers: workers}, bytes3())
	p.commit(t, rows3(0, 500)...)
	v := p.options.Registry.Version(1)
	return p, []matcher.SubRequest{
		reference(v, []byte{1, 2, 3}, &matcher.Candidates{Limit: 5}),
		reference(v, []byte{3, 2, 1}, &matcher.Candidates{Limit: 5, Threshold: 0.1}),
	}
}

// TestCancel: a match whose context ends while it waits returns why, and leaves
// nothing behind.
func TestCancel(t *testing.T) {
	p, subs := schedulerPair(t, 1)
	s := p.scheduler
	s.workers = 1 // so that none is started
	cause := errors.New("the client is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan []matcher.Result)
	go func() { ended <- p.Match(ctx, subs[:1]) }()
	cancel(cause)
	if r := <-ended; !errors.Is(r[0].Err, cause) || r[0].Matches != nil {
		t.Errorf("%+v", r)
	}
	s.mu.Lock()
	if len(s.jobs) != 0 {
		t.Errorf("%d jobs are left", len(s.jobs))
	}
	s.workers = 0
	s.mu.Unlock()
	p.check(t, subs, p.expect(subs))
}

// TestCancelledFilter: a context that has ended stops the evaluation of a
// filter, too.
func TestCancelledFilter(t *testing.T) {
	p, _ := schedulerPair(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Select(ctx, &matcher.Candidates{Filter: matcher.Filter{Gender: new(uint8(1))}}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestOverload: beyond the jobs that may wait, a match is refused at once.
func TestOverload(t *testing.T) {
	p, subs := schedulerPair(t, 1)
	s := p.scheduler
	s.mu.Lock()
	s.workers, s.jobs = 1, make([]*job, jobsMax)
	s.mu.Unlock()
	if r := p.Match(t.Context(), subs[:1]); matcher.CodeOf(r[0].Err) != matcher.CodeUnavailable || r[0].Err == nil {
		t.Errorf("%+v", r)
	}
	s.mu.Lock()
	s.workers, s.jobs = 0, nil
	s.mu.Unlock()
	p.check(t, subs, p.expect(subs))
}

// TestPanic: what panics in a scan is an error of its match; workers go on.
func TestPanic(t *testing.T) {
	p, subs := schedulerPair(t, 2)
	bad := slices.Clone(subs)
	bad[0].Reference = &matcher.Reference{Descriptor: matcher.Descriptor{Version: 1, Data: make([]byte, 9)}} // too long
	for range 20 {
		r := p.Match(t.Context(), bad)
		if matcher.CodeOf(r[0].Err) != matcher.CodeInternal || r[0].Err == nil || !strings.Contains(r[0].Err.Error(), "panic") {
			t.Fatalf("%+v", r[0])
		}
		p.check(t, subs, p.expect(subs))
	}
	s := p.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) != 0 {
		t.Errorf("%d jobs are left", len(s.jobs))
	}
}

// TestClosed: a match after Close is refused.
func TestClosed(t *testing.T) {
	p, subs := schedulerPair(t, 2)
	p.Close()
	if r := p.Match(t.Context(), subs[:1]); matcher.CodeOf(r[0].Err) != matcher.CodeUnavailable || r[0].Err == nil {
		t.Errorf("%+v", r)
	}
}

// TestManyAtOnce: matches that come together share strips, and each gets its
// own answer; some give up on the way.
func TestManyAtOnce(t *testing.T) {
	p := newPair(t, Options{chunkRows: chunkRowsMax, Workers: 3},
		matcher.Version{Number: 1, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 30000, Steepness: 1e-4}})
	p.commit(t, rows3(0, 40_000)...) // three strips
	v := p.options.Registry.Version(1)
	var subs []matcher.SubRequest
	var want []expected
	for i := range 24 {
		c := &matcher.Candidates{Limit: 4}
		switch i % 4 {
		case 1:
			c.Filter.UserData = new("uuuuu") // scattered
		case 2:
			c.Filter.FaceID.LT = new(rows3(20_000, 1)[0].Object.ID)
		case 3:
			c.Threshold = 0.8
		}
		subs = append(subs, reference(v, []byte{byte(i * 9), byte(i * 31), 7}, c))
	}
	want = p.expect(subs)
	var all sync.WaitGroup
	for i := range subs {
		all.Go(func() {
			for n := range 20 {
				if n%5 == 4 {
					ctx, cancel := context.WithCancel(t.Context())
					all.Go(cancel)
					r := p.Match(ctx, subs[i:i+1])[0]
					if r.Err == nil && !slices.Equal(answers(r.Matches), want[i].rows) || r.Err != nil && !errors.Is(r.Err, context.Canceled) {
						t.Errorf("sub-request %d: %+v", i, r)
					}
					continue
				}
				if r := p.Match(t.Context(), subs[i:i+1])[0]; r.Err != nil || !slices.Equal(answers(r.Matches), want[i].rows) {
					t.Errorf("sub-request %d: %+v, want %v", i, r, want[i].rows)
				}
			}
		})
	}
	all.Wait()
	s := p.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) != 0 {
		t.Errorf("%d jobs are left", len(s.jobs))
	}
}

// TestTurns plays workers that take turns in every possible order with jobs
// that come, share strips and are given up: each strip of a job is done once,
// and every job that was not given up ends with its answer.
func TestTurns(t *testing.T) {
	p := newPair(t, Options{Workers: 3},
		matcher.Version{Number: 1, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 30000, Steepness: 1e-4}},
		matcher.Version{Number: 2, Length: 1, Encoding: matcher.Float32, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	changes := rows3(0, 90_000) // six strips in two chunks
	for i := range 20_000 {
		changes = append(changes, put(matcher.ID{7, byte(i >> 8), byte(i)}, 2, pack([]float32{float32(i)})))
	}
	p.commit(t, changes...)
	var subs []matcher.SubRequest
	for i := range 8 {
		set := &matcher.Candidates{Limit: 300}
		if i%2 > 0 && i < 7 {
			set.Filter.FaceID.LT = new(rows3(70_000-i*9_000, 1)[0].Object.ID)
		}
		data := []byte{byte(i), byte(i * 40), 7}
		v := p.options.Registry.Version(uint32(1 + i/7))
		if v.Encoding == matcher.Float32 {
			data = pack([]float32{500})
		}
		subs = append(subs, reference(v, data, set))
	}
	want := p.expect(subs)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		p.playTurns(t, rng, subs, want)
	}
}

func (p *pair) playTurns(t *testing.T, rng *rand.Rand, subs []matcher.SubRequest, want []expected) {
	t.Helper()
	s := p.scheduler
	s.workers = s.pool.Cap() // those below; none is started
	w := newScanner(p.options.Kernel)
	leases := make([]lease, s.workers)
	type entered struct {
		*job
		sub   int
		given bool
	}
	var jobs []entered
	enter := func() {
		i := rng.IntN(len(subs))
		selection, err := p.selection(t.Context(), matcher.Faces, &subs[i].Candidates.Filter, nil)
		if err != nil {
			t.Fatal(err)
		}
		j := newJob(selection, subs[i].Version)
		j.probes = []*probe{newProbe(selection.snap, &subs[i])}
		if err := s.enter(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, entered{job: j, sub: i})
	}
	for turns := 0; len(jobs) < 12 || len(s.jobs) > 0 || slices.ContainsFunc(leases, func(l lease) bool { return len(l.parts) > 0 }); turns++ {
		switch n := rng.IntN(20); {
		case n < 8 && len(jobs) < 12:
			enter()
		case n == 8 && len(s.jobs) > 0:
			given := s.jobs[rng.IntN(len(s.jobs))]
			for i := range jobs {
				jobs[i].given = jobs[i].given || jobs[i].job == given
			}
			s.leave(given)
		default:
			l := &leases[rng.IntN(len(leases))]
			if !s.next(l) {
				s.workers++ // it stays
			} else if err := w.do(l); err != nil {
				t.Fatal(err)
			}
		}
		if turns > 10_000 {
			t.Fatal("the jobs do not end")
		}
	}
	s.workers = 0
	for i, j := range jobs {
		select {
		case <-j.done:
		default:
			t.Fatalf("job %d is not done", i)
		}
		if got := answers(j.probes[0].matches(subs[j.sub].Candidates)); !j.given && !slices.Equal(got, want[j.sub].rows) {
			t.Fatalf("job %d: %d rows, want %d", i, len(got), len(want[j.sub].rows))
		}
	}
}

// TestLeaseIsBounded: no more references share a strip than it is good for.
func TestLeaseIsBounded(t *testing.T) {
	p, subs := schedulerPair(t, 1)
	s := p.scheduler
	s.workers = 1 // none is started
	selection, err := p.selection(t.Context(), matcher.Faces, &matcher.Filter{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		j := newJob(selection, subs[0].Version)
		for range waveProbes {
			j.probes = append(j.probes, newProbe(selection.snap, &subs[0]))
		}
		if err := s.enter(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	var l lease
	for s.next(&l) { // which gives back the one before
		if len(l.parts) > leaseProbes/waveProbes {
			t.Fatalf("%d jobs of %d references share a strip", len(l.parts), waveProbes)
		}
	}
}
