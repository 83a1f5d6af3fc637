package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/sony/gobreaker/v2"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// An answer may have answerBytes, plus objectBytes for each object that was asked
// for, but at most answerMax.
const (
	answerBytes = 1 << 20
	objectBytes = 64 << 10
	answerMax   = 256 << 20
)

// Forwarded is a header of all requests to remotes. A server that receives it does
// not ask its own remotes, so that servers can be remotes of each other.
const Forwarded = "Luna-Forwarded"

// call is one HTTP request to a remote.
type call struct {
	method, path string
	query        url.Values
	body         []byte // MessagePack
	requestID    string
	objects      int                                    // maximum in the answer
	read         func(f wire.Format, body []byte) error // reads a 2xx answer; nil: the body is ignored
	place        placer                                 // nil: nothing in the call comes from the client's request
}

// makeCall makes a call as soon as a slot is free. The error is a fault of the
// client, CodeUnavailable, or the cause of ctx if it ended.
func (r *Remote) makeCall(ctx context.Context, c *call) error {
	if ctx.Err() != nil { // it must not count as a failure of the remote
		return context.Cause(ctx)
	}
	if err := r.acquireSlot(ctx); err != nil {
		return err
	}
	defer r.releaseSlot()
	callCtx := ctx
	if r.config.Timeout > 0 {
		var cancel context.CancelFunc
		callCtx, cancel = context.WithTimeout(ctx, r.config.Timeout)
		defer cancel()
	}
	if r.breaker.State() != gobreaker.StateClosed { // in the half-open state, only health checks are made
		if reason := r.unhealthy.Load(); reason != nil {
			return r.unavailable("%s", *reason)
		}
		return r.unavailable("%w", gobreaker.ErrOpenState)
	}
	err := r.send(callCtx, c)
	// The call is counted after its end, because the breaker ignores calls that began in
	// an earlier span.
	_, _ = r.breaker.Execute(func() (struct{}, error) { return struct{}{}, err })
	var refused *refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return refused.fault
	}
	failed, _ := errors.AsType[*answerError](err)
	if r.breaker.State() != gobreaker.StateClosed {
		r.noteHealth(err)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case callCtx.Err() != nil:
		return r.unavailable("did not answer within %s", r.config.Timeout)
	}
	e := r.unavailable("%w", err)
	if failed != nil && failed.path != "" {
		return e.Locate(failed.path)
	}
	return e
}

func (r *Remote) unavailable(format string, args ...any) *matcher.Error {
	return matcher.Errorf(matcher.CodeUnavailable, "remote %s: "+format, append([]any{r.config.Name}, args...)...)
}

// acquireSlot waits for one of the MaxInflight slots. The number of waiting calls
// is bounded, so that a slow remote does not collect requests here.
func (r *Remote) acquireSlot(ctx context.Context) error {
	select {
	case r.slots <- struct{}{}:
		return nil
	default:
	}
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > int64(waitersPerCall*cap(r.slots)) {
		return r.unavailable("%d calls are already waiting for it", waitersPerCall*cap(r.slots))
	}
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Remote) releaseSlot() {
	<-r.slots
	if r.closed.Load() {
		r.client.CloseIdleConnections()
	}
}

// send makes a call. If the connection breaks before an answer begins, it makes
// the call once more. That is safe, because calls only read.
func (r *Remote) send(ctx context.Context, c *call) error {
	answer, err := r.client.Do(r.request(ctx, c))
	if err != nil && ctx.Err() == nil {
		answer, err = r.client.Do(r.request(ctx, c))
	}
	if err != nil {
		return failure(ctx, err)
	}
	defer func() { _ = answer.Body.Close() }() // the body was read or is not needed
	limit := min(answerBytes+c.objects*objectBytes, answerMax)
	body, err := io.ReadAll(io.LimitReader(answer.Body, int64(limit)+1))
	switch {
	case err != nil:
		return failure(ctx, err)
	case len(body) > limit:
		return fmt.Errorf("its answer is longer than %d bytes", limit)
	}
	f := formatOf(answer.Header)
	switch {
	case answer.StatusCode/100 == 4:
		return r.refusedStatus(answer.StatusCode, f, body, c.place)
	case answer.StatusCode/100 != 2:
		return failedStatus(answer.StatusCode, f, body, c.place)
	case c.read == nil:
		return nil
	}
	if err := c.read(f, body); err != nil {
		return fmt.Errorf("its answer is invalid: %w", err)
	}
	return nil
}

func (r *Remote) request(ctx context.Context, c *call) *http.Request {
	address := r.base.JoinPath(c.path)
	address.RawQuery = c.query.Encode()
	req := (&http.Request{Method: c.method, URL: address, Host: address.Host, Header: http.Header{
		"Accept": {wire.MessagePack.MediaType()}, "User-Agent": {"nearside"}, Forwarded: {"1"},
	}}).WithContext(ctx)
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	if c.requestID != "" {
		req.Header.Set("Luna-Request-Id", c.requestID)
	}
	if c.body != nil {
		req.Header.Set("Content-Type", wire.MessagePack.MediaType())
		req.ContentLength = int64(len(c.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.body)), nil }
		req.Body, _ = req.GetBody() // it never fails
	}
	return req
}

func formatOf(h http.Header) wire.Format {
	if strings.HasPrefix(h.Get("Content-Type"), wire.MessagePack.MediaType()) {
		return wire.MessagePack
	}
	return wire.JSON
}
