package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"go.uber.org/goleak"

	"nearside/internal/access"
	"nearside/internal/audit"
	"nearside/internal/oracle"
	"nearside/internal/server"
	"nearside/internal/snapshot"
	"nearside/internal/task"
	"nearside/internal/telemetry"
	"nearside/internal/testkit"
	"nearside/lua"
	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/remote"
	"nearside/matcher/route"
	"nearside/matcher/store"
	"nearside/matcher/wire"
	"nearside/simd"
)

func TestMain(m *testing.M) {
	for _, media := range []string{"application/x-ndjson", "text/html"} {
		openapi3filter.RegisterBodyDecoder(media, openapi3filter.FileBodyDecoder) // read as text
	}
	if os.Getenv(poisonedEnv) != "" { // a poisoned store keeps its goroutines
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), // ants has two goroutines for its unused default pool
		goleak.IgnoreAnyFunction("github.com/cloudwego/hertz/pkg/protocol.UpdateServerDate.func1"))
}

// The versions of the tests, in addition to the built-in ones. Unless noted, their
// scale is 1, so that distances are easy to compute.
const (
	v4      = 4    // 4 bytes
	v4other = 44   // 4 bytes, scale 2
	vL2     = 5    // 4 floats
	vCosine = 6    // 4 floats
	vBody   = 7    // 4 bytes, of bodies
	v32     = 32   // 32 bytes, scale 128
	v256    = 1001 // 256 bytes, scale 128
)

var versions = []matcher.Version{
	{Number: v4, Length: 4, Scale: 1, Similarity: matcher.Calibration{Midpoint: 50, Steepness: 0.1}},
	{Number: v4other, Length: 4, Scale: 2, Similarity: matcher.Calibration{Midpoint: 50, Steepness: 0.1}},
	{Number: vL2, Length: 4, Encoding: matcher.Float32, Similarity: matcher.Calibration{Midpoint: 2, Steepness: 1}},
	{Number: vCosine, Length: 4, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 5}},
	{Number: vBody, Type: matcher.BodyDescriptor, Length: 4, Scale: 1, Similarity: matcher.Calibration{Midpoint: 50, Steepness: 0.1}},
	{Number: v32, Length: 32, Scale: 128, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 8}},
	{Number: v256, Length: 256, Scale: 128, Similarity: matcher.Calibration{Midpoint: 12.6, Steepness: 1}},
}

// metaFields are declared in all tests.
var metaFields = []matcher.MetaField{
	{Path: "shop.floor", Type: matcher.MetaNumber}, {Path: "shop.name", Type: matcher.MetaString}, {Path: "vip", Type: matcher.MetaBoolean},
}

// settings are the settings of a server that tests can change.
type settings struct {
	limits     wire.Limits
	body, line int64
	timeout    time.Duration
	memory     int64
	header     int
	address    int                                   // limit of connections of one address
	cross      int                                   // objects of a cross match
	matcher    func(matcher.Matcher) matcher.Matcher // wraps the memory
	plugins    map[string]string                     // sources by name; all are active
	override   map[string]*lua.Override              // of plugins, by name
	versions   []matcher.Version
	now        func() time.Time // the clock of filters
	remotes    []remote.Config
	refuse     func() error                  // refuses matches and writes; may be nil
	dir        string                        // data directory; empty: a new one
	warn       func(msg string, args ...any) // if not nil, the store uses segments and calls warn
	starting   bool                          // the server is starting until the test calls open
	observer   matcher.Observer              // may be nil
	access     access.Config                 // without keys, none is required
	insecure   bool                          // without keys, other machines are answered
	tls        *tls.Config                   // nil: no TLS; setTLS changes it later
	tasks      []task.Kind                   // what tasks can do
	currentTLS atomic.Pointer[tls.Config]    // what the server uses
	proxies    []netip.Prefix                // trusted proxies
	audit      *audit.Settings               // nil: no audit; the files are in a new folder if they are not set
}

// service is a running server with a client.
type service struct {
	testing.TB
	address string
	server  *server.Server
	memory  *memory.Memory
	store   *store.Store
	tasks   *task.Runner
	audit   *audit.Log
	// auditSettings are those of audit.
	auditSettings audit.Settings
	// snapshots is the folder of snapshots of the store.
	snapshots *snapshot.Folder
	// pluginDir is the directory of the plugins.
	pluginDir string
	limits    server.Limits // to change and pass to Reload; they share nothing with the current limits
	log       *buffer
	spec      *spec
	client    *http.Client
	key       string                      // the key of requests that have no other; empty: none
	secure    *tls.Config                 // of clients; nil: the server does not use TLS
	open      func()                      // ends the start
	stop      func(context.Context) error // calls Shutdown once
}

// start runs a server on a free port until the test ends.
func start(t testing.TB, change ...func(*settings)) *service {
	t.Helper()
	set := settings{
		limits:  wire.Limits{References: 100, Candidates: 20, RawCandidates: 1000, Result: 1000, Offset: 100_000, FilterValues: 100000},
		body:    1 << 20,
		line:    16 << 10,
		timeout: time.Minute,
		cross:   1000,
		header:  64 << 10,
		matcher: func(m matcher.Matcher) matcher.Matcher { return m },

		versions: versions,
		now:      time.Now,
	}
	if overTLS(t) {
		set.tls = serverTLS()
	}
	for _, c := range change {
		c(&set)
	}
	registry := testkit.Must(matcher.NewRegistry(set.versions))
	mem := testkit.Must(memory.New(memory.Options{Registry: registry, Kernel: testkit.Must(simd.Select("auto")), Workers: 2, Cost: 100, BytesMax: set.memory, MetaFields: metaFields}))
	t.Cleanup(mem.Close)
	points := telemetry.New("0.0.0", telemetry.Gauges{})
	if set.dir == "" {
		set.dir = t.TempDir()
	}
	log := &buffer{}
	lines := audit.New(slog.New(slog.NewTextHandler(log, nil)))
	options := store.Options{Dir: set.dir, Applier: mem, Observer: points, Auditor: lines}
	if set.warn != nil {
		options.Cache, options.Warn = mem, set.warn
	}
	objects := testkit.Must(store.Open(t.Context(), options))
	t.Cleanup(func() {
		if err := objects.Close(); !errors.Is(err, objects.Err()) {
			t.Error(err)
		}
	})
	set.openAudit(t, lines, objects)
	x := &service{TB: t, store: objects, audit: lines, auditSettings: lines.Settings(), pluginDir: t.TempDir(), log: log}
	for name, source := range set.plugins {
		x.writePlugin(name, source)
	}
	var host *lua.Host
	observers := matcher.Observers{points, &telemetry.Points{
		Service: "nearside", Emit: func(event string, cause matcher.Cause, value func() any) { host.EmitFrom(event, cause, value) }, Listens: func(event string) bool { return host.Listens(event) },
	}}
	if set.observer != nil {
		observers = append(observers, set.observer)
	}
	host = testkit.Must(lua.New(t.Context(), lua.Options{
		Dir: x.pluginDir, Active: slices.Sorted(maps.Keys(set.plugins)), Override: set.override,
		Services: ns.Services{Matching: mem, Decoder: func() *wire.Decoder { return &wire.Decoder{Registry: registry, Now: set.now, Limits: set.limits} }},
		Log:      slog.New(slog.NewTextHandler(log, nil)),
	}))
	t.Cleanup(func() { check(t, host.Close(context.Background())) })
	limits := func() server.Limits {
		return server.Limits{
			Decoder:   &wire.Decoder{Registry: registry, Now: set.now, Limits: set.limits, MetaFields: metaFields},
			BodyBytes: set.body, LineBytes: set.line, CrossMatch: set.cross, RequestTimeout: set.timeout,
			HeaderBytes: set.header, ConnectionsPerAddress: set.address, TrustedProxies: set.proxies, Access: testkit.Must(access.New(set.access, nil)),
			Config: map[string]any{"listen": "127.0.0.1:0", "limits": map[string]any{"references": set.limits.References}},
		}
	}
	remotes := set.openRemotes(t, func() *wire.Decoder { return limits().Decoder }, objects)
	srv := testkit.Must(server.New(server.Options{
		Listen: "127.0.0.1:0", Observer: observers, Metrics: points.WriteText,
		Log: slog.New(slog.NewTextHandler(log, nil)), Version: server.Version{Major: 1, Minor: 2, Patch: 3},
		Limits: limits(), Insecure: set.insecure, RefuseMatch: set.refuse, RefuseWrite: set.refuse, TLS: set.currentTLS.Load, Audit: lines,
	}))
	tasks := testkit.Must(task.Open(t.TempDir(), slog.New(slog.DiscardHandler), set.tasks...))
	t.Cleanup(tasks.Close)
	x.tasks = tasks
	x.snapshots = snapshot.NewFolder(filepath.Join(set.dir, "snapshots"), filepath.Join(set.dir, "SNAPSHOT"))
	x.open = func() {
		srv.Open(server.Parts{
			Snapshots: x.snapshots, Tasks: tasks, Memory: mem, Store: objects, Plugins: host, Remotes: remotes,
			Router: route.New(route.Options{Registry: registry, Moments: mem, Local: set.matcher(mem), Remotes: remotes, Plugins: host, Observer: observers}),
		})
	}
	if !set.starting {
		x.open()
	}
	x.address, x.server, x.memory, x.limits, x.spec = srv.Addr().String(), srv, mem, limits(), sharedSpec()
	if set.currentTLS.Store(set.tls); set.tls != nil {
		x.secure = clientTLS()
	}
	x.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true, TLSClientConfig: x.secure},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	served := make(chan error, 1)
	go func() { served <- srv.Run() }()
	var once sync.Once
	x.stop = func(ctx context.Context) (err error) {
		once.Do(func() {
			err = srv.Shutdown(ctx)
			check(t, <-served)
			if srv.HoldBodies() == nil || srv.HoldAnswers() == nil || srv.HoldImports() == nil || srv.HoldHeads() == nil {
				t.Error("no request is left, but room for bodies, answers, imports or headers was not given back")
			}
		})
		return err
	}
	t.Cleanup(func() {
		x.client.CloseIdleConnections()
		check(t, x.stop(context.Background()))
	})
	return x
}

// openRemotes opens the remotes of the server under test.
func (s *settings) openRemotes(t testing.TB, decoder func() *wire.Decoder, objects *store.Store) *remote.Group {
	t.Helper()
	group := remote.NewGroup(decoder, slog.New(slog.DiscardHandler))
	t.Cleanup(group.Close)
	check(t, group.Configure(s.remotes))
	_, owners := group.Current()
	objects.SetOwners(owners)
	return group
}

// call sends a request and reads the answer. headers are pairs of name and value. The
// default type of a body is JSON.
func (x *service) call(method, url, body string, headers ...string) *answer {
	x.Helper()
	return x.send(method, url, strings.NewReader(body), headers...)
}

func (x *service) send(method, url string, body io.Reader, headers ...string) *answer {
	x.Helper()
	request := testkit.Must(http.NewRequestWithContext(context.Background(), method, x.url(url), body))
	if strings.HasPrefix(url, "/1/import") {
		request.Header.Set("Content-Type", "application/x-ndjson")
	}
	if x.key != "" {
		request.Header.Set("Authorization", "Bearer "+x.key)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := x.client.Do(request)
	if err != nil {
		x.Fatalf("%s %.200s: %v", method, url, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		x.Fatalf("%s %.200s: %v", method, url, err)
	}
	a := &answer{service: x, request: fmt.Sprintf("%s %.200s", method, url), response: response, body: text}
	a.checkHead()
	x.spec.check(a, request, body)
	return a
}

// dial opens a connection for requests that a correct client does not send.
func (x *service) dial() *raw {
	x.Helper()
	return x.dialFrom(&net.Dialer{})
}

// buffer is a log that can be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// check fails the test if err is not nil.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// id returns a UUID with n at its end.
func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

// base64Of returns bytes in base64.
func base64Of(b ...byte) string { return base64.StdEncoding.EncodeToString(b) }

// descriptor returns a descriptor in JSON.
func descriptor(version int, data ...byte) string {
	return fmt.Sprintf(`{"version":%d,"data":"%s"}`, version, base64Of(data...))
}

// face returns a face in JSON with a descriptor of v4. more are further fields, such
// as `,"age":3`.
func face(n int, d string, more ...string) string {
	return fmt.Sprintf(`{"face_id":"%s","create_time":"2026-05-01T00:00:%02d.000Z","descriptor":%s%s}`, id(n), n%60, d, strings.Join(more, ""))
}

// value decodes JSON.
func value(t testing.TB, text string) any {
	t.Helper()
	v, err := oracle.Decode(text)
	if err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	return v
}

func itoa(n int) string { return strconv.Itoa(n) }
