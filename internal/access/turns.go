package access

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"nearside/matcher"
)

const (
	// activeFor is how long a caller counts as active after its last request.
	activeFor = time.Second
	// waitingMax is the largest number of requests of one caller that wait for their turn.
	waitingMax = 256
	// arrivalCost is about how much slot time the server needs for a request before and after its
	// turn. A request that is refused needs it, too. With 16 slots per processor, it is 200
	// microseconds of one processor.
	arrivalCost = 3200 * time.Microsecond
	// usageHalf is how long it takes until half of a caller's usage is forgotten.
	usageHalf = time.Second
)

// Turns shares the server between callers. While only one caller is active, it does
// nothing. While several are, a limited number of requests runs at once, and each caller
// may have its share of them. A free slot goes to the waiting caller that has used the least
// slot time lately. Each request counts, even if it is refused: otherwise a caller that sends
// too much would make the shares of all callers smaller. A caller below a quarter of its
// share never waits, and neither does one below its share, unless another one that has used
// less is waiting.
//
// It is safe for concurrent use.
type Turns struct {
	slots int // requests that run at once while several callers are active
	now   func() time.Time

	mu      sync.Mutex
	running int
	callers map[string]*share // the active ones
	order   []*share          // those with waiting requests; the first one of equal usage is next
	settled time.Time         // when usage was last computed
}

// share is what one caller has.
type share struct {
	running int
	waiting []*turn // in order of arrival
	last    time.Time
	usage   float64 // slot time of late, in seconds
}

// turn is a request that waits.
type turn struct {
	begun chan struct{} // closed at the end of the wait
	err   error         // why it was refused; set before begun is closed
}

// NewTurns returns Turns with that many slots.
func NewTurns(slots int) *Turns {
	return &Turns{slots: slots, now: time.Now, callers: map[string]*share{}}
}

// Enter waits until a request of the named caller may run. It returns CodeUnavailable if too
// many later requests of the caller are waiting, or the cause of the end of ctx. After nil, Leave
// must be called.
func (t *Turns) Enter(ctx context.Context, name string) error {
	wait, err := t.add(name)
	if wait == nil {
		return err
	}
	select {
	case <-wait.begun:
		return wait.err
	case <-ctx.Done():
		if !t.remove(name, wait) && wait.err == nil { // it began at the same moment
			t.Leave(name)
		}
		return context.Cause(ctx)
	}
}

// add counts a request. It returns a turn if the request must wait.
func (t *Turns) add(name string) (*turn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	s := t.callers[name]
	if s == nil {
		s = &share{}
		t.callers[name] = s
	}
	s.last = now
	active := t.countActive(now)
	s.usage += arrivalCost.Seconds()
	t.admit(active) // those that have waited for callers that are not active any more
	if len(s.waiting) == 0 && t.mayBegin(s, active, t.leastWaiting()) {
		t.begin(s)
		return nil, nil
	}
	if len(s.waiting) == waitingMax {
		t.takeOldest(name, s)
	}
	w := &turn{begun: make(chan struct{})}
	if s.waiting = append(s.waiting, w); !slices.Contains(t.order, s) {
		t.order = append(t.order, s)
	}
	t.admit(active)
	return w, nil
}

// mayBegin reports whether a request of a caller may begin. least is leastWaiting.
func (t *Turns) mayBegin(s *share, active int, least float64) bool {
	if active == 1 || t.running < t.slots {
		return true
	}
	part := max(1, t.slots/active)
	return s.running < max(1, part/4) || s.running < part && s.usage <= least
}

// leastWaiting returns the least usage of the callers that wait.
func (t *Turns) leastWaiting() float64 {
	least := math.Inf(1)
	for _, s := range t.order {
		least = min(least, s.usage)
	}
	return least
}

// takeOldest ends the wait of the request of s that has waited longest. It is the least likely
// to be answered in time, so it is refused if another caller has requests now. Otherwise it
// begins.
func (t *Turns) takeOldest(name string, s *share) {
	oldest := s.waiting[0]
	s.waiting = slices.Delete(s.waiting, 0, 1)
	if t.othersBusy(s) {
		oldest.err = matcher.Overloaded(time.Second, "key %s: %d of its later requests are waiting, because other keys need the server, too", name, waitingMax)
	} else {
		t.begin(s)
	}
	close(oldest.begun)
}

// othersBusy reports whether a caller other than that of s has requests that run or wait.
func (t *Turns) othersBusy(s *share) bool {
	for _, other := range t.callers {
		if other != s && (other.running > 0 || len(other.waiting) > 0) {
			return true
		}
	}
	return false
}

// countActive returns the number of active callers, and forgets the others. It also computes
// their usage.
func (t *Turns) countActive(now time.Time) int {
	passed := now.Sub(t.settled).Seconds()
	kept := math.Exp2(-passed / usageHalf.Seconds())
	t.settled = now
	for name, s := range t.callers {
		if s.running == 0 && len(s.waiting) == 0 && now.Sub(s.last) > activeFor {
			delete(t.callers, name)
		}
		s.usage = s.usage*kept + float64(s.running)*passed
	}
	return len(t.callers)
}

func (t *Turns) begin(s *share) {
	s.running++
	t.running++
}

// Leave counts the end of a request, and lets others begin.
func (t *Turns) Leave(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	active := t.countActive(now)
	s := t.callers[name]
	s.running--
	s.last = now
	t.running--
	t.admit(active)
}

// admit begins waiting requests while there are slots, and those of callers that are below
// their share. If only one caller is active, it begins all.
func (t *Turns) admit(active int) {
	for {
		i := t.next(active)
		if i < 0 {
			return
		}
		s := t.order[i]
		close(s.waiting[0].begun)
		s.waiting = slices.Delete(s.waiting, 0, 1)
		t.begin(s)
		t.order = slices.Delete(t.order, i, i+1)
		if len(s.waiting) > 0 {
			t.order = append(t.order, s) // the others first
		}
	}
}

// next returns the index in order of the caller whose request begins next: of those that
// may begin, the one with the least usage. It returns -1 if none may begin.
func (t *Turns) next(active int) int {
	best, least := -1, t.leastWaiting()
	for i, s := range t.order {
		if (best < 0 || s.usage < t.order[best].usage) && t.mayBegin(s, active, least) {
			best = i
		}
	}
	return best
}

// remove removes a request that does not wait any longer. It returns false if the request
// has begun.
func (t *Turns) remove(name string, w *turn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.callers[name]
	if s == nil {
		return false
	}
	i := slices.Index(s.waiting, w)
	if i < 0 {
		return false
	}
	if s.waiting = slices.Delete(s.waiting, i, i+1); len(s.waiting) == 0 {
		t.order = slices.DeleteFunc(t.order, func(o *share) bool { return o == s })
	}
	return true
}
