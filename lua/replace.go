package lua

import (
	"context"
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

// mainSide is the instances of a plugin's event and background side. Those
// that exceed the plugin's memory are replaced.
type mainSide struct {
	mu        sync.Mutex
	instances []*instance
	past      vm.Counters // of instances that were replaced
	replacing int
	pause     time.Duration // before the next replacement
	last      time.Time     // of the last replacement
	ended     bool
	stop      context.CancelFunc // ends replacements
	work      sync.WaitGroup     // replacements in progress
}

func (m *mainSide) add(in *instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.instances = append(m.instances, in)
}

// all returns the instances of now.
func (m *mainSide) all() []*instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.instances)
}

// first is the instance in which a test calls hooks; nil when it is being
// replaced.
func (m *mainSide) first() *instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.instances) == 0 {
		return nil
	}
	return m.instances[0]
}

// end lets no further replacement begin and waits for those in progress.
func (m *mainSide) end() {
	m.mu.Lock()
	m.ended = true
	if m.stop != nil {
		m.stop()
	}
	m.mu.Unlock()
	m.work.Wait()
}

// begin takes an instance out, and returns its index and the pause before it is
// made again. Afterwards, m.work.Done has to be called. It fails when the
// plugin is ending, or the instance is not one of these.
func (m *mainSide) begin(ctx context.Context, in *instance, now time.Time) (_ context.Context, at int, pause time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at = slices.Index(m.instances, in)
	if m.ended || at < 0 {
		return nil, 0, 0, false
	}
	if m.stop == nil || m.replacing == 0 {
		ctx, m.stop = context.WithCancel(ctx)
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
	return ctx, at, m.pause, true
}

func (m *mainSide) finish(in *instance, at int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replacing--
	if in != nil {
		m.instances = slices.Insert(m.instances, min(at, len(m.instances)), in)
	}
}

// replaced returns how many instances are being replaced, and the counters of
// those that were.
func (m *mainSide) replaced() (waiting int, past vm.Counters) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replacing, m.past
}

// memoryAccount is the plugin's account of memory. It is made with the first
// instance, when limits.memory is not known yet.
func (p *plugin) memoryAccount() *vm.Memory {
	p.accountOnce.Do(func() { p.account = vm.NewMemory(0) })
	return p.account
}

// exceeded is told that the instance was killed for its memory. It must not
// block: see vm.StateOptions.
func (in *instance) exceeded(bytes int64) {
	p := in.plugin
	go func() { // ends with the replacement, which mainSide.end waits for, or at once
		p.failed("memory", vm.ErrMemory)
		p.log.LogAttrs(context.Background(), slog.LevelError, "plugin exceeded limits.memory; a state is replaced",
			slog.Int64("state_bytes", bytes), slog.Int64("limit", p.account.Limit()))
		ctx, at, pause, ok := p.main.begin(in.life, in, p.host.clock.Now())
		if !ok {
			return // of the matching side, which has its own pool, or ending
		}
		defer p.main.work.Done()
		p.main.finish(p.replacement(ctx, in, at, pause), at)
	}()
}

// replacement closes a killed instance and makes another one, as often as it
// takes. It returns nil when the plugin ends meanwhile.
func (p *plugin) replacement(ctx context.Context, old *instance, at int, pause time.Duration) *instance {
	p.removeRoutes(old)
	if err := old.close(context.WithoutCancel(ctx)); err != nil {
		p.failed("close", err)
	}
	for p.host.clock.Sleep(ctx, pause) == nil {
		in, err := p.initialised(ctx, old.life)
		if err == nil {
			if err = p.run(ctx, in, at); err == nil {
				return in
			}
			_ = in.close(context.WithoutCancel(ctx)) // the error of run is told
		}
		if ctx.Err() == nil {
			p.failed("replace", err)
			p.log.LogAttrs(ctx, slog.LevelError, "a plugin's state could not be replaced", slog.String("error", err.Error()))
		}
		pause = min(2*pause, replacePauseMax)
	}
	return nil
}

// run starts what instance number at of the event and background side does
// beside requests.
func (p *plugin) run(ctx context.Context, in *instance, at int) error {
	if p.queue != nil {
		if _, err := in.state.Go(func(ctx context.Context) { p.deliver(ctx, in) }); err != nil {
			return err
		}
	}
	if !p.is(Background) || at != 0 {
		return nil
	}
	if _, err := in.hook(ctx, p.limits["start"], "start"); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}
