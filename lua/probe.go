package lua

import (
	"context"
	"errors"
	"slices"

	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
)

// A Probe lets tests and measurements of a plugin call its hooks directly, in
// the first instance of the main side.
type Probe struct {
	plugin *plugin
	first  *instance // nil: it is being replaced, or the plugin has only a matching side
}

// Probe returns a Probe of the only plugin of the running generation.
func (h *Host) Probe() (*Probe, error) {
	all := h.current.Load().plugins
	if len(all) != 1 {
		return nil, errors.New("the plugin is closed")
	}
	return &Probe{all[0], all[0].main.first()}, nil
}

// Host returns the host of the plugin.
func (p *Probe) Host() *Host { return p.plugin.host }

// Name returns the name of the plugin.
func (p *Probe) Name() string { return p.plugin.Name }

// Status returns the status of the plugin.
func (p *Probe) Status() Status { return p.plugin.status() }

// Degraded returns why the plugin does not run; empty: it runs.
func (p *Probe) Degraded() string {
	if reason := p.plugin.degraded.Load(); reason != nil {
		return *reason
	}
	return ""
}

// Instance returns the first instance of the main side; nil: it is being replaced, or the
// plugin has only a matching side.
func (p *Probe) Instance() *ns.Instance {
	if p.first == nil {
		return nil
	}
	return &p.first.Instance
}

// Table returns the table that the file of the plugin has returned in the first instance of
// the main side. Instance must not be nil.
func (p *Probe) Table() *vm.Ref { return p.first.table }

// Has reports whether the plugin has a hook.
func (p *Probe) Has(hook string) bool { return p.plugin.hooks[hook] }

// Events returns the names of the events that the plugin handles; nil: it is not of
// kind event.
func (p *Probe) Events() []string {
	if p.plugin.queue == nil {
		return nil
	}
	return p.plugin.eventNames
}

// Point returns the value that handle_event receives for an event with a cause, and whether
// the plugin receives the event.
func (p *Probe) Point(event string, cause matcher.Cause, value func() any) (any, bool) {
	if !slices.Contains(p.Events(), event) {
		return nil, false
	}
	made, ok := p.plugin.pointOf(event, cause, value)
	if !ok {
		return nil, false
	}
	return goval.Decoded(made.value()), true
}

// HandleEvent calls handle_event with points of an event.
func (p *Probe) HandleEvent(ctx context.Context, points []any, event string) error {
	if p.first == nil {
		return vm.ErrMemory // it is being replaced
	}
	_, err := p.first.callHook(ctx, p.plugin.limits["handle_event"], "handle_event", points, event)
	return err
}

// Refusal returns why the matching side cannot process a sub-request; empty: it can.
func (p *Probe) Refusal(sub *matcher.SubRequest) string {
	if p.plugin.matching == nil {
		return "not of kind matching"
	}
	return p.plugin.refusal(sub)
}

// MatchRefusal returns why the hooks cost and match are not called for a sub-request that
// the matching side can process; empty: they are.
func (p *Probe) MatchRefusal(sub *matcher.SubRequest) string { return rankingRefusal(sub.Candidates) }
