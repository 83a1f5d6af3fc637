package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"nearside/lua/vm"
)

// Pauses before a state of the event and background side is made again. They
// double with each state that did not live for steadyTime.
const (
	replacePause    = time.Second
	replacePauseMax = time.Minute
	steadyTime      = 10 * time.Minute
)

// mainStates are the instances of a plugin's event and background side. Those
// that exceed the plugin's memory are replaced. The zero value is empty.
type mainStates struct {
	mu        sync.Mutex
	instances []*instance   // in the order of their indexes
	ready     chan struct{} // closed when the plugin is prepared: replacements wait for it
	past      vm.Counters   // of instances that were replaced
	replacing int
	pause     time.Duration // before the next replacement
	last      time.Time     // of the last replacement
	ended     bool
	ctx       context.Context // of replacements; made by the first
	stop      context.CancelFunc
	work      sync.WaitGroup // replacements in progress
}

// add adds an instance in the order of the indexes.
func (m *mainStates) add(in *instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, _ := slices.BinarySearchFunc(m.instances, in.info.index, func(other *instance, index int) int { return other.info.index - index })
	m.instances = slices.Insert(m.instances, at, in)
}

// all returns the instances of now.
func (m *mainStates) all() []*instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.instances)
}

// first is the instance in which a test calls hooks; nil when it is being
// replaced.
func (m *mainStates) first() *instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.instances) == 0 {
		return nil
	}
	return m.instances[0]
}

// readiness returns what prepared closes. The lock is held.
func (m *mainStates) readiness() chan struct{} {
	if m.ready == nil {
		m.ready = make(chan struct{})
	}
	return m.ready
}

// prepared lets replacements begin; once.
func (m *mainStates) prepared() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.readiness())
}

// end lets no further replacement begin and waits for those in progress.
func (m *mainStates) end() {
	m.mu.Lock()
	m.ended = true
	if m.stop != nil {
		m.stop()
	}
	m.mu.Unlock()
	m.work.Wait()
}

// begin takes an instance out and returns the pause before it is made again,
// and a context that ends with the plugin. Afterwards, finish has to be
// called. It fails when the plugin is ending, or the instance is not one of
// these.
func (m *mainStates) begin(in *instance, now time.Time) (ctx context.Context, ready <-chan struct{}, pause time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.Index(m.instances, in)
	if m.ended || at < 0 {
		return nil, nil, 0, false
	}
	if m.ctx == nil {
		m.ctx, m.stop = context.WithCancel(in.life)
	}
	m.pause = min(max(2*m.pause, replacePause), replacePauseMax)
	if now.Sub(m.last) > steadyTime {
		m.pause = replacePause
	}
	m.last = now
	m.instances = slices.Delete(m.instances, at, at+1)
	m.past.Add(in.state.Counters())
	m.replacing++
	m.work.Add(1)
	return m.ctx, m.readiness(), m.pause, true
}

// finish ends a replacement. in is the new instance, nil when there is none.
func (m *mainStates) finish(in *instance) {
	if in != nil {
		m.add(in)
	}
	m.mu.Lock()
	m.replacing--
	m.mu.Unlock()
	m.work.Done()
}

// replaced returns how many instances are being replaced, and the counters of
// those that were.
func (m *mainStates) replaced() (waiting int, past vm.Counters) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replacing, m.past
}

// memoryAccount is the plugin's account of memory. It may be made before
// limits.memory is known.
func (p *plugin) memoryAccount() *vm.Memory {
	p.accountOnce.Do(func() { p.account = vm.NewMemory(p.memory) })
	return p.account
}

// exceeded is told that the instance was killed for its memory. It must not
// block: see vm.StateOptions.
func (in *instance) exceeded(bytes int64) {
	p := in.plugin
	p.host.busy(1)
	go func() { // ends with the replacement, which mainStates.end waits for, or at once
		defer p.host.busy(-1)
		p.failed("memory", vm.ErrMemory)
		p.log.LogAttrs(context.Background(), slog.LevelError, "plugin exceeded limits.memory; a state is replaced",
			slog.Int64("state_bytes", bytes), slog.Int64("limit", p.account.Limit()))
		p.replace(in)
	}()
}

// replace makes a killed instance of the main side again. It does nothing for
// one of the matching side, which has its own pool, when the plugin is ending,
// and when somebody else does it.
func (p *plugin) replace(in *instance) {
	for in != nil && in.state.Exceeded() { // the new one may be killed before it is in its place
		ctx, ready, pause, ok := p.main.begin(in, p.host.clock.Now())
		if !ok {
			return
		}
		in = p.replacement(ctx, ready, in, pause)
		p.main.finish(in)
	}
}

// replacement ends a killed instance and makes another one, as often as it
// takes. It returns nil when the plugin ends meanwhile. Until the new one
// works, the plugin is shown as degraded.
func (p *plugin) replacement(ctx context.Context, ready <-chan struct{}, old *instance, pause time.Duration) *instance {
	p.endKilled(context.WithoutCancel(ctx), old)
	// The old one is not kept any longer: it holds the memory.
	place := &instance{plugin: p, life: old.life, info: old.info}
	place.info.reason = replacedState
	what := fmt.Sprintf("state %d of the main side", place.info.index)
	place.degrade(what, errors.New("it held more memory than limits.memory and is made again"))
	defer p.troubles.forget(place)
	select {
	case <-ready:
	case <-ctx.Done():
	}
	for p.host.clock.Sleep(ctx, pause) == nil {
		in, err := p.successor(ctx, place)
		if err == nil {
			place.recovered(what)
			return in
		}
		if ctx.Err() == nil {
			p.failed("replace", err)
			place.degrade(what, fmt.Errorf("it cannot be made again: %w", err))
		}
		pause = min(2*pause, replacePauseMax)
	}
	return nil
}

// endKilled ends an instance whose state was killed. Its consumers give their
// messages back, and the values of its batches are dropped and counted. There
// is no close hook.
func (p *plugin) endKilled(ctx context.Context, in *instance) {
	p.routes.remove(in)
	limited, cancel := p.host.within(ctx, p.closeTime())
	defer cancel()
	in.drain(limited)
	if err := in.close(ctx); err != nil {
		p.failed("close", err)
	}
}

// successor makes the instance for a place.
func (p *plugin) successor(ctx context.Context, place *instance) (*instance, error) {
	in, err := p.initialised(ctx, place.life, place.info)
	if err != nil {
		return nil, err
	}
	if err = p.begin(ctx, in); err == nil {
		err = p.takeEvents(in)
	}
	if err != nil {
		return nil, errors.Join(err, in.close(context.WithoutCancel(ctx)))
	}
	return in, nil
}
