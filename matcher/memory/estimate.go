package memory

import (
	"math/bits"
	"time"

	"nearside/matcher"
)

const (
	// patience is how many times the time that a request has left the estimate
	// may be before it is refused: estimates are rough, and who would have been
	// in time must not be refused.
	patience = 1.5
	// doubt is which part of the time that a request has left the estimate may
	// be for it to begin while others wait, who would have its turns.
	doubt = 0.5
	// paceWindow is the time of workers that a pace is the mean of, about: long
	// enough that a worker that was stopped for a while does not show.
	paceWindow = 1.0 // seconds
	// paceAge is how long a pace counts. Were it for ever, what was measured in
	// a bad moment could refuse all that would measure it again.
	paceAge = 2 * time.Second
	// paceOutlier bounds how much longer than before a strip takes: whatever is
	// beyond was a pause of the machine.
	paceOutlier = 8
	// paceFirst is the time of workers from which on a pace counts.
	paceFirst = 0.02 // seconds
	// stripWork is what taking a strip costs, as bytes that could be compared
	// meanwhile, so that strips of few rows say something about large ones.
	stripWork = 64 << 10
	// demandLevels is how many levels of demand have a pace of their own:
	// 1 reference, 2 or more, 4 or more ... 64 or more, which fill a lease.
	demandLevels = 7
)

// speed is how fast workers do the strips of one version. Work is counted in
// bytes of rows times references. References that share a strip cost much less
// than as many alone, so there is a pace for each level of demand: what shares
// how much is not computed, what gets done is measured.
type speed struct {
	paces [demandLevels]pace

	// Of the estimate that is made.
	before, beside float64 // work of the jobs that go before the one in question, and of the others
	demand         int     // references that wait, now
}

// pace is time and work of the past, of which the last paceWindow counts most.
type pace struct {
	seconds, work, leases float64
	last                  time.Time
}

func demandLevel(references int) int { return min(bits.Len(uint(references)), demandLevels) - 1 }

// add takes what a worker did from begun to now, while so many references
// waited.
func (s *speed) add(references int, work float64, begun, now time.Time) {
	seconds := min(max(0, now.Sub(begun).Seconds()), paceWindow) // longer is a pause, whatever was measured before
	p := &s.paces[demandLevel(references)]
	if p.seconds >= paceFirst {
		seconds = min(seconds, paceOutlier*work*p.seconds/p.work)
	}
	keep := 1 - min(1, seconds/paceWindow)
	p.seconds, p.work, p.leases, p.last = p.seconds*keep+seconds, p.work*keep+work, p.leases*keep+1, now
}

// forget drops what was measured long ago.
func (s *speed) forget(now time.Time) {
	for i := range s.paces {
		if now.Sub(s.paces[i].last) > paceAge {
			s.paces[i] = pace{}
		}
	}
}

// seconds returns how long a worker needs for work while so many references
// wait. Of a level that was not seen yet it returns the least that what was
// seen allows: strips take no less time with more references, and a reference
// no less with fewer. Nothing seen at all is 0.
func (s *speed) seconds(work float64, references int) float64 {
	level := demandLevel(references)
	for l := level; l >= 0; l-- {
		if p := &s.paces[l]; p.seconds >= paceFirst {
			if l < level {
				work *= float64(int(1)<<l) / float64(min(references, leaseProbes))
			}
			return work * p.seconds / p.work
		}
	}
	for _, p := range s.paces[level+1:] {
		if p.seconds >= paceFirst {
			return work * p.seconds / p.work
		}
	}
	return 0
}

// weigh says how much work the strips of j are for one reference. Strips that
// are compared in part cost that part of the share at which all are compared.
func (j *job) weigh(listShare float64) {
	all := listShare
	if len(j.probes) > 1 {
		all = tileShare
	}
	j.work = 0
	for i := range j.strips {
		s := &j.strips[i]
		s.work = stripWork + float64((s.hi-s.lo)*j.version.Size())*min(1, s.share/all)
		j.work += s.work
	}
}

// rest returns how much work is left of j, for one reference.
func (j *job) rest() float64 { return j.work * float64(j.left) / float64(len(j.strips)) }

// speed returns the speed of v.
func (s *scheduler) speed(v *matcher.Version) *speed {
	if s.speeds[v] == nil {
		s.speeds[v] = &speed{}
	}
	return s.speeds[v]
}

// wait estimates when j would be done, with the references of its request that
// come after it. Jobs that share its strips get as far as it does meanwhile.
// Of the others, those with as little left go before it, and those with more
// have the turns of the oldest. What comes later is not known, and what was
// never measured takes no time.
func (s *scheduler) wait(j *job, now time.Time) time.Duration {
	for _, v := range s.speeds {
		v.forget(now)
		v.before, v.beside, v.demand = 0, 0, 0
	}
	own, along, most, riders := s.speed(j.version), 0.0, 0.0, 0
	own.demand = len(j.probes)
	for _, other := range s.jobs {
		v, work := s.speed(other.version), other.rest()*float64(len(other.probes))+other.work*float64(other.more)
		v.demand += len(other.probes)
		shares := j.shares(other)
		most = max(most, shares)
		if shares > 0 {
			riders += len(other.probes)
		}
		shared := work * shares
		part := shared * min(1, float64(j.left)/float64(other.left))
		if other.turns() <= j.turns() {
			v.before += work - shared + part
		} else {
			along += part
			v.beside += work - shared
		}
	}
	// A lease takes only so many along, and only strips that both need.
	taken := min(along, j.rest()*most*max(0, float64(leaseProbes-len(j.probes))))
	own.before += j.rest()*float64(len(j.probes)+j.more) + taken
	var before, beside float64
	for _, v := range s.speeds {
		before += v.seconds(v.before, v.demand)
		beside += v.seconds(v.beside, v.demand)
	}
	seconds := (before + min(beside, before/(oldestEvery-1))) / float64(s.pool.Cap())
	// The last strip is done by one worker, with those it takes along.
	n := min(len(j.probes)+riders, leaseProbes)
	seconds += own.seconds(j.work/float64(len(j.strips))*float64(n), n) * (1 - 1/float64(s.pool.Cap()))
	return time.Duration(min(seconds, time.Hour.Seconds()) * float64(time.Second))
}

// shares returns which part of the strips of j other could take with it; two
// are looked at.
func (j *job) shares(other *job) float64 {
	part := 0.0
	if len(j.probes)+len(other.probes) > leaseProbes {
		return part
	}
	for _, s := range []*strip{&j.strips[0], &j.strips[len(j.strips)-1]} {
		if other.same(j, s) != nil {
			part += 0.5
		}
	}
	return part
}

// needs estimates how long j takes from now on, with the references of its
// request that come after it, if each turn is its own.
func (s *scheduler) needs(j *job) time.Duration {
	own := s.speed(j.version)
	lease := own.seconds(j.work/float64(len(j.strips))*float64(min(own.demand, leaseProbes)), own.demand)
	if p := &own.paces[demandLevel(own.demand)]; p.leases > 0 {
		lease = min(lease, p.seconds/p.leases)
	}
	waves := 1 + float64(j.more)/float64(len(j.probes))
	return time.Duration(lease * float64(j.left) * waves / float64(s.pool.Cap()) * float64(time.Second))
}

// inTime refuses j, which is new, when it would be done long after its
// deadline. A request that has begun is not refused any more: what was spent on
// it would be lost.
func (s *scheduler) inTime(j *job) error {
	if j.begun {
		return nil
	}
	now := s.now()
	left, wait := j.deadline.Sub(now), s.wait(j, now)
	if left <= 0 || float64(wait) <= patience*float64(left) { // that it is over, its context says
		return nil
	}
	return matcher.Overloaded(wait, "matching: what waits takes about %v, the request has %v left",
		wait.Round(time.Millisecond), left.Round(time.Millisecond))
}

// late gives j up, before its first strip, when it has waited so long that it
// cannot be done in time any more, though it was let in: what is spent on it
// would be taken from those that can. While others wait, that is so as soon as
// it is doubtful: under more load than can be done, each that has its turn has
// waited nearly until its deadline.
func (s *scheduler) late(j *job, now time.Time) bool {
	if j.hasBegun() || j.deadline.IsZero() {
		return false
	}
	needs := s.needs(j)
	bound := patience
	if len(s.jobs) > 1 {
		bound = doubt
	}
	if float64(needs) <= bound*float64(j.deadline.Sub(now)) {
		return false
	}
	j.failed = matcher.Overloaded(needs, "matching: it waited too long to be done in time")
	j.left, j.closed = 0, true
	close(j.done)
	return true
}
