package server

import (
	"context"
	"net/http"
	"strings"

	"nearside/lua"
	"nearside/lua/ns/peer"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// Plugins is the host of plugins.
type Plugins interface {
	Plugins() []lua.Status
	Reload(ctx context.Context) error
	Serve(ctx context.Context, r lua.Request) (lua.Response, error)
}

func (s *Server) listPlugins(_ context.Context, x *exchange) error {
	return x.sendBody(http.StatusOK, wire.AppendValue(nil, x.out, pluginStates(x.options.Plugins.Plugins())))
}

// reloadPlugins loads the files of all plugins again. It continues when the client
// leaves.
func (s *Server) reloadPlugins(ctx context.Context, x *exchange) error {
	if err := x.options.Plugins.Reload(context.WithoutCancel(ctx)); err != nil {
		return matcher.Errorf(matcher.CodePlugins, "%w", err)
	}
	return s.listPlugins(ctx, x)
}

// pluginStates returns the states of plugins for an answer.
func pluginStates(all []lua.Status) []any {
	shown := make([]any, len(all))
	for i, p := range all {
		state := "running"
		if len(p.Degraded) > 0 {
			state = "degraded"
		}
		breakers := map[string]any{}
		for _, h := range p.Hooks {
			breakers[h.Name] = map[string]any{"state": h.State, "reason": h.Reason}
		}
		if p.Replacing > 0 {
			state = "degraded"
		}
		hooks := map[string]any{}
		for _, h := range p.Places {
			hooks[h.Hook] = map[string]any{"order": h.Order, "place": h.Place}
		}
		kinds := make([]string, len(p.Kinds))
		for k := range p.Kinds {
			kinds[k] = string(p.Kinds[k])
		}
		shown[i] = map[string]any{
			"name": p.Name, "version": p.Version, "kinds": kinds, "state": state, "reason": strings.Join(p.Degraded, "; "), "order": p.Order, "hooks": hooks, "file": p.File,
			"permissions": notNil(p.Permissions), "schema": schema(p.Schema), "events": notNil(p.Events), "routes": notNil(p.Routes),
			"breakers": breakers, "consumers": consumerStates(p.Consumers), "last_error": p.LastError,
			"counters": map[string]any{
				"calls": p.Totals.Calls, "errors": p.Totals.Errors, "timeouts": p.Totals.Timeouts, "instructions": p.Totals.Instructions,
				"busy_seconds": p.Totals.Busy.Seconds(), "failures": p.Failures, "queued": p.Queued, "dropped": p.Dropped, "lost": p.Lost,
				"states": p.States, "tasks": p.Tasks, "rejected": p.Rejected, "replaced": p.Replaced,
				"memory_bytes": p.Memory, "memory_limit_bytes": p.MemoryLimit,
			},
		}
	}
	return shown
}

// consumerStates returns the states of consumers of messages for an answer.
func consumerStates(all []peer.ConsumerStatus) []any {
	shown := make([]any, len(all))
	for i, c := range all {
		shown[i] = map[string]any{
			"name": c.Name, "state": c.State, "reason": c.Reason, "acked": c.Acked, "retried": c.Retried, "dead": c.Dead,
			"stuck": c.Stuck, "down_seconds": c.Down.Seconds(),
		}
	}
	return shown
}

// notNil returns a copy of list that is not nil, because nil is null in JSON.
func notNil(list []string) []string { return append([]string{}, list...) }

// schema returns s for an answer. A nil map becomes an untyped nil, which is null in
// JSON.
func schema(s map[string]any) any {
	if s == nil {
		return nil
	}
	return s
}

// headers returns the headers of the request with names in lower case. Values of
// equal names are joined by ", ".
func (x *exchange) headers() map[string]string {
	all := map[string][]string{}
	x.Request.Header.VisitAll(func(k, v []byte) {
		name := strings.ToLower(string(k))
		if x.caller != nil && (name == "authorization" || name == "x-api-key") {
			return // a plugin gets the name of the key, not the key
		}
		all[name] = append(all[name], string(v))
	})
	if x.conn.head.emptyHost > 0 {
		all["host"] = nil // hertz sees hostShown
	}
	joined := make(map[string]string, len(all))
	for name, values := range all {
		joined[name] = strings.Join(values, ", ")
	}
	return joined
}
