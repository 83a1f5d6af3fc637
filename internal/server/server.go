// Package server is the HTTP face of nearside; it is the only user of hertz.
//
// A [Server] routes requests to one file per resource. Every handler gets an
// exchange: the request with its account, formats and deadline settled, and
// returns an error that one place turns into an answer.
package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/hertz/pkg/app"
	hertz "github.com/cloudwego/hertz/pkg/app/server"
	"github.com/cloudwego/hertz/pkg/common/config"
	"github.com/cloudwego/hertz/pkg/common/hlog"
	"github.com/cloudwego/hertz/pkg/network"
	"golang.org/x/sync/semaphore"

	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/remote"
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
	Plugins  Plugins
	Remotes  *remote.Group // nil: none
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
	Decoder     *wire.Decoder // has those of what bodies hold
	BodyBytes   int64         // most bytes of a body
	LineBytes   int64         // most bytes of a line of an import
	HeaderBytes int           // most bytes of the head of a request
	CrossMatch  int           // most objects of a cross match, both sides together
	// ConnectionsPerAddress is how many connections of one address may be open
	// at once; 0: any number.
	ConnectionsPerAddress int
	RequestTimeout        time.Duration  // of a request; of a pause in an import or export
	Config                map[string]any // shown by GET /config, secrets masked
}

// limits are those that requests begin with, and what is derived of them.
type limits struct {
	Limits
	bodies *budget
	lines  *budget // beginnings of lines of imports
}

// Version is what GET /version shows.
type Version struct{ Major, Minor, Patch int }

// Server serves HTTP. Make it with New, run it with Run, end it with Shutdown.
type Server struct {
	options  Options
	limits   atomic.Pointer[limits]
	heads    *budget
	answers  *answerBudgets
	blocks   *semaphore.Weighted // of imports, blocksSize bytes
	engine   *hertz.Hertz
	listener *listener
	methods  map[string][]string // by the path of a route
	context  context.Context     // of all requests
	cancel   context.CancelFunc
	draining atomic.Bool
	entering sync.RWMutex // orders the start of requests before draining

	work        workers
	largeGroups chan struct{} // holds one for each large group of an import
}

// New listens on o.Listen and sets up the routes; connections wait until Run.
func New(o Options) (*Server, error) {
	s := &Server{
		options: o, methods: map[string][]string{}, largeGroups: make(chan struct{}, largeGroupsMax),
		heads: newBudget("headers", headsSize, headerBytesMax+inputMin),
		work:  newWorkers(), answers: newAnswerBudgets(), blocks: semaphore.NewWeighted(blocksSize),
	}
	var err error
	if s.listener, err = listen(o.Listen, s); err != nil {
		return nil, fmt.Errorf("server: listen: %w", err)
	}
	redirectLog.Do(func() {
		hlog.SetLevel(hlog.LevelFatal) // what matters of its log is an answer or an error here
		hlog.SetOutput(io.Discard)
	})
	s.context, s.cancel = context.WithCancel(context.Background())
	s.Reload(o.Limits)
	s.engine = hertz.New(
		hertz.WithTransport(func(*config.Options) network.Transporter { return transport{s.listener} }),
		hertz.WithMaxHeaderBytes(0), // connections have checked it
		hertz.WithIdleTimeout(0),    // hertz returns after each request
		hertz.WithDisablePreParseMultipartForm(true),
		hertz.WithRedirectTrailingSlash(false),
		hertz.WithHandleMethodNotAllowed(true),
		hertz.WithDisablePrintRoute(true),
		hertz.WithExitWaitTime(2*lingerMax),
	)
	s.routes()
	return s, nil
}

const (
	// headerBytesMax is the most that Limits.HeaderBytes can be.
	headerBytesMax = 1 << 20
	// headsSize is the bytes of heads beyond inputMin that all connections hold
	// together. hertz needs about three times as much while a request is
	// answered.
	headsSize = 64 << 20
	// bodiesSize and linesSize are the bytes of bodies, and of unfinished lines
	// of imports, that all requests hold together beyond freeBytes each, if the
	// largest body is smaller. In addition there is room for the largest one.
	// What is decoded of a body takes a few times its size.
	bodiesSize = 48 << 20
	linesSize  = 32 << 20
)

// redirectLog runs once: hertz has one log per process.
var redirectLog sync.Once

// Addr returns the address that the server listens on, with the real port.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Reload sets the limits of requests that begin from now on. It is not for
// concurrent use.
func (s *Server) Reload(l Limits) {
	next := &limits{Limits: l}
	now := s.limits.Load()
	if now != nil && now.BodyBytes == l.BodyBytes {
		next.bodies = now.bodies
	} else {
		next.bodies = newBudget("bodies", min(bodiesSize, 3*l.BodyBytes), l.BodyBytes)
	}
	if now != nil && now.LineBytes == l.LineBytes {
		next.lines = now.lines
	} else {
		next.lines = newBudget("lines of imports", linesSize, l.LineBytes+2)
	}
	s.limits.Store(next)
}

// Run serves until Shutdown.
func (s *Server) Run() error { return s.engine.Run() }

// Shutdown stops listening, refuses new requests, and waits until those under
// way are answered. When ctx ends before, it cuts them and returns its cause.
// In either case all connections are closed and all handlers have returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.entering.Lock()
	s.draining.Store(true)
	s.entering.Unlock()
	_ = s.listener.Close()
	done := make(chan struct{})
	go func() {
		s.listener.requests.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.cancel()
	s.listener.cutAll()
	<-done
	_ = s.engine.Shutdown(context.Background()) // its wait is for connections, which are cut
	return err
}

// enter counts a request in, unless the server is shutting down.
func (s *Server) enter(c *connection) bool {
	s.entering.RLock()
	defer s.entering.RUnlock()
	if s.draining.Load() {
		return false
	}
	c.counted = true
	c.of.requests.Add(1)
	return true
}

// refusal returns the whole answer to what no handler sees: requests that cannot
// be read, and connections that are too many.
func (s *Server) refusal(e *matcher.Error) []byte {
	start := time.Now()
	id := newRequestID(start)
	status, body := failure(e, wire.JSON, id)
	header := http.Header{}
	if status == http.StatusServiceUnavailable {
		header.Set("Retry-After", retryAfter(e))
	}
	header.Set("Content-Type", wire.JSON.MediaType())
	header.Set("Date", start.UTC().Format(http.TimeFormat))
	header.Set("Luna-Request-Id", id)
	header.Set("Server", "nearside")
	body = append(body, '\n')
	answer := http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Close: true, Header: header,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	var text bytes.Buffer
	_ = answer.Write(&text) // to memory
	s.options.Observer.Requested(matcher.RequestPoint{Time: start, Route: unknownRoute, Status: status, Code: e.Code, RequestID: id, Duration: time.Since(start)})
	return text.Bytes()
}

func (s *Server) routes() {
	type query = []string
	s.handle("POST", "/1/matcher/faces", operation{run: s.matchFaces, query: query{"descriptor_version", "explain"}})
	s.handle("POST", "/1/matcher/bodies", operation{run: s.matchBodies, query: query{"descriptor_version", "explain"}})
	s.handle("POST", "/1/matcher", operation{run: s.matchAlias, query: query{"descriptor_version", "explain"}})
	s.handle("POST", "/1/matcher/raw", operation{run: s.matchRaw, query: query{"explain"}})
	s.handle("POST", "/1/crossmatcher/faces", operation{run: s.crossMatch(matcher.FaceDescriptor), query: query{"explain"}})
	s.handle("POST", "/1/crossmatcher/bodies", operation{run: s.crossMatch(matcher.BodyDescriptor), query: query{"explain"}})

	s.handle("POST", "/1/faces", operation{run: s.createFace})
	s.handle("GET", "/1/faces", operation{run: listObjects(matcher.Faces), filters: true})
	s.handle("DELETE", "/1/faces", operation{run: deleteObjects(matcher.Faces), filters: true})
	s.handle("PUT", "/1/faces/:id", operation{run: s.putFace})
	s.handle("PATCH", "/1/faces/:id", operation{run: s.patchFace})
	s.handle("GET", "/1/faces/:id", operation{run: getObject(matcher.Faces), query: query{"descriptor"}})
	s.handle("DELETE", "/1/faces/:id", operation{run: deleteObject(matcher.Faces)})

	s.handle("POST", "/1/events", operation{run: s.createEvents})
	s.handle("GET", "/1/events", operation{run: listObjects(matcher.Events), filters: true})
	s.handle("DELETE", "/1/events", operation{run: deleteObjects(matcher.Events), filters: true})
	s.handle("GET", "/1/events/:id", operation{run: getObject(matcher.Events), query: query{"descriptor"}})
	s.handle("DELETE", "/1/events/:id", operation{run: deleteObject(matcher.Events)})

	s.handle("PUT", "/1/attributes/:id", operation{run: s.putAttribute, query: query{"ttl"}})
	s.handle("GET", "/1/attributes/:id", operation{run: getObject(matcher.Attributes), query: query{"descriptor"}})
	s.handle("DELETE", "/1/attributes/:id", operation{run: deleteObject(matcher.Attributes)})

	s.handle("POST", "/1/lists", operation{run: s.createList})
	s.handle("GET", "/1/lists", operation{run: s.listLists, query: query{"page", "page_size"}})
	s.handle("GET", "/1/lists/:id", operation{run: s.getList})
	s.handle("PATCH", "/1/lists/:id", operation{run: s.patchList})
	s.handle("DELETE", "/1/lists/:id", operation{run: s.deleteList, query: query{"with_faces"}})
	s.handle("PATCH", "/1/linker", operation{run: s.link})

	s.handle("POST", "/1/import", operation{run: s.importObjects, query: query{"origin", "list_id"}, long: true})
	s.handle("GET", "/1/export", operation{run: s.exportObjects, filters: true, plain: true, long: true})

	s.handle("GET", "/1/plugins", operation{run: s.listPlugins})
	s.handle("POST", "/1/plugins/reload", operation{run: s.reloadPlugins})
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		s.handle(method, "/plugins/*path", operation{run: s.pluginRoute, anyKey: true, plain: true, ownHead: true})
	}

	s.handle("GET", "/version", operation{run: s.version})
	s.handle("GET", "/healthcheck", operation{run: s.healthcheck, query: query{"include_luna_services"}})
	s.handle("GET", "/livez", operation{run: s.livez})
	s.handle("GET", "/readyz", operation{run: s.readyz})
	s.handle("GET", "/config", operation{run: s.config})
	s.handle("GET", "/metrics", operation{run: s.metrics, anyKey: true, plain: true})
	s.handle("GET", "/docs/spec", operation{run: s.spec, plain: true})
	s.handle("GET", "/docs", operation{run: s.page("ui/docs.html"), plain: true})
	s.handle("GET", "/docs/", operation{run: s.page("ui/docs.html"), plain: true})
	s.handle("GET", "/docs/errors", operation{run: s.page("ui/errors.html"), plain: true})
	s.handle("GET", "/favicon.ico", operation{run: s.favicon, anyKey: true, plain: true})
	s.handle("GET", "/", operation{run: s.index, plain: true})

	s.engine.NoRoute(s.wrap(unknownRoute, operation{run: noRoute, anyKey: true, plain: true}))
	s.engine.NoMethod(s.wrap(unknownRoute, operation{run: s.noMethod, anyKey: true, plain: true}))
}

// handle adds a route.
func (s *Server) handle(method, path string, op operation) {
	s.methods[path] = append(s.methods[path], method)
	s.engine.Handle(method, path, s.wrap(routeName(method, path), op))
	if method == http.MethodGet && !op.ownHead {
		s.handle(http.MethodHead, path, op) // hertz leaves the body out
	}
}

func noRoute(_ context.Context, x *exchange) error {
	return matcher.Errorf(matcher.CodeNoRoute, "%s is no resource of this server", shorten(string(x.Path())))
}

func (s *Server) noMethod(_ context.Context, x *exchange) error {
	path := string(x.Path())
	for pattern, methods := range s.methods {
		resource, one := strings.CutSuffix(pattern, ":id")
		if path == pattern || one && strings.HasPrefix(path, resource) {
			x.Response.Header.Set("Allow", strings.Join(methods, ", "))
		}
	}
	return matcher.Errorf(matcher.CodeMethod, "%s is not a method of %s", shorten(string(x.Method())), shorten(path))
}

// requestContext is hertz's, under the name that handlers know it by.
type requestContext = app.RequestContext
