package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	events []*instance              // of the event and background side; none for a plugin that only matches
	queue  *queue                   // nil unless it takes events
	pool   *vm.Pool                 // of the matching side; nil unless it is of that kind
	ending atomic.Pointer[string]   // why the plugin is closed
	routes routeTable

	metrics metrics

	dropped  atomic.Uint64 // values of batches
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

// drainTime is how long calls and queued events of an old generation may
// still take.
const drainTime = 30 * time.Second

// drain lets calls and queued events end, then calls the close hooks.
func (p *plugin) drain(ctx context.Context, reason string) {
	calls, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	p.ending.Store(&reason)
	p.gate.close(calls)
	if p.degraded.Load() != nil {
		p.discardQueue()
	} else if p.queue != nil {
		p.queue.drain(calls)
	}
	for _, in := range p.events {
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
