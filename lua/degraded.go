package lua

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// Pauses between attempts to start a plugin that is not required. Each is
// twice the one before.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// again is a plugin with the same files and settings, not yet prepared. It
// takes over the queue and what was counted.
func (p *plugin) again() *plugin {
	next := &plugin{
		shape: p.shape, host: p.host, source: p.source, script: p.script, compiled: p.compiled, settings: p.settings,
		log: p.log, kv: p.kv, lasting: p.lasting, live: p.live,
		gate: gate{host: p.host}, reason: p.reason, queue: p.queue,
	}
	next.failures.Store(p.failures.Load())
	next.last.Store(p.last.Load())
	return next
}

// degrade closes a plugin that is not required and could not be prepared. The
// plugin that it returns stands in for it: its events are queued, its routes
// answer that it does not run, and its matching side fails.
func (p *plugin) degrade(ctx context.Context, cause error) (*plugin, error) {
	if err := p.close(context.WithoutCancel(ctx)); err != nil {
		return p, errors.Join(p.fault(cause), err)
	}
	stand := p.again()
	if p.is(Event) && stand.queue == nil {
		stand.queue = newQueue(p.host.o.EventQueue)
	}
	stand.tryLater(cause, firstRetry)
	return stand, nil
}

// tryLater notes why the plugin does not run.
func (p *plugin) tryLater(cause error, pause time.Duration) {
	p.failures.Add(1)
	reason := cause.Error()
	p.last.Store(&reason)
	p.degraded.Store(&reason)
	p.log.Error("plugins: a plugin that is not required does not start, and is tried again", slog.String("error", reason), slog.String("pause", pause.String()))
}

// discardQueue loses the events of a plugin that never came to run.
func (p *plugin) discardQueue() {
	if p.queue == nil {
		return
	}
	if lost := p.queue.discard(); lost > 0 {
		p.log.Warn("plugins: events of a plugin that does not run are lost", slog.Int("events", lost))
	}
}

// retry prepares the plugins that did not start, each in a goroutine that ends
// with g.
func (h *Host) retry(g *generation) {
	for _, p := range g.plugins {
		if p.degraded.Load() == nil {
			continue
		}
		h.busy(1)
		g.retries.Go(func() {
			defer h.busy(-1)
			h.retryPlugin(g, p)
		})
	}
}

// retryPlugin prepares p again and again, with growing pauses, until it runs.
func (h *Host) retryPlugin(g *generation, p *plugin) {
	for pause := firstRetry; h.clock.Sleep(g.retrying, pause) == nil; {
		next := p.again()
		err := next.prepare(g.retrying, g.life)
		if err == nil && h.substitute(p, next) {
			next.log.Info("plugins: the plugin runs now")
			if h.listening.Load() {
				next.ready.begin()
			}
			return
		}
		if fault := next.close(context.WithoutCancel(g.life)); fault != nil {
			h.o.Log.Warn("plugins: closing an attempt", slog.String("error", fault.Error()))
		}
		if g.retrying.Err() != nil {
			return
		}
		pause = min(2*pause, lastRetry)
		p.tryLater(err, pause)
	}
}

// substitute puts next in the place of p in the running generation, if p is in
// it.
func (h *Host) substitute(p, next *plugin) bool {
	for {
		g := h.current.Load()
		i := slices.Index(g.plugins, p)
		if i < 0 {
			return false
		}
		changed := *g
		changed.plugins, changed.started = slices.Clone(g.plugins), slices.Clone(g.started)
		changed.plugins[i] = next
		changed.started[slices.Index(g.started, p)] = next
		changed.index()
		if h.current.CompareAndSwap(g, &changed) {
			return true
		}
	}
}

// inherit moves the events that wait in stand-ins of an old generation to the
// plugins of g.
func (g *generation) inherit(old *generation) {
	for _, p := range old.plugins {
		next := g.find(p.name)
		if p.degraded.Load() != nil && p.queue != nil && next != nil && next.queue != nil {
			p.queue.takeAll(next.queue.push)
		}
	}
}
