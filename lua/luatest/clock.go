package luatest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// FakeClock is a clock whose time changes only through Advance.
type FakeClock struct {
	mu       sync.Mutex
	now      time.Time
	sleepers []sleeper
}

type sleeper struct {
	until time.Time
	done  chan struct{}
}

// Now returns the time that the clock shows.
func (c *FakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep returns when the clock has been advanced by d or ctx ends.
func (c *FakeClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	c.mu.Lock()
	s := sleeper{c.now.Add(d), make(chan struct{})}
	c.sleepers = append(c.sleepers, s)
	c.mu.Unlock()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sleepers = slices.DeleteFunc(c.sleepers, func(other sleeper) bool { return other == s })
		return ctx.Err()
	}
}

// WaitForSleepers waits until exactly n goroutines are in Sleep.
func (c *FakeClock) WaitForSleepers(t *testing.T, n int) {
	t.Helper()
	WaitFor(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.sleepers) == n
	})
}

// Advance moves the clock forward by d and wakes the sleepers that are due.
func (c *FakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	kept := c.sleepers[:0]
	for _, s := range c.sleepers {
		if c.now.Before(s.until) {
			kept = append(kept, s)
			continue
		}
		close(s.done)
	}
	c.sleepers = kept
}

// NewFakeClock returns a clock that starts at now.
func NewFakeClock(now time.Time) *FakeClock { return &FakeClock{now: now} }
