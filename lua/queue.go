package lua

import (
	"context"
	"sync"
)

// A queue holds the points that wait for a plugin. It is a ring: when it is
// full, the oldest point makes room.
type queue struct {
	ready chan struct{} // of capacity 1: there may be points

	mu      sync.Mutex
	ring    []point
	first   int
	n       int
	busy    int           // batches that were taken and not yet handled
	idle    chan struct{} // made by drain; closed when nothing is left
	dropped uint64        // points that made room
	lost    uint64        // points whose batch failed
}

// A point is an event with its name.
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

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take removes up to limit points, in order, all of one name, and returns
// what makes their values. After values, handled has to be called.
func (q *queue) take(limit int) (name string, values []func() any) {
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

func (q *queue) handled() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy--; q.busy == 0 && q.n == 0 && q.idle != nil {
		close(q.idle)
		q.idle = nil
	}
}

// lose counts points whose batch failed.
func (q *queue) lose(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += uint64(n)
}

// discard removes all points that wait, counts them as lost, and returns how
// many there were.
func (q *queue) discard() int {
	lost := 0
	q.takeAll(func(point) { lost++ })
	q.lose(lost)
	return lost
}

// takeAll removes all points that wait and hands each to f, in order.
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

// drain waits until every point is handled or ctx ends. Nothing is pushed any
// more, but by those who still hold the old generation: their points are
// waited for as well, or lost.
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
