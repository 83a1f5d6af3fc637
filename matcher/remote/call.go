package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// An answer may have answerBytes, and for each object that was asked for
// objectBytes.
const (
	answerBytes = 1 << 20
	objectBytes = 64 << 10
	answerMax   = 256 << 20
)

// call is one HTTP request to a remote.
type call struct {
	method, path string
	query        url.Values
	body         []byte // MessagePack
	requestID    string
	objects      int                                    // most in the answer
	read         func(f wire.Format, body []byte) error // makes sense of a 2xx answer; nil: any will do
}

// errGone says that nobody waits for the answer any more.
var errGone = errors.New("the request has ended")

// refusal is the error that a remote answered with 4xx.
type refusal struct{ fault *matcher.Error }

func (r *refusal) Error() string { return r.fault.Error() }

// do makes a call when there is a place for it. The error is that of the
// client's fault, CodeUnavailable, or of ctx when that ended.
func (r *Remote) do(ctx context.Context, c *call) error {
	if ctx.Err() != nil { // which must not count against the remote
		return context.Cause(ctx)
	}
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	own := ctx
	if r.config.Timeout > 0 {
		var cancel context.CancelFunc
		own, cancel = context.WithTimeout(ctx, r.config.Timeout)
		defer cancel()
	}
	if r.breaker.State() != gobreaker.StateClosed { // half open is for health checks
		if sick := r.sick.Load(); sick != nil {
			return r.unavailable("%s", *sick)
		}
		return r.unavailable("%w", gobreaker.ErrOpenState)
	}
	err := r.send(own, c)
	// It counts when it ends: the breaker drops what began in a span before.
	_, _ = r.breaker.Execute(func() (struct{}, error) { return struct{}{}, err })
	var refused *refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return refused.fault
	}
	if r.breaker.State() != gobreaker.StateClosed {
		r.note(err)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case own.Err() != nil:
		return r.unavailable("did not answer within %s", r.config.Timeout)
	}
	return r.unavailable("%w", err)
}

func (r *Remote) unavailable(format string, args ...any) error {
	return matcher.Errorf(matcher.CodeUnavailable, "remote %s: "+format, append([]any{r.config.Name}, args...)...)
}

// enter waits for a place. Few may wait: the queue is at the remote otherwise.
func (r *Remote) enter(ctx context.Context) error {
	select {
	case r.places <- struct{}{}:
		return nil
	default:
	}
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > int64(waitersPerCall*cap(r.places)) {
		return r.unavailable("%d calls wait for it already", waitersPerCall*cap(r.places))
	}
	select {
	case r.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Remote) leave() {
	<-r.places
	if r.closed.Load() {
		r.client.CloseIdleConnections()
	}
}

// send makes a call, and makes it again when the connection broke before an
// answer began: no call writes anything.
func (r *Remote) send(ctx context.Context, c *call) error {
	answer, err := r.client.Do(r.request(ctx, c))
	if err != nil && ctx.Err() == nil {
		answer, err = r.client.Do(r.request(ctx, c))
	}
	if err != nil {
		return failure(ctx, err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or is of no use
	most := min(answerBytes+c.objects*objectBytes, answerMax)
	body, err := io.ReadAll(io.LimitReader(answer.Body, int64(most)+1))
	switch {
	case err != nil:
		return failure(ctx, err)
	case len(body) > most:
		return fmt.Errorf("its answer is longer than %d bytes", most)
	}
	f := formatOf(answer.Header)
	switch {
	case answer.StatusCode/100 == 4:
		return r.refusal(answer.StatusCode, f, body)
	case answer.StatusCode/100 != 2:
		return failedStatus(answer.StatusCode, f, body)
	case c.read == nil:
		return nil
	}
	if err := c.read(f, body); err != nil {
		return fmt.Errorf("its answer makes no sense: %w", err)
	}
	return nil
}

func (r *Remote) request(ctx context.Context, c *call) *http.Request {
	address := r.base.JoinPath(c.path)
	address.RawQuery = c.query.Encode()
	req := (&http.Request{Method: c.method, URL: address, Host: address.Host, Header: http.Header{
		"Accept": {wire.MessagePack.MediaType()}, "User-Agent": {"nearside"},
	}}).WithContext(ctx)
	if c.requestID != "" {
		req.Header.Set("Luna-Request-Id", c.requestID)
	}
	if c.body != nil {
		req.Header.Set("Content-Type", wire.MessagePack.MediaType())
		req.ContentLength = int64(len(c.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.body)), nil }
		req.Body, _ = req.GetBody() // it has no error
	}
	return req
}

func formatOf(h http.Header) wire.Format {
	if strings.HasPrefix(h.Get("Content-Type"), wire.MessagePack.MediaType()) {
		return wire.MessagePack
	}
	return wire.JSON
}

// failure says why there is no answer. The remote's address stays out of it.
func failure(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errGone
	case ctx.Err() != nil:
		return errors.New("it does not answer in time")
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if wrapped, ok := errors.AsType[*net.OpError](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("it does not answer: %w", err)
}

// ours are the codes of faults that are not the client's, but of how the proxy
// and the remote are set up, or of the remote's state.
var ours = map[matcher.Code]bool{
	matcher.CodeInternal: true, matcher.CodeNoRoute: true, matcher.CodeMethod: true, matcher.CodeSyntax: true,
	matcher.CodeUnauthorized: true, matcher.CodeForbidden: true, matcher.CodeMediaType: true, matcher.CodeNotAcceptable: true,
	matcher.CodeUnavailable: true, matcher.CodeDeadline: true, matcher.CodeNoMatcher: true,
}

// theirs are the codes of faults of a client.
var theirs = map[matcher.Code]bool{
	matcher.CodeBadInput: true, matcher.CodeUnknownVersion: true, matcher.CodeTooLarge: true, matcher.CodeNoDescriptor: true,
	matcher.CodeListNotFound: true, matcher.CodeFaceNotFound: true, matcher.CodeEventNotFound: true, matcher.CodeAttrNotFound: true,
	matcher.CodeAccountConflict: true, matcher.CodeWrongVersion: true, matcher.CodeCrossLimit: true, matcher.CodeTooMany: true,
}

// refusal passes on what a remote says the client did wrong; codes that are
// not of the contract become CodeBadInput.
func (r *Remote) refusal(status int, f wire.Format, body []byte) error {
	e, err := wire.ParseError(f, body)
	switch {
	case err != nil || ours[e.Code] || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		return failedStatus(status, f, body)
	case theirs[e.Code]:
		return &refusal{matcher.Errorf(e.Code, "remote %s: %s", r.config.Name, e.Detail)}
	}
	return &refusal{matcher.Errorf(matcher.CodeBadInput, "remote %s: %d: %s: %s", r.config.Name, e.Code, e.Desc, e.Detail)}
}

// failedStatus describes an answer that is none.
func failedStatus(status int, f wire.Format, body []byte) error {
	if e, err := wire.ParseError(f, body); err == nil {
		return fmt.Errorf("it answers %d: %d: %s", status, e.Code, e.Detail)
	}
	return fmt.Errorf("it answers %d %s", status, http.StatusText(status))
}

// duration returns a time of a plan.
func duration(milliseconds float64) time.Duration {
	return time.Duration(milliseconds * float64(time.Millisecond))
}
