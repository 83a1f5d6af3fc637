package peer

import (
	"context"
	"time"
)

// A Clock is the clock of plugins. Its methods may be called by any goroutine.
type Clock interface {
	Now() time.Time
	// Sleep waits for d. If ctx ends first, it returns the error of ctx.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the clock of the machine.
type SystemClock struct{}

// Now implements [Clock].
func (SystemClock) Now() time.Time { return time.Now() }

// Sleep implements [Clock].
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A Counter counts the running goroutines of plugins. In a plugin test, time
// passes only while the count is 0. A nil *Counter counts nothing.
type Counter struct {
	// Running adds n to the number of running goroutines; n may be negative.
	Running func(n int)
	// Tasks adds n to the number of plugin tasks. A task also counts as a
	// running goroutine.
	Tasks func(n int)
}

// AddRunning calls Running, unless c is nil.
func (c *Counter) AddRunning(n int) {
	if c != nil && n != 0 {
		c.Running(n)
	}
}

// AddTasks calls Tasks, unless c is nil.
func (c *Counter) AddTasks(n int) {
	if c != nil {
		c.Tasks(n)
	}
}
