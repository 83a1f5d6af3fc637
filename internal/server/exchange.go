package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// anyFilter among a route's query keys lets filters pass, anyKey everything.
const (
	anyFilter = "<filters>"
	anyKey    = "<any>"
)

// exchange is a request under way and its answer.
type exchange struct {
	*requestContext
	server    Options
	limits    *Limits // of this request
	route     string
	requestID string
	in, out   wire.Format
	account   *matcher.ID // that the query names
	query     map[string]string
	code      matcher.Code // of the error that was answered
}

// routeName is the form of a route in metrics and points.
func routeName(method, path string) string {
	path = strings.ReplaceAll(strings.TrimPrefix(path, "/1"), ":id", "{id}")
	return method + ":" + path
}

// wrap makes a hertz handler of h: it settles what all requests have in
// common, turns errors into answers and tells the observer.
func (s *Server) wrap(name string, query []string, h handler) func(context.Context, *requestContext) {
	return func(ctx context.Context, c *requestContext) {
		start := time.Now()
		x := &exchange{requestContext: c, server: s.options, limits: s.limits.Load(), route: name, requestID: requestID(c, start)}
		c.Response.Header.Set("Server", "nearside")
		c.Response.Header.Set("Luna-Request-Id", x.requestID)
		if x.route == "" {
			x.route = "unknown" // clients must not be able to make series
		}
		ctx, cancel := context.WithTimeout(ctx, x.limits.RequestTimeout)
		defer cancel()
		if s.enter() {
			defer s.requests.Done()
			x.serve(ctx, query, h)
		} else {
			c.SetConnectionClose()
			x.fail(matcher.Errorf(matcher.CodeUnavailable, "the server is shutting down"))
		}
		_ = c.GetConn().SetWriteTimeout(x.limits.RequestTimeout) // hertz writes the answer after this
		s.options.Observer.Requested(matcher.RequestPoint{
			Time: start, Route: x.route, Status: c.Response.StatusCode(), Code: x.code,
			RequestID: x.requestID, Duration: time.Since(start),
		})
	}
}

// serve runs h, after the checks that need no body.
func (x *exchange) serve(ctx context.Context, query []string, h handler) {
	defer func() {
		if p := recover(); p != nil {
			x.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	err := x.settle(query)
	if err == nil {
		err = h(ctx, x)
	}
	if err != nil {
		x.fail(err)
	}
}

func (x *exchange) settle(query []string) error {
	header := &x.Request.Header
	if len(header.Peek("Transfer-Encoding")) > 0 && strings.Contains(strings.ToLower(string(header.RawHeaders())), "\ncontent-length:") {
		x.SetConnectionClose() // where the body ends is anybody's guess
		return matcher.Errorf(matcher.CodeSyntax, "header: Transfer-Encoding and Content-Length contradict each other")
	}
	var err error
	if x.out, err = accepted(string(header.Peek("Accept"))); err != nil && x.negotiates() {
		return err
	}
	return x.readQuery(query)
}

// negotiates reports whether the answer is JSON or msgpack; pages, metrics and
// exports have forms of their own.
func (x *exchange) negotiates() bool {
	return !slices.Contains([]string{"GET:/metrics", "GET:/docs", "GET:/docs/spec", "GET:/docs/errors", "GET:/", "GET:/export"}, x.route)
}

// readQuery checks the keys of the query and reads account_id.
func (x *exchange) readQuery(known []string) error {
	x.query = map[string]string{}
	var err error
	x.QueryArgs().VisitAll(func(k, v []byte) {
		key := string(k)
		if _, twice := x.query[key]; twice && err == nil && !slices.Contains(known, anyKey) {
			err = matcher.Errorf(matcher.CodeBadInput, "%s: is in the query twice", shorten(key))
		}
		x.query[key] = string(v)
	})
	if err != nil || slices.Contains(known, anyKey) {
		return err
	}
	if text, ok := x.query["account_id"]; ok {
		id, err := matcher.ParseID(text)
		if err != nil {
			return matcher.Errorf(matcher.CodeBadInput, "account_id: %w", err)
		}
		x.account = &id
	}
	if slices.Contains(known, anyFilter) {
		return nil // the decoder of filters knows them
	}
	for _, key := range sortedKeys(x.query) {
		if key != "account_id" && !slices.Contains(known, key) {
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

// body reads the whole body of JSON or msgpack.
func (x *exchange) body() ([]byte, error) {
	if err := x.contentType(); err != nil {
		return nil, err
	}
	most := x.limits.BodyBytes
	tooLarge := func() error {
		x.discard()
		return matcher.Errorf(matcher.CodeTooLarge, "body: larger than the limit of %d bytes", most)
	}
	length := int64(x.Request.Header.ContentLength())
	if length > most {
		return nil, tooLarge()
	}
	if err := x.GetConn().SetReadTimeout(x.limits.RequestTimeout); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, max(512, length+1))
	stream := io.LimitReader(x.RequestBodyStream(), most+1)
	for {
		n, err := stream.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			x.SetConnectionClose()
			return nil, matcher.Errorf(matcher.CodeSyntax, "body: ends after %d bytes: %w", len(buf), err)
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
	}
	if int64(len(buf)) > most {
		return nil, tooLarge()
	}
	return buf, nil
}

// discard gives up on the rest of the body: hertz reads it after the answer,
// but not for long.
func (x *exchange) discard() {
	x.SetConnectionClose()
	_ = x.GetConn().SetReadTimeout(time.Second)
}

func (x *exchange) contentType() error {
	if e := x.Request.Header.Peek("Content-Encoding"); len(e) > 0 && string(e) != "identity" {
		return matcher.Errorf(matcher.CodeMediaType, "header: Content-Encoding: %q is not supported", shorten(string(e)))
	}
	full := string(x.Request.Header.Peek("Content-Type"))
	media, _, _ := strings.Cut(full, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "", "application/json":
		x.in = wire.JSON
	case "application/msgpack", "application/x-msgpack":
		x.in = wire.MessagePack
	default:
		return matcher.Errorf(matcher.CodeMediaType, "header: Content-Type: %q is neither application/json nor application/msgpack", shorten(full))
	}
	return nil
}

// answer sends a body in the format that the client accepts.
func (x *exchange) answer(status int, body []byte) error {
	x.Data(status, x.out.MediaType(), body)
	return nil
}

// value sends a small object.
func (x *exchange) value(status int, v map[string]any) error {
	return x.answer(status, wire.AppendValue(nil, x.out, v))
}

// fail answers an error. What is our own fault goes to the log, under the
// request's id.
func (x *exchange) fail(err error) {
	e := asError(err)
	x.code = e.Code
	f, ok := faults[e.Code]
	if !ok {
		f = faults[matcher.CodeInternal]
	}
	detail := e.Detail
	if f.status == http.StatusInternalServerError {
		x.server.Log.Error("request failed", "request_id", x.requestID, "route", x.route, "error", err)
		detail = "look for request " + x.requestID + " in the log"
	}
	if f.status == http.StatusServiceUnavailable {
		x.Response.Header.Set("Retry-After", "1")
	}
	x.Response.ResetBody()
	link := fmt.Sprintf("/docs/errors#%d", e.Code)
	x.Data(f.status, x.out.MediaType(), wire.AppendError(nil, x.out, e.Code, f.desc, detail, link))
}
