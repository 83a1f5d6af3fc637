package ns

import (
	"context"
	"sync/atomic"
	"time"

	"nearside/lua/ns/peer"
	"nearside/lua/ns/redis"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// A Host holds what the modules of all plugins of one process share.
type Host struct {
	Clock    Clock
	Started  time.Time
	Services Services
	Doubles  Doubles
	held     redis.Holds // stream entries that readers hold
}

// Services are the parts of the process that modules use. If a service is nil, the
// functions that need it return an error. If Metrics is nil, metrics are discarded.
type Services struct {
	Matching  LocalMatcher     // for plugins of kind matching
	Metrics   Meter            // ns.metrics
	Resources func() Resources // ns.resource; called by any goroutine

	Match func(ctx context.Context, q *MatchQuery) (*MatchAnswer, error) // ns.match; called by any goroutine

	Store   ObjectWriter         // ns.store, together with the next two fields
	Objects ObjectReader         // reads the objects that Store has written
	Decoder func() *wire.Decoder // with the current limits; called by any goroutine
	Values  ValueStore           // ns.kv of plugins that persist it
}

// A LocalMatcher selects and scans the sets of matching plugins, and compares the rows
// that plugins return.
type LocalMatcher interface {
	matcher.Matcher
	matcher.Selector
}

// OsTime returns the time source of os.time, os.date and os.clock of plugins.
func (h *Host) OsTime() vm.Clock { return vm.Clock{Now: h.Clock.Now, Started: h.Doubles.Started} }

// WithTimeout returns a context that ends after d. If a Counter is set, the Clock of the
// test measures d. The caller must call cancel.
func (h *Host) WithTimeout(ctx context.Context, d time.Duration) (_ context.Context, cancel func()) {
	counter := h.Doubles.Counter
	if counter == nil {
		return context.WithTimeout(ctx, d)
	}
	limited, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	counter.AddRunning(1)
	go func() {
		defer close(ended)
		if h.Clock.Sleep(limited, d) == nil {
			stop()
		}
		counter.AddRunning(-1)
	}()
	return limited, func() {
		stop()
		<-ended
	}
}

// Together runs all functions at the same time and waits for them. In a plugin test,
// the time can advance while it waits.
func (h *Host) Together(work []func()) {
	if len(work) == 0 {
		return
	}
	// The caller counts as running. It passes its count to one of the new
	// goroutines and takes it back from the last one that ends.
	h.Doubles.Counter.AddRunning(len(work) - 1)
	left, done := atomic.Int64{}, make(chan struct{})
	left.Store(int64(len(work)))
	for _, f := range work {
		go func() {
			f()
			if left.Add(-1) == 0 {
				close(done)
				return
			}
			h.Doubles.Counter.AddRunning(-1)
		}()
	}
	<-done
}

// A Clock is the clock of plugins. Plugin tests advance it manually.
type Clock = peer.Clock
