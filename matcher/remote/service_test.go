package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// service is the remote service: an HTTP server that is connected through pipes, so
// that a test can run in a bubble with its own clock (testing/synctest). In a
// bubble, waiting takes no time, and a goroutine that is left at the end fails the
// test.
type service struct {
	conns  chan net.Conn
	server *http.Server
	ended  chan struct{}

	mu      sync.Mutex
	calls   []receivedCall
	handler http.HandlerFunc // of all calls except health checks
	health  http.HandlerFunc // of health checks; nil: healthy
	down    bool             // connections are refused
}

// receivedCall is a call that the service received.
type receivedCall struct {
	method, path, query string
	header              http.Header
	body                []byte
}

// Accept, Close and Addr make service a net.Listener.
func (s *service) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

func (s *service) Close() error   { return nil }
func (s *service) Addr() net.Addr { return &net.TCPAddr{} }

func (s *service) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	near, far := net.Pipe()
	select {
	case s.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	handle := s.health
	if r.URL.Path != "/healthcheck" {
		handle = s.handler
		s.calls = append(s.calls, receivedCall{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone(), body})
	}
	s.mu.Unlock()
	if handle == nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	handle(w, r)
}

// setHandler replaces the handler of calls.
func (s *service) setHandler(handler http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = handler
}

// setHealth replaces the handler of health checks; nil: healthy.
func (s *service) setHealth(health http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = health
}

// setDown sets whether connections are refused.
func (s *service) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// takeCalls returns the calls that arrived since the last takeCalls.
func (s *service) takeCalls() []receivedCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// logBuffer collects log lines.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// lines returns the lines since the last call of lines, without the time.
func (l *logBuffer) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSuffix(l.text.String(), "\n"), "\n")
	l.text.Reset()
	if lines[0] == "" {
		return nil
	}
	for i := range lines {
		_, lines[i], _ = strings.Cut(lines[i], " ")
	}
	return lines
}

// testbed is a remote with its service.
type testbed struct {
	*service
	*Remote
	group *Group
	log   *logBuffer
}

// testRegistry has the built-in versions and version 7: type face, three dimensions.
var testRegistry = func() *matcher.Registry {
	r, err := matcher.NewRegistry([]matcher.Version{{Number: 7, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}}})
	if err != nil {
		panic(err)
	}
	return r
}()

var testDecoder = &wire.Decoder{Registry: testRegistry, Now: time.Now, Limits: wire.Limits{
	References: 1000, Candidates: 100, RawCandidates: 1000, Result: 1000, Offset: 1000, FilterValues: 1000,
}}

func newService() *service {
	s := &service{conns: make(chan net.Conn), ended: make(chan struct{})}
	s.server = &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)} //nolint:gosec // it serves tests
	go func() { _ = s.server.Serve(s) }()
	return s
}

func newGroup(dial dialer) (*Group, *logBuffer) {
	log := &logBuffer{}
	g := NewGroup(func() *wire.Decoder { return testDecoder }, slog.New(slog.NewTextHandler(log, nil)))
	g.dial = dial
	return g, log
}

// baseConfig returns a configuration that tests can change.
func baseConfig() Config { return Config{Name: "east", URL: "http://east/", Cost: 50, MaxInflight: 4} }

// inBubble runs test in a synctest bubble, with a remote whose first health check
// succeeded.
func inBubble(t *testing.T, c Config, test func(*testing.T, *testbed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		g, log := newGroup(s.dial)
		if err := g.Configure([]Config{c}); err != nil {
			t.Fatal(err)
		}
		defer func() {
			g.Close()
			close(s.ended)
			if err := s.server.Close(); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		test(t, &testbed{service: s, Remote: g.current.Load().all[0], group: g, log: log})
	})
}

// answer writes a body, which is in format f.
func answer(w http.ResponseWriter, status int, f wire.Format, body []byte) {
	w.Header().Set("Content-Type", f.MediaType()+"; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // in some tests the client has gone
}

// refuse answers with an error of the contract.
func refuse(status int, code matcher.Code, detail string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer(w, status, wire.MessagePack, wire.AppendError(nil, wire.MessagePack, code, "desc", detail, "/docs"))
	}
}

// breaks writes the start of an answer, which may be empty, and ends the connection.
func breaks(start string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = rw.WriteString(start)
		_ = rw.Flush()
		_ = conn.Close()
	}
}

// hangs does not answer until the client cancels the call.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// wantUnavailable checks that err is CodeUnavailable, names the remote, contains
// detail and has no address.
func wantUnavailable(t *testing.T, err error, detail string) {
	t.Helper()
	if err == nil || matcher.CodeOf(err) != matcher.CodeUnavailable || !strings.HasPrefix(err.Error(), "remote east: ") ||
		!strings.Contains(err.Error(), detail) || strings.Contains(err.Error(), "http://") {
		t.Errorf("%v; want %d with %q", err, matcher.CodeUnavailable, detail)
	}
}
