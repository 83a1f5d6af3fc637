// Package server is the HTTP interface of nearside. It is the only user of hertz.
//
// A server listens before the stored data is loaded. Until Open, it answers that it is
// starting (starting.go).
//
// A [Server] has a listener with connections. A connection reads the head of a
// request and gives the request to hertz, which calls the handler of the route. Each
// resource has a file with its handlers; objects.go has those that faces, events and
// attributes share. A handler gets an exchange: the request with its account, formats
// and deadline. It returns an error, which exchange.sendError turns into an answer.
//
// All requests share the memory for heads, bodies, lines of imports and answers. Each
// of these has a budget, and a request holds a claim on it. When memory is short,
// requests wait, and clients that send or read too slowly are disconnected.
package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
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

	"nearside/internal/access"
	"nearside/internal/coding"
	"nearside/internal/snapshot"
	"nearside/internal/task"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/remote"
	"nearside/matcher/route"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

// Options are the settings of a Server, and the parts that it needs from the start.
type Options struct {
	Listen string // host:port; port 0: any free port
	// RefuseMatch and RefuseWrite return an error while the process has too little
	// memory for such a request. They may be nil.
	RefuseMatch, RefuseWrite func() error
	Observer                 matcher.Observer
	Log                      *slog.Logger
	// Metrics writes the metrics in the format that the header Accept asks for. It
	// returns the content type.
	Metrics func(w io.Writer, accept string) (contentType string, err error)
	// TLS returns the TLS configuration for the next connection. A nil function or result
	// means that connections do not use TLS.
	TLS     func() *tls.Config
	Version Version
	Limits  Limits
	// Insecure lets clients on other machines use a server whose Limits.Access requires no
	// key.
	Insecure bool
}

// Parts are what requests need in addition to Options. They exist when the stored data is
// loaded.
type Parts struct {
	Router  *route.Router
	Memory  *memory.Memory
	Store   *store.Store
	Plugins Plugins
	Remotes *remote.Group // nil: no remotes
	Tasks   *task.Runner
	// Snapshots are made by tasks of the kind snapshot.TaskKind.
	Snapshots *snapshot.Folder
}

// Limits can be changed by Reload while the server runs.
type Limits struct {
	Decoder     *wire.Decoder // has the limits of the contents of bodies
	BodyBytes   int64         // largest body
	LineBytes   int64         // longest line of an import; see LineMax
	HeaderBytes int           // largest head of a request
	CrossMatch  int           // objects of a cross match, both sides together
	// ConnectionsPerAddress is the largest number of open connections of one address;
	// 0: no limit.
	ConnectionsPerAddress int
	// TrustedProxies are the addresses whose header X-Forwarded-For names the client.
	TrustedProxies []netip.Prefix
	RequestTimeout time.Duration  // of a request, or of each pause in an import or export
	Config         map[string]any // for GET /config, with masked secrets
	Access         *access.Policy // who may do what; nil: no keys are required
}

// limits are the limits of new requests, with the budgets that depend on them.
type limits struct {
	Limits
	bodies          *budget
	unfinishedLines *budget // of imports
}

// Version is what GET /version shows.
type Version struct{ Major, Minor, Patch int }

// Server serves HTTP. New makes it, Run runs it, Open lets it answer all requests,
// Shutdown ends it.
type Server struct {
	options       Options
	parts         atomic.Pointer[Parts]    // nil: the server is starting
	progress      atomic.Pointer[Progress] // of the start
	limits        atomic.Pointer[limits]
	heads         *budget
	answers       *answerBudgets
	refusals      *refusals
	importTexts   *semaphore.Weighted // textRoom bytes
	importLines   *semaphore.Weighted // lineRoom bytes
	importCommits *semaphore.Weighted // commitRoom bytes
	decoding      *semaphore.Weighted // decodingSize bytes for parsing bodies
	engine        *hertz.Hertz
	listener      *listener
	methods       map[string][]string // the methods of each route, by path
	context       context.Context     // of all requests
	cancel        context.CancelFunc
	draining      atomic.Bool
	entering      sync.RWMutex // ensures that no request is counted after draining is set

	turns         *access.Turns // of matches
	workers       workers
	decompressing workers       // decompress the bodies of requests other than imports
	largeGroups   chan struct{} // holds one value per large group, counted over all imports
	downloads     chan struct{} // holds one value per snapshot that is being sent
}

// New listens on o.Listen and adds the routes. Connections wait until Run. All requests but
// a few are refused until Open.
func New(o Options) (*Server, error) {
	s := &Server{
		options: o, methods: map[string][]string{}, largeGroups: make(chan struct{}, largeGroupsMax), downloads: make(chan struct{}, downloadsMax),
		heads: newBudget("headers", headsSize, headerBytesMax+inputMin),
		turns: access.NewTurns(turnsPerProcessor * runtime.GOMAXPROCS(0)), workers: newWorkers(), decompressing: newDecompressors(), answers: newAnswerBudgets(), refusals: newRefusals(),
		importTexts: semaphore.NewWeighted(textRoom), importLines: semaphore.NewWeighted(lineRoom), importCommits: semaphore.NewWeighted(commitRoom),
		decoding: semaphore.NewWeighted(decodingSize),
	}
	var err error
	if s.listener, err = listen(o.Listen, s); err != nil {
		return nil, fmt.Errorf("server: listen: %w", err)
	}
	redirectLog.Do(func() {
		hlog.SetLevel(hlog.LevelFatal) // this package reports all important events itself
		hlog.SetOutput(io.Discard)
	})
	s.context, s.cancel = context.WithCancel(context.Background())
	s.progress.Store(&Progress{Phase: "opening the data directory"})
	s.Reload(o.Limits)
	s.engine = hertz.New(
		hertz.WithTransport(func(*config.Options) network.Transporter { return transport{s.listener} }),
		hertz.WithMaxHeaderBytes(0), // a connection checks the size
		hertz.WithIdleTimeout(0),    // hertz returns after each request
		hertz.WithDisablePreParseMultipartForm(true),
		hertz.WithRedirectTrailingSlash(false),
		hertz.WithHandleMethodNotAllowed(true),
		hertz.WithDisablePrintRoute(true),
		hertz.WithExitWaitTime(2*lingerMax),
	)
	s.addRoutes()
	return s, nil
}

const (
	// headerBytesMax is the largest value of Limits.HeaderBytes.
	headerBytesMax = 1 << 20
	// headsSize is how many bytes of heads all connections may hold together. The first
	// inputMin bytes of each connection do not count. hertz needs about three times as much while it answers
	// a request.
	headsSize = 64 << 20
	// bodiesSize and linesSize are how many bytes of bodies, and of unfinished lines
	// of imports, all requests may hold together. The part of each that needs no
	// reservation does not count. In addition there is room for the largest body or line: for
	// the compressed body, the state of its decoder, and its content. A decoded body needs a
	// few times its size.
	bodiesSize = 48 << 20
	linesSize  = 32 << 20
)

// redirectLog runs once, because hertz has one log per process.
var redirectLog sync.Once

// Addr returns the address that the server listens on, with the real port.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// lineExtra is how much longer the exported line of an object may be than the body
// that created the object: the line also has the ID and the time.
const lineExtra = 1 << 10

// LineMax returns the length limit of a line of an import, given the configured limits
// of lines and of bodies. An exported line always fits.
func LineMax(line, body int64) int64 { return max(line, body+lineExtra) }

// Reload sets the limits of requests that begin from now on. It must not be called
// concurrently.
func (s *Server) Reload(l Limits) {
	l.LineBytes = LineMax(l.LineBytes, l.BodyBytes)
	next := &limits{Limits: l}
	current := s.limits.Load()
	if current != nil && current.BodyBytes == l.BodyBytes {
		next.bodies = current.bodies
	} else {
		next.bodies = newBudget("bodies", min(bodiesSize, 3*l.BodyBytes), 2*l.BodyBytes+coding.StateMax)
	}
	if current != nil && current.LineBytes == l.LineBytes {
		next.unfinishedLines = current.unfinishedLines
	} else {
		next.unfinishedLines = newBudget("lines of imports", linesSize, l.LineBytes+2+coding.StateMax+contentBytes)
	}
	s.limits.Store(next)
}

// Run serves until Shutdown.
func (s *Server) Run() error { return s.engine.Run() }

// Shutdown stops listening, refuses new requests, and waits until running requests
// are answered. If ctx ends first, it cuts them and returns the cause of ctx. In
// either case all connections are closed and all handlers have returned.
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
	_ = s.engine.Shutdown(context.Background())
	s.listener.serving.Wait() // all connections are cut and end soon; hertz does not wait for them if Run has returned
	return err
}

// beginRequest counts a request that begins. It returns false if the server is
// shutting down.
func (s *Server) beginRequest(c *connection) bool {
	s.entering.RLock()
	defer s.entering.RUnlock()
	if s.draining.Load() {
		return false
	}
	c.counted = true
	c.listener.requests.Add(1)
	return true
}

// refusalAnswer returns the bytes of a complete HTTP answer with an error. It is for
// requests that cannot be read and for refused connections.
func (s *Server) refusalAnswer(e *matcher.Error) []byte {
	start := time.Now()
	id := newRequestID(start)
	status, body := errorAnswer(e, wire.JSON, id)
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
	_ = answer.Write(&text) // writing to memory cannot fail
	s.options.Observer.Requested(matcher.RequestPoint{Time: start, Route: unknownRoute, Status: status, Code: e.Code, RequestID: id, Duration: time.Since(start)})
	return text.Bytes()
}

func (s *Server) addRoutes() {
	type query = []string
	pages := append(query{"descriptor"}, wire.FindParameters...)
	targets := query{"targets"}
	s.addRoute("POST", "/1/matcher/faces", operation{matches: true, rowLines: true, handler: s.match, matched: matcher.FaceDescriptor, query: query{"descriptor_version", "explain"}})
	s.addRoute("POST", "/1/matcher/bodies", operation{matches: true, rowLines: true, handler: s.match, matched: matcher.BodyDescriptor, query: query{"descriptor_version", "explain"}})
	s.addRoute("POST", "/1/matcher", operation{matches: true, rowLines: true, handler: s.matchAlias, matched: matcher.FaceDescriptor, query: query{"descriptor_version", "explain"}})
	s.addRoute("POST", "/1/matcher/raw", operation{matches: true, handler: s.matchRaw, query: query{"explain"}})
	s.addRoute("POST", "/1/crossmatcher/faces", operation{matches: true, handler: s.crossMatch, matched: matcher.FaceDescriptor, query: query{"explain"}})
	s.addRoute("POST", "/1/crossmatcher/bodies", operation{matches: true, handler: s.crossMatch, matched: matcher.BodyDescriptor, query: query{"explain"}})

	s.addRoute("POST", "/1/faces", operation{writes: true, handler: s.createFace, origin: matcher.Faces})
	s.addRoute("GET", "/1/faces", operation{handler: s.listObjects, origin: matcher.Faces, query: pages, repeatable: targets, filters: true})
	s.addRoute("DELETE", "/1/faces", operation{handler: s.deleteObjects, origin: matcher.Faces, filters: true})
	s.addRoute("POST", "/1/faces/find", operation{handler: s.findObjects, origin: matcher.Faces, query: query{"descriptor"}})
	s.addRoute("POST", "/1/faces/delete", operation{handler: s.deleteFoundObjects, origin: matcher.Faces})
	s.addRoute("PUT", "/1/faces/:id", operation{writes: true, handler: s.putFace, origin: matcher.Faces})
	s.addRoute("PATCH", "/1/faces/:id", operation{writes: true, handler: s.patchFace, origin: matcher.Faces})
	s.addRoute("GET", "/1/faces/:id", operation{handler: s.getObject, origin: matcher.Faces, query: query{"descriptor"}})
	s.addRoute("DELETE", "/1/faces/:id", operation{handler: s.deleteObject, origin: matcher.Faces})

	s.addRoute("POST", "/1/events", operation{writes: true, handler: s.createEvents, origin: matcher.Events})
	s.addRoute("GET", "/1/events", operation{handler: s.listObjects, origin: matcher.Events, query: pages, repeatable: targets, filters: true})
	s.addRoute("DELETE", "/1/events", operation{handler: s.deleteObjects, origin: matcher.Events, filters: true})
	s.addRoute("POST", "/1/events/find", operation{handler: s.findObjects, origin: matcher.Events, query: query{"descriptor"}})
	s.addRoute("POST", "/1/events/delete", operation{handler: s.deleteFoundObjects, origin: matcher.Events})
	s.addRoute("GET", "/1/events/:id", operation{handler: s.getObject, origin: matcher.Events, query: query{"descriptor"}})
	s.addRoute("DELETE", "/1/events/:id", operation{handler: s.deleteObject, origin: matcher.Events})

	s.addRoute("GET", "/1/attributes", operation{handler: s.listObjects, origin: matcher.Attributes, query: pages, repeatable: targets, filters: true})
	s.addRoute("DELETE", "/1/attributes", operation{handler: s.deleteObjects, origin: matcher.Attributes, filters: true})
	s.addRoute("POST", "/1/attributes/find", operation{handler: s.findObjects, origin: matcher.Attributes, query: query{"descriptor"}})
	s.addRoute("POST", "/1/attributes/delete", operation{handler: s.deleteFoundObjects, origin: matcher.Attributes})
	s.addRoute("PUT", "/1/attributes/:id", operation{writes: true, handler: s.putAttribute, origin: matcher.Attributes, query: query{"ttl"}})
	s.addRoute("GET", "/1/attributes/:id", operation{handler: s.getObject, origin: matcher.Attributes, query: query{"descriptor"}})
	s.addRoute("DELETE", "/1/attributes/:id", operation{handler: s.deleteObject, origin: matcher.Attributes})

	s.addRoute("POST", "/1/lists", operation{writes: true, handler: s.createList})
	s.addRoute("GET", "/1/lists", operation{handler: s.listLists, query: query{"page", "page_size", "after"}})
	s.addRoute("GET", "/1/lists/:id", operation{handler: s.getList})
	s.addRoute("PATCH", "/1/lists/:id", operation{writes: true, handler: s.patchList})
	s.addRoute("DELETE", "/1/lists/:id", operation{handler: s.deleteList, query: query{"with_faces"}})
	s.addRoute("PATCH", "/1/linker", operation{handler: s.linkFaces})

	s.addRoute("POST", "/1/import", operation{writes: true, handler: s.importObjects, query: query{"origin", "list_id"}, long: true})
	s.addRoute("GET", "/1/export", operation{handler: s.exportObjects, query: query{"origin", "descriptor"}, filters: true, plain: true, long: true})

	s.addRoute("GET", "/1/plugins", operation{handler: s.listPlugins})
	s.addRoute("POST", "/1/plugins/reload", operation{handler: s.reloadPlugins})
	s.addTaskRoutes()
	for _, method := range pluginMethods {
		s.addRoute(method, "/plugins/*path", operation{handler: s.pluginRoute, anyKey: true, plain: true, ownHead: true, ownCoding: true})
	}

	s.addRoute("GET", "/version", operation{handler: s.version})
	s.addRoute("GET", "/healthcheck", operation{handler: s.healthcheck, query: query{"include_luna_services"}})
	s.addRoute("GET", "/livez", operation{handler: s.livez, atStart: true})
	s.addRoute("GET", "/readyz", operation{handler: s.readyz, atStart: true})
	s.addRoute("GET", "/config", operation{handler: s.config})
	s.addRoute("GET", "/metrics", operation{handler: s.metrics, anyKey: true, plain: true})
	s.addRoute("GET", "/docs/spec", operation{handler: s.spec, plain: true})
	s.addRoute("GET", "/docs", operation{handler: s.page, page: "ui/docs.html", plain: true})
	s.addRoute("GET", "/docs/", operation{handler: s.page, page: "ui/docs.html", plain: true})
	s.addRoute("GET", "/docs/errors", operation{handler: s.page, page: "ui/errors.html", plain: true, atStart: true}) // errors have a link to it
	s.addRoute("GET", "/favicon.ico", operation{handler: s.favicon, anyKey: true, plain: true})
	s.addRoute("GET", "/", operation{handler: s.index, plain: true})

	s.engine.NoRoute(s.wrap(unknownRoute, operation{handler: s.noRoute, anyKey: true, plain: true, role: access.NoRole}))
	s.engine.NoMethod(s.wrap(unknownRoute, operation{handler: s.noMethod, anyKey: true, plain: true, role: access.NoRole}))
}

// addTaskRoutes adds the routes of tasks, and of what they make.
func (s *Server) addTaskRoutes() {
	s.addRoute("POST", "/1/snapshots", operation{handler: s.createSnapshot})
	s.addRoute("GET", "/1/snapshots", operation{handler: s.listSnapshots})
	s.addRoute("GET", "/1/snapshots/:id", operation{handler: s.sendSnapshot, plain: true, long: true})
	s.addRoute("DELETE", "/1/snapshots/:id", operation{handler: s.deleteSnapshot})
	s.addRoute("GET", "/1/tasks", operation{handler: s.listTasks})
	s.addRoute("GET", "/1/tasks/:id", operation{handler: s.getTask})
	s.addRoute("DELETE", "/1/tasks/:id", operation{handler: s.cancelTask})
}

// addRoute adds a route, and one for HEAD to each route for GET.
func (s *Server) addRoute(method, path string, op operation) {
	s.methods[path] = append(s.methods[path], method)
	op.role, op.open = accessOf(method, path)
	s.engine.Handle(method, path, s.wrap(routeName(method, path), op))
	if method == http.MethodGet && !op.ownHead {
		s.addRoute(http.MethodHead, path, op) // hertz drops the body
	}
}

func (s *Server) noRoute(_ context.Context, x *exchange) error {
	return matcher.Errorf(matcher.CodeNoRoute, "%s is not a resource of this server", matcher.Shorten(string(x.Path())))
}

func (s *Server) noMethod(_ context.Context, x *exchange) error {
	path := string(x.Path())
	allowed := s.methods[path]
	for pattern, methods := range s.methods {
		resource, hasID := strings.CutSuffix(pattern, ":id")
		if hasID && strings.HasPrefix(path, resource) {
			allowed = slices.Concat(allowed, methods) // /1/faces/find also matches /1/faces/:id
		}
	}
	return matcher.MethodNotAllowed(allowed, "%s is not a method of %s", matcher.Shorten(string(x.Method())), matcher.Shorten(path))
}

// requestContext is hertz's type for a request and its answer.
type requestContext = app.RequestContext
