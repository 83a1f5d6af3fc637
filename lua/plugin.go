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

	"nearside/lua/ns"
	"nearside/lua/vm"
)

// A plugin is one active plugin of one generation: the content of its table, its
// settings and its instances.
type plugin struct {
	ns.Plugin
	shape
	overridden Override // by the operator
	host       *Host
	source     source
	script     *vm.Script
	compiled   *settingsSchema // nil: the plugin has no settings
	gate       gate
	reason     string                 // why its generation was loaded: "start" or "reload"
	degraded   atomic.Pointer[string] // why the plugin does not run although the service does; nil: it runs
	breakers   map[string]*vm.Breaker // by hook

	spare  atomic.Pointer[instance] // created to read the table; used as the first instance
	main   mainStates               // the event and background side; empty for a plugin that only matches
	queue  *queue                   // nil unless the plugin receives events
	pool   *vm.Pool                 // the states of the matching side; nil unless it is of kind matching
	ending atomic.Pointer[string]   // why the plugin is being closed; nil: it is not

	accountOnce sync.Once
	account     *vm.Memory
}

// fault adds the names of the plugin and its file to err.
func (p *plugin) fault(err error) error {
	return fmt.Errorf("plugin %s: %s: %w", p.source.name, p.source.shown(p.source.main), err)
}

// located is like fault, for errors about fields of the table. It adds the line of the
// field to each of the joined errors.
func (p *plugin) located(err error) error {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // errors.Join made it
		all = joined.Unwrap()
	}
	text, _ := p.source.read(p.source.main) // it was read before; without it, lineOf returns 1
	for i, fault := range all {
		field, _, _ := strings.Cut(fault.Error(), ": ")
		all[i] = fmt.Errorf("plugin %s: %s:%d: %w", p.source.name, p.source.shown(p.source.main), lineOf(text, field), fault)
	}
	return errors.Join(all...)
}

// closeTime is the time limit of quiesce, and also of the close hook after it.
func (p *plugin) closeTime() time.Duration { return p.limits["close"].Total }

// quiesce stops new work for the plugin and finishes the work in progress. Routes,
// consumers and timers accept no more work, running handlers end, queued events are
// handled and batches are flushed. ctx and closeTime limit how long this takes.
func (p *plugin) quiesce(ctx context.Context, reason string) {
	p.ending.Store(&reason)
	p.main.end()
	ctx, cancel := p.host.WithTimeout(ctx, p.closeTime())
	defer cancel()
	var work []func()
	for _, in := range p.main.all() {
		work = append(work, func() { in.Drain(ctx) })
	}
	work = append(work, func() { p.gate.close(ctx) })
	runs := p.degraded.Load() == nil && len(p.main.all()) > 0
	if p.queue != nil && runs {
		work = append(work, func() { p.queue.drain(ctx) })
	}
	p.host.Together(work)
	if p.queue != nil {
		if waiting := p.queue.end(); runs {
			p.reportLost(waiting)
		} else {
			p.discardQueue()
		}
	}
	work = nil
	for _, in := range p.main.all() {
		work = append(work, func() { in.Flush(ctx, true) })
	}
	p.host.Together(work)
}

// reportLost counts and logs the queued points that were not handled before the plugin
// was closed.
func (p *plugin) reportLost(waiting int) {
	if waiting > 0 {
		p.queue.countLost(waiting)
		p.Log.Error("events were lost: the plugin was closed before it could handle them", slog.Int("count", waiting))
	}
}

// callClose calls the close hooks of all states.
func (p *plugin) callClose(ctx context.Context, reason string) {
	for _, in := range p.main.all() {
		in.callClose(ctx, reason)
	}
	if p.pool != nil {
		// Closing the pool calls the close hooks, which need a live generation.
		// plugin.close closes the pool too, for a generation that was never quiesced.
		if err := p.pool.Close(ctx); err != nil {
			p.RecordFailure("close", err)
		}
	}
}

// endState stops the work of one state of the matching side. The close hook runs only
// when the plugin is closed, not when the state is replaced.
func (p *plugin) endState(ctx context.Context, in *instance) {
	limited, cancel := p.host.WithTimeout(ctx, p.closeTime())
	defer cancel()
	in.quiesce(limited)
	if reason := p.ending.Load(); reason != nil {
		in.callClose(ctx, *reason)
	}
}

// close ends all instances and waits until they have ended.
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
	p.Metrics.Release()
	return errors.Join(faults...)
}
