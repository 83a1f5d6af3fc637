package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"nearside/lua/ns"
	"nearside/lua/vm"
)

// The pauses before a state of the event and background side is replaced. The pause doubles
// each time, up to replacePauseMax. If the last replacement was more than steadyTime ago, it
// starts at replacePause again.
const (
	replacePause    = time.Second
	replacePauseMax = time.Minute
	steadyTime      = 10 * time.Minute
)

// mainStates holds the instances of a plugin's event and background side, which is also
// called its main side. Instances that exceed the plugin's memory are replaced. The
// zero value is empty.
type mainStates struct {
	mu        sync.Mutex
	instances []*instance   // in the order of their indexes
	ready     chan struct{} // closed by allowReplacements; see readiness
	past      vm.Counters   // of instances that were replaced
	replacing int
	pause     time.Duration // before the next replacement
	last      time.Time     // of the last replacement
	ended     bool
	ctx       context.Context // of replacements; created by the first one
	stop      context.CancelFunc
	work      sync.WaitGroup // replacements in progress
}

// add adds an instance in the order of the indexes.
func (m *mainStates) add(in *instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, _ := slices.BinarySearchFunc(m.instances, in.Info.Index, func(other *instance, index int) int { return other.Info.Index - index })
	m.instances = slices.Insert(m.instances, at, in)
}

// all returns a copy of the current instances.
func (m *mainStates) all() []*instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.instances)
}

// first returns the first instance, in which tests call hooks. It returns nil if there
// is no instance, for example while the only one is being replaced.
func (m *mainStates) first() *instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.instances) == 0 {
		return nil
	}
	return m.instances[0]
}

// readiness returns the channel that allowReplacements closes. The caller must hold the
// lock.
func (m *mainStates) readiness() chan struct{} {
	if m.ready == nil {
		m.ready = make(chan struct{})
	}
	return m.ready
}

// allowReplacements allows replacements to begin. It must be called once, when the plugin
// is prepared.
func (m *mainStates) allowReplacements() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.readiness())
}

// end prevents further replacements and waits for those in progress.
func (m *mainStates) end() {
	m.mu.Lock()
	m.ended = true
	if m.stop != nil {
		m.stop()
	}
	m.mu.Unlock()
	m.work.Wait()
}

// beginReplacement removes an instance that is to be replaced. It returns a context that
// ends with the plugin, the channel that allowReplacements closes, and the pause before the
// replacement. The caller must then call endReplacement. If the plugin is ending or in is
// not an instance of m, beginReplacement does nothing and ok is false.
func (m *mainStates) beginReplacement(in *instance, now time.Time) (ctx context.Context, ready <-chan struct{}, pause time.Duration, ok bool) {
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
	m.past.Add(in.State.Counters())
	m.replacing++
	m.work.Add(1)
	return m.ctx, m.readiness(), m.pause, true
}

// endReplacement ends a replacement. in is the new instance; nil: the plugin ended first.
func (m *mainStates) endReplacement(in *instance) {
	if in != nil {
		m.add(in)
	}
	m.mu.Lock()
	m.replacing--
	m.mu.Unlock()
	m.work.Done()
}

// replacements returns the number of replacements in progress, and the sum of the counters
// of all instances that were removed.
func (m *mainStates) replacements() (inProgress int, past vm.Counters) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replacing, m.past
}

// memoryAccount returns the plugin's memory account. It may be created before
// limits.memory is known.
func (p *plugin) memoryAccount() *vm.Memory {
	p.accountOnce.Do(func() { p.account = vm.NewMemory(p.memory) })
	return p.account
}

// memoryExceeded is called after the instance was killed because of its memory. It must not
// block (see vm.StateOptions).
func (in *instance) memoryExceeded(bytes int64) {
	p := in.plugin
	p.host.o.Doubles.Counter.AddTasks(1)
	go func() { // ends soon, or with the replacement; mainStates.end waits for replacements
		defer p.host.o.Doubles.Counter.AddTasks(-1)
		p.SetLastError("memory", vm.ErrMemory)
		p.Log.LogAttrs(context.Background(), slog.LevelError, "plugin exceeded limits.memory; a state is replaced",
			slog.Int64("state_bytes", bytes), slog.Int64("limit", p.account.Limit()))
		p.replace(in)
	}()
}

// replace replaces a killed instance of the main side. It does nothing if the plugin is
// ending, if another goroutine replaces the instance, or if the instance is of the
// matching side, whose pool replaces it.
func (p *plugin) replace(in *instance) {
	for in != nil && in.State.MemoryExceeded() { // the new instance may be killed before it is added
		ctx, ready, pause, ok := p.main.beginReplacement(in, p.host.Clock.Now())
		if !ok {
			return
		}
		in = p.replacement(ctx, ready, in, pause)
		p.main.endReplacement(in)
	}
}

// replacement ends a killed instance and tries to create a new one until it succeeds. It
// returns nil if the plugin ends first. Until the new instance works, the plugin is
// degraded.
func (p *plugin) replacement(ctx context.Context, ready <-chan struct{}, old *instance, pause time.Duration) *instance {
	p.endKilled(context.WithoutCancel(ctx), old)
	// vacant stands for the missing instance. It must not refer to the old one, which
	// holds the memory.
	vacant := &instance{Instance: ns.Instance{Plugin: &p.Plugin, Info: old.Info}, plugin: p, life: old.life}
	vacant.Info.Reason = reasonReplaced
	part := fmt.Sprintf("state %d of the main side", vacant.Info.Index)
	vacant.Degrade(part, errors.New("it held more memory than limits.memory; a new state is being created"))
	defer p.Troubles.Forget(&vacant.Instance)
	select {
	case <-ready:
	case <-ctx.Done():
	}
	for p.host.Clock.Sleep(ctx, pause) == nil {
		in, err := p.successor(ctx, vacant)
		if err == nil {
			vacant.Recovered(part)
			return in
		}
		if ctx.Err() == nil {
			p.RecordFailure("replace", err)
			vacant.Degrade(part, fmt.Errorf("a new state cannot be created: %w", err))
		}
		pause = min(2*pause, replacePauseMax)
	}
	return nil
}

// endKilled ends an instance whose state was killed. Its consumers return their
// messages, and the values in its batches are dropped and counted. The close hook is
// not called.
func (p *plugin) endKilled(ctx context.Context, in *instance) {
	p.Routes.Remove(&in.Instance)
	limited, cancel := p.host.WithTimeout(ctx, p.closeTime())
	defer cancel()
	in.Drain(limited)
	if err := in.close(ctx); err != nil {
		p.RecordFailure("close", err)
	}
}

// successor creates the instance that takes the place of vacant.
func (p *plugin) successor(ctx context.Context, vacant *instance) (*instance, error) {
	in, err := p.initialised(ctx, vacant.life, vacant.Info)
	if err != nil {
		return nil, err
	}
	if err = p.callStart(ctx, in); err == nil {
		err = p.startDelivery(in)
	}
	if err != nil {
		return nil, errors.Join(err, in.close(context.WithoutCancel(ctx)))
	}
	return in, nil
}
