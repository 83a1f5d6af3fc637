// Package server is the HTTP face of nearside; it is the only user of hertz.
//
// A [Server] routes requests to one file per resource. Every handler gets an
// exchange: the request with its account, formats and deadline settled, and
// returns an error that one place turns into an answer.
package server

import (
	"context"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/hertz/pkg/app"
	hertz "github.com/cloudwego/hertz/pkg/app/server"
	"github.com/cloudwego/hertz/pkg/common/hlog"
	"github.com/cloudwego/hertz/pkg/network/standard"

	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/route"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

// Options are what a Server is made with.
type Options struct {
	Listen   string // host:port; port 0 takes a free one
	Router   *route.Router
	Memory   *memory.Memory
	Store    *store.Store
	Observer matcher.Observer
	Log      *slog.Logger
	// Metrics writes the metrics in the form that accept asks for and returns
	// its content type.
	Metrics func(w io.Writer, accept string) (contentType string, err error)
	Version Version
	Limits  Limits
}

// Limits can change while the server runs, with Reload.
type Limits struct {
	Decoder        *wire.Decoder  // has those of what bodies hold
	BodyBytes      int64          // most bytes of a body
	LineBytes      int64          // most bytes of a line of an import
	RequestTimeout time.Duration  // of a request; of a pause in an import or export
	Config         map[string]any // shown by GET /config, secrets masked
}

// Version is what GET /version shows.
type Version struct{ Major, Minor, Patch int }

// Server serves HTTP. Make it with New, run it with Run, end it with Shutdown.
type Server struct {
	options  Options
	limits   atomic.Pointer[Limits]
	engine   *hertz.Hertz
	listener *listener
	draining atomic.Bool
	requests sync.WaitGroup // under way
	begin    sync.RWMutex   // orders the start of requests before draining
}

// New listens on o.Listen and sets up the routes; connections wait until Run.
func New(o Options) (*Server, error) {
	l, err := listen(o.Listen, o.Limits.RequestTimeout)
	if err != nil {
		return nil, err
	}
	redirectLog.Do(func() {
		hlog.SetLevel(hlog.LevelFatal) // what matters of its log is an answer or an error here
		hlog.SetOutput(io.Discard)
	})
	s := &Server{options: o, listener: l}
	s.Reload(o.Limits)
	s.engine = hertz.New(
		hertz.WithListener(l),
		hertz.WithTransport(standard.NewTransporter),
		hertz.WithStreamBody(true), // limits are checked here, with an answer of ours
		hertz.WithMaxRequestBodySize(math.MaxInt),
		hertz.WithDisablePreParseMultipartForm(true),
		hertz.WithReadTimeout(o.Limits.RequestTimeout),
		hertz.WithIdleTimeout(2*time.Minute),
		hertz.WithRedirectTrailingSlash(false),
		hertz.WithHandleMethodNotAllowed(true),
		hertz.WithDisablePrintRoute(true),
		hertz.WithExitWaitTime(time.Second),
	)
	s.routes()
	return s, nil
}

// redirectLog runs once: hertz has one log per process.
var redirectLog sync.Once

// Addr returns the address that the server listens on, with the real port.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Reload sets the limits of requests that begin from now on.
func (s *Server) Reload(l Limits) { s.limits.Store(&l) }

// Run serves until Shutdown.
func (s *Server) Run() error { return s.engine.Run() }

// Shutdown stops listening, refuses new requests, waits for those under way
// until ctx ends, then closes all connections.
func (s *Server) Shutdown(ctx context.Context) error {
	s.begin.Lock()
	s.draining.Store(true)
	s.begin.Unlock()
	s.listener.stop()
	done := make(chan struct{})
	go func() { // ends with the last request, which has a deadline of its own
		s.requests.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.listener.closeConnections()
	_ = s.engine.Shutdown(context.Background()) // its wait is for connections, which are closed
	return err
}

// enter counts a request in, unless the server is shutting down.
func (s *Server) enter() bool {
	s.begin.RLock()
	defer s.begin.RUnlock()
	if s.draining.Load() {
		return false
	}
	s.requests.Add(1)
	return true
}

func (s *Server) routes() {
	type query = []string
	e := s.engine
	s.handle("POST", "/1/matcher/faces", query{"descriptor_version", "explain"}, s.matchFaces)
	s.handle("POST", "/1/matcher", query{"descriptor_version", "explain"}, s.matchAlias)
	s.handle("POST", "/1/matcher/raw", query{"explain"}, s.matchRaw)

	s.handle("POST", "/1/faces", nil, s.createFace)
	s.handle("GET", "/1/faces", query{"page", "page_size", "descriptor", anyFilter}, s.listFaces)
	s.handle("DELETE", "/1/faces", query{anyFilter}, s.deleteFaces)
	s.handle("PUT", "/1/faces/:id", nil, s.putFace)
	s.handle("PATCH", "/1/faces/:id", nil, s.patchFace)
	s.handle("GET", "/1/faces/:id", query{"descriptor"}, s.getFace)
	s.handle("DELETE", "/1/faces/:id", nil, s.deleteFace)

	s.handle("POST", "/1/lists", nil, s.createList)
	s.handle("GET", "/1/lists", query{"page", "page_size"}, s.listLists)
	s.handle("GET", "/1/lists/:id", nil, s.getList)
	s.handle("PATCH", "/1/lists/:id", nil, s.patchList)
	s.handle("DELETE", "/1/lists/:id", query{"with_faces"}, s.deleteList)
	s.handle("PATCH", "/1/linker", nil, s.link)

	s.handle("POST", "/1/import", query{"origin", "list_id"}, s.importObjects)
	s.handle("GET", "/1/export", query{"origin", anyFilter}, s.exportObjects)

	s.handle("GET", "/version", nil, s.version)
	s.handle("GET", "/healthcheck", query{"include_luna_services"}, s.healthcheck)
	s.handle("GET", "/livez", nil, s.livez)
	s.handle("GET", "/readyz", nil, s.readyz)
	s.handle("GET", "/config", nil, s.config)
	s.handle("GET", "/metrics", query{anyKey}, s.metrics)
	s.handle("GET", "/docs/spec", nil, s.spec)
	s.handle("GET", "/docs", nil, s.page("ui/docs.html"))
	s.handle("GET", "/docs/errors", nil, s.page("ui/errors.html"))
	s.handle("GET", "/", nil, s.index)

	e.NoRoute(s.wrap("", query{anyKey}, func(_ context.Context, x *exchange) error {
		return matcher.Errorf(matcher.CodeNoRoute, "%s is no resource of this server", shorten(string(x.Path())))
	}))
	e.NoMethod(s.wrap("", query{anyKey}, func(_ context.Context, x *exchange) error {
		return matcher.Errorf(matcher.CodeMethod, "%s is not a method of %s", shorten(string(x.Method())), shorten(string(x.Path())))
	}))
}

// handler answers one request.
type handler func(ctx context.Context, x *exchange) error

// handle adds a route with the query keys that it knows, account_id aside.
func (s *Server) handle(method, path string, query []string, h handler) {
	s.engine.Handle(method, path, s.wrap(routeName(method, path), query, h))
}

// requestContext is hertz's, under the name that handlers know it by.
type requestContext = app.RequestContext
