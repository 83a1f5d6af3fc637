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

// An answer may have answerBytes, and for each object that was asked for
// objectBytes.
const (
	answerBytes = 1 << 20
	objectBytes = 64 << 10
	answerMax   = 256 << 20
)

// Forwarded is the header of all requests to remotes. Who is asked with it asks
// no remotes of its own, so that servers can be remotes of each other.
const Forwarded = "Luna-Forwarded"

// call is one HTTP request to a remote.
type call struct {
	method, path string
	query        url.Values
	body         []byte // MessagePack
	requestID    string
	objects      int                                    // most in the answer
	read         func(f wire.Format, body []byte) error // makes sense of a 2xx answer; nil: any will do
}

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
		"Accept": {wire.MessagePack.MediaType()}, "User-Agent": {"nearside"}, Forwarded: {"1"},
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
