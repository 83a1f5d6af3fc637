package server

import (
	"context"
	"net/http"
	"strings"

	"nearside/lua"
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
	return x.answer(http.StatusOK, wire.AppendValue(nil, x.out, plugins(x.server.Plugins.Plugins())))
}

// reloadPlugins replaces the running plugins by what their files say now. It
// is not cut when the client leaves: half a reload would help nobody.
func (s *Server) reloadPlugins(ctx context.Context, x *exchange) error {
	if err := x.server.Plugins.Reload(context.WithoutCancel(ctx)); err != nil {
		return matcher.Errorf(matcher.CodePlugins, "%w", err)
	}
	return s.listPlugins(ctx, x)
}

// plugins shows how plugins are.
func plugins(all []lua.Status) []any {
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
		kinds := make([]string, len(p.Kinds))
		for k := range p.Kinds {
			kinds[k] = string(p.Kinds[k])
		}
		shown[i] = map[string]any{
			"name": p.Name, "version": p.Version, "kinds": kinds, "state": state, "reason": strings.Join(p.Degraded, "; "), "order": p.Order, "file": p.File,
			"permissions": texts(p.Permissions), "schema": schema(p.Schema), "events": texts(p.Events), "routes": texts(p.Routes),
			"breakers": breakers, "consumers": consumers(p.Consumers), "last_error": p.LastError,
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

// consumers shows how readers of messages are.
func consumers(all []lua.ConsumerStatus) []any {
	shown := make([]any, len(all))
	for i, c := range all {
		shown[i] = map[string]any{
			"name": c.Name, "state": c.State, "reason": c.Reason, "acked": c.Acked, "retried": c.Retried, "dead": c.Dead,
			"stuck": c.Stuck, "down_seconds": c.Down.Seconds(),
		}
	}
	return shown
}

// texts is never null.
func texts(list []string) []string { return append([]string{}, list...) }

func schema(s map[string]any) any {
	if s == nil {
		return nil
	}
	return s
}

// pluginRoute answers what is below /plugins by the plugin that it names.
func (s *Server) pluginRoute(ctx context.Context, x *exchange) error {
	body, err := x.anyBody()
	if err != nil {
		return err
	}
	r := lua.Request{
		Method: string(x.Method()), Path: strings.TrimPrefix(string(x.Path()), "/plugins"),
		Query: map[string]string{}, Headers: map[string]string{}, Body: body,
	}
	x.QueryArgs().VisitAll(func(k, v []byte) { r.Query[string(k)] = string(v) })
	x.Request.Header.VisitAll(func(k, v []byte) {
		name := strings.ToLower(string(k))
		if first, again := r.Headers[name]; again {
			r.Headers[name] = first + ", " + string(v)
			return
		}
		r.Headers[name] = string(v)
	})
	answer, err := x.server.Plugins.Serve(ctx, r)
	if err != nil {
		if e := asError(err); e.Code == matcher.CodeMethod {
			_, allowed, _ := strings.Cut(e.Detail, "is not one of ")
			x.Response.Header.Set("Allow", allowed)
		}
		return err
	}
	contentType := "text/plain; charset=utf-8"
	for name, value := range answer.Headers {
		switch name {
		case "content-type":
			contentType = value
		case "content-length", "transfer-encoding", "connection", "luna-request-id", "server", "date": // ours
		default:
			x.Response.Header.Set(name, value)
		}
	}
	return x.send(answer.Status, contentType, answer.Body)
}
