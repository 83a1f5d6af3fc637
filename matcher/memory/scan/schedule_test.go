package scan

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// schedulerPair returns a pair with 500 rows, and two sub-requests.
func schedulerPair(t *testing.T, workers int) (*pair, []matcher.SubRequest) {
	t.Helper()
	p := newPair(t, pairOptions{chunkRows: 64, workers: workers}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 500)...)
	v := p.Registry.Version(1)
	return p, []matcher.SubRequest{
		memorytest.Reference(v, []byte{1, 2, 3}, &matcher.Candidates{Limit: 5}),
		memorytest.Reference(v, []byte{3, 2, 1}, &matcher.Candidates{Limit: 5, Threshold: 0.1}),
	}
}

// TestCancel checks that a match whose context ends while it waits returns the cause, and
// leaves no job behind.
func TestCancel(t *testing.T) {
	p, subs := schedulerPair(t, 1)
	s := p.scheduler
	s.workers = 1 // so that no real worker starts
	cause := errors.New("the client is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan []matcher.Result)
	go func() { ended <- p.match(ctx, subs[:1]) }()
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
	p.check(t, subs, p.Expect(subs))
}

// TestOverload checks that a match is refused at once when the maximum number of jobs is
// waiting.
func TestOverload(t *testing.T) {
	p, subs := schedulerPair(t, 1)
	s := p.scheduler
	s.mu.Lock()
	s.workers, s.jobs = 1, make([]*Job, jobsMax)
	s.mu.Unlock()
	if r := p.match(t.Context(), subs[:1]); matcher.CodeOf(r[0].Err) != matcher.CodeUnavailable || r[0].Err == nil {
		t.Errorf("%+v", r)
	}
	s.mu.Lock()
	s.workers, s.jobs = 0, nil
	s.mu.Unlock()
	p.check(t, subs, p.Expect(subs))
}

// TestPanic checks that a panic in a scan becomes an error of its match, and that workers
// continue.
func TestPanic(t *testing.T) {
	p, subs := schedulerPair(t, 2)
	bad := slices.Clone(subs)
	bad[0].Reference = &matcher.Reference{Descriptor: matcher.Descriptor{Version: 1, Data: make([]byte, 9)}} // too long for its version
	for range 20 {
		r := p.match(t.Context(), bad)
		if matcher.CodeOf(r[0].Err) != matcher.CodeInternal || r[0].Err == nil || !strings.Contains(r[0].Err.Error(), "panic") {
			t.Fatalf("%+v", r[0])
		}
		p.check(t, subs, p.Expect(subs))
	}
	s := p.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) != 0 {
		t.Errorf("%d jobs are left", len(s.jobs))
	}
}

// TestClosed checks that a match after Close is refused.
func TestClosed(t *testing.T) {
	p, subs := schedulerPair(t, 2)
	p.scheduler.Close()
	if r := p.match(t.Context(), subs[:1]); matcher.CodeOf(r[0].Err) != matcher.CodeUnavailable || r[0].Err == nil {
		t.Errorf("%+v", r)
	}
}

// TestManyAtOnce checks that concurrent matches share strips and each get their own
// answer, while some are cancelled. Some matches have one strip and become workers
// themselves.
func TestManyAtOnce(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(strconv.Itoa(workers), func(t *testing.T) { matchManyAtOnce(t, workers) })
	}
}

func matchManyAtOnce(t *testing.T, workers int) {
	p := newPair(t, pairOptions{chunkRows: table.ChunkRowsMax, workers: workers},
		matcher.Version{Number: 1, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 30000, Steepness: 1e-4}})
	p.commit(t, memorytest.Rows3(0, 40_000)...) // three strips
	v := p.Registry.Version(1)
	var subs []matcher.SubRequest
	var want []memorytest.Expected
	for i := range 24 {
		c := &matcher.Candidates{Limit: 4}
		switch i % 4 {
		case 1:
			c.Filter = matcher.Where(matcher.AnyOf("user_data", "uuuuu")) // scattered rows
		case 2:
			c.Filter.IDRange.LT = new(memorytest.Rows3(20_000, 1)[0].Object.ID)
		case 3:
			c.Threshold = 0.8
			c.Filter.IDRange.LT = new(memorytest.Rows3(9_000, 1)[0].Object.ID) // one strip
		}
		subs = append(subs, memorytest.Reference(v, []byte{byte(i * 9), byte(i * 31), 7}, c))
	}
	want = p.Expect(subs)
	var all sync.WaitGroup
	for i := range subs {
		all.Go(func() {
			for n := range 20 {
				if n%5 == 4 {
					ctx, cancel := context.WithCancel(t.Context())
					all.Go(cancel)
					r := p.match(ctx, subs[i:i+1])[0]
					if r.Err == nil && !slices.Equal(memorytest.AnswersOf(r.Matches), want[i].Rows) || r.Err != nil && !errors.Is(r.Err, context.Canceled) {
						t.Errorf("sub-request %d: %+v", i, r)
					}
					continue
				}
				if r := p.match(t.Context(), subs[i:i+1])[0]; r.Err != nil || !slices.Equal(memorytest.AnswersOf(r.Matches), want[i].Rows) {
					t.Errorf("sub-request %d: %+v, want %v", i, r, want[i].Rows)
				}
			}
		})
	}
	all.Wait()
	s := p.scheduler
	for left := true; left; runtime.Gosched() { // a worker ends a little later than its last job
		s.mu.Lock()
		left = s.workers != 0
		if len(s.jobs) != 0 {
			t.Fatalf("%d jobs are left", len(s.jobs))
		}
		s.mu.Unlock()
	}
}

// TestTurns simulates workers that take turns in random order, with jobs that arrive,
// share strips and are cancelled. Each strip of a job must be done once, and every job
// that was not cancelled must get its answer.
func TestTurns(t *testing.T) {
	p := newPair(t, pairOptions{workers: 3},
		matcher.Version{Number: 1, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 30000, Steepness: 1e-4}},
		matcher.Version{Number: 2, Length: 1, Encoding: matcher.Float32, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	changes := memorytest.Rows3(0, 90_000) // six strips in two chunks
	for i := range 20_000 {
		changes = append(changes, memorytest.Put(matcher.ID{7, byte(i >> 8), byte(i)}, 2, memorytest.PackFloats([]float32{float32(i)})))
	}
	p.commit(t, changes...)
	var subs []matcher.SubRequest
	for i := range 8 {
		set := &matcher.Candidates{Limit: 300}
		if i%2 > 0 && i < 7 {
			set.Filter.IDRange.LT = new(memorytest.Rows3(70_000-i*9_000, 1)[0].Object.ID)
		}
		data := []byte{byte(i), byte(i * 40), 7}
		v := p.Registry.Version(uint32(1 + i/7))
		if v.Encoding == matcher.Float32 {
			data = memorytest.PackFloats([]float32{500})
		}
		subs = append(subs, memorytest.Reference(v, data, set))
	}
	want := p.Expect(subs)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		p.playTurns(t, rng, subs, want)
	}
}

// playTurns submits 12 jobs for random sub-requests and compares their answers with want.
func (p *pair) playTurns(t *testing.T, rng *rand.Rand, subs []matcher.SubRequest, want []memorytest.Expected) {
	t.Helper()
	s := p.scheduler
	s.workers = s.pool.Cap() // the workers simulated below; no real worker starts
	w := newScanner(p.kernel)
	leases := make([]lease, s.workers)
	type submitted struct {
		*Job
		sub       int
		cancelled bool
	}
	var jobs []submitted
	submit := func() {
		i := rng.IntN(len(subs))
		selection := p.selection(t, &subs[i].Candidates.Filter)
		j := NewJob(selection, subs[i].Version)
		j.Searches = []*Search{NewSearch(selection.Snapshot(), &subs[i], Farthest(&subs[i]))}
		if err := s.submit(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, submitted{Job: j, sub: i})
	}
	for turns := 0; len(jobs) < 12 || len(s.jobs) > 0 || slices.ContainsFunc(leases, func(l lease) bool { return len(l.tasks) > 0 }); turns++ {
		switch n := rng.IntN(20); {
		case n < 8 && len(jobs) < 12:
			submit()
		case n == 8 && len(s.jobs) > 0:
			cancelled := s.jobs[rng.IntN(len(s.jobs))]
			for i := range jobs {
				jobs[i].cancelled = jobs[i].cancelled || jobs[i].Job == cancelled
			}
			s.withdraw(cancelled)
		default:
			l := &leases[rng.IntN(len(leases))]
			if !s.nextLease(l) {
				s.workers++ // the worker stays
			} else if err := w.compareLease(l); err != nil {
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
		if got := memorytest.AnswersOf(j.Searches[0].matches()); !j.cancelled && !slices.Equal(got, want[j.sub].Rows) {
			t.Fatalf("job %d: %d rows, want %d", i, len(got), len(want[j.sub].Rows))
		}
	}
}

// TestLeaseIsBounded checks that at most waveMax references share a strip.
func TestLeaseIsBounded(t *testing.T) {
	p, subs := schedulerPair(t, 1)
	s := p.scheduler
	s.workers = 1 // so that no real worker starts
	selection := p.selection(t, &matcher.Filter{})
	for range 5 {
		j := NewJob(selection, subs[0].Version)
		for range s.waveMax/2 + 1 {
			j.Searches = append(j.Searches, NewSearch(selection.Snapshot(), &subs[0], Farthest(&subs[0])))
		}
		if err := s.submit(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	var l lease
	for s.nextLease(&l) { // also returns the previous lease
		if len(l.tasks) > 1 {
			t.Fatalf("%d jobs of %d references share a strip", len(l.tasks), s.waveMax/2+1)
		}
	}
}

// TestQueued checks that Queued counts the references of waiting jobs.
func TestQueued(t *testing.T) {
	s := &Scheduler{jobs: []*Job{{Searches: make([]*Search, 2)}, {Searches: make([]*Search, 3)}}}
	if n := s.Queued(); n != 5 {
		t.Errorf("%d references wait, want 5", n)
	}
}

// TestSharedWithOfAccount checks that a request of an account does not see how many
// references of other accounts shared its strips.
func TestSharedWithOfAccount(t *testing.T) {
	one, two := matcher.ID{1}, matcher.ID{2}
	job := func(references int, account matcher.ID) task {
		return task{job: &Job{Searches: make([]*Search, references), Account: account}}
	}
	l := lease{tasks: []task{job(1, one), job(2, two), job(4, one), job(8, matcher.ID{})}}
	for i, want := range []int{4, 1, 4, 14} {
		if got := l.sharedWith(l.tasks[i].job); got != want {
			t.Errorf("job %d shares with %d references, want %d", i, got, want)
		}
	}
}

// TestStripsOfOneVersion checks that jobs of two versions share no strip, even if they
// compare the same rows.
func TestStripsOfOneVersion(t *testing.T) {
	similarity := matcher.Calibration{Midpoint: 1, Steepness: 1}
	face := matcher.Version{Number: 1, Length: 3, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: similarity}
	body := face
	body.Number, body.Type = 2, matcher.BodyDescriptor
	p := newPair(t, pairOptions{chunkRows: 4096}, face, body)
	var changes []store.Change
	for i := range 200 {
		c := memorytest.Put(matcher.ID{byte(i)}, 1, memorytest.PackFloats([]float32{1, float32(i), 0}))
		if i%2 == 0 {
			c.Object.Descriptors[matcher.BodyDescriptor] = matcher.Descriptor{Version: 2, Data: memorytest.PackFloats([]float32{0, 1, float32(i)})}
		}
		changes = append(changes, c)
	}
	p.commit(t, changes...)
	selection := p.selection(t, &matcher.Filter{})
	faces, bodies := NewJob(selection, p.Registry.Version(1)), NewJob(selection, p.Registry.Version(2))
	if faces.Rows != 200 || bodies.Rows != 100 {
		t.Errorf("%d faces, %d bodies", faces.Rows, bodies.Rows)
	}
	for i := range bodies.strips {
		if faces.matchingStrip(bodies, &bodies.strips[i]) != nil {
			t.Error("faces are compared with bodies")
		}
	}
}
