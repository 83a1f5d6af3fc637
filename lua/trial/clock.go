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
// The clock counts running tasks and calls. A task or call is busy from its start to its
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

// addTasks adds n to the number of tasks. Each of them also counts as busy.
func (c *clock) addTasks(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks += n
	c.addBusyLocked(n)
}

func (c *clock) taskCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tasks
}

// addBusy adds n to the number of running calls.
func (c *clock) addBusy(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addBusyLocked(n)
}

// addBusyLocked is addBusy for a caller that holds the lock.
func (c *clock) addBusyLocked(n int) {
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
	c.addBusyLocked(-1)
	c.mu.Unlock()
	select {
	case <-s.wake:
		return ctx.Err()
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.removeSleeper(s) {
		c.addBusyLocked(1)
	}
	return ctx.Err()
}

// removeSleeper removes a sleeper. It returns false if the sleeper was woken already. The
// caller must hold the lock.
func (c *clock) removeSleeper(s *sleeper) bool {
	for i, other := range c.sleepers {
		if other == s {
			c.sleepers = append(c.sleepers[:i], c.sleepers[i+1:]...)
			return true
		}
	}
	return false
}

var (
	errNested = errors.New("a test's handler cannot move the time or call the plugin, because the plugin is calling the handler")
	errStuck  = errors.New("the plugin waits for something that never happens: no timer is left and no task runs")
)

// takeControl reserves the right to move the time for the caller, until the caller calls
// releaseControl.
func (c *clock) takeControl() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.driving {
		return errNested
	}
	c.driving = true
	return nil
}

func (c *clock) releaseControl() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.driving = false
}

// advance moves the time by d and lets the plugin run meanwhile.
func (c *clock) advance(ctx context.Context, d time.Duration) error {
	if err := c.takeControl(); err != nil {
		return err
	}
	defer c.releaseControl()
	return c.drive(ctx, nil, c.Now().Add(d))
}

// drive lets the plugin run until done is closed and no call or task runs. If done is
// nil, it stops when the time is limit. The caller must have called takeControl.
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

// wakeNext moves the time to the end of the sleep that ends first, and wakes the sleeper.
// If several end at the same time, it wakes the sleeper that began first. If limited is
// true, it does not move the time beyond limit. If no sleep ends until then, it sets the
// time to limit and returns false. A sleeper whose context has ended is woken before all
// others, and no time passes.
func (c *clock) wakeNext(limit time.Time, limited bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next *sleeper
	for _, s := range c.sleepers {
		if s.ctx.Err() != nil {
			c.removeSleeper(s)
			c.addBusyLocked(1)
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
	c.removeSleeper(next)
	c.addBusyLocked(1)
	close(next.wake)
	return true
}
