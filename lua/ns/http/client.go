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
	"sync"
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
	idleTime      = 30 * time.Second // of an unused connection
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
	transport http.RoundTripper // replaces the network, also for TLS; nil: the network
	calls     chan struct{}     // one per request in progress
	permit    func(target string) error

	mu      sync.Mutex
	clients map[TLS]*http.Client
}

// New returns a client that sends requests through transport, or through the network
// if transport is nil. permit returns an error if the plugin may not reach a
// host:port.
func New(transport http.RoundTripper, permit func(target string) error) *Client {
	return &Client{transport: transport, calls: make(chan struct{}, MaxCalls), permit: permit, clients: map[TLS]*http.Client{}}
}

// CloseIdle closes the unused connections.
func (c *Client) CloseIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.clients {
		h.CloseIdleConnections()
	}
}

// A Response is a response. Body is nil if it is read as a stream.
type Response struct {
	Status  int
	Headers map[string]string // names in lower case
	Body    []byte
}

// Do makes a request and reads the whole response. If MaxCalls requests are in
// progress, it waits until one of them has ended.
func (c *Client) Do(ctx context.Context, request *http.Request, files TLS) (*Response, error) {
	s, err := c.Open(ctx, request, files)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	body, err := io.ReadAll(io.LimitReader(s.body, MaxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("the response is larger than %d bytes", MaxBody)
	}
	s.Body = body
	return &s.Response, nil
}

// A Stream is a response whose body is read in pieces. One goroutine at a time may use it.
type Stream struct {
	Response
	client *Client
	body   io.ReadCloser
}

// Open makes a request and reads the header of the response. The caller must call Close. ctx
// is used until then. The response counts as a request in progress until Close.
func (c *Client) Open(ctx context.Context, request *http.Request, files TLS) (*Stream, error) {
	client, err := c.clientFor(files)
	if err != nil {
		return nil, err
	}
	select {
	case c.calls <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, err := client.Do(request.WithContext(ctx)) //nolint:bodyclose // Stream.Close closes it
	if err != nil {
		<-c.calls
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // the outer error contains the whole URL
		}
		return nil, err
	}
	s := &Stream{client: c, body: r.Body, Response: Response{Status: r.StatusCode, Headers: make(map[string]string, len(r.Header))}}
	if len(r.Header) > MaxHeaders {
		s.Close()
		return nil, fmt.Errorf("the response has more than %d headers", MaxHeaders)
	}
	for name, values := range r.Header {
		s.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return s, nil
}

// Next fills piece with the next bytes of the body, and returns their number. It returns
// io.EOF and no bytes at the end.
func (s *Stream) Next(piece []byte) (int, error) {
	n, err := io.ReadFull(s.body, piece)
	if n > 0 && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)) {
		err = nil // the next call returns io.EOF
	}
	return n, err
}

// Close ends the response. It must be called once.
func (s *Stream) Close() {
	_ = s.body.Close() // an error does not matter after reading
	<-s.client.calls
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
