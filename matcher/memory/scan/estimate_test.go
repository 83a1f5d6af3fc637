package scan

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/simd"
)

// simulation is a scheduler with simulated workers, which compare nothing. A lease takes
// the time that cost returns, on a simulated clock.
type simulation struct {
	*Scheduler
	p          *pair
	selections map[int]*filter.Selection // by number of rows
	clock      time.Time
	leases     []lease
	ends       []time.Time // when each worker's lease ends; zero: the worker is idle
	cost       func(l *lease) time.Duration
}

// simulate returns a simulation with 300,000 rows, which are 19 strips.
func simulate(t *testing.T, workers int, cost func(l *lease) time.Duration) *simulation {
	t.Helper()
	p := newPair(t, pairOptions{workers: workers, kernel: simd.Kernels()[0]}, memorytest.Version3()) // 66 references fill a lease
	p.commit(t, memorytest.Rows3(0, 300_000)...)
	s := &simulation{
		Scheduler: p.scheduler, p: p, selections: map[int]*filter.Selection{}, clock: time.Now(), leases: make([]lease, workers), ends: make([]time.Time, workers), cost: cost,
	}
	s.workers = workers // so that no real worker starts
	s.now = func() time.Time { return s.clock }
	t.Cleanup(func() { s.workers = 0 })
	return s
}

// job returns a job for the first rows, with the given number of references.
func (s *simulation) job(t *testing.T, rows, references int) *Job {
	t.Helper()
	set := &matcher.Candidates{Limit: 1}
	if rows > 0 {
		set.Filter.IDRange.LT = new(memorytest.Rows3(rows, 1)[0].Object.ID) // only the first rows
	}
	selection := s.selections[rows]
	if selection == nil {
		selection = s.p.selection(t, &set.Filter)
		s.selections[rows] = selection
	}
	v := s.p.Registry.Version(1)
	j := NewJob(selection, v)
	for range references {
		sub := memorytest.Reference(v, []byte{1, 2, 3}, set)
		j.Searches = append(j.Searches, NewSearch(selection.Snapshot(), &sub, Farthest(&sub)))
	}
	return j
}

// submit queues a job whose request has the given time left.
func (s *simulation) submit(j *Job, left time.Duration) error {
	ctx, cancel := context.WithDeadline(context.Background(), s.clock.Add(left))
	defer cancel()
	return s.Scheduler.submit(ctx, j)
}

// step advances the clock to the moment at which the next worker is done, and lets all
// idle workers take strips. It returns false if there is no work.
func (s *simulation) step() bool {
	first := -1
	for i, end := range s.ends {
		if !end.IsZero() && (first < 0 || end.Before(s.ends[first])) {
			first = i
		}
	}
	if first >= 0 {
		s.clock = s.ends[first]
		s.ends[first] = time.Time{}
		s.takeLease(first)
	}
	for i, end := range s.ends {
		if end.IsZero() {
			s.takeLease(i)
		}
	}
	return first >= 0 || slices.ContainsFunc(s.ends, func(end time.Time) bool { return !end.IsZero() })
}

// takeLease finishes the lease of a worker and takes the next one.
func (s *simulation) takeLease(worker int) {
	if !s.nextLease(&s.leases[worker]) {
		s.workers++ // the worker stays
		return
	}
	s.ends[worker] = s.clock.Add(s.cost(&s.leases[worker]))
}

// runUntil runs steps until j is done, and returns how long that took.
func (s *simulation) runUntil(t *testing.T, j *Job) time.Duration {
	t.Helper()
	begun := s.clock
	for {
		select {
		case <-j.done:
			return s.clock.Sub(begun)
		default:
		}
		if !s.step() {
			t.Fatal("no strips are left, but the job is not done")
		}
	}
}

// sharedCost returns the time of a strip that is read once and compared with each
// reference, like a real strip.
func sharedCost(l *lease) time.Duration {
	references := 0
	for _, p := range l.tasks {
		references += len(p.job.Searches)
	}
	return 10*time.Millisecond + time.Duration(references)*500*time.Microsecond
}

// TestRefuseLate checks that a job that cannot finish in time is refused at once, and
// that other jobs are admitted.
func TestRefuseLate(t *testing.T) {
	s := simulate(t, 1, func(*lease) time.Duration { return 10 * time.Millisecond })
	admitted := func(j *Job, left time.Duration) {
		t.Helper()
		if err := s.submit(j, left); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(j *Job, left, wait time.Duration) {
		t.Helper()
		waiting := len(s.jobs)
		err := s.submit(j, left)
		e, ok := errors.AsType[*matcher.Error](err)
		if !ok || e.Code != matcher.CodeUnavailable || len(s.jobs) != waiting {
			t.Fatalf("not refused: %v, %d more jobs wait", err, len(s.jobs)-waiting)
		}
		if d := e.RetryAfter - wait; d < -wait/100 || d > wait/100 {
			t.Errorf("the estimate is %v, want %v", e.RetryAfter, wait)
		}
	}
	const strip = 10 * time.Millisecond
	first := s.job(t, 0, 1)
	admitted(first, time.Nanosecond) // nothing is measured yet
	if took := s.runUntil(t, first); took != 19*strip {
		t.Fatalf("19 strips took %v", took)
	}
	refused(s.job(t, 0, 1), 12*strip, 19*strip)
	admitted(s.job(t, 0, 1), 13*strip) // within the error that an estimate may have
	// No lease was measured while two references waited, so the estimate is a lower bound:
	// two references take as long as one.
	refused(s.job(t, 0, 1), 12*strip, 19*strip)
	second := s.job(t, 0, 1)
	admitted(second, 13*strip)
	if took := s.runUntil(t, second); took != 19*strip {
		t.Fatalf("two jobs that share strips took %v", took)
	}
	// The estimate of a large job includes the later references of its request.
	large := s.job(t, 0, 66)
	large.Later = 66
	refused(large, 2*12*strip, 2*19*strip)
	admitted(large, 2*13*strip)
	// A small job goes before the large job, except for the turns of the oldest job.
	if err := s.submit(s.job(t, 16384, 1), 3*strip); err != nil {
		t.Error(err)
	}
	over, cancel := context.WithDeadline(context.Background(), s.clock.Add(-time.Second))
	defer cancel()
	if err := s.Scheduler.submit(over, s.job(t, 0, 1)); err != nil {
		t.Errorf("a job with an expired deadline: %v; its context reports that", err)
	}
}

// TestEstimate compares estimates with the time that the job then takes, for many kinds
// of queues. A job that would finish in time must not be refused, and a job that would
// finish much too late must be.
func TestEstimate(t *testing.T) {
	if testkit.RaceEnabled {
		t.Skip("slow under the race detector, which has nothing to find in estimates")
	}
	rng := rand.New(rand.NewPCG(3, 3))
	costs := map[string]func(*lease) time.Duration{
		"shared":  sharedCost,
		"by work": func(l *lease) time.Duration { return time.Duration(l.work / 100) },
		"uneven": func(l *lease) time.Duration {
			return time.Duration(float64(sharedCost(l)) * (0.5 + rng.Float64()))
		},
	}
	for _, name := range slices.Sorted(maps.Keys(costs)) { // sorted, to use the same random numbers each time
		cost := costs[name]
		for _, workers := range []int{1, 3} {
			s := simulate(t, workers, cost)
			high, low := 0, 0
			const jobs = 150
			for range jobs {
				references := []int{1, 1, 1, 5, 66}[rng.IntN(5)]
				rows := []int{0, 0, 100_000, 16_384, 200}[rng.IntN(5)]
				for range rng.IntN(40) {
					if err := s.Scheduler.submit(t.Context(), s.job(t, rows, references)); err != nil {
						t.Fatal(err)
					}
				}
				for range rng.IntN(20) {
					s.step()
				}
				j := s.job(t, []int{0, 100_000, 16_384, 200}[rng.IntN(4)], []int{1, 7, 66}[rng.IntN(3)])
				j.weigh(s.listShare)
				wait := s.estimate(j, s.clock)
				if err := s.Scheduler.submit(t.Context(), j); err != nil {
					t.Fatal(err)
				}
				took := s.runUntil(t, j)
				if float64(wait) > patience*float64(took) {
					high++
				}
				if wait < took/4 {
					low++
				}
				for rng.IntN(4) == 0 && s.step() { // an empty queue from time to time
					for s.step() {
					}
				}
			}
			if high > jobs/20 || low > jobs/3 {
				t.Errorf("%s, %d workers: of %d estimates %d are too high and %d much too low", name, workers, jobs, high, low)
			}
		}
	}
}

// TestEstimateOfLongQueue checks that an estimate of a long queue examines only some jobs
// and gives the same result as one that examines all, whatever the pattern of large and
// small jobs.
func TestEstimateOfLongQueue(t *testing.T) {
	for _, rows := range [][]int{{0}, {0, 200}, {200, 0}, {0, 200, 200}, {200, 200, 0, 16_384}, {0, 0, 0, 0, 200, 200, 200, 200}} {
		s := simulate(t, 1, sharedCost)
		if err := s.Scheduler.submit(t.Context(), s.job(t, 0, 1)); err != nil {
			t.Fatal(err)
		}
		for s.step() { // to measure a pace
		}
		for i := range 2000 {
			if err := s.Scheduler.submit(t.Context(), s.job(t, rows[i%len(rows)], 1+i%3)); err != nil {
				t.Fatal(err)
			}
		}
		j := s.job(t, 0, 7)
		j.weigh(s.listShare)
		wait := s.estimate(j, s.clock)
		s.sampleMax = len(s.jobs)
		if whole := s.estimate(j, s.clock); wait < whole*8/10 || wait > whole*12/10 {
			t.Errorf("rows %v: the estimate is %v, with all jobs examined %v", rows, wait, whole)
		}
	}
}

// TestPaceRecovers checks that a pace measured at a bad moment refuses jobs only for a
// short time, and that a pause of the machine has little effect.
func TestPaceRecovers(t *testing.T) {
	const strip = 10 * time.Millisecond
	cost := strip
	s := simulate(t, 1, func(*lease) time.Duration { return cost })
	run := func() {
		t.Helper()
		j := s.job(t, 0, 1)
		if err := s.submit(j, time.Hour); err != nil {
			t.Fatal(err)
		}
		s.runUntil(t, j)
	}
	run()
	paused := s.job(t, 0, 1)
	if err := s.submit(paused, time.Hour); err != nil {
		t.Fatal(err)
	}
	cost = time.Minute
	s.step()
	cost = strip
	s.runUntil(t, paused)
	if err := s.refuseLate(&Job{version: paused.version, Searches: paused.Searches, strips: paused.strips, work: paused.work, left: 19, deadline: s.clock.Add(30 * strip)}); err != nil {
		t.Errorf("after a pause: %v", err)
	}
	cost = 20 * strip
	run()
	if err := s.submit(s.job(t, 0, 1), 19*strip); err == nil {
		t.Fatal("not refused, although all strips are slow")
	}
	s.clock = s.clock.Add(paceAge + 1)
	if err := s.submit(s.job(t, 0, 1), 19*strip); err != nil {
		t.Errorf("after paceAge: %v", err)
	}
}

// TestPauseAfterIdle checks that a pause has little effect even if nothing was measured
// before it.
func TestPauseAfterIdle(t *testing.T) {
	const strip = 10 * time.Millisecond
	cost := time.Minute
	s := simulate(t, 1, func(*lease) time.Duration { return cost })
	paused := s.job(t, 0, 1)
	if err := s.submit(paused, time.Hour); err != nil {
		t.Fatal(err)
	}
	s.step() // takes the strip
	cost = strip
	s.runUntil(t, paused)
	if err := s.submit(s.job(t, 0, 1), 100*strip); err != nil {
		t.Errorf("the job needs only %v: %v", 19*strip, err)
	}
}

// TestLate checks that a job that was accepted and then waited too long is refused when
// its turn comes, unless it has begun.
func TestLate(t *testing.T) {
	const strip = 10 * time.Millisecond
	s := simulate(t, 1, func(*lease) time.Duration { return strip })
	first := s.job(t, 0, 1)
	if err := s.submit(first, time.Hour); err != nil {
		t.Fatal(err)
	}
	s.runUntil(t, first)
	begun, waits, small := s.job(t, 0, s.waveMax), s.job(t, 0, 1), s.job(t, 200, 1) // begun leaves no room in its leases
	for _, j := range []*Job{begun, waits, small} {
		if err := s.submit(j, 20*strip); err != nil {
			t.Fatal(err)
		}
	}
	s.jobs = []*Job{begun} // keep the other two out of the queue for now
	s.step()
	s.step()
	waits.deadline = s.clock.Add(12 * strip)
	s.jobs = append(s.jobs, waits, small)
	s.runUntil(t, begun)
	for s.step() {
	}
	if e, ok := errors.AsType[*matcher.Error](waits.failed); !ok || e.Code != matcher.CodeUnavailable || e.RetryAfter == 0 {
		t.Errorf("%v", waits.failed)
	}
	if begun.failed != nil || small.failed != nil || small.left > 0 {
		t.Errorf("%v, %v", begun.failed, small.failed)
	}
	if len(s.jobs) > 0 {
		t.Errorf("%d jobs are left", len(s.jobs))
	}
}

// TestBegunRequestIsFinished checks that a later wave of a request is accepted and done
// whatever the estimate, and goes before requests that have not begun. A request that may
// not finish in time does not begin while other requests wait.
func TestBegunRequestIsFinished(t *testing.T) {
	const strip = 10 * time.Millisecond
	s := simulate(t, 1, func(*lease) time.Duration { return strip })
	enter := func(j *Job, left time.Duration) *Job {
		t.Helper()
		if err := s.submit(j, left); err != nil {
			t.Fatal(err)
		}
		return j
	}
	s.runUntil(t, enter(s.job(t, 0, s.waveMax), time.Hour)) // 19 strips take 190 ms
	refused := func(j *Job) bool {
		_, ok := errors.AsType[*matcher.Error](j.failed)
		return ok
	}

	drain := func() {
		for s.step() {
		}
	}

	// The wave has one reference less than the waiting request, which has a second wave.
	waits, wave := s.job(t, 0, 1), s.job(t, 0, s.waveMax)
	waits.Later, wave.Begun = s.waveMax, true
	enter(waits, time.Hour)
	enter(wave, strip)
	for len(s.jobs) == 2 {
		s.step()
	}
	if refused(wave) || waits.left < len(waits.strips)/2 { // the oldest job has one of four turns
		t.Errorf("the wave: %v; %d strips of the waiting job are left", wave.failed, waits.left)
	}
	drain()

	doubtful, other := s.job(t, 0, s.waveMax), s.job(t, 0, s.waveMax)
	enter(doubtful, 30*strip)
	enter(other, time.Hour)
	drain()
	if !refused(doubtful) || other.failed != nil {
		t.Errorf("19 strips in the time of 30, while another job waits: %v, %v", doubtful.failed, other.failed)
	}
	alone := enter(s.job(t, 0, s.waveMax), 30*strip)
	drain()
	if alone.failed != nil {
		t.Errorf("19 strips in the time of 30, alone: %v", alone.failed)
	}
	long := s.job(t, 0, s.waveMax)
	long.Later = s.waveMax // 38 strips
	enter(long, time.Hour)
	long.deadline = s.clock.Add(20 * strip)
	drain()
	if !refused(long) {
		t.Error("the later references of the request were not counted")
	}
}

// TestSmallFirst checks that small jobs that arrive during a large one are done before
// it, and that the large job finishes even if more small jobs keep arriving.
func TestSmallFirst(t *testing.T) {
	s := simulate(t, 1, sharedCost)
	large := s.job(t, 0, s.waveMax) // leaves no room in its leases for other jobs
	if err := s.submit(large, time.Hour); err != nil {
		t.Fatal(err)
	}
	s.step()
	var small []*Job
	for n := range 12 {
		small = append(small, s.job(t, 16_384*(1+n%3), 1))
		if err := s.submit(small[n], time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for _, j := range small {
		s.runUntil(t, j)
	}
	if large.left < 10 {
		t.Errorf("%d of 19 strips of the large job are left when the small jobs are done", large.left)
	}
	for range 8 * 19 { // one small job per step
		select {
		case <-large.done:
			return
		default:
		}
		if err := s.submit(s.job(t, 16_384, 1), time.Hour); err != nil {
			t.Fatal(err)
		}
		s.step()
	}
	t.Errorf("%d strips of the large job are left", large.left)
}
