// Package telemetry collects metrics and exposes them to Prometheus.
//
// A [Telemetry] is a [matcher.Observer] with a separate registry. So two instances, for
// example in tests, never share a metric. Each observation increases counters. At
// each scrape, the values of gauges come from the functions in [Gauges]. The names of
// all metrics begin with nearside_, and their units are seconds and bytes.
package telemetry

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"nearside/internal/audit"
	"nearside/lua"
	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/matcher/remote"
)

// routesMax is the largest number of routes with separate metrics. All further routes
// are counted as otherRoute, so that paths from clients cannot fill the memory.
const (
	routesMax  = 200
	otherRoute = "other"
)

// Gauges are the functions that return the values of gauges. They are called at each
// scrape, from any goroutine. A gauge whose function is nil does not exist.
type Gauges struct {
	Rows   func(matcher.Origin) int // number of stored objects
	Lists  func() int               // number of stored lists
	Memory func() int64             // bytes of stored rows
	Queue  func() int               // number of references with rows that no worker has taken yet

	// Process returns limits.process_memory in bytes, whether it is reached, and
	// the numbers of matches and writes that were refused because of it.
	Process func() (limit int64, reached bool, matches, writes int64)

	Workers func() int // number of workers of the local matcher
	Remotes func() []remote.State

	// TLS returns when the certificate of the server expires, how often new files were
	// not used because they were wrong, and how many handshakes have failed. The time is
	// zero without TLS.
	TLS     func() (expires time.Time, reloadFailures, handshakeFailures int64)
	Plugins func() []lua.Status
	Audit   func() audit.Stats

	// Snapshots returns when the last snapshot was made, zero if there is none, and how
	// many could not be made.
	Snapshots func() (last time.Time, failures int64)
}

// Telemetry implements [matcher.Observer]. Its methods are safe for concurrent
// use.
type Telemetry struct {
	registry *prometheus.Registry
	scrape   http.Handler
	gauges   Gauges
	plugins  *pluginMetrics

	requests *prometheus.CounterVec
	errors   *prometheus.CounterVec
	duration *prometheus.HistogramVec

	matches  *matchMetrics // of clients
	internal *matchMetrics // of plugins
	stored   [matcher.Origins]prometheus.Counter

	routesMu sync.RWMutex
	routes   map[string]string // the label of each known route
}

// New returns a Telemetry. version is the version of the program.
func New(version string, g Gauges) *Telemetry {
	registry := prometheus.NewRegistry()
	f := factory{registry}
	t := &Telemetry{
		registry: registry,
		// Answers of the server are not compressed.
		scrape:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true, EnableOpenMetrics: true}),
		gauges:  g,
		plugins: &pluginMetrics{plugins: map[string]*pluginMeter{}},
		routes:  map[string]string{},

		requests: f.newCounter("requests_total", "Answered requests, by route and HTTP status.", "route", "status"),
		errors:   f.newCounter("errors_total", "Requests that were answered with an error, by error code.", "code"),
		duration: f.newHistogram("request_duration_seconds", "Time from request to answer, in seconds, by route.", "route"),

		matches:  newMatchMetrics(f),
		internal: newInternalMetrics(f),
	}
	stored := f.newCounter("objects_stored_total", "Objects whose write is durable, by origin.", "origin")
	for origin := range matcher.Origins {
		t.stored[origin] = stored.WithLabelValues(origin.String())
	}
	f.newGauge("build_info", "Always 1; the label has the version of the program.", prometheus.Labels{"version": version}, func() float64 { return 1 })
	f.registerGauges(g)
	registry.MustRegister(t.plugins, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return t
}

// Plugins returns the meter through which plugins declare metrics.
func (t *Telemetry) Plugins() ns.Meter { return t.plugins }

// Requested implements [matcher.Observer].
func (t *Telemetry) Requested(p matcher.RequestPoint) {
	route := t.routeLabel(p.Route)
	t.requests.WithLabelValues(route, strconv.Itoa(p.Status)).Inc()
	t.duration.WithLabelValues(route).Observe(p.Duration.Seconds())
	if p.Code != 0 {
		t.errors.WithLabelValues(strconv.Itoa(int(p.Code))).Inc()
	}
}

// Stored implements [matcher.Observer].
func (t *Telemetry) Stored(obj *matcher.Object) { t.stored[obj.Origin].Inc() }

// routeLabel returns the label of a route. It does not keep the string route, whose
// memory may belong to a request.
func (t *Telemetry) routeLabel(route string) string {
	t.routesMu.RLock()
	label, ok := t.routes[route]
	t.routesMu.RUnlock()
	if ok {
		return label
	}
	t.routesMu.Lock()
	defer t.routesMu.Unlock()
	if len(t.routes) >= routesMax {
		return otherRoute
	}
	route = strings.ToValidUTF8(strings.Clone(route), "?")
	t.routes[route] = route
	return route
}

// WriteText writes all metrics to w and returns the content type. accept is the Accept
// header of the scrape and determines the format.
func (t *Telemetry) WriteText(w io.Writer, accept string) (contentType string, err error) {
	request := &http.Request{Method: http.MethodGet, Header: http.Header{}}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	answer := responseBuffer{header: http.Header{}, status: http.StatusOK}
	t.scrape.ServeHTTP(&answer, request)
	if answer.status != http.StatusOK {
		return "", &scrapeError{answer.body.String()}
	}
	_, err = answer.body.WriteTo(w)
	return answer.header.Get("Content-Type"), err
}

// scrapeError is an error of the collectors.
type scrapeError struct{ text string }

func (e *scrapeError) Error() string { return "telemetry: " + strings.TrimSpace(e.text) }

// responseBuffer is an http.ResponseWriter that keeps the response in memory. So promhttp
// can choose the format without a server of net/http.
type responseBuffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *responseBuffer) Header() http.Header         { return a.header }
func (a *responseBuffer) WriteHeader(status int)      { a.status = status }
func (a *responseBuffer) Write(b []byte) (int, error) { return a.body.Write(b) }
