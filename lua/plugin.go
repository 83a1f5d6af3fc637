package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nearside/lua/vm"
)

// A plugin is one active plugin of one generation: what its table says, its
// settings and its instances.
type plugin struct {
	shape
	host     *Host
	source   source
	script   *vm.Script
	settings map[string]any
	log      *slog.Logger
	kv       *kvStore
	network  network
	gate     gate
	checked  atomic.Bool            // the table and the settings are: they do not change any more
	breakers map[string]*vm.Breaker // by hook

	spare  atomic.Pointer[instance] // made to read the table; taken by the first that needs one
	main   mainSide                 // the event and background side; empty for a plugin that only matches
	queue  *queue                   // nil unless it takes events
	pool   *vm.Pool                 // of the matching side; nil unless it is of that kind
	ending atomic.Pointer[string]   // why the plugin is closed
	routes atomic.Pointer[routes]

	routesMu sync.Mutex // of changes of routes

	metrics metrics

	accountOnce sync.Once
	account     *vm.Memory

	dropped  atomic.Uint64 // values of batches
	rejected atomic.Uint64 // requests, by ns.reject
	failures atomic.Uint64 // of hooks, tasks and timers
	last     atomic.Pointer[string]
}

// fault names the plugin and its file in err.
func (p *plugin) fault(err error) error {
	return fmt.Errorf("plugin %s: %s: %w", p.source.name, p.source.shown(p.source.main), err)
}

// located is fault for what parseShape says: each fault with the line of the
// field that it is about.
func (p *plugin) located(err error) error {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // as errors.Join makes it
		all = joined.Unwrap()
	}
	text, _ := p.source.read(p.source.main) // it was read before
	for i, fault := range all {
		field, _, _ := strings.Cut(fault.Error(), ": ")
		all[i] = fmt.Errorf("plugin %s: %s:%d: %w", p.source.name, p.source.shown(p.source.main), lineOf(text, field), fault)
	}
	return errors.Join(all...)
}

// failed notes a failure for the plugin's status.
func (p *plugin) failed(what string, err error) {
	p.failures.Add(1)
	text := what + ": " + err.Error()
	p.last.Store(&text)
	if t := p.host.o.trial; t != nil {
		t.failed(text)
	}
}

// instantiate makes an interpreter and runs the plugin's file in it. The
// instance has to be closed also when there is an error.
func (p *plugin) instantiate(ctx, life context.Context) (*instance, any, error) {
	in := &instance{plugin: p, life: life}
	in.state = p.host.scriptLibrary().NewState(life, vm.StateOptions{
		Owner: in, Resolve: p.source.resolve,
		Print:  func(line string) { in.write(slog.LevelInfo, line, nil) },
		Time:   p.host.osTime(),
		Memory: p.memoryAccount(), Exceeded: in.exceeded,
	})
	table, value, err := in.state.Load(ctx, defaultLimits()["initialize"], p.script)
	if err != nil {
		return in, nil, err
	}
	in.table, in.hooks = table, map[string]*vm.Func{}
	in.state.Keep(table) // for as long as the state
	if m, ok := value.(map[string]any); ok {
		for _, name := range hookNames {
			if fn, ok := m[name].(*vm.Func); ok {
				in.hooks[name] = fn
			}
		}
	}
	return in, value, nil
}

// initialised is a new instance, ready for calls.
func (p *plugin) initialised(ctx, life context.Context) (*instance, error) {
	in, err := p.spare.Swap(nil), error(nil)
	if in == nil {
		in, _, err = p.instantiate(ctx, life)
	}
	if err == nil {
		_, err = in.hook(ctx, p.limits["initialize"], "initialize", p.settings)
		if err != nil {
			err = fmt.Errorf("initialize: %w", err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, in.close(context.WithoutCancel(ctx)))
	}
	return in, nil
}

// prepare makes the plugin's instances and starts what runs beside requests.
func (p *plugin) prepare(ctx, life context.Context) error {
	p.checked.Store(true)
	p.breakers = map[string]*vm.Breaker{}
	for name := range p.hooks {
		p.breakers[name] = vm.NewBreaker(p.host.o.BreakerLimit, p.host.o.BreakerPause, p.host.clock.Now)
	}
	if p.is(Event) || p.is(Background) {
		for range p.states {
			in, err := p.initialised(ctx, life)
			if err != nil {
				return err
			}
			p.main.add(in)
		}
	}
	if p.is(Matching) {
		if err := p.preparePool(ctx, life); err != nil {
			return err
		}
	}
	if p.is(Event) && p.hooks["handle_event"] {
		p.queue = newQueue(p.host.o.EventQueue)
	}
	for i, in := range p.main.all() {
		if err := p.run(ctx, in, i); err != nil {
			return err
		}
	}
	return nil
}

func (p *plugin) is(k Kind) bool { return slices.Contains(p.kinds, k) }

// preparePool makes the states of the matching side.
func (p *plugin) preparePool(ctx, life context.Context) (err error) {
	first := true
	p.pool, err = vm.NewPool(life, vm.PoolOptions{
		Size: p.host.o.MatchStates, Recycle: p.host.o.Recycle,
		New: func(pooled context.Context) (*vm.State, error) {
			call := pooled
			if first { // the spare one belongs to the load
				call = ctx
			}
			in, err := p.initialised(call, life)
			if err != nil {
				return nil, err
			}
			return in.state, nil
		},
		Close: func(ctx context.Context, s *vm.State) error {
			in := s.Owner().(*instance)
			in.goodbye(ctx, p.closing())
			return in.close(ctx)
		},
		Failed: func(err error) { p.failed("initialize", err) },
	})
	first = false
	return err
}

// drainTime is how long calls and queued events of an old generation may
// still take.
const drainTime = 30 * time.Second

// drain lets calls and queued events end, then calls the close hooks.
func (p *plugin) drain(ctx context.Context, reason string) {
	calls, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	p.ending.Store(&reason)
	p.gate.close(calls)
	if p.queue != nil {
		p.queue.drain(calls)
	}
	p.main.end()
	for _, in := range p.main.all() {
		in.goodbye(ctx, reason)
	}
	if p.pool != nil {
		// With its close hooks, which need the generation alive. close calls
		// it again for a generation that was never drained.
		if err := p.pool.Close(ctx); err != nil {
			p.failed("close", err)
		}
	}
}

// closing is the argument of the close hook: a state that is replaced goes as
// at a reload.
func (p *plugin) closing() string {
	if reason := p.ending.Load(); reason != nil {
		return *reason
	}
	return "reload"
}

// close ends all instances and waits for them.
func (p *plugin) close(ctx context.Context) error {
	var faults []error
	if in := p.spare.Swap(nil); in != nil {
		faults = append(faults, in.close(ctx))
	}
	if p.pool != nil {
		faults = append(faults, p.pool.Close(ctx))
	}
	p.main.end()
	for _, in := range p.main.all() {
		faults = append(faults, in.close(ctx))
	}
	p.metrics.release()
	return errors.Join(faults...)
}
