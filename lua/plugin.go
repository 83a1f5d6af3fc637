package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	compiled *settingsSchema // nil: there are no settings
	settings map[string]any
	log      *slog.Logger
	kv       *kvStore
	network  network
	gate     gate
	reason   string                 // of its generation: "start" or "reload"
	degraded atomic.Pointer[string] // why it does not run though its service does; nil: it runs
	ready    readiness
	checked  atomic.Bool            // the table and the settings are: they do not change any more
	breakers map[string]*vm.Breaker // by hook

	spare  atomic.Pointer[instance] // made to read the table; taken by the first that needs one
	main   mainStates               // the event and background side; empty for a plugin that only matches
	queue  *queue                   // nil unless it takes events
	pool   *vm.Pool                 // of the matching side; nil unless it is of that kind
	ending atomic.Pointer[string]   // why the plugin is closed
	routes routeTable

	accountOnce sync.Once
	account     *vm.Memory

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

// closeTime is how long the plugin may take to come to rest, and then to close.
func (p *plugin) closeTime() time.Duration { return p.limits["close"].Total }

// quiesce lets the plugin come to rest: routes, consumers and timers take
// nothing more, the handlers in progress end, queued events are handled, and
// batches are flushed. ctx and the budget of close bound it.
func (p *plugin) quiesce(ctx context.Context, reason string) {
	p.ending.Store(&reason)
	p.main.end()
	ctx, cancel := p.host.within(ctx, p.closeTime())
	defer cancel()
	var work []func()
	for _, in := range p.main.all() {
		work = append(work, func() { in.drain(ctx) })
	}
	work = append(work, func() { p.gate.close(ctx) })
	runs := p.degraded.Load() == nil && len(p.main.all()) > 0
	if p.queue != nil && runs {
		work = append(work, func() { p.queue.drain(ctx) })
	}
	p.host.together(work)
	if !runs {
		p.discardQueue()
	} else if p.queue != nil {
		p.reportLost()
	}
	work = nil
	for _, in := range p.main.all() {
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
	for _, in := range p.main.all() {
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

// endState brings one state of the matching side to rest. Its close hook runs
// only when the plugin is closed, not when the state is replaced.
func (p *plugin) endState(ctx context.Context, in *instance) {
	limited, cancel := p.host.within(ctx, p.closeTime())
	defer cancel()
	in.quiesce(limited)
	if reason := p.ending.Load(); reason != nil {
		in.finish(ctx, *reason)
	}
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
