package lua

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// A trialPlugin is the plugin as a test holds it.
type trialPlugin struct {
	trial *trial
	host  *Host
}

// running returns the plugin of the current generation.
func (p *trialPlugin) running() (*plugin, error) {
	if all := p.host.current.Load().plugins; len(all) == 1 {
		return all[0], nil
	}
	return nil, errors.New("the plugin is closed")
}

// trialStart makes a host with one plugin.
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
	var h *Host
	err = c.Wait(func(ctx context.Context) error {
		return t.do(ctx, func(ctx context.Context) (err error) {
			if h, err = New(ctx, o); err == nil {
				h.Listening()
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

// on makes a method of a function on the running plugin.
func on(f func(c *vm.Call, t *trial, p *plugin) error) func(*vm.Call) error {
	return func(c *vm.Call) error {
		held := c.Self().(*trialPlugin)
		p, err := held.running()
		if err != nil {
			return err
		}
		return f(c, held.trial, p)
	}
}

var trialPluginClass = &vm.Class{
	Name: "Plugin", Doc: "The plugin under test. Its methods return when it is at rest, and raise what its hooks raise.",
	Methods: []vm.Function{
		{
			Name: "emit", Params: []string{"points: table[]", "event?: string"}, Waits: true,
			Doc: "Hands points to handle_event; event is the first that the plugin asks for.", Run: on(trialEmit),
		},
		{
			Name: "request", Params: []string{"method: string", "path: string", "options?: {query: table?, headers: table?, body: string?, json: any, account_id: string?}"},
			Returns: []string{"{status: integer, headers: table<string, string>, body: string, json: any}"}, Waits: true,
			Doc: "Asks one of the plugin's routes; path is below the plugin's own. account_id goes into the query.", Run: on(trialRequestRoute),
		},
		{
			Name: "cost", Params: []string{"candidates?: table", "probe?: integer[]", "rows?: table[]"}, Returns: []string{"number?"}, Waits: true,
			Doc: "The plugin's cost of a candidate set, which is written as in a request, with the account_id of the request if it has one; nil when it cannot.", Run: on(trialCost),
		},
		{
			Name: "prefilter", Params: []string{"rows: table[]", "candidates?: table"},
			Returns: []string{"table[]?", "{status: integer, detail: string}? rejection"}, Waits: true,
			Doc: "What the plugin leaves of rows (see faces, events), in their order; nil and the rejection when it rejects the request. candidates: see cost.", Run: on(trialPrefilter),
		},
		{
			Name: "match", Params: []string{"rows: table[]", "probe: integer[]", "candidates?: table"}, Returns: []string{"table[]?"}, Waits: true,
			Doc: "The plugin's answer for a probe among rows, checked by the host: rows with distance and similarity; nil when it declines. candidates: see cost.", Run: on(trialMatch),
		},
		{
			Name: "reload", Waits: true, Doc: "Reloads the plugin, as SIGHUP does.",
			Run: on(func(c *vm.Call, t *trial, p *plugin) error {
				return c.Wait(func(ctx context.Context) error { return t.do(ctx, p.host.Reload) })
			}),
		},
		{
			Name: "close", Waits: true, Doc: "Shuts the plugin down.",
			Run: on(func(c *vm.Call, t *trial, p *plugin) error {
				return c.Wait(func(ctx context.Context) error { return t.do(ctx, p.host.Close) })
			}),
		},
		{
			Name: "status", Returns: []string{"{state: string, reason: string, tasks: integer, routes: string[], failures: integer, last_error: string, dropped: integer}"},
			Doc: "How the plugin is. A test that has failures fails, unless it asks for them here.",
			Run: on(func(c *vm.Call, t *trial, p *plugin) error {
				t.excused = true
				s := p.status()
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
	},
}

func trialEmit(c *vm.Call, t *trial, p *plugin) error {
	if reason := p.degraded.Load(); reason != nil {
		return errors.New("the plugin does not run: " + *reason)
	}
	if p.queue == nil || len(p.eventNames) == 0 {
		return errors.New("the plugin has no handle_event, or is not of kind event")
	}
	points, name := c.List(1), c.TextOr(2, p.eventNames[0])
	return c.Wait(func(ctx context.Context) error {
		return t.do(ctx, func(ctx context.Context) error {
			in := p.main.first()
			if in == nil {
				return vm.ErrMemory // it is being replaced
			}
			_, err := in.hook(ctx, p.limits["handle_event"], "handle_event", points, name)
			return err
		})
	})
}

// sendEvent hands a stored event to the plugin's handle_event, if the plugin
// takes such events: one after the other, as points that a server sends.
func (t *trial) sendEvent(obj *matcher.Object) {
	const name = "sending_event"
	for _, h := range t.hosts {
		for _, p := range h.current.Load().listeners[name] {
			in := p.main.first()
			if in == nil {
				continue // it is being replaced
			}
			t.mu.Lock()
			if t.points == nil {
				t.points = map[*instance]*inbox{}
			}
			if t.points[in] == nil {
				t.points[in] = &inbox{}
			}
			points := t.points[in]
			t.mu.Unlock()
			text := json.RawMessage(wire.AppendObject(nil, wire.JSON, obj, nil, false))
			points.put(in, decoded(func() any { return text })(), func(ctx context.Context, item any) {
				_, err := in.hook(ctx, p.limits["handle_event"], "handle_event", []any{item}, name)
				in.report("handle_event", err)
			})
		}
	}
}

func trialRequestRoute(c *vm.Call, t *trial, p *plugin) error {
	o := &reader{m: c.Map(3), at: "options."}
	o.known("query", "headers", "body", "json", "account_id")
	r := Request{Method: c.Text(1), Path: "/" + p.name + c.Text(2), Query: map[string]string{}, Headers: map[string]string{}, Body: []byte(o.text("body", ""))}
	if v, ok := o.m["json"]; ok {
		text, err := encodeJSON(v)
		if err != nil {
			return fmt.Errorf("options.json: %w", err)
		}
		r.Body, r.Headers["content-type"] = text, "application/json"
	}
	for name, v := range o.table("query") {
		r.Query[name] = fmt.Sprint(v)
	}
	account, err := trialAccount(o.m)
	if err != nil {
		return fmt.Errorf("options.%w", err)
	}
	if account != nil {
		r.Query["account_id"] = account.String()
	}
	for name, v := range o.table("headers") {
		r.Headers[name] = fmt.Sprint(v)
	}
	if err := errors.Join(o.faults...); err != nil {
		return err
	}
	var response Response
	err = c.Wait(func(ctx context.Context) error {
		return t.do(ctx, func(ctx context.Context) (err error) {
			response, err = p.host.Serve(ctx, r)
			return err
		})
	})
	if err != nil {
		return err
	}
	result := map[string]any{"status": response.Status, "headers": response.Headers, "body": response.Body}
	if v, err := decodeJSON(response.Body); err == nil {
		result["json"] = v
	}
	return c.Return(result)
}
