package lua

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"nearside/lua/ns"
	"nearside/lua/vm"
)

// reasonReplaced is StateInfo.Reason of a state that replaces another one while the plugin
// runs. Other states have the reason of their generation.
const reasonReplaced = "replaced"

// instantiate creates an interpreter and runs the plugin's file in it. The caller must
// close the instance, even if there is an error.
func (p *plugin) instantiate(ctx, life context.Context) (*instance, any, error) {
	in := &instance{Instance: ns.Instance{Plugin: &p.Plugin}, plugin: p, life: life}
	in.State = ns.Library.NewState(life, vm.StateOptions{
		Owner: in, Resolve: p.source.resolve,
		Print: in.Print, Time: p.host.OsTime(), Profile: p.host.Doubles.Profile,
		Memory: p.memoryAccount(), MemoryExceeded: in.memoryExceeded,
	})
	table, value, err := in.State.Load(ctx, defaultLimits()["initialize"], p.script)
	if err != nil {
		return in, nil, err
	}
	in.State.Keep(table) // the table and the routes are kept as long as the state exists
	in.KeepRoutes()
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

// initialised returns a new instance after its initialize hook.
func (p *plugin) initialised(ctx, life context.Context, info ns.StateInfo) (*instance, error) {
	in, err := p.spare.Swap(nil), error(nil)
	if in == nil {
		in, _, err = p.instantiate(ctx, life)
	}
	in.Info = info
	if err == nil {
		_, err = in.callHook(ctx, p.limits["initialize"], "initialize", p.Settings, info.Table())
		if err != nil {
			err = fmt.Errorf("initialize: %w", err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, in.close(context.WithoutCancel(ctx)))
	}
	return in, nil
}

// prepare creates the plugin's instances, calls their start hooks and starts to deliver
// events.
func (p *plugin) prepare(ctx, life context.Context) error {
	p.Checked.Store(true)
	p.breakers = map[string]*vm.Breaker{}
	for name := range p.hooks {
		p.breakers[name] = vm.NewBreaker(p.host.o.BreakerLimit, p.host.o.BreakerPause, p.host.Clock.Now)
	}
	if p.is(Event) && p.queue == nil { // otherwise it is the queue of a stand-in that did not run
		p.queue = newQueue(p.host.o.EventQueue)
	}
	if p.is(Event) || p.is(Background) {
		for i := range p.States {
			in, err := p.initialised(ctx, life, ns.StateInfo{Side: ns.MainSide, Index: i + 1, Count: p.States, Reason: p.reason})
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
		if err := p.callStart(ctx, in); err != nil {
			return err
		}
	}
	for _, in := range p.main.all() {
		if err := p.startDelivery(in); err != nil {
			return err
		}
	}
	p.main.allowReplacements()
	for _, in := range p.main.all() {
		if in.State.MemoryExceeded() { // it was killed before it was added to main
			go p.replace(in)
		}
	}
	return nil
}

// callStart calls the start hook of an instance of the main side.
func (p *plugin) callStart(ctx context.Context, in *instance) error {
	if _, err := in.callHook(ctx, p.limits["start"], "start", in.Info.Table()); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

// startDelivery starts a goroutine in which an instance handles events of the queue, if the
// plugin has one.
func (p *plugin) startDelivery(in *instance) error {
	if p.queue == nil {
		return nil
	}
	_, err := in.State.Go(func(ctx context.Context) { p.deliver(ctx, in) })
	return err
}

func (p *plugin) is(k Kind) bool { return slices.Contains(p.kinds, k) }

// preparePool creates the states of the matching side.
func (p *plugin) preparePool(ctx, life context.Context) (err error) {
	first := true
	p.pool, err = vm.NewPool(life, vm.PoolOptions{
		Size: p.host.o.MatchStates, Recycle: p.host.o.Recycle,
		New: func(pooled context.Context, slot vm.Slot) (*vm.State, error) {
			call := pooled
			if first { // the load waits for this call, so cancelling the load cancels it
				call = ctx
			}
			info := ns.StateInfo{Side: ns.MatchingSide, Index: slot.Index, Count: p.host.o.MatchStates, Reason: p.reason}
			if slot.Replaces {
				info.Reason = reasonReplaced
			}
			in, err := p.initialised(call, life, info)
			if err != nil {
				return nil, err
			}
			return in.State, nil
		},
		Close: func(ctx context.Context, s *vm.State) error {
			in := s.Owner().(*instance)
			p.endState(ctx, in)
			return in.close(ctx)
		},
		Failed: func(err error) { p.RecordFailure("initialize", err) },
	})
	first = false
	return err
}
