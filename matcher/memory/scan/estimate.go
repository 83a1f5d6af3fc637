package scan

import (
	"math/bits"
	"time"

	"nearside/matcher"
	"nearside/simd"
)

const (
	// patience is the factor by which an estimate may exceed a request's remaining time
	// before the request is refused. Estimates are rough, and a request that would have
	// finished in time must not be refused.
	patience = 1.5
	// doubt is used instead of patience when a job is about to start while other jobs wait.
	// The job is then given up if its estimate exceeds this fraction of its remaining time,
	// so that the other jobs get its turns.
	doubt = 0.5
	// paceWindow is roughly the worker time over which a pace is averaged. It is long
	// enough that a short pause of one worker has little effect.
	paceWindow = 1.0 // seconds
	// paceAge is how long a pace is valid. If a pace were valid forever, one measured at
	// a bad moment could refuse every job, and no new pace would be measured.
	paceAge = 2 * time.Second
	// paceOutlier limits the time of a strip to this multiple of the previous pace. The
	// rest of its time is taken for a pause of the machine.
	paceOutlier = 8
	// paceFirst is the worker time after which a pace is used.
	paceFirst = 0.02 // seconds
	// stripWork is the cost of taking a strip, as bytes that could be compared in the
	// same time. With it, measurements of small strips are also valid for large ones.
	stripWork = 64 << 10
	// demandLevels is the maximum number of demand levels, each with its own pace: 1
	// reference, 2 or more, 4 or more, and so on up to as many as fill a lease.
	demandLevels = 9
	// estimateJobs is the maximum number of jobs that an estimate examines. In a longer
	// queue, it examines an evenly spread sample of that size. Otherwise the estimates for
	// new jobs would take processor time from the waiting jobs.
	estimateJobs = 256
)

// speed is how fast workers compare strips of one version. Work is measured in bytes of
// rows, times references. References that share a strip cost much less than the same
// number of references alone, so each level of demand has its own pace. The effect of
// sharing is measured, not computed.
type speed struct {
	paces   [demandLevels]pace
	waveMax int // of the scheduler

	// These fields belong to the estimate in progress.
	before, behind float64 // work of the jobs that go before the estimated job, and of the other jobs
	demand         int     // number of references that wait now
}

// pace is accumulated worker time and work, weighted mostly by the last paceWindow.
type pace struct {
	seconds, work, leases float64
	last                  time.Time
}

func (s *speed) demandLevel(references int) int {
	return bits.Len(uint(min(references, s.waveMax))) - 1
}

// addMeasured adds the work that a worker did from begun to now, while the given number
// of references waited.
func (s *speed) addMeasured(references int, work float64, begun, now time.Time) {
	seconds := min(max(0, now.Sub(begun).Seconds()), paceWindow) // anything longer is a pause, whatever the pace
	p := &s.paces[s.demandLevel(references)]
	if p.seconds >= paceFirst {
		seconds = min(seconds, paceOutlier*work*p.seconds/p.work)
	}
	keep := 1 - min(1, seconds/paceWindow)
	p.seconds, p.work, p.leases, p.last = p.seconds*keep+seconds, p.work*keep+work, p.leases*keep+1, now
}

// dropOld drops paces that are too old.
func (s *speed) dropOld(now time.Time) {
	for i := range s.paces {
		if now.Sub(s.paces[i].last) > paceAge {
			s.paces[i] = pace{}
		}
	}
}

// seconds returns how long one worker needs for work while the given number of references
// wait. If that level of demand was not measured, it returns a lower bound derived from
// another level: a strip takes at least as long with more references, and a reference
// takes at least as long with fewer. If no level was measured, it returns 0.
func (s *speed) seconds(work float64, references int) float64 {
	level := s.demandLevel(references)
	for l := level; l >= 0; l-- {
		if p := &s.paces[l]; p.seconds >= paceFirst {
			if l < level {
				work *= float64(int(1)<<l) / float64(min(references, s.waveMax))
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

// weigh sets the work of the strips of j, for one reference. If only some blocks of a
// strip are compared, the work is proportional to their share. It reaches that of the
// whole strip at the share at which all blocks are compared.
func (j *Job) weigh(listShare float64) {
	full := listShare // at this share, all blocks are compared
	if len(j.Searches) > 1 {
		full = tileShare
	}
	j.work = 0
	for i := range j.strips {
		s := &j.strips[i]
		if s.few != nil { // each row costs a block
			s.work = stripWork + float64(len(s.few)*simd.BlockRows*j.version.Size())
		} else {
			s.work = stripWork + float64((s.hi-s.lo)*j.version.Size())*min(1, s.share/full)
		}
		j.work += s.work
	}
}

// workLeft returns how much work of j is left, for one reference.
func (j *Job) workLeft() float64 { return j.work * float64(j.left) / float64(len(j.strips)) }

// speed returns the speed of v, and creates it if needed.
func (s *Scheduler) speed(v *matcher.Version) *speed {
	if s.speeds[v] == nil {
		s.speeds[v] = &speed{waveMax: s.waveMax}
	}
	return s.speeds[v]
}

// estimate returns how long it will take until j is done, including later references of
// its request. Jobs that share strips with j advance together with it. Of the other jobs,
// those with no more remaining work than j go first, and those with more get only the
// turns of the oldest job. Jobs that arrive later are not known, and versions that were
// never measured count as zero time.
func (s *Scheduler) estimate(j *Job, now time.Time) time.Duration {
	for _, v := range s.speeds {
		v.dropOld(now)
		v.before, v.behind, v.demand = 0, 0, 0
	}
	own := s.speed(j.version)
	own.demand = len(j.Searches)
	sharedBehind := 0.0 // work of jobs behind j that is done together with strips of j
	overlapMax := 0.0   // largest overlap of j with another job
	sharing := 0        // number of references that share strips with j
	step := 1 + (len(s.jobs)-1)/s.sampleMax
	for i := 0; i < len(s.jobs); i += step {
		count := min(step, len(s.jobs)-i) // number of jobs that the examined job represents
		other := s.jobs[i+scatter(i)%count]
		v, work := s.speed(other.version), other.workLeft()*float64(len(other.Searches))+other.work*float64(other.Later)
		work *= float64(count)
		v.demand += count * len(other.Searches)
		overlap := j.overlap(other, s.waveMax)
		overlapMax = max(overlapMax, overlap)
		if overlap > 0 {
			sharing += count * len(other.Searches)
		}
		shared := work * overlap
		together := shared * min(1, float64(j.left)/float64(other.left))
		if other.remaining() <= j.remaining() {
			v.before += work - shared + together
		} else {
			sharedBehind += together
			v.behind += work - shared
		}
	}
	// A lease takes only a limited number of references, and only strips that both jobs
	// need.
	taken := min(sharedBehind, j.workLeft()*overlapMax*max(0, float64(s.waveMax-len(j.Searches))))
	own.before += j.workLeft()*float64(len(j.Searches)+j.Later) + taken
	var before, behind float64
	for _, v := range s.speeds {
		before += v.seconds(v.before, v.demand)
		behind += v.seconds(v.behind, v.demand)
	}
	seconds := (before + min(behind, before/(oldestEvery-1))) / float64(s.pool.Cap())
	// One worker compares the last strip, with all references that share it.
	n := min(len(j.Searches)+sharing, s.waveMax)
	seconds += own.seconds(j.work/float64(len(j.strips))*float64(n), n) * (1 - 1/float64(s.pool.Cap()))
	return time.Duration(min(seconds, time.Hour.Seconds()) * float64(time.Second))
}

// scatter returns a number that depends on i without a pattern. A regular sample could
// miss jobs, because large and small ones may alternate.
func scatter(i int) int { return int(uint32(i+1) * 2654435761 >> 8) }

// overlap estimates which fraction of the strips of j would also be taken for other. It
// checks only two strips, the first and the last.
func (j *Job) overlap(other *Job, waveMax int) float64 {
	overlap := 0.0
	if len(j.Searches)+len(other.Searches) > waveMax {
		return overlap
	}
	for _, s := range []*strip{&j.strips[0], &j.strips[len(j.strips)-1]} {
		if other.matchingStrip(j, s) != nil {
			overlap += 0.5
		}
	}
	return overlap
}

// timeNeeded estimates how long j takes from now on if it has every turn, including later
// references of its request.
func (s *Scheduler) timeNeeded(j *Job) time.Duration {
	own := s.speed(j.version)
	lease := own.seconds(j.work/float64(len(j.strips))*float64(min(own.demand, s.waveMax)), own.demand)
	if p := &own.paces[own.demandLevel(own.demand)]; p.leases > 0 {
		lease = min(lease, p.seconds/p.leases)
	}
	waves := 1 + float64(j.Later)/float64(len(j.Searches))
	return time.Duration(lease * float64(j.left) * waves / float64(s.pool.Cap()) * float64(time.Second))
}

// refuseLate refuses j, which is new, if it would be done long after its deadline. It
// never refuses a job whose request has begun, because the work already done would be
// lost.
func (s *Scheduler) refuseLate(j *Job) error {
	if j.Begun {
		return nil
	}
	now := s.now()
	left, wait := j.deadline.Sub(now), s.estimate(j, now)
	if left <= 0 || float64(wait) <= patience*float64(left) { // an expired deadline is reported by the context
		return nil
	}
	return matcher.Overloaded(wait, "matching: the queue needs about %v, the request has %v left",
		wait.Round(time.Millisecond), left.Round(time.Millisecond)).Mask(maskedOverload)
}

// maskedOverload replaces the text of a refusal in requests of an account, because the
// waiting jobs may belong to other accounts.
const maskedOverload = "matching: the request could not be done in time"

// giveUpLate gives up j before its first strip if j was accepted but has waited so long
// that it can no longer finish in time. Its turns then go to jobs that can. It reports
// whether j was given up. While other jobs wait, a job is given up as soon as finishing
// in time is doubtful. Otherwise, under overload, every job would get its first turn only
// shortly before its deadline.
func (s *Scheduler) giveUpLate(j *Job, now time.Time) bool {
	if j.hasBegun() || j.deadline.IsZero() {
		return false
	}
	needed := s.timeNeeded(j)
	bound := patience
	if len(s.jobs) > 1 {
		bound = doubt
	}
	if float64(needed) <= bound*float64(j.deadline.Sub(now)) {
		return false
	}
	j.failed = matcher.Overloaded(needed, "matching: the request waited too long to be done in time").Mask(maskedOverload)
	j.left, j.closed = 0, true
	close(j.done)
	return true
}
