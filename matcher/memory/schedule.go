package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"

	"nearside/matcher"
)

// Bounds of what is done at once.
const (
	// jobsMax bounds the jobs that wait; beyond it a request is refused.
	jobsMax = 4096
	// leaseProbes is the most references that share one strip. So many are
	// bound by arithmetic: more would only begin what others wait to end.
	leaseProbes = waveProbes
	// oldestEvery is how often the job that waits longest has its turn, among
	// turns of the job with the least work left: small requests overtake huge
	// ones, and huge ones still end.
	oldestEvery = 4
)

// scheduler lets jobs share passes over the same rows. A worker takes the next
// strip of one job and does it for every job that still needs that strip. Who
// is alone waits for nobody, and who comes later joins where others are.
//
// A job that cannot be done before its deadline, by what is measured, is
// refused: estimate.go.
type scheduler struct {
	pool      *ants.Pool
	scratch   sync.Pool // of *scanner
	listShare float64   // of the blocks of a strip, from which on a single reference is compared with all
	now       func() time.Time

	mu      sync.Mutex
	jobs    []*job // with strips that nobody has taken, in order of arrival
	workers int    // that run
	turn    int
	speeds  map[*matcher.Version]*speed
}

// lease is a strip that a worker has taken, with the jobs it does it for.
type lease struct {
	parts  []part
	begun  time.Time
	work   float64 // of all parts; 0: it is not to be measured
	demand int     // references that waited for strips of the version
}

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
	s := &scheduler{pool: pool, now: time.Now, speeds: map[*matcher.Version]*speed{}}
	s.scratch.New = func() any { return scanner() }
	first := scanner()
	s.listShare = first.kernel.ListShare()
	s.scratch.Put(first)
	return s, nil
}

func (s *scheduler) close() { s.pool.Release() }

// run does all strips of j and returns when they are done, or ctx has ended
// and no worker is at j any more. It refuses j at once when too many wait, or
// when they would take longer than ctx.
func (s *scheduler) run(ctx context.Context, j *job) error {
	if j.left == 0 {
		return nil
	}
	if err := s.enter(ctx, j); err != nil {
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
func (s *scheduler) enter(ctx context.Context, j *job) error {
	j.weigh(s.listShare)
	start, err := s.queue(ctx, j)
	if err != nil {
		return err
	}
	for range start {
		if err := s.pool.Submit(s.work); err != nil { // the pool is closed
			s.leave(j)
			<-j.done
			return matcher.Errorf(matcher.CodeUnavailable, "matching: %w", err)
		}
	}
	return nil
}

// queue queues j, unless it is refused, and says how many workers to start.
func (s *scheduler) queue(ctx context.Context, j *job) (start int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) >= jobsMax {
		return 0, matcher.Errorf(matcher.CodeUnavailable, "matching: %d matches wait already", jobsMax)
	}
	if deadline, ok := ctx.Deadline(); ok {
		j.deadline = deadline
		if err := s.inTime(j); err != nil {
			return 0, err
		}
	}
	s.jobs = append(s.jobs, j)
	start = min(j.left, s.pool.Cap()-s.workers)
	s.workers += start
	return start, nil
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
	l.work = 0
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
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(l, now)
	for len(s.jobs) > 0 {
		lead := s.lead(now)
		s.count(l, lead.version, now)
		if !s.late(lead, now) {
			s.take(l, lead, now)
		}
		s.jobs = slices.DeleteFunc(s.jobs, func(j *job) bool { return j.left == 0 })
		if len(l.parts) > 0 {
			return true
		}
	}
	s.workers--
	return false
}

// count sets how many references wait for strips of v.
func (s *scheduler) count(l *lease, v *matcher.Version, now time.Time) {
	l.demand = 0
	for _, j := range s.jobs {
		if j.version == v {
			l.demand += len(j.probes)
		}
	}
	own := s.speed(v)
	own.demand = l.demand
	own.forget(now)
}

// settle gives a lease back that was done until now, and makes it empty.
func (s *scheduler) settle(l *lease, now time.Time) {
	if l.work > 0 {
		s.speed(l.parts[0].job.version).add(l.demand, l.work, l.begun, now)
	}
	for _, p := range l.parts {
		j := p.job
		if j.running--; j.running == 0 && j.left == 0 && !j.closed {
			j.closed = true
			close(j.done)
		}
	}
	clear(l.parts)
	*l = lease{parts: l.parts[:0]}
}

// lead returns the job whose turn it is; there must be one. The oldest has a
// turn of its own unless it would begin with too little time for such turns
// alone: what it began would be lost.
func (s *scheduler) lead(now time.Time) *job {
	lead := s.jobs[0]
	if s.turn++; s.turn%oldestEvery == 0 && (lead.hasBegun() || lead.deadline.IsZero() ||
		oldestEvery*s.needs(lead) <= lead.deadline.Sub(now)) {
		return lead
	}
	for _, j := range s.jobs {
		if j.turns() < lead.turns() {
			lead = j
		}
	}
	return lead
}

// take takes the next strip of lead, for every job that needs it.
func (s *scheduler) take(l *lease, lead *job, now time.Time) {
	strip := lead.next()
	probes := 0
	l.begun = now
	for _, j := range s.jobs {
		mine := strip
		if j != lead {
			if mine = j.same(lead, strip); mine == nil || probes+len(j.probes)+len(lead.probes) > leaseProbes {
				continue
			}
			if s.late(j, now) {
				continue
			}
			probes += len(j.probes)
		}
		mine.taken = true
		j.left--
		j.running++
		l.parts = append(l.parts, part{j, mine})
		l.work += mine.work * float64(len(j.probes))
	}
	for _, p := range l.parts {
		p.job.shared = max(p.job.shared, probes+len(lead.probes)-1)
	}
}
