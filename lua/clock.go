package lua

import (
	"context"
	"time"

	"nearside/lua/vm"
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

// osTime is the time that os.time, os.date and os.clock of plugins show.
func (h *Host) osTime() vm.Time {
	if h.o.trial == nil {
		return vm.Time{Now: h.clock.Now}
	}
	return trialTimeOf(h.clock.Now)
}

// trialTimeOf is the time of a test: os.clock starts at the processor time that
// ns.resource returns.
func trialTimeOf(now func() time.Time) vm.Time {
	return vm.Time{Now: now, Started: trialStartTime.Add(-trialFigures.CPU)}
}
