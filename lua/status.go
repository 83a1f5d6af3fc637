package lua

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"nearside/lua/ns"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// A Status is the status of one plugin, as /1/plugins shows it.
type Status struct {
	Name, Version, File string
	Kinds               []Kind
	Degraded            []string // why the plugin does not work fully; empty: it does
	Events              []string
	Permissions         []string
	Order               int            // of its hooks of the matching side; they run in ascending order
	Places              []HookPlace    // where its hooks run among those of other plugins
	Schema              map[string]any // of its settings; nil: it has no schema
	Routes              []string       // as in "GET /teapot"
	Hooks               []HookStatus
	States, Tasks       int
	Queued, Handling    int    // queued points, and batches in progress
	Dropped             uint64 // points and batch values that were dropped because there was no room
	Lost                uint64 // points whose batch failed, or that were discarded
	Failures            uint64 // of hooks, tasks and timers
	Rejected            uint64 // requests that the plugin refused with ns.reject
	LostValues          uint64 // values of metrics that were lost because of too many sets of label values
	Replaced            uint64 // states that were killed because of the memory limit
	Replacing           int    // states of the event and background side that are being replaced
	Memory, MemoryLimit int64  // bytes that all states hold, and their limit
	LastError           string
	Consumers           []peer.ConsumerStatus
	Totals              vm.Counters
	HookTimes           []ns.HookTime // since the start of the process
}

// A HookPlace says when a hook runs that several plugins may have.
type HookPlace struct {
	Hook  string // request, prefilter or results
	Order int    // plugins run in ascending order, then by name
	Place int    // among the plugins with this hook, from 1
}

// A HookStatus is the breaker of one hook.
type HookStatus struct{ Name, State, Reason string }

// Plugins returns the status of all active plugins, sorted by name.
func (h *Host) Plugins() []Status {
	g := h.current.Load()
	all := make([]Status, len(g.plugins))
	for i, p := range g.plugins {
		all[i] = p.status()
		all[i].Places = g.placesOf(p)
	}
	return all
}

// placesOf returns where the hooks of p run among those of other plugins.
func (g *generation) placesOf(p *plugin) (places []HookPlace) {
	for _, hook := range orderedHooks {
		if i := slices.Index(g.hooked[hook], p); i >= 0 {
			places = append(places, HookPlace{hook, p.matching.order, i + 1})
		}
	}
	return places
}

func (p *plugin) status() Status {
	s := Status{
		Name: p.Name, Version: p.Version, File: p.source.shown(p.source.main), Kinds: p.kinds,
		Events: p.eventNames, Permissions: p.Permissions, Schema: p.compiled.jsonDocument(), Dropped: p.Lasting.Dropped.Load(), Failures: p.Failures.Load(),
	}
	s.Rejected, s.HookTimes = p.Lasting.Rejected.Load(), p.Lasting.Hooks.Snapshot()
	s.LostValues = p.Lasting.LostValues.Load()
	s.Replacing, s.Totals = p.main.replacements()
	account := p.memoryAccount()
	s.Replaced, s.Memory, s.MemoryLimit = account.Kills(), account.Used(), account.Limit()
	for _, name := range slices.Sorted(maps.Keys(p.breakers)) {
		state, reason := p.breakers[name].State()
		s.Hooks = append(s.Hooks, HookStatus{name, state, reason})
		if state != "closed" {
			s.Degraded = append(s.Degraded, name+" is switched off for a while: "+reason)
		}
	}
	for _, route := range p.Routes.All() {
		s.Routes = append(s.Routes, route.String())
	}
	if p.matching != nil {
		s.Order = p.matching.order
	}
	for _, in := range p.main.all() {
		s.States++
		s.Tasks += in.State.Tasks()
		s.Consumers = append(s.Consumers, in.ConsumerStatus()...)
		s.Totals.Add(in.State.Counters())
	}
	if reason := p.degraded.Load(); reason != nil {
		s.Degraded = append(s.Degraded, *reason)
	}
	if p.pool != nil {
		if vacant, cause := p.pool.Vacant(); vacant > 0 {
			s.Degraded = append(s.Degraded, fmt.Sprintf("%d of %d states of the matching side cannot be created: %v", vacant, p.pool.Size(), cause))
		}
		s.States += p.pool.Size()
		s.Totals.Add(p.pool.Counters())
	}
	if err := p.KV.Fault(); err != nil {
		s.Degraded = append(s.Degraded, "kv cannot be written to disk: "+err.Error())
	}
	if p.queue != nil {
		waiting, busy, dropped, lost := p.queue.counts()
		s.Queued, s.Handling, s.Lost = waiting, busy, lost
		s.Dropped += dropped
	}
	s.Degraded = append(s.Degraded, p.Troubles.All()...)
	for _, c := range s.Consumers {
		if c.State != peer.Running {
			s.Degraded = append(s.Degraded, strings.TrimSuffix(c.Name+" is "+c.State+": "+c.Reason, ": "))
		}
	}
	if last := p.LastError.Load(); last != nil {
		s.LastError = *last
	}
	return s
}
