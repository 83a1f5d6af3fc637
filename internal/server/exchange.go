package server

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"nearside/internal/access"
	"nearside/internal/audit"
	"nearside/internal/coding"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// operation describes a route: its handler and what the handler accepts.
type operation struct {
	handler handler
	origin  matcher.Origin         // of the objects that the handler reads or writes
	matched matcher.DescriptorType // the type that a match or cross match compares
	page    string                 // the embedded file that s.page sends

	query      []string // known query parameters except account_id
	repeatable []string // query parameters that may be given more than once
	filters    bool     // query parameters not in query are filters
	anyKey     bool     // query parameters are not checked
	plain      bool     // the answer has one media type, and Accept is ignored
	rowLines   bool     // the answer may have a line for each row
	ownCoding  bool     // the handler reads and writes content codings itself
	ownHead    bool     // HEAD has a route of its own
	long       bool     // may take long; the log reports clients that leave early
	matches    bool     // has the parameter explain; RefuseMatch may refuse it
	writes     bool     // stores objects or lists; RefuseWrite may refuse it
	atStart    bool     // is answered while the server is starting, without Parts

	id   string      // operationId of the API document, for the audit; empty: it never has a line
	role access.Role // that the caller needs; see accessOf
	open string      // "always", or the name of access.open that makes it open; empty: needs a key
}

// handler answers one request. A returned error becomes the answer.
type handler func(ctx context.Context, x *exchange) error

// exchange is a request and its answer.
type exchange struct {
	*requestContext
	ctx       context.Context // of the request
	options   available
	limits    *limits // of this request
	answers   *answerBudgets
	decoding  *semaphore.Weighted
	bodyRoom  *claim // room for the body, or for an unfinished line of an import; nil: no reservation is needed
	conn      *connection
	client    netip.Addr // the address of the client, which may be behind trusted proxies
	route     string
	operation operation
	requestID string
	input     *bodyReader
	in, out   wire.Format
	inCoding  coding.Coding // of the body
	outCoding coding.Coding // of a large answer
	outLines  bool          // the answer of a match has a line for each row
	// unacceptable is the error of an Accept header that allows neither format.
	// Errors are sent as JSON then.
	unacceptable error
	// caller is who sent the request; nil: the server requires no key, or the operation is open.
	caller  *access.Caller
	inTurn  bool         // the request has entered Server.turns
	account *matcher.ID  // ?account_id, Luna-Account-Id, or that of the key; nil: none of them
	query   wire.Query   // the parameters in operation.query, and account_id
	filters wire.Query   // the other parameters of a route with filters
	code    matcher.Code // of the error that was sent; 0: no error
	aborted bool         // the client left before the request was complete
	explain bool         // ?explain of a match
	start   time.Time
	audit   audited
	// refusedKey is the name of a key that has reached its rate, or its number of requests at
	// once.
	refusedKey string
}

// available is what a request can use. Parts is nil if the server was starting when the
// request began.
type available struct {
	*Options
	*Parts
}

// routeName returns the name of a route in metrics and points.
func routeName(method, path string) string {
	path = strings.NewReplacer(":id", "{id}", "*path", "{path}").Replace(strings.TrimPrefix(path, "/1"))
	return method + ":" + path
}

// unknownRoute is the name of all requests without a route. With names from
// clients, clients could create any number of metric series.
const unknownRoute = "unknown"

// wrap returns a hertz handler for op. It does what all requests have in common,
// turns errors into answers and informs the observer.
func (s *Server) wrap(name string, op operation) func(context.Context, *requestContext) {
	return func(ctx context.Context, c *requestContext) {
		start := time.Now()
		x := &exchange{
			requestContext: c, options: available{&s.options, s.parts.Load()}, limits: s.limits.Load(), answers: s.answers, decoding: s.decoding, route: name,
			operation: op, conn: connectionOf(ctx), requestID: requestID(c, start), start: start,
		}
		x.conn.handlerCalled = true
		x.client = x.clientAddress()
		x.input = newBodyReader(x.conn)
		x.out, x.unacceptable = acceptedFormat(x.header("Accept"))
		x.outCoding = acceptedCoding(x.header("Accept-Encoding"))
		ctx, cancel := context.WithTimeout(s.context, x.limits.RequestTimeout)
		defer cancel()
		x.ctx = ctx
		c.Response.Header.Set("Server", "nearside")
		c.Response.Header.Set("Luna-Request-Id", x.requestID)
		if s.beginRequest(x.conn) {
			x.serve(ctx)
			x.endAudit()
			x.bodyRoom.shrink(0)
		} else {
			x.sendError(errShuttingDown)
		}
		if !x.input.finish() || s.draining.Load() {
			x.conn.linger = true // the client may still be sending
			c.SetConnectionClose()
		}
		x.conn.writeUntil(time.Now().Add(x.limits.RequestTimeout)) // hertz writes the answer later
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

// statusAborted is the status that metrics and points show for a request whose client
// left before the request was complete. No client sees this status.
const statusAborted = 499

// header returns the values of all headers with a name, joined by ", ".
func (x *exchange) header(name string) string {
	all := x.Request.Header.PeekAll(name)
	if len(all) == 1 {
		return string(all[0])
	}
	return string(bytes.Join(all, []byte(", ")))
}

// serve makes the checks that need no body and calls the handler.
func (x *exchange) serve(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			x.sendError(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	err := x.conn.listener.countClient(x.conn, x.client)
	if err == nil {
		err = x.admit()
		x.beginAudit(err)
	}
	if x.caller != nil {
		defer x.caller.End()
		defer x.leaveTurn()
		ctx = matcher.WithinLists(ctx, x.caller.Lists)
	}
	if x.audit.entry != nil {
		ctx = audit.With(ctx, x.audit.entry)
	}
	if err == nil {
		err = x.prepare()
	}
	if err == nil {
		err = x.operation.handler(ctx, x)
	}
	if err != nil {
		x.sendError(err)
	}
}

// prepare makes the checks that need no body.
func (x *exchange) prepare() (err error) {
	op := &x.operation
	if op.rowLines && acceptsLines(x.header("Accept")) {
		x.outLines, x.unacceptable = true, nil
	}
	if x.options.Parts == nil && !op.atStart {
		return errStarting
	}
	if x.unacceptable != nil && !op.plain {
		if op.rowLines {
			return notAcceptable("application/json, application/msgpack or application/x-ndjson", x.header("Accept"))
		}
		return x.unacceptable
	}
	if op.anyKey {
		err = x.checkNamedAccounts()
	} else if err = x.readQuery(); err == nil {
		err = x.readAccount()
	}
	if err != nil {
		return err
	}
	if err := x.checkAudit(); err != nil {
		return err
	}
	if err := x.checkMemory(); err != nil {
		return err
	}
	if op.matches {
		x.explain, err = x.flag("explain")
	}
	return err
}

// checkMemory refuses matches and writes while the process has too little memory.
func (x *exchange) checkMemory() error {
	switch {
	case x.operation.matches && x.options.RefuseMatch != nil:
		return x.options.RefuseMatch()
	case x.operation.writes && x.options.RefuseWrite != nil:
		return x.options.RefuseWrite()
	}
	return nil
}

// readQuery checks the query parameters.
func (x *exchange) readQuery() error {
	op := &x.operation
	all, err := x.parameters()
	if err != nil || len(all) == 0 {
		return err
	}
	x.query, x.filters = wire.Query{}, wire.Query{}
	for _, p := range all {
		if err := p.checkText(); err != nil {
			return err
		}
		to := x.query
		if op.filters && p.key != "account_id" && !slices.Contains(op.query, p.key) {
			to = x.filters
		}
		to[p.key] = append(to[p.key], p.value)
	}
	for _, key := range slices.Sorted(maps.Keys(x.query)) {
		switch {
		case key != "account_id" && !slices.Contains(op.query, key):
			return matcher.Errorf(matcher.CodeBadInput, "%s: unknown query parameter", matcher.Shorten(key))
		case !slices.Contains(op.repeatable, key):
			if _, _, err := x.query.Value(key); err != nil {
				return err
			}
		}
	}
	return nil
}

// accountHeader is the header that has the meaning of the parameter account_id.
const accountHeader = "Luna-Account-Id"

// readAccount reads the account from the query and from the header. readQuery has checked
// that the query has it at most once. Without either, it is the account of the key.
func (x *exchange) readAccount() error {
	if err := x.readGivenAccount(); err != nil {
		return err
	}
	return x.bindAccount()
}

func (x *exchange) readGivenAccount() error {
	text, given, _ := x.query.Value("account_id")
	if given {
		id, err := parseAccount("account_id", text)
		if err != nil {
			return err
		}
		x.account = &id
	}
	switch headers := x.Request.Header.PeekAll(accountHeader); {
	case len(headers) > 1:
		return matcher.Errorf(matcher.CodeBadInput, "%s: must be given once, got %d headers", accountHeader, len(headers))
	case len(headers) == 1:
		id, err := parseAccount(accountHeader, string(headers[0]))
		if err != nil {
			return err
		}
		if x.account != nil && *x.account != id {
			return matcher.Errorf(matcher.CodeAccountConflict, "%s: %s is another account than the query's %s", accountHeader, id, x.account)
		}
		x.account = &id
	}
	return nil
}

// parseAccount parses the ID of an account. place names it in the request.
func parseAccount(place, text string) (matcher.ID, error) {
	id, err := matcher.ParseID(text)
	if err != nil {
		return id, matcher.Errorf(matcher.CodeBadInput, "%s: %w", place, err)
	}
	if id.IsZero() {
		return id, matcher.Errorf(matcher.CodeBadInput, "%s: must not be the nil UUID, got %s", place, id)
	}
	return id, nil
}

// parameter returns a query parameter. readQuery has checked that it is given at
// most once.
func (x *exchange) parameter(key string) (text string, given bool) {
	text, given, _ = x.query.Value(key)
	return text, given
}

// flag returns a query parameter that is 0 or 1. The default is 0.
func (x *exchange) flag(key string) (bool, error) {
	switch v, ok := x.parameter(key); {
	case !ok || v == "0":
		return false, nil
	case v == "1":
		return true, nil
	default:
		return false, matcher.Errorf(matcher.CodeBadInput, "%s: must be 0 or 1, got %q", key, matcher.Shorten(v))
	}
}

// number returns a query parameter that must be an integer from lo to hi. If it is
// missing, number returns fallback.
func (x *exchange) number(key string, fallback, lo, hi int) (int, error) {
	v, given := x.parameter(key)
	if !given {
		return fallback, nil
	}
	n, ok := wire.QueryInteger(v)
	if !ok || n < int64(lo) || n > int64(hi) {
		return 0, matcher.Errorf(matcher.CodeBadInput, "%s: must be an integer from %d to %d, got %q", key, lo, hi, matcher.Shorten(v))
	}
	return int(n), nil
}

// id returns the ID in the path. No object can have an invalid ID, so the error is
// that of a missing object.
func (x *exchange) id(notFound func(matcher.ID) *matcher.Error) (matcher.ID, error) {
	text := x.Param("id")
	id, err := matcher.ParseID(text)
	if err != nil {
		return id, matcher.Errorf(notFound(id).Code, "id: %w", err)
	}
	return id, nil
}

// media returns the media type of the body in lower case, "" if there is no
// Content-Type. It also sets x.inCoding.
func (x *exchange) media() (string, error) {
	if err := x.readCoding(); err != nil {
		return "", err
	}
	media, _, _ := strings.Cut(string(x.Request.Header.Peek("Content-Type")), ";")
	return strings.ToLower(strings.TrimSpace(media)), nil
}

// readContentType reads the header Content-Type and sets x.in, the format of the body.
func (x *exchange) readContentType() error {
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
		return matcher.Errorf(matcher.CodeMediaType, "header: Content-Type: must be application/json or application/msgpack, got %q", matcher.Shorten(media))
	}
	return nil
}
