package ns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	httpclient "nearside/lua/ns/http"
	"nearside/lua/vm"
)

// Limits of retries and of streams.
const (
	maxHTTPRetries = 10
	firstHTTPPause = 200 * time.Millisecond // doubled for each further retry
	maxHTTPPause   = 10 * time.Second
	maxRetryAfter  = 60 * time.Second
	streamPiece    = 64 << 10 // bytes
)

// An httpCall is one call of ns.http.
type httpCall struct {
	in      *Instance
	request *http.Request
	timeout time.Duration // of each attempt, or of each wait for a piece of a stream
	tls     httpclient.TLS
	retries int
	stream  *vm.Func // receives the body in pieces; nil: the body is a result
}

// errHTTPTimeout replaces the errors of requests that took too long.
var errHTTPTimeout = errors.New("timeout")

// fail returns nil and err to the script.
func (h *httpCall) fail(c *vm.Call, err error) error {
	return c.Fail(fmt.Errorf("%s %s: %w", h.request.Method, shownURL(h.request.URL), err))
}

// attempt makes the request once and reads the response.
func (h *httpCall) attempt(ctx context.Context) (response *httpclient.Response, err error) {
	err = h.limited(ctx, func(ctx context.Context) error {
		response, err = h.in.httpClient().Do(ctx, h.request, h.tls)
		return err
	})
	return response, err
}

// limited runs f with the timeout.
func (h *httpCall) limited(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	err := f(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errHTTPTimeout
	}
	return err
}

// withRetries calls attempt until it succeeds, or until no retries are left. The result is
// that of the last attempt.
func (h *httpCall) withRetries(ctx context.Context, attempt func(ctx context.Context) (*httpclient.Response, error)) (*httpclient.Response, error) {
	for n := 0; ; n++ {
		response, err := attempt(ctx)
		if n == h.retries || ctx.Err() != nil || err == nil && !isRetried(response.Status) {
			return response, err
		}
		if h.in.Clock().Sleep(ctx, h.pause(n, response)) != nil {
			return response, err
		}
		if h.request.GetBody != nil {
			h.request.Body, _ = h.request.GetBody() // it never fails
		}
	}
}

// isRetried reports whether a later attempt may get another status.
func isRetried(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// pause returns the pause after attempt n, which counts from 0. It follows the header
// Retry-After. Half of any other pause is random, so that not all clients come back at once.
func (h *httpCall) pause(n int, response *httpclient.Response) time.Duration {
	if response != nil {
		if seconds, err := strconv.Atoi(response.Headers["retry-after"]); err == nil && seconds >= 0 {
			return min(time.Duration(min(seconds, 3600))*time.Second, maxRetryAfter)
		}
	}
	d := min(firstHTTPPause<<n, maxHTTPPause)
	return d/2 + time.Duration(h.in.Random()*float64(d/2))
}

// A streamedResponse is the response of one attempt.
type streamedResponse struct {
	*httpclient.Stream                    // nil: there is none
	end                context.CancelFunc // ends the context of the request, which lasts longer than one wait
}

func (r *streamedResponse) close() {
	if r.Stream != nil {
		r.Close()
		r.Stream = nil
	}
	if r.end != nil {
		r.end()
	}
}

// open makes the request once.
func (h *httpCall) open(ctx context.Context, r *streamedResponse) (*httpclient.Response, error) {
	r.close() // of the attempt before
	life, end := context.WithCancel(h.in.State.Context())
	r.end = end
	err := h.duringWait(ctx, end, func() (err error) {
		r.Stream, err = h.in.httpClient().Open(life, h.request, h.tls)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &r.Response, nil
}

// runStream makes the request and passes the body to the script in pieces.
func (h *httpCall) runStream(c *vm.Call) error {
	r := &streamedResponse{}
	defer r.close()
	err := c.Wait(func(ctx context.Context) error {
		_, err := h.withRetries(ctx, func(ctx context.Context) (*httpclient.Response, error) { return h.open(ctx, r) })
		return err
	})
	if err != nil {
		return h.fail(c, err)
	}
	c.Allocate(streamPiece)
	for piece := make([]byte, streamPiece); ; {
		n := 0
		err := c.Wait(func(ctx context.Context) error {
			return h.duringWait(ctx, r.end, func() (err error) {
				n, err = r.Next(piece)
				return err
			})
		})
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return h.fail(c, err)
		}
		c.Allocate(n)
		results, err := c.Invoke(h.stream, string(piece[:n]))
		if err != nil {
			return err
		}
		if len(results) > 0 && results[0] == false {
			break
		}
	}
	return c.Return(map[string]any{"status": r.Status, "headers": r.Headers, "body": ""})
}

// duringWait runs f, which uses the context of the whole request. It ends that context when
// ctx ends or the timeout is over.
func (h *httpCall) duringWait(ctx context.Context, end context.CancelFunc, f func() error) error {
	return h.limited(ctx, func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, end)
		err := f()
		stop()
		if ctx.Err() != nil && err != nil {
			return ctx.Err()
		}
		return err
	})
}
