package lua

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"nearside/lua/vm"
)

// A Status is how one plugin is: what /1/plugins shows.
type Status struct {
	Name, Version, File string
	Kinds               []Kind
	Degraded            []string // why it does not do all that it should; empty: it runs
	Events              []string
	Permissions         []string
	Order               int            // of a prefilter among others
	Schema              map[string]any // of its settings; nil: any
	Routes              []string       // "GET /teapot"
	Hooks               []HookStatus
	States, Tasks       int
	Queued, Handling    int    // points that wait, and batches at work
	Dropped             uint64 // points and values of batches that made room
	Lost                uint64 // points whose batch failed
	Failures            uint64 // of hooks, tasks and timers
	Rejected            uint64 // requests that ns.reject refused
	Replaced            uint64 // states that held more memory than the limit
	Replacing           int    // states of the event and background side that are being made again
	Memory, MemoryLimit int64  // bytes that all states hold, and may hold
	LastError           string
	Consumers           []ConsumerStatus
	Totals              vm.Counters
}

// A HookStatus is the breaker of one hook.
type HookStatus struct{ Name, State, Reason string }

// Plugins returns how the active plugins are, by name.
func (h *Host) Plugins() []Status {
	g := h.current.Load()
	all := make([]Status, len(g.plugins))
	for i, p := range g.plugins {
		all[i] = p.status()
	}
	return all
}

func (p *plugin) status() Status {
	s := Status{
		Name: p.name, Version: p.version, File: p.source.shown(p.source.main), Kinds: p.kinds,
		Events: p.eventNames, Permissions: p.permissions, Schema: p.compiled.shown(), Dropped: p.lasting.dropped.Load(), Failures: p.failures.Load(),
	}
	s.Rejected = p.lasting.rejected.Load()
	s.Replacing, s.Totals = p.main.replaced()
	account := p.memoryAccount()
	s.Replaced, s.Memory, s.MemoryLimit = account.Kills(), account.Used(), account.Limit()
	for _, name := range slices.Sorted(maps.Keys(p.breakers)) {
		state, reason := p.breakers[name].State()
		s.Hooks = append(s.Hooks, HookStatus{name, state, reason})
		if state != "closed" {
			s.Degraded = append(s.Degraded, name+" is switched off for a while: "+reason)
		}
	}
	table := p.routes.load()
	for _, path := range slices.Sorted(maps.Keys(table)) {
		for _, method := range slices.Sorted(maps.Keys(table[path])) {
			s.Routes = append(s.Routes, method+" "+path)
		}
	}
	if p.matching != nil {
		s.Order = p.matching.order
	}
	for _, in := range p.main.all() {
		s.States++
		s.Tasks += in.state.Tasks()
		s.Consumers = append(s.Consumers, in.consumerStatus()...)
		s.Totals.Add(in.state.Counters())
	}
	if reason := p.degraded.Load(); reason != nil {
		s.Degraded = append(s.Degraded, *reason)
	}
	if p.pool != nil {
		if vacant, cause := p.pool.Vacant(); vacant > 0 {
			s.Degraded = append(s.Degraded, fmt.Sprintf("%d of %d states of the matching side cannot be made: %v", vacant, p.pool.Size(), cause))
		}
		s.States += p.pool.Size()
		s.Totals.Add(p.pool.Counters())
	}
	if p.queue != nil {
		waiting, busy, dropped, lost := p.queue.counts()
		s.Queued, s.Handling, s.Lost = waiting, busy, lost
		s.Dropped += dropped
	}
	s.Degraded = append(s.Degraded, p.troubles.all()...)
	for _, c := range s.Consumers {
		if c.State != consumerRunning {
			s.Degraded = append(s.Degraded, strings.TrimSuffix(c.Name+" is "+c.State+": "+c.Reason, ": "))
		}
	}
	if last := p.last.Load(); last != nil {
		s.LastError = *last
	}
	return s
}
