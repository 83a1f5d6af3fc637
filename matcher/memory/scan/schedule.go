package scan

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"

	"nearside/matcher"
	"nearside/simd"
)

// Limits of concurrent work.
const (
	// jobsMax is the maximum number of waiting jobs. Further jobs are refused.
	jobsMax = 4096
	// Every oldestEvery-th turn goes to the job that has waited longest. The other turns go
	// to the job with the least work left. Small requests thus overtake huge requests, and
	// huge requests still finish.
	oldestEvery = 4
)

// waveMax returns the maximum number of references that share one strip. With that many,
// arithmetic is the bottleneck, not memory. More would only start new jobs at the expense
// of those that are close to finishing. A kernel that multiplies matrices is several times
// faster, and fills whole groups only.
func waveMax(k *simd.Kernel) int {
	if k.GroupU8() == simd.GroupMax {
		return 4 * simd.GroupMax
	}
	return 66
}

// Scheduler lets jobs share passes over the same rows. A worker takes the next strip of
// one job and compares it for every job that still needs that strip. A job never waits
// for others to arrive, and a job that arrives later joins the others at their current
// strip.
//
// The scheduler refuses a job if its measurements show that the job would miss its
// deadline; see estimate.go.
type Scheduler struct {
	pool      *ants.Pool
	scratch   sync.Pool // of *scanner
	listShare float64   // share of blocks above which a single reference is compared with all blocks of a strip
	waveMax   int       // maximum number of references that share one strip
	now       func() time.Time
	sampleMax int // estimateJobs, except in tests

	mu      sync.Mutex
	jobs    []*Job // jobs with strips not taken yet, in order of arrival
	workers int    // number of running workers
	turn    int    // number of turns so far
	speeds  map[*matcher.Version]*speed
}

// lease is a strip that a worker has taken, with the jobs that it is compared for.
type lease struct {
	tasks  []task
	begun  time.Time
	work   float64 // of all tasks; 0: do not measure this lease
	demand int     // number of references that waited for strips of the version
}

// task is a strip to be compared for one job.
type task struct {
	job   *Job
	strip *strip
}

// Queued returns the number of references in jobs that have strips not taken yet.
func (s *Scheduler) Queued() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		n += len(j.Searches)
	}
	return n
}

// NewScheduler returns a scheduler with the given number of workers, which compare with
// k. The caller must call Close.
func NewScheduler(workers int, k *simd.Kernel) (*Scheduler, error) {
	pool, err := ants.NewPool(workers, ants.WithDisablePurge(true))
	if err != nil {
		return nil, err
	}
	s := &Scheduler{pool: pool, now: time.Now, sampleMax: estimateJobs, speeds: map[*matcher.Version]*speed{}}
	s.scratch.New = func() any { return newScanner(k) }
	s.scratch.Put(newScanner(k))
	s.listShare, s.waveMax = k.ListShare(), waveMax(k)
	return s, nil
}

// WaveMax returns the maximum number of references of one request that are compared at
// once: as many as may share a strip.
func (s *Scheduler) WaveMax() int { return s.waveMax }

// Close stops the workers. No job may be running.
func (s *Scheduler) Close() { s.pool.Release() }

// Workers returns the number of workers.
func (s *Scheduler) Workers() int { return s.pool.Cap() }

// Run compares all strips of j. It returns when they are done, or when ctx has ended and
// no worker is working on j any more. It refuses j at once if too many jobs are waiting,
// or if j would take longer than ctx allows.
func (s *Scheduler) Run(ctx context.Context, j *Job) error {
	if j.left == 0 {
		return nil
	}
	if err := s.submit(ctx, j); err != nil {
		return err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		s.withdraw(j)
		<-j.done
	}
	if j.failed != nil {
		return j.failed
	}
	if j.cancelled {
		return context.Cause(ctx)
	}
	return nil
}

// submit queues j and starts workers for it. It never starts more workers than the pool
// has places. pool.Submit therefore waits, if at all, only for a worker that is about
// to end. For a job of one strip, the calling goroutine becomes the worker.
func (s *Scheduler) submit(ctx context.Context, j *Job) error {
	j.weigh(s.listShare)
	start, err := s.admit(ctx, j)
	if err != nil {
		return err
	}
	if start == 1 && len(j.strips) == 1 {
		s.compareUntil(j) // waking a worker takes as long as comparing one strip
		return nil
	}
	for range start {
		if err := s.pool.Submit(s.runWorker); err != nil { // the pool is closed
			s.withdraw(j)
			<-j.done
			return matcher.Errorf(matcher.CodeUnavailable, "matching: %w", err)
		}
	}
	return nil
}

// admit queues j or refuses it. It returns how many workers to start.
func (s *Scheduler) admit(ctx context.Context, j *Job) (start int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) >= jobsMax {
		return 0, matcher.Errorf(matcher.CodeUnavailable, "matching: the queue is full with %d matches", jobsMax)
	}
	if deadline, ok := ctx.Deadline(); ok {
		j.deadline = deadline
		if err := s.refuseLate(j); err != nil {
			return 0, err
		}
	}
	s.jobs = append(s.jobs, j)
	start = min(j.left, s.pool.Cap()-s.workers)
	s.workers += start
	return start, nil
}

// withdraw removes j from the queue. j.done is closed as soon as no worker is working on
// j.
func (s *Scheduler) withdraw(j *Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.left > 0 {
		j.left, j.cancelled = 0, true
		s.jobs = slices.DeleteFunc(s.jobs, func(other *Job) bool { return other == j })
	}
	if j.running == 0 && !j.closed {
		j.closed = true
		close(j.done)
	}
}

// runWorker is the body of a worker of the pool.
func (s *Scheduler) runWorker() { s.compareUntil(nil) }

// compareUntil compares leases until no strips are left, or until last is done. last may
// be nil.
func (s *Scheduler) compareUntil(last *Job) {
	w := s.scratch.Get().(*scanner)
	var l lease
	for s.nextLease(&l) {
		if err := w.compareLease(&l); err != nil {
			s.failLease(&l, err)
		}
		if last != nil && s.handOver(&l, last) {
			break
		}
	}
	w.forget()
	s.scratch.Put(w)
}

// handOver finishes the lease in l. It returns true if last is done and the caller is no
// longer a worker. If strips are left, a worker of the pool has taken its place.
func (s *Scheduler) handOver(l *lease, last *Job) bool {
	s.mu.Lock()
	s.finishLease(l, s.now())
	done, left := last.closed, len(s.jobs) > 0
	if done && !left {
		s.workers--
	}
	s.mu.Unlock()
	return done && (!left || s.pool.Submit(s.runWorker) == nil)
}

// failLease ends the jobs of a lease with an error.
func (s *Scheduler) failLease(l *lease, err error) {
	l.work = 0
	for _, p := range l.tasks {
		s.mu.Lock()
		p.job.failed = err
		s.mu.Unlock()
		s.withdraw(p.job)
	}
}

// nextLease finishes the lease in l and takes the next lease into l. It returns false if
// no strips are left; the worker then ends.
func (s *Scheduler) nextLease(l *lease) bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishLease(l, now)
	for len(s.jobs) > 0 {
		j := s.nextJob(now)
		s.recordDemand(l, j.version, now)
		if !s.giveUpLate(j, now) {
			s.takeStrip(l, j, now)
		}
		s.jobs = slices.DeleteFunc(s.jobs, func(j *Job) bool { return j.left == 0 })
		if len(l.tasks) > 0 {
			return true
		}
	}
	s.workers--
	return false
}

// recordDemand records in l, and in the speed of v, how many references wait for strips
// of v.
func (s *Scheduler) recordDemand(l *lease, v *matcher.Version, now time.Time) {
	l.demand = 0
	for _, j := range s.jobs {
		if j.version == v {
			l.demand += len(j.Searches)
		}
	}
	own := s.speed(v)
	own.demand = l.demand
	own.dropOld(now)
}

// finishLease records that the lease was finished at now, and empties it.
func (s *Scheduler) finishLease(l *lease, now time.Time) {
	if l.work > 0 {
		s.speed(l.tasks[0].job.version).addMeasured(l.demand, l.work, l.begun, now)
	}
	for _, p := range l.tasks {
		j := p.job
		if j.running--; j.running == 0 && j.left == 0 && !j.closed {
			j.closed = true
			close(j.done)
		}
	}
	clear(l.tasks)
	*l = lease{tasks: l.tasks[:0]}
}

// nextJob returns the job whose turn it is. There must be a job. Every oldestEvery-th
// turn goes to the oldest job. The exception is a job that has not begun and that would
// miss its deadline if it had only these turns: the work spent on it would be lost.
func (s *Scheduler) nextJob(now time.Time) *Job {
	oldest := s.jobs[0]
	if s.turn++; s.turn%oldestEvery == 0 && (oldest.hasBegun() || oldest.deadline.IsZero() ||
		oldestEvery*s.timeNeeded(oldest) <= oldest.deadline.Sub(now)) {
		return oldest
	}
	next := oldest
	for _, j := range s.jobs {
		if j.remaining() < next.remaining() {
			next = j
		}
	}
	return next
}

// takeStrip takes the next strip of chosen for every job that needs it.
func (s *Scheduler) takeStrip(l *lease, chosen *Job, now time.Time) {
	next := chosen.nextStrip()
	others := 0 // number of references of the other jobs
	l.begun = now
	for _, j := range s.jobs {
		own := next
		if j != chosen {
			if others+len(j.Searches)+len(chosen.Searches) > s.waveMax {
				continue
			}
			if own = j.matchingStrip(chosen, next); own == nil || s.giveUpLate(j, now) {
				continue
			}
			others += len(j.Searches)
		}
		own.taken = true
		j.left--
		j.running++
		l.tasks = append(l.tasks, task{j, own})
		l.work += own.work * float64(len(j.Searches))
	}
	for _, p := range l.tasks {
		p.job.SharedMax = max(p.job.SharedMax, l.sharedWith(p.job))
	}
}

// sharedWith returns how many references share the strip with the first reference of j.
// If the request of j belongs to an account, it counts only references of that account,
// because a request must not reveal the activity of other accounts.
func (l *lease) sharedWith(j *Job) int {
	n := -1
	for _, p := range l.tasks {
		if j.Account.IsZero() || p.job.Account == j.Account {
			n += len(p.job.Searches) - p.job.Counts
		}
	}
	return n
}
