package ns

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// An Instance is one interpreter of a plugin, with the methods that modules need. The
// methods may be called by any goroutine.
type Instance struct {
	Plugin *Plugin
	State  *vm.State
	Info   StateInfo // set before initialize

	mu        sync.Mutex
	closed    bool
	closers   []func() error
	consumers []*peer.Consumer // message consumers, for the status
	batches   []*batch         // for Flush

	drains drains
	locks  heldLocks // of ns.lock

	idleHTTP sync.Once // registers a closer: see httpClient
}

// Base returns the Instance. self calls it on the owner of a state, whose type may embed
// Instance.
func (in *Instance) Base() *Instance { return in }

// self returns the instance of the calling script. The owner of the script's state is
// an Instance or embeds one.
func self(c *vm.Call) *Instance {
	return c.Owner().(interface{ Base() *Instance }).Base()
}

// The sides of a plugin, which share no variables.
const (
	MainSide     = "main" // events, routes, tasks
	MatchingSide = "matching"
)

// StateInfo describes a state to the functions initialize and start.
type StateInfo struct {
	Side   string
	Index  int // from 1
	Count  int // the number of states of this side
	Reason string
}

// Table returns the table that initialize and start receive.
func (i StateInfo) Table() map[string]any {
	return map[string]any{"side": i.Side, "index": i.Index, "count": i.Count, "reason": i.Reason}
}

// Permit returns an error if the plugin lacks a permission. kind is "http", "redis",
// "amqp" or "store". target is the "host:port" to contact; it is empty for "store".
func (in *Instance) Permit(kind, target string) error {
	return in.Plugin.About.Permissions.permit(kind, target)
}

// OnClose registers f, which is called when the instance is closed and its calls have
// ended. Functions are called in the reverse order of their registration. If the
// instance is closed already, OnClose calls f at once.
func (in *Instance) OnClose(f func() error) {
	in.mu.Lock()
	if !in.closed {
		in.closers = append(in.closers, f)
		in.mu.Unlock()
		return
	}
	in.mu.Unlock()
	in.Report("close", f())
}

// Call calls a Lua function from Go, in the caller's goroutine.
func (in *Instance) Call(ctx context.Context, lim vm.Limits, fn *vm.Func, args ...any) ([]any, error) {
	results, err := in.State.Call(ctx, lim, fn, args...)
	return results, WithHint("", results, err)
}

// spawn calls a Lua function in a goroutine of the instance, without a deadline. A
// failure is reported.
func (in *Instance) spawn(fn *vm.Func, args ...any) (*vm.Task, error) {
	if !in.Plugin.Checked.Load() {
		return nil, errTooEarly
	}
	counter := in.Counter()
	counter.AddTasks(1)
	task, err := in.State.Spawn(vm.Limits{}, fn, args, func(err error) {
		in.Report("task", WithHint("", nil, err))
		counter.AddTasks(-1)
	})
	if err != nil {
		counter.AddTasks(-1)
	}
	return task, err
}

// errTooEarly means that a script has tried to start a task before the plugin's table was
// checked.
var errTooEarly = errors.New("tasks can be started from initialize on, not while the file is loading")

// Goroutine runs f in a goroutine of the instance. f must return when ctx ends.
func (in *Instance) Goroutine(f func(ctx context.Context)) (*vm.Task, error) {
	if !in.Plugin.Checked.Load() {
		return nil, errTooEarly
	}
	counter := in.Counter()
	counter.AddTasks(1)
	task, err := in.State.Go(func(ctx context.Context) {
		defer counter.AddTasks(-1)
		f(ctx)
	})
	if err != nil {
		counter.AddTasks(-1)
	}
	return task, err
}

// Report logs and counts a failure that is not returned to any caller, such as that of a
// task. part names the part of the plugin that failed. Report ignores nil, and the errors
// of calls that were cancelled or whose generation has ended.
func (in *Instance) Report(part string, err error) {
	if err == nil || errors.Is(err, vm.ErrCancelled) || errors.Is(err, vm.ErrClosed) || errors.Is(err, context.Canceled) {
		return
	}
	if !errors.Is(err, vm.ErrMemory) { // counted as a replaced state
		in.Plugin.RecordFailure(part, err)
	}
	attrs := []slog.Attr{slog.String("error", err.Error())}
	if trace := vm.LuaTrace(err); len(trace) > 0 {
		attrs = append(attrs, slog.String("traceback", strings.Join(trace, " < ")))
	}
	in.Plugin.Log.LogAttrs(context.Background(), slog.LevelError, "plugin "+part+" failed", attrs...)
}

// End ends the instance. It stops the calls in progress and waits for them. Then it
// calls the functions that OnClose registered.
func (in *Instance) End(ctx context.Context) error {
	in.Plugin.Routes.Remove(in)
	faults := []error{in.State.Close(ctx)}
	in.locks.releaseAll()
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
	in.Plugin.Troubles.Forget(in)
	return errors.Join(faults...)
}
