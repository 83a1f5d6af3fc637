package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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
	events []*instance              // of the event and background side; none for a plugin that only matches
	queue  *queue                   // nil unless it takes events
	pool   *vm.Pool                 // of the matching side; nil unless it is of that kind
	ending atomic.Pointer[string]   // why the plugin is closed
	routes atomic.Pointer[routes]

	metrics  metrics
	troubles troubles

	lasting  *lasting      // of all generations of the plugin
	live     *flight       // ends when the generation takes over
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
	in := &instance{plugin: p}
	in.state = p.host.scriptLibrary().NewState(life, vm.StateOptions{
		Owner: in, Resolve: p.source.resolve,
		Print: func(line string) { in.write(slog.LevelInfo, line, nil) }, Time: p.host.osTime(),
	})
	table, value, err := in.state.Load(ctx, defaultLimits()["initialize"], p.script)
	if err != nil {
		return in, nil, err
	}
	in.table, in.hooks = table, map[string]*vm.Func{}
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
func (p *plugin) initialised(ctx, life context.Context, side string, index int) (*instance, error) {
	in, err := p.spare.Swap(nil), error(nil)
	if in == nil {
		in, _, err = p.instantiate(ctx, life)
	}
	if err == nil {
		in.side, in.index = side, index
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
		for i := range p.states {
			in, err := p.initialised(ctx, life, "main", i+1)
			if err != nil {
				return err
			}
			p.events = append(p.events, in)
		}
	}
	if p.is(Matching) {
		if err := p.preparePool(ctx, life); err != nil {
			return err
		}
	}
	if p.is(Event) && p.hooks["handle_event"] {
		p.queue = newQueue(p.host.o.EventQueue)
		for _, in := range p.events {
			if _, err := in.state.Go(func(ctx context.Context) { p.deliver(ctx, in) }); err != nil {
				return err
			}
		}
	}
	if p.is(Background) {
		if _, err := p.events[0].hook(ctx, p.limits["start"], "start"); err != nil {
			return fmt.Errorf("start: %w", err)
		}
	}
	return nil
}

func (p *plugin) is(k Kind) bool { return slices.Contains(p.kinds, k) }

// preparePool makes the states of the matching side.
func (p *plugin) preparePool(ctx, life context.Context) (err error) {
	first, made := true, 0
	p.pool, err = vm.NewPool(life, vm.PoolOptions{
		Size: p.host.o.MatchStates, Recycle: p.host.o.Recycle,
		New: func(pooled context.Context) (*vm.State, error) {
			call := pooled
			if first { // the spare one belongs to the load
				call = ctx
			}
			made++
			in, err := p.initialised(call, life, "matching", (made-1)%p.host.o.MatchStates+1)
			if err != nil {
				return nil, err
			}
			return in.state, nil
		},
		Close: func(ctx context.Context, s *vm.State) error {
			in := s.Owner().(*instance)
			p.end(ctx, in)
			return in.close(ctx)
		},
		Failed: func(err error) { p.failed("initialize", err) },
	})
	first = false
	return err
}

// closeTime is how long the plugin may take to come to rest, and then to close.
func (p *plugin) closeTime() time.Duration { return p.limits["close"].Total }

// quiesce lets the plugin come to rest: routes, consumers and timers take
// nothing more, the handlers in progress end, queued events are handled, and
// batches are flushed. ctx and the budget of close bound it.
func (p *plugin) quiesce(ctx context.Context, reason string) {
	p.ending.Store(&reason)
	ctx, cancel := p.host.within(ctx, p.closeTime())
	defer cancel()
	var work []func()
	for _, in := range p.events {
		work = append(work, func() { in.drain(ctx) })
	}
	work = append(work, func() { p.gate.close(ctx) })
	if p.queue != nil {
		work = append(work, func() { p.queue.drain(ctx) })
	}
	p.host.together(work)
	if p.queue != nil {
		p.reportLost()
	}
	work = nil
	for _, in := range p.events {
		work = append(work, func() { in.flush(ctx, true) })
	}
	p.host.together(work)
}

// reportLost counts and logs the points that nobody will handle any more.
func (p *plugin) reportLost() {
	waiting, _, _, _ := p.queue.counts()
	if waiting > 0 {
		p.queue.lose(waiting)
		p.log.Error("events were lost: the plugin was closed before it could handle them", slog.Int("count", waiting))
	}
}

// finish calls the close hooks.
func (p *plugin) finish(ctx context.Context, reason string) {
	for _, in := range p.events {
		in.finish(ctx, reason)
	}
	if p.pool != nil {
		// With its close hooks, which need the generation alive. close calls
		// it again for a generation that was never drained.
		if err := p.pool.Close(ctx); err != nil {
			p.failed("close", err)
		}
	}
}

// end brings one state of the matching side to rest and calls its close hook.
func (p *plugin) end(ctx context.Context, in *instance) {
	limited, cancel := p.host.within(ctx, p.closeTime())
	defer cancel()
	in.quiesce(limited)
	in.finish(ctx, p.closing())
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
	for _, in := range p.events {
		faults = append(faults, in.close(ctx))
	}
	p.metrics.release()
	return errors.Join(faults...)
}
