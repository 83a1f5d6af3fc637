package lua

import (
	"context"
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
	idle    chan struct{} // created by drain; closed when the queue is empty and busy is 0
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

func (q *queue) push(p point) {
	q.mu.Lock()
	if q.n == len(q.ring) {
		q.ring[q.first] = point{}
		q.first = (q.first + 1) % len(q.ring)
		q.n--
		q.dropped++
	}
	q.ring[(q.first+q.n)%len(q.ring)] = p
	q.n++
	q.mu.Unlock()
	q.wake()
}

// wake sends the signal of ready, unless it is pending already.
func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// takeBatch removes up to limit points of the same name, in order. It returns their name
// and the functions that return their values. If it returns any, the caller must call
// batchHandled after it has processed them.
func (q *queue) takeBatch(limit int) (name string, values []func() any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(values) < limit && q.n > 0 {
		p := q.ring[q.first]
		if len(values) > 0 && p.name != name {
			break
		}
		name = p.name
		values = append(values, p.value)
		q.ring[q.first] = point{}
		q.first = (q.first + 1) % len(q.ring)
		q.n--
	}
	if len(values) > 0 {
		q.busy++
	}
	if q.n > 0 {
		q.wake() // for the plugin's other states
	}
	return name, values
}

// batchHandled records that a batch from takeBatch was processed.
func (q *queue) batchHandled() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy--; q.busy == 0 && q.n == 0 && q.idle != nil {
		close(q.idle)
		q.idle = nil
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
	for ; q.n > 0; q.n-- {
		all = append(all, q.ring[q.first])
		q.ring[q.first] = point{}
		q.first = (q.first + 1) % len(q.ring)
	}
	q.mu.Unlock()
	for _, p := range all {
		f(p)
	}
}

// drain waits until every point is handled or ctx ends. Meanwhile only callers that still
// use the old generation can push points. drain waits for these points too.
func (q *queue) drain(ctx context.Context) {
	q.mu.Lock()
	if q.n == 0 && q.busy == 0 {
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

func (q *queue) counts() (waiting, busy int, dropped, lost uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n, q.busy, q.dropped, q.lost
}
