package vm

import (
	"errors"
	"sync/atomic"
	"time"
)

// Counters are the totals of a state since it was made.
type Counters struct {
	Calls        uint64
	Errors       uint64        // calls that raised, without those that timed out
	Timeouts     uint64        // calls that a budget or a deadline ended
	Instructions uint64        // of calls that have ended
	Busy         time.Duration // for which the lock was held
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

func (c *counters) count(err, dead error) {
	switch {
	case err == nil || errors.Is(dead, ErrCancelled):
	case dead != nil:
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
