package memory

import (
	"context"
	"slices"
	"sync"

	"github.com/panjf2000/ants/v2"

	"nearside/matcher"
)

// Bounds of what is done at once.
const (
	// jobsMax bounds the jobs that wait; beyond it a request is refused.
	jobsMax = 4096
	// leaseProbes is the most references that share one strip: about as many
	// as a strip of rows can be compared with before others have waited long.
	leaseProbes = 132
	// oldestEvery is how often the job that waits longest has its turn, among
	// turns of the job with the least work left: small requests overtake huge
	// ones, and huge ones still end.
	oldestEvery = 4
)

// scheduler lets jobs share passes over the same rows. A worker takes the next
// strip of one job and does it for every job that still needs that strip. Who
// is alone waits for nobody, and who comes later joins where others are.
type scheduler struct {
	pool    *ants.Pool
	scratch sync.Pool // of *scanner

	mu      sync.Mutex
	jobs    []*job // with strips that nobody has taken, in order of arrival
	workers int    // that run
	turn    int
}

// lease is a strip that a worker has taken, with the jobs it does it for.
type lease struct{ parts []part }

// part is a strip for one job.
type part struct {
	job   *job
	strip *strip
}

func newScheduler(workers int, scanner func() *scanner) (*scheduler, error) {
	pool, err := ants.NewPool(workers, ants.WithDisablePurge(true))
	if err != nil {
		return nil, err
	}
	s := &scheduler{pool: pool}
	s.scratch.New = func() any { return scanner() }
	return s, nil
}

func (s *scheduler) close() { s.pool.Release() }

// run does all strips of j and returns when they are done, or ctx has ended
// and no worker is at j any more.
func (s *scheduler) run(ctx context.Context, j *job) error {
	if j.left == 0 {
		return nil
	}
	if err := s.enter(j); err != nil {
		return err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		s.leave(j)
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

// enter queues j and starts workers for it. No more are started than the pool
// has places, so a start waits at most for one that is just ending.
func (s *scheduler) enter(j *job) error {
	s.mu.Lock()
	if len(s.jobs) >= jobsMax {
		s.mu.Unlock()
		return matcher.Errorf(matcher.CodeUnavailable, "matching: %d matches wait already", jobsMax)
	}
	s.jobs = append(s.jobs, j)
	start := min(j.left, s.pool.Cap()-s.workers)
	s.workers += start
	s.mu.Unlock()
	for range start {
		if err := s.pool.Submit(s.work); err != nil { // the pool is closed
			s.leave(j)
			<-j.done
			return matcher.Errorf(matcher.CodeUnavailable, "matching: %w", err)
		}
	}
	return nil
}

// leave takes j from the queue; its done is closed when no worker is at it.
func (s *scheduler) leave(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.left > 0 {
		j.left, j.cancelled = 0, true
		s.jobs = slices.DeleteFunc(s.jobs, func(other *job) bool { return other == j })
	}
	if j.running == 0 && !j.closed {
		j.closed = true
		close(j.done)
	}
}

// work is a worker: it takes strips until there are none.
func (s *scheduler) work() {
	w := s.scratch.Get().(*scanner)
	var l lease
	for s.next(&l) {
		if err := w.do(&l); err != nil {
			s.fail(&l, err)
		}
	}
	w.forget()
	s.scratch.Put(w)
}

// fail gives up the jobs of a lease.
func (s *scheduler) fail(l *lease, err error) {
	for _, p := range l.parts {
		s.mu.Lock()
		p.job.failed = err
		s.mu.Unlock()
		s.leave(p.job)
	}
}

// next gives back a lease and takes the next one into it. Without one the
// worker ends.
func (s *scheduler) next(l *lease) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range l.parts {
		j := p.job
		if j.running--; j.running == 0 && j.left == 0 && !j.closed {
			j.closed = true
			close(j.done)
		}
	}
	clear(l.parts)
	l.parts = l.parts[:0]
	if len(s.jobs) == 0 {
		s.workers--
		return false
	}
	lead := s.jobs[0]
	if s.turn++; s.turn%oldestEvery != 0 {
		for _, j := range s.jobs {
			if j.left*len(j.probes) < lead.left*len(lead.probes) {
				lead = j
			}
		}
	}
	strip := lead.next()
	probes := 0
	for _, j := range s.jobs {
		mine := strip
		if j != lead {
			if mine = j.same(lead, strip); mine == nil || probes+len(j.probes)+len(lead.probes) > leaseProbes {
				continue
			}
			probes += len(j.probes)
		}
		mine.taken = true
		j.left--
		j.running++
		l.parts = append(l.parts, part{j, mine})
	}
	for _, p := range l.parts {
		p.job.shared = max(p.job.shared, probes+len(lead.probes)-1)
	}
	s.jobs = slices.DeleteFunc(s.jobs, func(j *job) bool { return j.left == 0 })
	return true
}
