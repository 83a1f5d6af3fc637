package server

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// operation is what a route does, and what it takes.
type operation struct {
	run     handler
	query   []string // keys that it knows, account_id aside
	filters bool     // the other keys are filters
	anyKey  bool     // whatever keys there are mean nothing
	plain   bool     // the answer has one form, whatever Accept says
	ownHead bool     // HEAD is a route of its own, not GET without the body
	long    bool     // it may take long, so an abortion is worth a line in the log
}

// handler answers one request.
type handler func(ctx context.Context, x *exchange) error

// exchange is a request under way and its answer.
type exchange struct {
	*requestContext
	ctx       context.Context // of the request
	server    Options
	limits    *limits // of this request
	answers   *answerBudgets
	held      *claim // room for the body; nil: it needs none
	conn      *connection
	route     string
	requestID string
	input     *bodyReader
	in, out   wire.Format
	// unacceptable says that Accept allows neither format; errors are JSON then.
	unacceptable error
	account      *matcher.ID // that the query names
	query        map[string]string
	code         matcher.Code // of the error that was answered
	long         bool         // see operation
	aborted      bool         // the client has gone before the request was complete
}

// routeName is the form of a route in metrics and points.
func routeName(method, path string) string {
	path = strings.NewReplacer(":id", "{id}", "*path", "{path}").Replace(strings.TrimPrefix(path, "/1"))
	return method + ":" + path
}

// unknownRoute is where requests are counted that no route takes: clients
// must not be able to make series.
const unknownRoute = "unknown"

// wrap makes a hertz handler of op: it settles what all requests have in
// common, turns errors into answers and tells the observer.
func (s *Server) wrap(name string, op operation) func(context.Context, *requestContext) {
	return func(ctx context.Context, c *requestContext) {
		start := time.Now()
		x := &exchange{
			requestContext: c, server: s.options, limits: s.limits.Load(), answers: s.answers, route: name,
			conn: connectionOf(ctx), requestID: requestID(c, start),
		}
		x.conn.begun = true
		x.input = takeBody(x.conn)
		x.out, x.unacceptable = accepted(x.header("Accept"))
		ctx, cancel := context.WithTimeout(s.context, x.limits.RequestTimeout)
		defer cancel()
		x.ctx = ctx
		c.Response.Header.Set("Server", "nearside")
		c.Response.Header.Set("Luna-Request-Id", x.requestID)
		if s.enter(x.conn) {
			x.serve(ctx, op)
			x.held.shrink(0)
		} else {
			x.fail(errShuttingDown)
		}
		if !x.input.over() || s.draining.Load() {
			x.conn.linger = true // the client may be sending still
			c.SetConnectionClose()
		}
		x.conn.writeUntil(time.Now().Add(x.limits.RequestTimeout)) // hertz writes the answer after this
		status := c.Response.StatusCode()
		if x.aborted {
			status, x.code = statusAborted, 0
		}
		s.options.Observer.Requested(matcher.RequestPoint{
			Time: start, Route: x.route, Status: status, Code: x.code,
			RequestID: x.requestID, Duration: time.Since(start),
		})
	}
}

// statusAborted is the status in metrics and points of requests whose client
// has gone before they were complete. No client sees it.
const statusAborted = 499

// header returns the values of a header that is a list, joined.
func (x *exchange) header(name string) string {
	all := x.Request.Header.PeekAll(name)
	if len(all) == 1 {
		return string(all[0])
	}
	return string(bytes.Join(all, []byte(", ")))
}

// serve runs op, after the checks that need no body.
func (x *exchange) serve(ctx context.Context, op operation) {
	defer func() {
		if p := recover(); p != nil {
			x.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	x.long = op.long
	err := x.settle(op)
	if err == nil {
		err = op.run(ctx, x)
	}
	if err != nil {
		x.fail(err)
	}
}

func (x *exchange) settle(op operation) error {
	if x.unacceptable != nil && !op.plain {
		return x.unacceptable
	}
	if op.anyKey {
		return nil
	}
	return x.readQuery(op)
}

// readQuery checks the keys of the query and reads account_id.
func (x *exchange) readQuery(op operation) error {
	x.query = map[string]string{}
	var fault error
	x.QueryArgs().VisitAll(func(k, v []byte) {
		key := string(k)
		switch _, twice := x.query[key]; {
		case fault != nil:
		case twice:
			fault = matcher.Errorf(matcher.CodeBadInput, "%s: is in the query twice", shorten(key))
		case !utf8.Valid(k) || !utf8.Valid(v):
			fault = matcher.Errorf(matcher.CodeBadInput, "%s: not UTF-8", shorten(key))
		}
		x.query[key] = string(v)
	})
	if fault != nil {
		return fault
	}
	if text, ok := x.query["account_id"]; ok {
		id, err := matcher.ParseID(text)
		if err != nil {
			return matcher.Errorf(matcher.CodeBadInput, "account_id: %w", err)
		}
		if id.IsZero() {
			return matcher.Errorf(matcher.CodeBadInput, "account_id: %s is no account", id)
		}
		x.account = &id
	}
	if op.filters {
		return nil // their decoder knows them
	}
	for _, key := range slices.Sorted(maps.Keys(x.query)) {
		if key != "account_id" && !slices.Contains(op.query, key) {
			return matcher.Errorf(matcher.CodeBadInput, "%s: unknown query parameter", shorten(key))
		}
	}
	return nil
}

// flag reads a query value of 0 or 1; absent is 0.
func (x *exchange) flag(key string) (bool, error) {
	switch v, ok := x.query[key]; {
	case !ok || v == "0":
		return false, nil
	case v == "1":
		return true, nil
	default:
		return false, matcher.Errorf(matcher.CodeBadInput, "%s: %q is neither 0 nor 1", key, shorten(v))
	}
}

// number reads a query value of lo..hi.
func (x *exchange) number(key string, absent, lo, hi int) (int, error) {
	v, ok := x.query[key]
	if !ok {
		return absent, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < lo || n > hi {
		return 0, matcher.Errorf(matcher.CodeBadInput, "%s: %q is not a number of %d..%d", key, shorten(v), lo, hi)
	}
	return n, nil
}

// id reads the ID in the path; what is none cannot be there.
func (x *exchange) id(notFound func(matcher.ID) *matcher.Error) (matcher.ID, error) {
	text := x.Param("id")
	id, err := matcher.ParseID(text)
	if err != nil {
		return id, matcher.Errorf(notFound(id).Code, "id: %w", err)
	}
	return id, nil
}

// media returns the media type of the body in lower case, "" when there is none.
func (x *exchange) media() (string, error) {
	if e := string(x.Request.Header.Peek("Content-Encoding")); e != "" && e != "identity" {
		return "", matcher.Errorf(matcher.CodeMediaType, "header: Content-Encoding: %q is not supported", shorten(e))
	}
	media, _, _ := strings.Cut(string(x.Request.Header.Peek("Content-Type")), ";")
	return strings.ToLower(strings.TrimSpace(media)), nil
}

// contentType settles the format of the body.
func (x *exchange) contentType() error {
	media, err := x.media()
	if err != nil {
		return err
	}
	switch media {
	case "", "application/json":
		x.in = wire.JSON
	case "application/msgpack", "application/x-msgpack":
		x.in = wire.MessagePack
	default:
		return matcher.Errorf(matcher.CodeMediaType, "header: Content-Type: %q is neither application/json nor application/msgpack", shorten(media))
	}
	return nil
}
