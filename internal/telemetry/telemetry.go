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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

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
	Plugins func() []lua.Status
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

	matchDuration *prometheus.HistogramVec
	matchErrors   *prometheus.CounterVec
	subs          *prometheus.CounterVec
	rows          *prometheus.CounterVec
	matches       *prometheus.CounterVec
	stored        [matcher.Origins]prometheus.Counter

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

		matchDuration: f.newHistogram("match_duration_seconds", "Time that a matcher took for its part of a request.", "matcher"),
		matchErrors:   f.newCounter("match_errors_total", "Parts of requests that failed in a matcher.", "matcher"),
		subs:          f.newCounter("match_subrequests_total", "Pairs of a reference and a candidate set that a matcher was asked for.", "matcher"),
		rows:          f.newCounter("match_rows_scanned_total", "Rows that a matcher compared.", "matcher"),
		matches:       f.newCounter("match_rows_returned_total", "Rows that a matcher returned.", "matcher"),
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

// Matched implements [matcher.Observer]. Raw matches compare no stored rows, so they are in
// the metrics of requests only.
func (t *Telemetry) Matched(p matcher.MatchPoint) {
	if p.Kind == matcher.MatchRaw {
		return
	}
	t.matchDuration.WithLabelValues(p.Matcher).Observe(p.Duration.Seconds())
	t.subs.WithLabelValues(p.Matcher).Add(float64(p.Subs))
	t.rows.WithLabelValues(p.Matcher).Add(float64(p.Rows))
	t.matches.WithLabelValues(p.Matcher).Add(float64(p.Matches))
	if p.Err != nil {
		t.matchErrors.WithLabelValues(p.Matcher).Inc()
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
