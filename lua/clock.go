package lua

import (
	"context"
	"time"
)

// A Clock is the time that plugins see. Tests of plugins move it by hand.
type Clock interface {
	Now() time.Time
	// Sleep returns after d, or the context's error when that ends first.
	Sleep(ctx context.Context, d time.Duration) error
}

// systemClock is the machine's.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
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
