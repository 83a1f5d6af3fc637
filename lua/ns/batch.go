package ns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// Limits of a batch.
const (
	maxBatchSize  = 10_000
	maxBatchItems = 1_000_000
	itemBytes     = 64 // memory of a waiting value, without the value itself
)

var batchClass = &vm.Class{
	Name: "Batch", Doc: "Values that wait to be flushed together.",
	Methods: []vm.Function{
		{
			Name: "add", Params: []string{"value: any"}, Doc: "Adds a value. If max values wait already, the oldest is dropped and counted.",
			Run: func(c *vm.Call) error {
				c.Allocate(itemBytes)
				c.Self().(*batch).addValue(c.Ref(1))
				return nil
			},
		},
		{
			Name: "flush", Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Waits for a flush in progress, then flushes all waiting values. If a flush fails, returns nil and the reason, and its values wait for the next flush. Otherwise returns true.",
			Run: batchFlush,
		},
		{
			Name: "dropped", Returns: []string{"integer"}, Doc: "Returns how many values were dropped.",
			Run: func(c *vm.Call) error {
				b := c.Self().(*batch)
				b.mu.Lock()
				defer b.mu.Unlock()
				return c.Return(b.dropped)
			},
		},
	},
}

func batchModule() vm.Module {
	return vm.Module{
		Classes: []*vm.Class{batchClass},
		Functions: []vm.Function{{
			Name: "batch", Params: []string{"options: {size: integer?, seconds: number?, max: integer?, flush: fun(items: any[]): boolean?, string?}"},
			Returns: []string{"Batch"},
			Doc: "Collects values and calls flush with up to size (default 100) of them, at the latest after seconds (default 1). If flush raises an error, or returns false, or nil and a reason, " +
				"it is called again with the same values after 1 s, 2 s, ... 60 s. Meanwhile up to max (default 10 times size) values wait. A reload and a shutdown flush the waiting values.",
			Run: newBatch,
		}},
	}
}

func newBatch(c *vm.Call) error {
	options := c.Map(1)
	b := &batch{in: self(c)}
	var ok bool
	if b.fn, ok = options["flush"].(*vm.Func); !ok {
		return errors.New("options.flush must be a function")
	}
	number := func(name string, fallback, limit float64, whole bool) (float64, error) {
		v, ok := options[name]
		if !ok {
			return fallback, nil
		}
		f, ok := v.(float64)
		switch {
		case whole && (!ok || f != math.Trunc(f) || f < 1 || f > limit):
			return 0, fmt.Errorf("options.%s: must be a whole number from 1 to %v, got %v", name, limit, v)
		case !ok || !(f > 0 && f <= limit):
			return 0, fmt.Errorf("options.%s: must be a number above 0 and at most %v, got %v", name, limit, v)
		}
		return f, nil
	}
	size, err1 := number("size", 100, maxBatchSize, true)
	seconds, err2 := number("seconds", 1, 24*3600, false)
	limit, err3 := number("max", 10*size, maxBatchItems, true)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	o := &goval.Reader{Map: options, Path: "options."}
	o.RefuseUnknown("size", "seconds", "max", "flush")
	if err := errors.Join(o.Faults...); err != nil {
		return err
	}
	b.size, b.max = int(size), int(limit)
	b.period = max(time.Duration(seconds*float64(time.Second)), minPeriod)
	b.turn.host = b.in.Plugin.Host
	if _, err := b.in.Goroutine(b.flushPeriodically); err != nil {
		return err
	}
	b.in.registerBatch(b)
	return c.Return(vm.Object{Class: batchClass, Value: b})
}

// batchFlush implements batch:flush().
func batchFlush(c *vm.Call) error {
	b := c.Self().(*batch)
	var failed error
	err := c.Wait(func(ctx context.Context) error {
		if ctx.Value(flushOf{b}) != nil {
			return errors.New("a flush function cannot flush its own batch")
		}
		failed = b.flushAll(ctx, func(error) bool { return false })
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return c.Fail(failed)
	}
	return c.Return(true)
}

// A batch collects values and passes them to a function in order, in chunks of up to size
// values. If the function fails, its values return to the batch.
type batch struct {
	in     *Instance
	size   int
	max    int // the maximum number of waiting values, without those in a flush
	period time.Duration
	fn     *vm.Func
	turn   turn // held by the flush in progress

	mu       sync.Mutex
	items    []any  // *vm.Ref, the oldest first
	dropped  uint64 // since the batch was created
	unlogged uint64 // dropped values that were not logged yet
	flushing bool   // a task is flushing, one chunk after the other
	partial  bool   // the task also flushes a chunk of fewer than size values
	failures int    // consecutive failed flushes
}

// flushOf is the key that marks the context of a batch's flush function.
type flushOf struct{ *batch }

// addValue adds a value. If there is then a full chunk, addValue starts a task that
// flushes it.
func (b *batch) addValue(v *vm.Ref) {
	b.mu.Lock()
	b.items = append(b.items, v)
	b.dropOldest()
	start := len(b.items) >= b.size && !b.flushing
	b.flushing = b.flushing || start
	b.mu.Unlock()
	if !start {
		return
	}
	if _, err := b.in.Goroutine(b.flushChunks); err != nil { // too many tasks: the next call of addValue tries again
		b.mu.Lock()
		b.flushing = false
		b.mu.Unlock()
	}
}

// dropOldest drops and counts the oldest values, so that at most max are left. The caller
// holds the lock.
func (b *batch) dropOldest() {
	n := len(b.items) - b.max
	if n <= 0 {
		return
	}
	clear(b.items[:n])
	b.items = b.items[n:]
	b.dropped += uint64(n)
	b.unlogged += uint64(n)
	b.in.Plugin.Lasting.Dropped.Add(uint64(n))
}

// flushPeriodically flushes all waiting values each time the period has passed, until
// ctx ends.
func (b *batch) flushPeriodically(ctx context.Context) {
	for b.in.Plugin.Host.Clock.Sleep(ctx, b.period) == nil {
		b.logDropped("the batch is full")
		b.mu.Lock()
		b.partial = len(b.items) > 0
		start := b.partial && !b.flushing
		b.flushing = b.flushing || start
		b.mu.Unlock()
		if start {
			b.flushChunks(ctx)
		}
	}
}

// flushChunks flushes full chunks, or all waiting values if partial is set. It repeats a
// flush that fails, after growing pauses.
func (b *batch) flushChunks(ctx context.Context) {
	for ctx.Err() == nil {
		b.mu.Lock()
		if len(b.items) == 0 || len(b.items) < b.size && !b.partial {
			b.flushing, b.partial = false, false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		if _, err := b.flushOne(ctx); err != nil {
			b.in.Report("batch", err)
			b.logDropped("the batch is full")
			b.mu.Lock()
			b.partial = true
			wait := peer.RetryWait(b.failures)
			b.mu.Unlock()
			_ = b.in.Plugin.Host.Clock.Sleep(ctx, wait) // the loop checks ctx
		}
	}
}

// flushAll flushes until no values are waiting. If a flush fails, retry decides whether
// to repeat it.
func (b *batch) flushAll(ctx context.Context, retry func(error) bool) error {
	for ctx.Err() == nil {
		n, err := b.flushOne(ctx)
		if err != nil && !retry(err) {
			return err
		}
		if err == nil && n == 0 {
			return nil
		}
	}
	return ctx.Err()
}

// flushOne waits for its turn, flushes up to size values, and returns their number. It
// takes the values just before the function runs; until then they can be dropped.
// After a failure, it puts them back before the other waiting values.
func (b *batch) flushOne(ctx context.Context) (int, error) {
	if err := b.turn.lock(ctx); err != nil {
		return 0, err
	}
	defer b.turn.unlock()
	var taken []any
	err := b.in.State.CallLate(context.WithValue(ctx, flushOf{b}, true), vm.Limits{}, b.fn, func() []any {
		if taken = b.takeChunk(); len(taken) == 0 {
			return nil
		}
		return []any{taken}
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.failures = 0
	case len(taken) > 0:
		b.failures++
		b.items = append(slices.Clip(taken), b.items...)
		b.dropOldest()
	}
	return len(taken), err
}

// VisitHeld implements [vm.Holder].
func (b *batch) VisitHeld(visit func(v any)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	visit(b.fn)
	visit(b.items)
}

// takeChunk removes and returns up to size values.
func (b *batch) takeChunk() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(b.size, len(b.items))
	items := slices.Clone(b.items[:n])
	clear(b.items[:n])
	if b.items = b.items[n:]; len(b.items) == 0 {
		b.items = nil
	}
	return items
}

// logDropped logs how many values were dropped since the last time.
func (b *batch) logDropped(why string) {
	b.mu.Lock()
	n := b.unlogged
	b.unlogged = 0
	b.mu.Unlock()
	if n > 0 {
		b.in.Plugin.Log.LogAttrs(context.Background(), slog.LevelError, "values of a batch were dropped: "+why, slog.Uint64("count", n))
	}
}

// abandon drops the values that are still waiting after the instance was closed.
func (b *batch) abandon() {
	b.mu.Lock()
	b.max = 0
	b.dropOldest()
	b.mu.Unlock()
	b.logDropped("their state ended before they could be flushed")
}

// registerBatch registers a batch, so that [Instance.Flush] flushes it.
func (in *Instance) registerBatch(b *batch) {
	in.State.Keep(b) // until the state ends
	in.mu.Lock()
	defer in.mu.Unlock()
	in.batches = append(in.batches, b)
}

// Flush flushes all batches and waits for flushes in progress, until ctx ends. If
// retries is true, it repeats a failed flush after growing pauses.
func (in *Instance) Flush(ctx context.Context, retries bool) {
	in.mu.Lock()
	batches := slices.Clone(in.batches)
	in.mu.Unlock()
	work := make([]func(), len(batches))
	for i, b := range batches {
		work[i] = func() {
			failures := 0
			err := b.flushAll(ctx, func(err error) bool {
				failures++
				in.Report("batch", err)
				return retries && in.Plugin.Host.Clock.Sleep(ctx, peer.RetryWait(failures)) == nil
			})
			if failures == 0 {
				in.Report("batch", err)
			}
		}
	}
	in.Plugin.Host.Together(work)
}
