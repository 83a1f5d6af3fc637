package lua

import (
	"context"
	"fmt"
	"sync"
	"time"

	"nearside/lua/ns"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// An instance is one interpreter of a plugin, with the table that its file
// returned.
type instance struct {
	ns.Instance
	plugin *plugin
	life   context.Context     // of the generation
	table  *vm.Ref             // the table that the file returned; hooks receive it as self
	hooks  map[string]*vm.Func // the hooks in table, by name
}

// callHook calls a hook of the plugin. It does nothing if the plugin does not have it.
func (in *instance) callHook(ctx context.Context, lim vm.Limits, name string, args ...any) ([]any, error) {
	fn := in.hooks[name]
	if fn == nil {
		return nil, nil
	}
	start := time.Now()
	results, err := in.State.Call(ns.WithHook(ctx, name), lim, fn, append([]any{in.table}, args...)...)
	in.plugin.Lasting.Hooks.Observe(name, time.Since(start))
	return results, ns.WithHint(name, results, err)
}

// quiesce stops new work for the instance, waits for its handlers and flushes its
// batches. It gives up when ctx ends.
func (in *instance) quiesce(ctx context.Context) {
	in.Drain(ctx)
	in.Flush(ctx, true)
}

// callClose calls the close hook and flushes the values that the hook has left in batches.
// Values that cannot be flushed now are dropped and counted.
func (in *instance) callClose(ctx context.Context, reason string) {
	ctx, cancel := in.plugin.host.WithTimeout(ctx, in.plugin.closeTime())
	defer cancel()
	_, err := in.callHook(ctx, in.plugin.limits["close"], "close", reason)
	in.Report("close", err)
	in.Flush(ctx, false)
}

// close ends the instance. It kills the running calls, waits until they have ended,
// and closes everything that the instance has registered.
func (in *instance) close(ctx context.Context) error {
	err := in.End(ctx)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", in.plugin.Name, err)
	}
	return nil
}

// A gate counts calls from requests, so that a plugin can be closed after they have
// ended. The zero gate is open.
type gate struct {
	host *Host

	mu     sync.Mutex
	n      int
	closed *peer.Flight // created by close; ends with the last call
}

// enter starts a call. It returns false if the gate is closed. After true, the caller
// must call leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return false
	}
	g.n++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.closed != nil {
		g.closed.End()
	}
}

// close makes enter fail and waits until all calls have ended or ctx ends.
func (g *gate) close(ctx context.Context) {
	g.mu.Lock()
	if g.closed != nil {
		g.mu.Unlock()
		return
	}
	inside := peer.NewFlight(g.host.o.Doubles.Counter)
	g.closed = inside
	if g.n == 0 {
		inside.End()
	}
	g.mu.Unlock()
	inside.Wait(ctx)
}
