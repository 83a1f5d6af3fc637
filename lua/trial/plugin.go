package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nearside/lua"
	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
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
			Name: "request", Params: []string{"method: string", "path: string", "options?: {query: table?, headers: table?, body: string?, json: any, account_id: string?}"},
			Returns: []string{"{status: integer, headers: table<string, string>, body: string, json: any}"}, Waits: true,
			Doc: "Calls one of the plugin's routes. path is the path in ns.route. If a value of query is a list, the key is repeated. account_id is added to the query.", Run: withProbe(trialRequestRoute),
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

// sendEvent passes a stored event to the plugin's handle_event, if the plugin listens to
// such events. Events are handled one after another, in the form that a server sends.
func (t *trial) sendEvent(obj *matcher.Object) {
	const name = "sending_event"
	for _, h := range t.hosts {
		p, err := h.Probe()
		if err != nil || !slices.Contains(p.Events(), name) || p.Instance() == nil {
			continue // the plugin is closed, does not listen to the event, or is being replaced
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
		text := json.RawMessage(wire.AppendObject(nil, wire.JSON, obj, nil, wire.NoDescriptors))
		points.addItem(in, goval.Decoded(text), func(ctx context.Context, item any) {
			in.Report("handle_event", p.HandleEvent(ctx, []any{item}, name))
		})
	}
}

// readScalars reads an option that is a table of texts, numbers and booleans.
func readScalars(r *goval.Reader, field string) map[string]string {
	out := map[string]string{}
	for name, v := range r.Table(field) {
		text, err := goval.ScalarText(v)
		if err != nil {
			r.Fault(field+"."+name, "%w", err)
		}
		out[name] = text
	}
	return out
}

// readQuery reads an option that is a table of texts, numbers and booleans. A list is a
// key that is repeated.
func readQuery(r *goval.Reader, field string) map[string][]string {
	query := map[string][]string{}
	for name, v := range r.Table(field) {
		values, isList := v.([]any)
		if !isList {
			values = []any{v}
		}
		for _, v := range values {
			text, err := goval.ScalarText(v)
			if err != nil {
				r.Fault(field+"."+name, "%w", err)
			}
			query[name] = append(query[name], text)
		}
	}
	return query
}

func trialRequestRoute(c *vm.Call, t *trial, p *lua.Probe) error {
	o := &goval.Reader{Map: c.Map(3), Path: "options."}
	o.RefuseUnknown("query", "headers", "body", "json", "account_id")
	r := lua.Request{Method: c.Text(1), Path: "/" + p.Name() + c.Text(2), Headers: map[string]string{}, Body: []byte(o.Text("body", ""))}
	if v, ok := o.Map["json"]; ok {
		text, err := goval.EncodeJSON(v)
		if err != nil {
			return fmt.Errorf("options.json: %w", err)
		}
		r.Body, r.Headers["content-type"] = text, "application/json"
	}
	r.Query = readQuery(o, "query")
	account, err := trialAccount(o.Map)
	if err != nil {
		return fmt.Errorf("options.%w", err)
	}
	if account != nil {
		r.Query["account_id"] = []string{account.String()}
	}
	maps.Copy(r.Headers, readScalars(o, "headers"))
	if err := errors.Join(o.Faults...); err != nil {
		return err
	}
	var response lua.Response
	err = c.Wait(func(ctx context.Context) error {
		return t.runUntilIdle(ctx, func(ctx context.Context) (err error) {
			response, err = p.Host().Serve(ctx, r)
			return err
		})
	})
	if err != nil {
		return err
	}
	result := map[string]any{"status": response.Status, "headers": response.Headers, "body": response.Body}
	if v, err := goval.DecodeJSON(response.Body); err == nil {
		result["json"] = v
	}
	return c.Return(result)
}
