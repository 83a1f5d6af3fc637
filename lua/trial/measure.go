package trial

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"nearside/lua"
	"nearside/lua/vm"
	"nearside/matcher"
)

// A Measurement is the measured cost of one hook.
type Measurement struct {
	Hook         string  // "handle_event", "GET /path"
	Per          string  // what one measured item is: "event" or "call"
	Count        int     // the number of measured items
	Nanoseconds  float64 // time per item in the interpreter, without waits
	Instructions float64 // units of work per item; one unit is about one Lua instruction
}

// measureBatch is the number of points in a measured call of handle_event.
const measureBatch = 256

// Measure calls each hook of a plugin for about the time d, with test doubles of
// everything outside the plugin. HTTP requests are answered with 201 (POST) or 200. rows
// is the number of faces in the set that the matching side receives. A hook that fails is
// left out, and the error names it; the others are measured nevertheless.
func Measure(ctx context.Context, o lua.Options, name string, rows int, d time.Duration) (results []Measurement, err error) {
	err = withHooks(ctx, o, name, rows, nil, func(t *trial, p *lua.Probe, hooks []measuredHook) error {
		return eachHook(ctx, hooks, func(hook measuredHook) error {
			m, err := t.measure(ctx, p, hook, d)
			if err == nil {
				results = append(results, m)
			}
			return err
		})
	})
	return results, err
}

// Profile calls the hooks of a plugin as Measure does, for about the time d in all, and
// returns the work of each Lua line, the most expensive first. Lines of hooks that fail are
// included, and the error names these hooks.
func Profile(ctx context.Context, o lua.Options, name string, rows int, d time.Duration) ([]vm.ProfileLine, error) {
	profile := &vm.Profile{}
	err := withHooks(ctx, o, name, rows, profile, func(t *trial, p *lua.Probe, hooks []measuredHook) error {
		if len(hooks) == 0 {
			return fmt.Errorf("plugin %s has no hook that can be called: handle_event, routes, cost, prefilter, match", p.Name())
		}
		return eachHook(ctx, hooks, func(hook measuredHook) error {
			_, err := t.measure(ctx, p, hook, d/time.Duration(len(hooks)))
			return err
		})
	})
	return profile.Lines(), err
}

// eachHook calls f with each hook until ctx ends. It returns the errors of all hooks, each
// with the name of its hook.
func eachHook(ctx context.Context, hooks []measuredHook, f func(measuredHook) error) error {
	var faults []error
	for _, hook := range hooks {
		if err := f(hook); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", hook.Hook, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(faults...)
}

// pathParameter matches a parameter in the path of a route.
var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

// withHooks starts a plugin with test doubles, calls f with its hooks, and closes the plugin.
// profile may be nil.
func withHooks(ctx context.Context, o lua.Options, name string, rows int, profile *vm.Profile, f func(t *trial, p *lua.Probe, hooks []measuredHook) error) (err error) {
	if err := lua.CheckExists(o, name); err != nil {
		return err
	}
	t := newTrial(o, strings.TrimSuffix(name, ".lua"))
	t.http.always = true
	options := t.options
	options.Settings, options.Doubles.Profile = o.Settings, profile
	if err := t.connect(&options); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.closeAll(context.WithoutCancel(ctx))) }()
	err = t.runUntilIdle(ctx, func(ctx context.Context) error {
		h, err := lua.New(ctx, options)
		if err == nil {
			t.hosts = append(t.hosts, h)
		}
		return err
	})
	if err != nil {
		return err
	}
	t.hosts[0].ServerReady()
	p, err := t.hosts[0].Probe()
	if err != nil {
		return err
	}
	if reason := p.Degraded(); reason != "" {
		return errors.New(reason)
	}
	hooks, err := t.hooksToMeasure(p, rows)
	if err != nil {
		return err
	}
	return f(t, p, hooks)
}

// A measuredHook is a hook with a function that calls it once.
type measuredHook struct {
	Measurement
	n    int // the number of items in one call
	call func(ctx context.Context) error
}

// samplePoint returns point i of a measured call of handle_event.
func (t *trial) samplePoint(event string, i int) map[string]any {
	const id = "00000000-0000-4000-8000-%012d"
	now := t.clock.Now().UTC()
	object := map[string]any{"create_time": now.Format(time.RFC3339Nano), "user_data": "sample"}
	change := map[string]any{"op": "put", "id": fmt.Sprintf(id, i), "object": object, "lists": []any{}}
	switch event {
	case "sending_event":
		object["event_id"], object["source"] = fmt.Sprintf(id, i), "camera"
		object["top_match"] = map[string]any{"object_id": fmt.Sprintf(id, 1000+i), "external_id": "person", "similarity": 0.95}
		return object
	case "face_event":
		object["face_id"], object["lists"] = fmt.Sprintf(id, i), []any{}
		return change
	case "list_event":
		object["list_id"] = fmt.Sprintf(id, i)
		return change
	case "attribute_event":
		object["attribute_id"] = fmt.Sprintf(id, i)
		return change
	}
	return map[string]any{
		"series": "requests", "time": float64(now.Unix()),
		"tags":   map[string]any{"service": "nearside", "route": "POST:/matcher/faces", "status_code": 201.0},
		"fields": map[string]any{"request_id": "1767225600,00000000-0000-4000-8000-000000000000", "execution_time": 0.0123},
	}
}

// hooksToMeasure returns the hooks of the plugin, each with a function that calls it.
func (t *trial) hooksToMeasure(p *lua.Probe, rows int) ([]measuredHook, error) {
	var hooks []measuredHook
	if len(p.Events()) > 0 {
		points := make([]any, measureBatch)
		for i := range points {
			points[i] = t.samplePoint(p.Events()[0], i)
		}
		hooks = append(hooks, measuredHook{Measurement{Hook: "handle_event", Per: "event"}, measureBatch, func(ctx context.Context) error {
			p, err := p.Host().Probe()
			if err != nil {
				return err
			}
			return p.HandleEvent(ctx, points, p.Events()[0])
		}})
	}
	for _, route := range p.Status().Routes {
		method, path, _ := strings.Cut(route, " ")
		path = pathParameter.ReplaceAllString(path, "1") // both a text and a number
		r := lua.Request{Method: method, Path: "/" + p.Name() + path, Headers: map[string]string{}, Stream: discard{}}
		hooks = append(hooks, measuredHook{Measurement{Hook: route, Per: "call"}, 1, func(ctx context.Context) error {
			_, err := p.Host().Serve(ctx, r)
			return err
		}})
	}
	if !slices.ContainsFunc([]string{"request", "cost", "prefilter", "match", "results"}, p.Has) {
		return hooks, nil
	}
	matching, err := t.matchingHooksToMeasure(p, rows)
	return append(hooks, matching...), err
}

// discard is a client that reads all pieces of an answer at once. It implements
// [ns.AnswerStream].
type discard struct{}

func (discard) Begin(int, map[string]string) {}
func (discard) Write([]byte) error           { return nil }

// matchingHooksToMeasure creates the faces and returns the hooks of the matching side.
func (t *trial) matchingHooksToMeasure(p *lua.Probe, rows int) ([]measuredHook, error) {
	faces := make([]any, rows)
	for i := range faces {
		faces[i] = map[string]any{
			"face_id": fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1), "age": float64(i % 100), "gender": float64(i % 2),
			"descriptor": []any{float64(i % 256), float64(i / 256 % 256)},
		}
	}
	m := t.store.memory
	if _, err := m.putRows(faces); err != nil {
		return nil, err
	}
	sub, err := m.newSubRequest(nil, []any{1.0, 2.0}, nil)
	if err != nil {
		return nil, err
	}
	if why := p.Refusal(sub); why != "" {
		return nil, errors.New("the measurement matches faces, but the plugin is " + why)
	}
	hook := func(name string, call func(ctx context.Context, sub *matcher.SubRequest) error) []measuredHook {
		if !p.Has(name) {
			return nil
		}
		return []measuredHook{{Measurement{Hook: name, Per: "call"}, 1, func(ctx context.Context) error { return call(ctx, sub) }}}
	}
	withMatcher := func(f func(m matcher.Matcher) error) error {
		all, _, release := p.Host().Acquire()
		defer release()
		return f(all[0])
	}
	hooks := hook("request", t.callRequest(p))
	hooks = append(hooks, hook("cost", func(ctx context.Context, sub *matcher.SubRequest) error {
		return withMatcher(func(m matcher.Matcher) error {
			m.Cost(ctx, sub)
			return nil
		})
	})...)
	hooks = append(hooks, hook("prefilter", func(ctx context.Context, sub *matcher.SubRequest) error {
		whole, err := m.Select(ctx, sub.Candidates, nil)
		if err != nil {
			return err
		}
		_, prefilters, release := p.Host().Acquire()
		defer release()
		_, err = prefilters[0].Narrow(ctx, sub, whole)
		return err
	})...)
	hooks = append(hooks, hook("match", func(ctx context.Context, sub *matcher.SubRequest) error {
		return withMatcher(func(m matcher.Matcher) error {
			if r := m.Match(ctx, []matcher.SubRequest{*sub})[0]; r.Err != nil && !errors.Is(r.Err, matcher.ErrDeclined) {
				return r.Err
			}
			return nil
		})
	})...)
	if !p.Has("results") {
		return hooks, nil
	}
	results, err := t.callResults(p, sub)
	return append(hooks, hook("results", results)...), err
}

// callRequest returns a function that calls the hook request once.
func (t *trial) callRequest(p *lua.Probe) func(ctx context.Context, sub *matcher.SubRequest) error {
	return func(ctx context.Context, sub *matcher.SubRequest) error {
		hooks, release := p.Host().AcquireHooks()
		defer release()
		set := *sub.Candidates
		_, err := hooks.Requests[0].Request(ctx, &matcher.MatchCall{
			Kind: matcher.MatchFaces, Candidates: []*matcher.Candidates{&set}, References: []matcher.Reference{{Type: matcher.RefFace}},
			Route: "POST:/matcher/faces", RequestID: sub.RequestID, RowsMax: trialRowsMax,
		})
		return err
	}
}

// callResults returns a function that calls the hook results once, with the nearest 10 rows.
func (t *trial) callResults(p *lua.Probe, sub *matcher.SubRequest) (func(ctx context.Context, sub *matcher.SubRequest) error, error) {
	nearest, ten := *sub, *sub.Candidates
	ten.Limit = 10
	nearest.Candidates = &ten
	answer := t.store.memory.Match(context.Background(), []matcher.SubRequest{nearest})[0]
	return func(ctx context.Context, sub *matcher.SubRequest) error {
		hooks, release := p.Host().AcquireHooks()
		defer release()
		result := answer
		_, err := hooks.Results[0].Results(ctx, sub, &result)
		return err
	}, answer.Err
}

// measure calls a hook repeatedly for about the time d.
func (t *trial) measure(ctx context.Context, p *lua.Probe, hook measuredHook, d time.Duration) (Measurement, error) {
	before := p.Status()
	calls := 0
	for start := time.Now(); calls == 0 || time.Since(start) < d; calls++ {
		if err := t.runUntilIdle(ctx, hook.call); err != nil {
			return hook.Measurement, err
		}
		if now := p.Status(); now.Failures != before.Failures {
			return hook.Measurement, errors.New(now.LastError)
		}
	}
	after := p.Status().Totals
	m := hook.Measurement
	m.Count = calls * hook.n
	m.Nanoseconds = float64(after.Busy-before.Totals.Busy) / float64(m.Count)
	m.Instructions = float64(after.Instructions-before.Totals.Instructions) / float64(m.Count)
	return m, nil
}
