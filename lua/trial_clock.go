package lua

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A trialClock is a time that stands still while anything of a plugin runs,
// and jumps to the next sleeper when nothing does. So a test waits for what
// its plugin does without waiting, and everything happens in one order.
//
// It counts what runs: tasks and calls are busy from their start to their
// end, but for the time that they spend in Sleep.
type trialClock struct {
	mu       sync.Mutex
	now      time.Time
	busy     int // calls and tasks that run
	tasks    int // tasks, also those that sleep
	sleepers []*trialSleeper
	driving  bool
	idle     chan struct{} // of capacity 1: busy has become 0
}

type trialSleeper struct {
	ctx  context.Context // its end wakes the sleeper
	at   time.Time
	wake chan struct{}
}

// trialStartTime is when each test begins.
var trialStartTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newTrialClock() *trialClock {
	return &trialClock{now: trialStartTime, idle: make(chan struct{}, 1)}
}

// Now implements [Clock].
func (c *trialClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// task changes how many tasks there are.
func (c *trialClock) task(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks += n
	c.count(n)
}

func (c *trialClock) taskCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tasks
}

// add changes how many calls run.
func (c *trialClock) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(n)
}

func (c *trialClock) count(n int) {
	if c.busy += n; c.busy == 0 {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
}

// Sleep implements [Clock].
func (c *trialClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	s := &trialSleeper{ctx: ctx, at: c.now.Add(max(d, 0)), wake: make(chan struct{})}
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

// remove takes a sleeper out, unless it was woken already.
func (c *trialClock) remove(s *trialSleeper) bool {
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

// take makes the caller the one that moves the time, until give.
func (c *trialClock) take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.driving {
		return errNested
	}
	c.driving = true
	return nil
}

func (c *trialClock) give() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.driving = false
}

// advance lets d pass.
func (c *trialClock) advance(ctx context.Context, d time.Duration) error {
	if err := c.take(); err != nil {
		return err
	}
	defer c.give()
	return c.drive(ctx, nil, c.Now().Add(d))
}

// drive lets the plugin run until done is closed and nothing runs; without
// done, until the time is limit. The caller has taken the clock.
func (c *trialClock) drive(ctx context.Context, done <-chan struct{}, limit time.Time) error {
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

// settle waits until nothing runs.
func (c *trialClock) settle(ctx context.Context) error {
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

// wakeNext moves the time to the next sleeper and wakes it: the first to have
// begun, of those with the same time. With a limit it goes no further, and to
// the limit when nobody sleeps until then.
func (c *trialClock) wakeNext(limit time.Time, limited bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next *trialSleeper
	for _, s := range c.sleepers {
		if s.ctx.Err() != nil { // it is about to go on: no time passes
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
