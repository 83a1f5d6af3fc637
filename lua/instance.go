package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"nearside/lua/vm"
)

// An instance is one interpreter of a plugin, with what belongs to it. Its
// methods are for modules; all may be called by any goroutine.
type instance struct {
	plugin *plugin
	life   context.Context // of the generation
	state  *vm.State
	table  *vm.Ref             // the table that the script returned: self of hooks
	hooks  map[string]*vm.Func // its functions
	info   stateInfo           // set before initialize

	mu        sync.Mutex
	closed    bool
	closers   []func() error
	consumers []*consumer // of messages, for the status
	batches   []*batch    // flushed when the instance ends

	drains drains

	idleHTTP sync.Once // registers a closer: see httpNetwork
}

// self is the instance whose script calls.
func self(c *vm.Call) *instance { return c.Owner().(*instance) }

// permit checks the plugin's permissions: kind is "http", "redis", "amqp" or
// "store", target what is reached, as "host:port".
func (in *instance) permit(kind, target string) error {
	return in.plugin.permissions.permit(kind, target)
}

// onClose has f called when the instance is closed, after its calls have
// ended; at once if it is closed already. The last one registered is called
// first.
func (in *instance) onClose(f func() error) {
	in.mu.Lock()
	if !in.closed {
		in.closers = append(in.closers, f)
		in.mu.Unlock()
		return
	}
	in.mu.Unlock()
	in.report("close", f())
}

// call calls a Lua function from Go, in the caller's goroutine.
func (in *instance) call(ctx context.Context, lim vm.Limits, fn *vm.Func, args ...any) ([]any, error) {
	return in.state.Call(ctx, lim, fn, args...)
}

// spawn calls a Lua function in a goroutine of the instance, without a
// deadline. Its failure is logged.
func (in *instance) spawn(fn *vm.Func, args ...any) (*vm.Task, error) {
	if !in.plugin.checked.Load() {
		return nil, errTooEarly
	}
	h := in.plugin.host
	h.busy(1)
	task, err := in.state.Spawn(vm.Limits{}, fn, args, func(err error) {
		in.report("task", err)
		h.busy(-1)
	})
	if err != nil {
		h.busy(-1)
	}
	return task, err
}

// errTooEarly: a plugin's table is checked before anything of it runs.
var errTooEarly = errors.New("tasks can be started from initialize on, not while the file is loading")

// goroutine runs f in a goroutine of the instance. f returns when ctx ends.
func (in *instance) goroutine(f func(ctx context.Context)) (*vm.Task, error) {
	if !in.plugin.checked.Load() {
		return nil, errTooEarly
	}
	h := in.plugin.host
	h.busy(1)
	task, err := in.state.Go(func(ctx context.Context) {
		defer h.busy(-1)
		f(ctx)
	})
	if err != nil {
		h.busy(-1)
	}
	return task, err
}

// report logs the failure of something that nobody waits for. A task that was
// cancelled or whose generation has ended is no failure.
func (in *instance) report(what string, err error) {
	if err == nil || errors.Is(err, vm.ErrCancelled) || errors.Is(err, vm.ErrClosed) || errors.Is(err, context.Canceled) {
		return
	}
	in.plugin.failed(what, err)
	in.plugin.log.LogAttrs(context.Background(), slog.LevelError, "plugin "+what+" failed", slog.String("error", err.Error()))
}

// hook calls a function of the plugin's table, if it is there.
func (in *instance) hook(ctx context.Context, lim vm.Limits, name string, args ...any) ([]any, error) {
	fn := in.hooks[name]
	if fn == nil {
		return nil, nil
	}
	return in.state.Call(ctx, lim, fn, append([]any{in.table}, args...)...)
}

// goodbye calls the close hook.
func (in *instance) goodbye(ctx context.Context, reason string) {
	_, err := in.hook(ctx, in.plugin.limits["close"], "close", reason)
	in.report("close", err)
}

// quiesce stops what feeds the instance, waits for its handlers, and flushes
// its batches, until ctx ends.
func (in *instance) quiesce(ctx context.Context) {
	in.drain(ctx)
	in.flush(ctx, true)
}

// finish calls the close hook and flushes what it has left in batches. What
// cannot be flushed now is dropped and counted.
func (in *instance) finish(ctx context.Context, reason string) {
	ctx, cancel := in.plugin.host.within(ctx, in.plugin.closeTime())
	defer cancel()
	in.goodbye(ctx, reason)
	in.flush(ctx, false)
}

// close ends the instance: its calls are killed and waited for, then what it
// registered is closed.
func (in *instance) close(ctx context.Context) error {
	in.plugin.routes.remove(in)
	faults := []error{in.state.Close(ctx)}
	in.mu.Lock()
	closers := in.closers
	in.closed, in.closers = true, nil
	in.mu.Unlock()
	for _, f := range slices.Backward(closers) {
		faults = append(faults, f())
	}
	for _, b := range in.batches {
		b.abandon()
	}
	in.plugin.troubles.forget(in)
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("plugin %s: %w", in.plugin.name, err)
	}
	return nil
}
