package lua

import (
	"context"
	"slices"
	"sync"
)

// A queue holds the points that a plugin has not received yet. It is a ring buffer: if
// it is full, a new point replaces the oldest one.
type queue struct {
	ready chan struct{} // capacity 1; a signal means that there may be points to take

	mu      sync.Mutex
	ring    []point
	first   int
	n       int
	busy    int           // batches that were taken but not handled yet
	serial  bool          // one of them has ordered points
	held    bool          // ordered points wait for release
	idle    chan struct{} // created by drain; closed when the queue is empty and busy is 0
	ended   bool          // no more points are accepted, because nobody would handle them
	dropped uint64        // points that were replaced because the queue was full
	lost    uint64        // points whose batch failed, or that were discarded
}

// A point is an event: its name, and a function that returns its value.
type point struct {
	name  string
	value func() any
}

func newQueue(size int) *queue {
	return &queue{ready: make(chan struct{}, 1), ring: make([]point, max(size, 1))}
}

// push adds a point. It returns false if the queue has ended.
func (q *queue) push(p point) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return false
	}
	q.add(p)
	q.wake()
	return true
}

// add is push for a caller that holds the lock.
func (q *queue) add(p point) {
	if q.n == len(q.ring) {
		q.removeFirst()
		q.dropped++
	}
	q.ring[(q.first+q.n)%len(q.ring)] = p
	q.n++
}

// removeFirst removes the first point and returns it. The caller holds the lock, and the
// queue is not empty.
func (q *queue) removeFirst() point {
	p := q.ring[q.first]
	q.ring[q.first] = point{}
	q.first = (q.first + 1) % len(q.ring)
	q.n--
	return p
}

// wake sends the signal of ready, unless it is pending already.
func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// takeBatch removes up to limit points of the same name, in order. Ordered points are
// handled by one state at a time. takeBatch returns the name of the points
// and the functions that return their values. If it returns any, the caller must call
// batchHandled after it has processed them.
func (q *queue) takeBatch(limit int) (name string, values []func() any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(values) < limit && q.n > 0 {
		p := q.ring[q.first]
		if q.blocked() || len(values) > 0 && p.name != name {
			break
		}
		name = p.name
		values = append(values, q.removeFirst().value)
	}
	if len(values) > 0 {
		q.busy++
		q.serial = q.serial || isOrdered(name)
	}
	if q.n > 0 && !q.blocked() {
		q.wake() // for the plugin's other states
	}
	return name, values
}

// blocked reports whether the first point must wait: it is ordered, and another state
// handles ordered points, or the old generation does. The caller holds the lock, and the
// queue is not empty.
func (q *queue) blocked() bool { return (q.held || q.serial) && isOrdered(q.ring[q.first].name) }

// batchHandled records that a batch from takeBatch was processed. name is that of its
// points.
func (q *queue) batchHandled(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if isOrdered(name) {
		q.serial = false
		q.wake() // for a state that has found only ordered points
	}
	if q.busy--; q.busy == 0 && q.n == 0 && q.idle != nil {
		close(q.idle)
		q.idle, q.ended = nil, true
	}
}

// countLost counts n points that will not be handled.
func (q *queue) countLost(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += uint64(n)
}

// discard removes all points, counts them as lost, and returns their number.
func (q *queue) discard() int {
	lost := 0
	q.takeAll(func(point) { lost++ })
	q.countLost(lost)
	return lost
}

// takeAll removes all points and calls f with each of them, in order.
func (q *queue) takeAll(f func(point)) {
	q.mu.Lock()
	var all []point
	for q.n > 0 {
		all = append(all, q.removeFirst())
	}
	q.mu.Unlock()
	for _, p := range all {
		f(p)
	}
}

// hold makes ordered points wait until release is called. It is for the queue of a new
// generation, while the old one still handles earlier points.
func (q *queue) hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = true
}

// release ends hold.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = false
	q.wake()
}

// prepend adds points before all others. If there is no room for all, the oldest are
// dropped and counted.
func (q *queue) prepend(points []point) {
	q.mu.Lock()
	all := slices.Clone(points)
	for q.n > 0 {
		all = append(all, q.removeFirst())
	}
	for _, p := range all {
		q.add(p)
	}
	q.mu.Unlock()
	q.wake()
}

// drain waits until every point is handled or ctx ends. Meanwhile only callers that still
// use the old generation can push points. drain waits for these points too. When every point
// is handled, the queue ends.
func (q *queue) drain(ctx context.Context) {
	q.mu.Lock()
	if q.n == 0 && q.busy == 0 {
		q.ended = true
		q.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	q.idle = idle
	q.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// end ends the queue, and returns the number of points that are still in it.
func (q *queue) end() (waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	return q.n
}

func (q *queue) counts() (waiting, busy int, dropped, lost uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n, q.busy, q.dropped, q.lost
}
