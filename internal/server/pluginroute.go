package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"nearside/internal/access"
	"nearside/internal/coding"
	"nearside/lua"
)

// pluginMethods are the methods of requests that plugins can serve.
var pluginMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// pluginRoute passes a request below /plugins to the plugin that the path names.
func (s *Server) pluginRoute(ctx context.Context, x *exchange) error {
	body, err := x.anyBody()
	if err != nil {
		return err
	}
	query, err := x.parameters()
	if err != nil {
		return err
	}
	out := &pluginStream{x: x}
	r := lua.Request{
		Method: string(x.Method()), Path: strings.TrimPrefix(string(x.Path()), "/plugins"),
		RawPath: strings.TrimPrefix(string(x.Request.URI().PathOriginal()), "/plugins"),
		Query:   map[string][]string{}, Headers: x.headers(), Body: body,
		Key: x.keyName(), Bound: x.binding(), Allow: x.allowRoute, Stream: out,
	}
	for _, p := range query {
		r.Query[p.key] = append(r.Query[p.key], p.value)
	}
	answer, err := x.options.Plugins.Serve(ctx, r)
	switch {
	case out.failed != nil: // the client has left, so no error of the plugin can be sent
		return out.failed
	case err != nil:
		return err
	case answer.Streamed:
		return nil
	}
	return x.send(answer.Status, x.setPluginHeaders(answer.Headers), answer.Body)
}

// binding returns the account and the lists to which the caller's key is bound, for the handler
// of a plugin's route, which must restrict its answer itself; nil: the key is not bound.
func (x *exchange) binding() map[string]any {
	bound := map[string]any{}
	if x.bound() {
		bound["account_id"] = x.caller.Account.String()
	}
	if lists := x.lists(); lists != nil {
		ids := []any{}
		for _, id := range lists {
			ids = append(ids, id.String())
		}
		bound["lists"] = ids
	}
	if len(bound) == 0 {
		return nil
	}
	return bound
}

// allowRoute returns an error if the caller lacks the role of a plugin's route.
func (x *exchange) allowRoute(role string) error {
	if x.caller == nil {
		return nil
	}
	needed, err := access.ParseRole(role)
	if err != nil {
		return fmt.Errorf("role of a plugin's route: %w", err)
	}
	return x.caller.Allow(needed)
}

// setPluginHeaders sets the headers of a plugin's answer, except those that the server
// sets itself. It returns the content type.
func (x *exchange) setPluginHeaders(headers map[string]string) (contentType string) {
	contentType = "text/plain; charset=utf-8"
	for name, value := range headers {
		switch name {
		case "content-type":
			contentType = value
		case "content-length", "transfer-encoding", "connection", "luna-request-id", "server", "date":
		default:
			x.Response.Header.Set(name, value)
		}
	}
	return contentType
}

// A pluginStream sends the answer of a plugin in pieces. It implements ns.AnswerStream of
// package lua. A piece is sent before Write returns, so a slow client slows the plugin down,
// and nothing is queued.
type pluginStream struct {
	x      *exchange
	out    *stream
	failed error // of the last Write
}

// Begin implements ns.AnswerStream.
func (p *pluginStream) Begin(status int, headers map[string]string) {
	p.x.outCoding = coding.Identity // as for other answers of plugins
	p.out = p.x.startStream(status, p.x.setPluginHeaders(headers))
}

// Write implements ns.AnswerStream. The client has the time of a request for each piece.
func (p *pluginStream) Write(piece []byte) error {
	p.x.conn.writeUntil(time.Now().Add(p.x.limits.RequestTimeout))
	_, p.failed = p.out.Write(piece)
	return p.failed
}
