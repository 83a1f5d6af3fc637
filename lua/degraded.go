package lua

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"nearside/lua/ns"
)

// The pauses between attempts to start a plugin that is not required. Each pause is
// twice the previous one, up to lastRetry.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// unprepared returns a plugin with the same files and settings as p that is not prepared
// yet. It takes over the queue and the counters.
func (p *plugin) unprepared() *plugin {
	next := &plugin{
		Plugin: ns.Plugin{
			Host: &p.host.Host, About: p.About, Settings: p.Settings, Log: p.Log, KV: p.KV, Lasting: p.Lasting, BeforeLive: p.BeforeLive,
		},
		shape: p.shape, overridden: p.overridden, host: p.host, source: p.source, script: p.script, compiled: p.compiled,
		gate: gate{host: p.host}, reason: p.reason, queue: p.queue,
	}
	next.Failures.Store(p.Failures.Load())
	next.LastError.Store(p.LastError.Load())
	return next
}

// degrade closes a plugin that is not required and could not be prepared. It returns
// a stand-in: events are queued, routes answer that the plugin does not run, and the
// matching side fails.
func (p *plugin) degrade(ctx context.Context, cause error) (*plugin, error) {
	if err := p.close(context.WithoutCancel(ctx)); err != nil {
		return p, errors.Join(p.fault(cause), err)
	}
	standIn := p.unprepared()
	if p.is(Event) && standIn.queue == nil {
		standIn.queue = newQueue(p.host.o.EventQueue)
	}
	standIn.recordDegraded(cause, firstRetry)
	return standIn, nil
}

// recordDegraded records why the plugin does not run. It logs this with the pause before
// the next attempt.
func (p *plugin) recordDegraded(cause error, pause time.Duration) {
	p.Failures.Add(1)
	reason := cause.Error()
	p.LastError.Store(&reason)
	p.degraded.Store(&reason)
	p.Log.Error("plugins: a plugin with required = false did not start; trying again", slog.String("error", reason), slog.String("pause", pause.String()))
}

// discardQueue discards the queued events of a plugin that does not run.
func (p *plugin) discardQueue() {
	if p.queue == nil {
		return
	}
	if lost := p.queue.discard(); lost > 0 {
		p.Log.Warn("plugins: events of a plugin that does not run are lost", slog.Int("events", lost))
	}
}

// retryDegraded starts a goroutine for each plugin of g that did not start. The goroutine
// tries to prepare the plugin, and ends with g.
func (h *Host) retryDegraded(g *generation) {
	for _, p := range g.plugins {
		if p.degraded.Load() == nil {
			continue
		}
		h.o.Doubles.Counter.AddTasks(1)
		g.retries.Go(func() {
			defer h.o.Doubles.Counter.AddTasks(-1)
			h.retryPlugin(g, p)
		})
	}
}

// retryPlugin tries to prepare p, with growing pauses, until it runs or g ends.
func (h *Host) retryPlugin(g *generation, p *plugin) {
	for pause := firstRetry; h.Clock.Sleep(g.retrying, pause) == nil; {
		next := p.unprepared()
		err := next.prepare(g.retrying, g.life)
		if err == nil && h.substitute(p, next) {
			next.Log.Info("plugins: the plugin runs now")
			if h.listening.Load() {
				next.Ready.Begin()
			}
			return
		}
		if fault := next.close(context.WithoutCancel(g.life)); fault != nil {
			h.o.Log.Warn("plugins: a failed start did not end cleanly", slog.String("error", fault.Error()))
		}
		if err == nil || g.retrying.Err() != nil { // p is no longer in the running generation
			return
		}
		pause = min(2*pause, lastRetry)
		p.recordDegraded(err, pause)
	}
}

// substitute replaces p with next in the running generation. It returns false if p
// is not in that generation.
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

// inherit moves the queued events of stand-ins in an old generation to the plugins
// of g, before events that these have already.
func (g *generation) inherit(old *generation) {
	for _, p := range old.plugins {
		next := g.find(p.Name)
		if p.degraded.Load() != nil && p.queue != nil && next != nil && next.queue != nil {
			var all []point
			p.queue.takeAll(func(waiting point) { all = append(all, waiting) })
			next.queue.prepend(all)
		}
	}
}

// holdOrdered makes the ordered events of plugins that are also in an old generation wait
// until release is called, when the old generation has handled its events.
func (g *generation) holdOrdered(old *generation) (release func()) {
	var held []*queue
	for _, p := range g.plugins {
		if before := old.find(p.Name); p.queue != nil && before != nil && before.queue != nil {
			p.queue.hold()
			held = append(held, p.queue)
		}
	}
	return func() {
		for _, q := range held {
			q.release()
		}
	}
}
