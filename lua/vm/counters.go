package vm

import (
	"errors"
	"sync/atomic"
	"time"
)

// Counters holds totals of a state since it was made.
type Counters struct {
	Calls        uint64
	Errors       uint64        // calls that raised an error; timeouts are not included
	Timeouts     uint64        // calls that a budget or a deadline ended
	Instructions uint64        // units of work of the calls that have ended
	Busy         time.Duration // time during which the lock was held
}

// Add adds o to c.
func (c *Counters) Add(o Counters) {
	c.Calls += o.Calls
	c.Errors += o.Errors
	c.Timeouts += o.Timeouts
	c.Instructions += o.Instructions
	c.Busy += o.Busy
}

type counters struct {
	calls, errors, timeouts, instructions atomic.Uint64
	busy                                  atomic.Int64
}

// countOutcome counts a call that returned err. killReason is the reason why it
// was killed, or nil. A call that was cancelled, or killed because its state is
// replaced (ErrMemory), counts neither as an error nor as a timeout.
func (c *counters) countOutcome(err, killReason error) {
	switch {
	case err == nil || errors.Is(killReason, ErrCancelled) || errors.Is(killReason, ErrMemory):
	case killReason != nil:
		c.timeouts.Add(1)
	default:
		c.errors.Add(1)
	}
}

// Counters returns the totals so far.
func (s *State) Counters() Counters {
	c := &s.counters
	return Counters{
		Calls: c.calls.Load(), Errors: c.errors.Load(), Timeouts: c.timeouts.Load(),
		Instructions: c.instructions.Load(), Busy: time.Duration(c.busy.Load()),
	}
}
