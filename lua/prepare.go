package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"nearside/lua/vm"
)

// The sides of a plugin, which share no variables.
const (
	mainSide     = "main" // events, routes, tasks
	matchingSide = "matching"
)

// replacedState is stateInfo.reason of a state that takes the place of another
// one while the plugin runs. Otherwise it is the generation's.
const replacedState = "replaced"

// stateInfo is what initialize and start are told of their state.
type stateInfo struct {
	side   string
	index  int // from 1
	count  int // of the states of this side
	reason string
}

func (i stateInfo) table() map[string]any {
	return map[string]any{"side": i.side, "index": i.index, "count": i.count, "reason": i.reason}
}

// instantiate makes an interpreter and runs the plugin's file in it. The
// instance has to be closed also when there is an error.
func (p *plugin) instantiate(ctx, life context.Context) (*instance, any, error) {
	in := &instance{plugin: p, life: life}
	in.state = p.host.scriptLibrary().NewState(life, vm.StateOptions{
		Owner: in, Resolve: p.source.resolve,
		Print: func(line string) { in.write(slog.LevelInfo, line, nil) }, Time: p.host.osTime(),
		Memory: p.memoryAccount(), Exceeded: in.exceeded,
	})
	table, value, err := in.state.Load(ctx, defaultLimits()["initialize"], p.script)
	if err != nil {
		return in, nil, err
	}
	in.state.Keep(table) // as the routes: for as long as the state
	in.state.Keep(servedRoutes{in})
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
func (p *plugin) initialised(ctx, life context.Context, info stateInfo) (*instance, error) {
	in, err := p.spare.Swap(nil), error(nil)
	if in == nil {
		in, _, err = p.instantiate(ctx, life)
	}
	in.info = info
	if err == nil {
		_, err = in.hook(ctx, p.limits["initialize"], "initialize", p.settings, info.table())
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
	if p.is(Event) && p.queue == nil { // else it is from a time when the plugin could not run
		p.queue = newQueue(p.host.o.EventQueue)
	}
	if p.is(Event) || p.is(Background) {
		for i := range p.states {
			in, err := p.initialised(ctx, life, stateInfo{mainSide, i + 1, p.states, p.reason})
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
	for _, in := range p.main.all() {
		if err := p.begin(ctx, in); err != nil {
			return err
		}
	}
	for _, in := range p.main.all() {
		if err := p.takeEvents(in); err != nil {
			return err
		}
	}
	p.main.prepared()
	for _, in := range p.main.all() {
		if in.state.Exceeded() { // killed before it was in its place
			go p.replace(in)
		}
	}
	return nil
}

// begin calls the start hook of a state of the main side.
func (p *plugin) begin(ctx context.Context, in *instance) error {
	if _, err := in.hook(ctx, p.limits["start"], "start", in.info.table()); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

// takeEvents has an instance handle events of the queue.
func (p *plugin) takeEvents(in *instance) error {
	if p.queue == nil {
		return nil
	}
	_, err := in.state.Go(func(ctx context.Context) { p.deliver(ctx, in) })
	return err
}

func (p *plugin) is(k Kind) bool { return slices.Contains(p.kinds, k) }

// preparePool makes the states of the matching side.
func (p *plugin) preparePool(ctx, life context.Context) (err error) {
	first := true
	p.pool, err = vm.NewPool(life, vm.PoolOptions{
		Size: p.host.o.MatchStates, Recycle: p.host.o.Recycle,
		New: func(pooled context.Context, slot vm.Slot) (*vm.State, error) {
			call := pooled
			if first { // the load waits for it, and may be cancelled
				call = ctx
			}
			info := stateInfo{matchingSide, slot.Index, p.host.o.MatchStates, p.reason}
			if slot.Replaces {
				info.reason = replacedState
			}
			in, err := p.initialised(call, life, info)
			if err != nil {
				return nil, err
			}
			return in.state, nil
		},
		Close: func(ctx context.Context, s *vm.State) error {
			in := s.Owner().(*instance)
			p.endState(ctx, in)
			return in.close(ctx)
		},
		Failed: func(err error) { p.failed("initialize", err) },
	})
	first = false
	return err
}
