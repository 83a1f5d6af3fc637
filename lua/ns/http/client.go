// Package http is the HTTP/1.1 client of plugins. It does not know Lua.
//
// A [Client] belongs to one plugin. It limits the requests in progress and the size
// of a [Response]. It follows a redirect only if the plugin may reach the target. It
// ignores the proxy settings of the environment, because permissions apply to the
// address that is contacted.
package http

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"nearside/lua/ns/peer"
)

// Limits of requests and responses.
const (
	MaxCalls       = 32       // requests of a client in progress; others wait
	MaxBody        = 8 << 20  // bytes of a response, after decompression
	MaxHeaders     = 128      // of a request or a response
	MaxHeaderBytes = 64 << 10 // of a response

	maxRedirects  = 5
	handshakeTime = 10 * time.Second // of TLS
)

var ports = map[string]string{"http": "80", "https": "443"}

// IsHTTP reports whether a scheme is http or https.
func IsHTTP(scheme string) bool { return ports[scheme] != "" }

// Target returns the host:port of a URL.
func Target(u *url.URL) string {
	return peer.Endpoint{Host: u.Hostname(), Port: cmp.Or(u.Port(), ports[u.Scheme])}.Target()
}

// A Client makes requests. Its methods may be called by any goroutine.
type Client struct {
	http   *http.Client
	calls  chan struct{} // one per request in progress
	permit func(target string) error
}

// New returns a client that sends requests through transport, or through the network
// if transport is nil. permit returns an error if the plugin may not reach a
// host:port.
func New(transport http.RoundTripper, permit func(target string) error) *Client {
	if transport == nil {
		network := &http.Transport{
			MaxConnsPerHost: MaxCalls, MaxIdleConns: MaxCalls, MaxIdleConnsPerHost: 8,
			IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: handshakeTime,
			MaxResponseHeaderBytes: MaxHeaderBytes, Protocols: new(http.Protocols),
		}
		network.Protocols.SetHTTP1(true)
		transport = network
	}
	c := &Client{calls: make(chan struct{}, MaxCalls), permit: permit}
	c.http = &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	return c
}

// CloseIdle closes the unused connections.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// A Response is a response whose body was read completely.
type Response struct {
	Status  int
	Headers map[string]string // names in lower case
	Body    []byte
}

// Do makes a request and reads the whole response. If MaxCalls requests are in
// progress, it waits until one of them has ended.
func (c *Client) Do(ctx context.Context, request *http.Request) (*Response, error) {
	select {
	case c.calls <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.calls }()
	r, err := c.http.Do(request.WithContext(ctx))
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // the outer error contains the whole URL
		}
		return nil, err
	}
	defer func() { _ = r.Body.Close() }() // an error does not matter after reading
	if len(r.Header) > MaxHeaders {
		return nil, fmt.Errorf("the response has more than %d headers", MaxHeaders)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("the response is larger than %d bytes", MaxBody)
	}
	headers := make(map[string]string, len(r.Header))
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return &Response{r.StatusCode, headers, body}, nil
}

// checkRedirect decides whether a redirect is followed.
func (c *Client) checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if !IsHTTP(request.URL.Scheme) {
		return errors.New("redirected to a url that is not http or https")
	}
	if err := c.permit(Target(request.URL)); err != nil {
		return fmt.Errorf("redirected to %s: %w", request.URL.Host, err)
	}
	return nil
}
