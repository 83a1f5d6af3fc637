package trial

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A clock is the simulated clock of a test. Its time stands still while any code of
// the plugin runs, and jumps to the time of the next sleeper when none runs. So a test
// does not wait for the pauses of its plugin, and the order of events is always the
// same.
//
// The clock counts running tasks and calls. They are busy from their start to their
// end, except during Sleep.
type clock struct {
	mu       sync.Mutex
	now      time.Time
	busy     int // calls and tasks that run, without those in Sleep
	tasks    int // all tasks, including those in Sleep
	sleepers []*sleeper
	driving  bool
	idle     chan struct{} // capacity 1; signals that busy has become 0
}

type sleeper struct {
	ctx  context.Context // its end wakes the sleeper
	at   time.Time
	wake chan struct{}
}

// startTime is the time of the clock when a test begins.
var startTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newClock() *clock {
	return &clock{now: startTime, idle: make(chan struct{}, 1)}
}

// Now implements [ns.Clock].
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// task adds n to the number of tasks.
func (c *clock) task(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks += n
	c.count(n)
}

func (c *clock) taskCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tasks
}

// add adds n to the number of running calls.
func (c *clock) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(n)
}

func (c *clock) count(n int) {
	if c.busy += n; c.busy == 0 {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
}

// Sleep implements [ns.Clock].
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	s := &sleeper{ctx: ctx, at: c.now.Add(max(d, 0)), wake: make(chan struct{})}
	c.sleepers = append(c.sleepers, s)
	c.count(-1)
	c.mu.Unlock()
	select {
	case <-s.wake:
		return ctx.Err()
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.remove(s) {
		c.count(1)
	}
	return ctx.Err()
}

// remove removes a sleeper. It returns false if the sleeper was woken already. The
// caller must hold the lock.
func (c *clock) remove(s *sleeper) bool {
	for i, other := range c.sleepers {
		if other == s {
			c.sleepers = append(c.sleepers[:i], c.sleepers[i+1:]...)
			return true
		}
	}
	return false
}

var (
	errNested = errors.New("a test's handler cannot move the time, nor call the plugin: it runs within a call of it")
	errStuck  = errors.New("it waits for something that never comes")
)

// take reserves the right to move the time for the caller, until it calls give.
func (c *clock) take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.driving {
		return errNested
	}
	c.driving = true
	return nil
}

func (c *clock) give() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.driving = false
}

// advance moves the time by d and lets the plugin run meanwhile.
func (c *clock) advance(ctx context.Context, d time.Duration) error {
	if err := c.take(); err != nil {
		return err
	}
	defer c.give()
	return c.drive(ctx, nil, c.Now().Add(d))
}

// drive lets the plugin run until done is closed and no call or task runs. If done is
// nil, it stops when the time is limit. The caller must have called take.
func (c *clock) drive(ctx context.Context, done <-chan struct{}, limit time.Time) error {
	for {
		if err := c.settle(ctx); err != nil {
			return err
		}
		select {
		case <-done:
			return nil
		default:
		}
		if c.wakeNext(limit, done == nil) {
			continue
		}
		if done != nil {
			return errStuck
		}
		return nil
	}
}

// settle waits until no call or task runs.
func (c *clock) settle(ctx context.Context) error {
	for {
		c.mu.Lock()
		busy := c.busy
		c.mu.Unlock()
		if busy == 0 {
			return nil
		}
		select {
		case <-c.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wakeNext moves the time to that of the next sleeper and wakes it. Of sleepers with
// the same time, it wakes the one that began first. If limited, it does not move the
// time beyond limit; if no sleeper wakes until then, it sets the time to limit and
// returns false. A sleeper whose context has ended is woken first, and no time passes.
func (c *clock) wakeNext(limit time.Time, limited bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next *sleeper
	for _, s := range c.sleepers {
		if s.ctx.Err() != nil { // it resumes now, so no time passes
			c.remove(s)
			c.count(1)
			close(s.wake)
			return true
		}
	}
	for _, s := range c.sleepers {
		if next == nil || s.at.Before(next.at) {
			next = s
		}
	}
	if next == nil || limited && next.at.After(limit) {
		if limited {
			c.now = limit
		}
		return false
	}
	if next.at.After(c.now) {
		c.now = next.at
	}
	c.remove(next)
	c.count(1)
	close(next.wake)
	return true
}
