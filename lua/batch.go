package lua

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"nearside/lua/vm"
)

// A batch collects values and hands them to a function, size at a time and in
// order. Values leave it when the function has succeeded.
type batch struct {
	in     *instance
	size   int
	max    int // values that wait; those in a flush do not count
	period time.Duration
	fn     *vm.Func
	turn   turn // held by the flush in progress

	mu       sync.Mutex
	items    []any  // *vm.Ref, the oldest first
	dropped  uint64 // since the batch was made
	unlogged uint64 // of them, those that no line of the log tells of
	working  bool   // a task flushes, one chunk after the other
	rest     bool   // it goes on with fewer than size
	failures int    // flushes in a row that failed
}

// flushing marks the context of a batch's flush function.
type flushing struct{ *batch }

// add adds a value. The one that fills the batch starts a task that flushes.
func (b *batch) add(v *vm.Ref) {
	b.mu.Lock()
	b.items = append(b.items, v)
	b.trim()
	start := len(b.items) >= b.size && !b.working
	b.working = b.working || start
	b.mu.Unlock()
	if !start {
		return
	}
	if _, err := b.in.goroutine(b.work); err != nil { // too many tasks: the next value tries again
		b.mu.Lock()
		b.working = false
		b.mu.Unlock()
	}
}

// trim drops the oldest values beyond max. The lock is held.
func (b *batch) trim() {
	n := len(b.items) - b.max
	if n <= 0 {
		return
	}
	clear(b.items[:n])
	b.items = b.items[n:]
	b.dropped += uint64(n)
	b.unlogged += uint64(n)
	b.in.plugin.lasting.dropped.Add(uint64(n))
}

// run flushes whatever waits when its period has passed.
func (b *batch) run(ctx context.Context) {
	for b.in.plugin.host.clock.Sleep(ctx, b.period) == nil {
		b.logDropped("the batch is full")
		b.mu.Lock()
		b.rest = len(b.items) > 0
		start := b.rest && !b.working
		b.working = b.working || start
		b.mu.Unlock()
		if start {
			b.work(ctx)
		}
	}
}

// work flushes full chunks, or all that waits, and repeats what fails.
func (b *batch) work(ctx context.Context) {
	for ctx.Err() == nil {
		b.mu.Lock()
		if len(b.items) == 0 || len(b.items) < b.size && !b.rest {
			b.working, b.rest = false, false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		if _, err := b.flushOne(ctx); err != nil {
			b.in.report("batch", err)
			b.logDropped("the batch is full")
			b.mu.Lock()
			b.rest = true
			wait := retryWait(b.failures)
			b.mu.Unlock()
			_ = b.in.plugin.host.clock.Sleep(ctx, wait) // the loop looks at ctx
		}
	}
}

// flushAll flushes until nothing waits. When a flush fails, again decides
// whether it is repeated.
func (b *batch) flushAll(ctx context.Context, again func(error) bool) error {
	for ctx.Err() == nil {
		n, err := b.flushOne(ctx)
		if err != nil && !again(err) {
			return err
		}
		if err == nil && n == 0 {
			return nil
		}
	}
	return ctx.Err()
}

// flushOne waits for its turn and flushes up to size values. They are taken
// when the function is about to run: until then they can be dropped. After a
// failure they are the first that wait again. It returns how many were taken.
func (b *batch) flushOne(ctx context.Context) (int, error) {
	if err := b.turn.take(ctx); err != nil {
		return 0, err
	}
	defer b.turn.give()
	var taken []any
	err := b.in.state.CallLate(context.WithValue(ctx, flushing{b}, true), vm.Limits{}, b.fn, func() []any {
		if taken = b.take(); len(taken) == 0 {
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
		b.trim()
	}
	return len(taken), err
}

// Held implements [vm.Holder].
func (b *batch) Held(visit func(v any)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	visit(b.fn)
	visit(b.items)
}

// take removes and returns up to size values.
func (b *batch) take() []any {
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
		b.in.plugin.log.LogAttrs(context.Background(), slog.LevelError, "values of a batch were dropped: "+why, slog.Uint64("count", n))
	}
}

// abandon drops what still waits when the instance has been closed.
func (b *batch) abandon() {
	b.mu.Lock()
	b.max = 0
	b.trim()
	b.mu.Unlock()
	b.logDropped("their state ended before they could be flushed")
}

// onFlush registers a batch, which is flushed when the instance ends.
func (in *instance) onFlush(b *batch) {
	in.state.Keep(b) // for as long as the state
	in.mu.Lock()
	defer in.mu.Unlock()
	in.batches = append(in.batches, b)
}

// flush flushes all batches until ctx ends. A flush in progress is waited for.
// With retries a flush that fails is repeated after growing pauses.
func (in *instance) flush(ctx context.Context, retries bool) {
	in.mu.Lock()
	batches := slices.Clone(in.batches)
	in.mu.Unlock()
	work := make([]func(), len(batches))
	for i, b := range batches {
		work[i] = func() {
			failures := 0
			err := b.flushAll(ctx, func(err error) bool {
				failures++
				in.report("batch", err)
				return retries && in.plugin.host.clock.Sleep(ctx, retryWait(failures)) == nil
			})
			if failures == 0 {
				in.report("batch", err)
			}
		}
	}
	in.plugin.host.together(work)
}
