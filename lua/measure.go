package lua

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nearside/lua/vm"
	"nearside/matcher"
)

// A Measurement is what one hook costs.
type Measurement struct {
	Hook         string  // "handle_event", "GET /path"
	Per          string  // what the figures are of: "event", "call"
	Count        int     // how many of these were measured
	Nanoseconds  float64 // for which the interpreter is held; waiting does not count
	Instructions float64 // of Lua
}

// measureBatch is how many points a measured handle_event gets.
const measureBatch = 256

// Measure calls each hook of a plugin for about d, with doubles of all that it
// can reach: HTTP requests are answered 201 (POST) or 200. The matching side gets rows
// faces.
func Measure(ctx context.Context, o Options, name string, rows int, d time.Duration) (results []Measurement, err error) {
	name = strings.TrimSuffix(name, ".lua")
	t := newTrial(o, name)
	t.http.always = true
	options := t.options
	options.Settings = o.Settings
	if err := t.connect(&options); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.end(context.WithoutCancel(ctx))) }()
	err = t.do(ctx, func(ctx context.Context) error {
		h, err := New(ctx, options)
		if err == nil {
			t.hosts = append(t.hosts, h)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	t.hosts[0].Listening()
	p := t.hosts[0].current.Load().plugins[0]
	if reason := p.degraded.Load(); reason != nil {
		return nil, errors.New(*reason)
	}
	hooks, err := t.measured(p, rows)
	if err != nil {
		return nil, err
	}
	for _, hook := range hooks {
		m, err := t.measure(ctx, p, hook, d)
		if err != nil {
			return results, fmt.Errorf("%s: %w", hook.Hook, err)
		}
		results = append(results, m)
	}
	return results, nil
}

// A measuredHook is a hook, and how it is called once.
type measuredHook struct {
	Measurement
	n    int // what one call counts as
	call func(ctx context.Context) error
}

// measured lists the hooks that can be measured.
func (t *trial) measured(p *plugin, rows int) ([]measuredHook, error) {
	var hooks []measuredHook
	if p.queue != nil {
		points := make([]any, measureBatch)
		for i := range points {
			points[i] = map[string]any{
				"series": "requests", "time": float64(t.clock.Now().Unix()),
				"tags":   map[string]any{"service": "nearside", "route": "POST:/matcher/faces", "status_code": 201.0},
				"fields": map[string]any{"request_id": "1767225600,00000000-0000-4000-8000-000000000000", "execution_time": 0.0123},
			}
		}
		hooks = append(hooks, measuredHook{Measurement{Hook: "handle_event", Per: "event"}, measureBatch, func(ctx context.Context) error {
			in := p.main.first()
			if in == nil {
				return vm.ErrMemory // it is being replaced
			}
			_, err := in.hook(ctx, p.limits["handle_event"], "handle_event", points, p.eventNames[0])
			return err
		}})
	}
	table := p.routes.load()
	for _, path := range slices.Sorted(maps.Keys(table)) {
		for _, method := range slices.Sorted(maps.Keys(table[path])) {
			r := Request{Method: method, Path: "/" + p.name + path, Query: map[string]string{}, Headers: map[string]string{}}
			hooks = append(hooks, measuredHook{Measurement{Hook: method + " " + path, Per: "call"}, 1, func(ctx context.Context) error {
				_, err := p.host.Serve(ctx, r)
				return err
			}})
		}
	}
	if p.matching == nil {
		return hooks, nil
	}
	matching, err := t.measuredMatching(p, rows)
	return append(hooks, matching...), err
}

// measuredMatching makes rows and the calls over them.
func (t *trial) measuredMatching(p *plugin, rows int) ([]measuredHook, error) {
	faces := make([]any, rows)
	for i := range faces {
		faces[i] = map[string]any{
			"face_id": fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1), "age": float64(i % 100), "gender": float64(i % 2),
			"descriptor": []any{float64(i % 256), float64(i / 256 % 256)},
		}
	}
	m := t.store.memory
	if _, err := m.put(faces); err != nil {
		return nil, err
	}
	sub, err := m.ask(nil, []any{1.0, 2.0}, nil)
	if err != nil {
		return nil, err
	}
	if why := p.matching.takes(sub); why != "" {
		return nil, errors.New("bench matches faces; the plugin is " + why)
	}
	hook := func(name string, call func(ctx context.Context, sub *matcher.SubRequest) error) []measuredHook {
		if !p.hooks[name] {
			return nil
		}
		return []measuredHook{{Measurement{Hook: name, Per: "call"}, 1, func(ctx context.Context) error { return call(ctx, sub) }}}
	}
	matchers := func(f func(m matcher.Matcher) error) error {
		all, _, release := p.host.Acquire()
		defer release()
		return f(all[0])
	}
	hooks := hook("cost", func(ctx context.Context, sub *matcher.SubRequest) error {
		return matchers(func(m matcher.Matcher) error {
			m.Cost(ctx, sub)
			return nil
		})
	})
	hooks = append(hooks, hook("prefilter", func(ctx context.Context, sub *matcher.SubRequest) error {
		whole, err := m.Select(ctx, sub.Candidates, nil)
		if err != nil {
			return err
		}
		_, prefilters, release := p.host.Acquire()
		defer release()
		_, err = prefilters[0].Narrow(ctx, sub, whole)
		return err
	})...)
	return append(hooks, hook("match", func(ctx context.Context, sub *matcher.SubRequest) error {
		return matchers(func(m matcher.Matcher) error {
			if r := m.Match(ctx, []matcher.SubRequest{*sub})[0]; r.Err != nil && !errors.Is(r.Err, matcher.ErrDeclined) {
				return r.Err
			}
			return nil
		})
	})...), nil
}

// measure calls a hook for about d.
func (t *trial) measure(ctx context.Context, p *plugin, hook measuredHook, d time.Duration) (Measurement, error) {
	before, failures := p.totals(), p.failures.Load()
	calls := 0
	for start := time.Now(); calls == 0 || time.Since(start) < d; calls++ {
		if err := t.do(ctx, hook.call); err != nil {
			return hook.Measurement, err
		}
		if p.failures.Load() != failures {
			return hook.Measurement, errors.New(*p.last.Load())
		}
	}
	after := p.totals()
	m := hook.Measurement
	m.Count = calls * hook.n
	m.Nanoseconds = float64(after.Busy-before.Busy) / float64(m.Count)
	m.Instructions = float64(after.Instructions-before.Instructions) / float64(m.Count)
	return m, nil
}

// totals are the counters of all the plugin's states.
func (p *plugin) totals() vm.Counters { return p.status().Totals }
