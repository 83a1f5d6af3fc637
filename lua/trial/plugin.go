package trial

import (
	"context"
	"errors"
	"strings"

	"nearside/lua"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher/store"
)

// A trialPlugin is the value of a plugin object in a test.
type trialPlugin struct {
	trial *trial
	host  *lua.Host
}

// trialStart starts a host with the plugin and returns the plugin object.
func trialStart(c *vm.Call) error {
	t, err := trialOf(c)
	if err != nil {
		return err
	}
	o := t.options
	if settings := c.Map(1); settings != nil {
		o.Settings = map[string]any{t.name: settings}
	}
	if err := t.connect(&o); err != nil {
		return err
	}
	var h *lua.Host
	err = c.Wait(func(ctx context.Context) error {
		return t.runUntilIdle(ctx, func(ctx context.Context) (err error) {
			if h, err = lua.New(ctx, o); err == nil {
				t.serving.Store(true)
				h.ServerReady()
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	t.hosts = append(t.hosts, h)
	return c.Return(vm.Object{Class: trialPluginClass, Value: &trialPlugin{t, h}})
}

// withProbe returns a method that calls f with a probe of the running plugin.
func withProbe(f func(c *vm.Call, t *trial, p *lua.Probe) error) func(*vm.Call) error {
	return func(c *vm.Call) error {
		held := c.Self().(*trialPlugin)
		p, err := held.host.Probe()
		if err != nil {
			return err
		}
		return f(c, held.trial, p)
	}
}

var trialPluginClass = &vm.Class{
	Name: "Plugin", Doc: "The plugin under test. A method returns when the plugin is idle, and raises the errors of the plugin's hooks.",
	Methods: append(hookMethods(), []vm.Function{
		{
			Name: "emit", Params: []string{"points: table[]", "event?: string"}, Waits: true,
			Doc: "Calls handle_event with points. The default of event is the first name in the plugin's field events.", Run: withProbe(trialEmit),
		},
		{
			Name: "request", Params: []string{"method: string", "path: string", "options?: {query: table?, headers: table?, body: string?, json: any, account_id: string?, key: string?, bound: {account_id: string?, lists: string[]?}?, role: string?, leave_after: integer?}"},
			Returns: []string{"{status: integer, headers: table<string, string>, body: string, json: any, pieces: string[]?}"}, Waits: true,
			Doc: "Calls one of the plugin's routes. path is the path of the request, below /plugins/<name>. If a value of query is a list, the key is repeated. account_id is added to the query. " +
				"key is the name of the caller's key, bound what it is bound to, and role its role; without role, the caller may use all routes. pieces are the texts of req:write. With leave_after = n, the client leaves after n of them.", Run: withProbe(trialRequestRoute),
		},
		{
			Name: "cost", Params: []string{"candidates?: table", "probe?: integer[]", "rows?: table[]"}, Returns: []string{"number?"}, Waits: true,
			Doc: "The result of the hook cost for a candidate set, or nil if the plugin cannot match it. candidates has the fields of a candidate set in a request, and may have the account_id of the request.", Run: withProbe(trialCost),
		},
		{
			Name: "prefilter", Params: []string{"rows: table[]", "candidates?: table"},
			Returns: []string{"table[]?", "{status: integer, detail: string}? rejection"}, Waits: true,
			Doc: "The rows that the hook prefilter keeps, in the order of rows. If the hook rejects the request, nil and the rejection. rows come from test.faces or test.events. candidates: see cost.", Run: withProbe(trialPrefilter),
		},
		{
			Name: "match", Params: []string{"rows: table[]", "probe: integer[]", "candidates?: table"}, Returns: []string{"table[]?"}, Waits: true,
			Doc: "The rows that the hook match returns for the descriptor probe, with distance and similarity, or nil if the hook declines. The host checks the rows. candidates: see cost.", Run: withProbe(trialMatch),
		},
		{
			Name: "reload", Waits: true, Doc: "Reloads the plugin, as SIGHUP does.",
			Run: withProbe(func(c *vm.Call, t *trial, p *lua.Probe) error {
				return c.Wait(func(ctx context.Context) error { return t.runUntilIdle(ctx, p.Host().Reload) })
			}),
		},
		{
			Name: "close", Waits: true, Doc: "Shuts the plugin down.",
			Run: withProbe(func(c *vm.Call, t *trial, p *lua.Probe) error {
				return c.Wait(func(ctx context.Context) error { return t.runUntilIdle(ctx, p.Host().Close) })
			}),
		},
		{
			Name: "status", Returns: []string{"{state: string, reason: string, tasks: integer, routes: string[], failures: integer, last_error: string, dropped: integer}"},
			Doc: "The status of the plugin. A test fails if the plugin has failed, unless the test calls status.",
			Run: withProbe(func(c *vm.Call, t *trial, p *lua.Probe) error {
				t.excused = true
				s := p.Status()
				state := "running"
				if len(s.Degraded) > 0 {
					state = "degraded"
				}
				return c.Return(map[string]any{
					"state": state, "reason": strings.Join(s.Degraded, "; "),
					"tasks": t.clock.taskCount(), "routes": s.Routes, "failures": int(s.Failures), "last_error": s.LastError, "dropped": int(s.Dropped),
				})
			}),
		},
	}...),
}

func trialEmit(c *vm.Call, t *trial, p *lua.Probe) error {
	if reason := p.Degraded(); reason != "" {
		return errors.New("the plugin does not run: " + reason)
	}
	if len(p.Events()) == 0 {
		return errors.New("the plugin has no handle_event, or is not of kind event")
	}
	points, name := c.List(1), c.TextOr(2, p.Events()[0])
	return c.Wait(func(ctx context.Context) error {
		return t.runUntilIdle(ctx, func(ctx context.Context) error {
			p, err := p.Host().Probe()
			if err != nil {
				return err
			}
			return p.HandleEvent(ctx, points, name)
		})
	})
}

// sendChange passes the event about a change to the plugin's handle_event, if the plugin
// receives it. Events are handled one after another, in the form that a server sends.
func (t *trial) sendChange(c *store.Change) {
	name, value := lua.ChangeEvent(c)
	for _, h := range t.hosts {
		p, err := h.Probe()
		if err != nil || name == "" || p.Instance() == nil {
			continue // the plugin is closed or is being replaced, or there is no event
		}
		item, ok := p.Point(name, c.Cause, value)
		if !ok {
			continue
		}
		in := p.Instance()
		t.mu.Lock()
		if t.points == nil {
			t.points = map[*ns.Instance]*inbox{}
		}
		if t.points[in] == nil {
			t.points[in] = &inbox{}
		}
		points := t.points[in]
		t.mu.Unlock()
		points.addItem(in, item, func(ctx context.Context, item any) {
			in.Report("handle_event", p.HandleEvent(ctx, []any{item}, name))
		})
	}
}
