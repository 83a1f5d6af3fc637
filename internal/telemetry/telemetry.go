// Package telemetry counts what happened and shows it to Prometheus.
//
// A [Telemetry] is a [matcher.Observer] with a registry of its own, so that
// two of them (in tests, say) never share a number. Counters go up as points
// come in; gauges are asked from the functions of [Gauges] at each scrape.
// Everything is named nearside_ and measured in seconds and bytes.
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
	"nearside/matcher"
	"nearside/matcher/remote"
)

// routesMax bounds the routes that have numbers of their own; those after it
// are counted together as otherRoute, so that a caller that puts paths of
// clients into routes cannot fill the memory.
const (
	routesMax  = 200
	otherRoute = "other"
)

// Gauges are asked at each scrape, from any goroutine; nil ones are left out.
type Gauges struct {
	Rows   func(matcher.Origin) int // stored objects
	Lists  func() int
	Memory func() int64 // bytes of stored rows
	Queue  func() int   // sub-requests that wait for a worker

	Workers func() int // of matching
	Remotes func() []remote.State
}

// Telemetry implements [matcher.Observer]. Its methods are safe for concurrent
// use.
type Telemetry struct {
	scrape  http.Handler
	gauges  Gauges
	plugins *pluginMetrics

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
	routes   map[string]string // every route seen, as it is labelled
}

// New returns a Telemetry of a program of that version.
func New(version string, g Gauges) *Telemetry {
	registry := prometheus.NewRegistry()
	f := factory{registry}
	t := &Telemetry{
		// Compression is left to the server, which knows its connection.
		scrape:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true, EnableOpenMetrics: true}),
		gauges:  g,
		plugins: &pluginMetrics{plugins: map[string]*pluginMeter{}},
		routes:  map[string]string{},

		requests: f.counter("requests_total", "Requests answered, by route and HTTP status.", "route", "status"),
		errors:   f.counter("errors_total", "Requests answered with an error, by its code.", "code"),
		duration: f.histogram("request_duration_seconds", "Time from request to answer, by route.", "route"),

		matchDuration: f.histogram("match_duration_seconds", "Time a matcher took for its part of a request.", "matcher"),
		matchErrors:   f.counter("match_errors_total", "Parts of requests that a matcher failed.", "matcher"),
		subs:          f.counter("match_subrequests_total", "References times candidate sets that a matcher was asked for.", "matcher"),
		rows:          f.counter("match_rows_scanned_total", "Rows compared.", "matcher"),
		matches:       f.counter("match_rows_returned_total", "Matches returned.", "matcher"),
	}
	stored := f.counter("objects_stored_total", "Objects whose write was made durable.", "origin")
	for origin := range matcher.Origins {
		t.stored[origin] = stored.WithLabelValues(origin.String())
	}
	f.gauge("build_info", "1, with the version of the program.", prometheus.Labels{"version": version}, func() float64 { return 1 })
	f.gauges(g)
	registry.MustRegister(t.plugins, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return t
}

// Plugins returns the metrics that plugins make.
func (t *Telemetry) Plugins() lua.Meter { return t.plugins }

// Requested implements [matcher.Observer].
func (t *Telemetry) Requested(p matcher.RequestPoint) {
	route := t.label(p.Route)
	t.requests.WithLabelValues(route, strconv.Itoa(p.Status)).Inc()
	t.duration.WithLabelValues(route).Observe(p.Duration.Seconds())
	if p.Code != 0 {
		t.errors.WithLabelValues(strconv.Itoa(int(p.Code))).Inc()
	}
}

// Matched implements [matcher.Observer].
func (t *Telemetry) Matched(p matcher.MatchPoint) {
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

// label returns the label of a route. It keeps no memory of the caller's,
// which may be part of a request that ends.
func (t *Telemetry) label(route string) string {
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

// WriteText writes all metrics to w in the best format that accept, the Accept
// header of the scrape, allows, and returns its content type.
func (t *Telemetry) WriteText(w io.Writer, accept string) (contentType string, err error) {
	request := &http.Request{Method: http.MethodGet, Header: http.Header{}}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	answer := answer{header: http.Header{}, status: http.StatusOK}
	t.scrape.ServeHTTP(&answer, request)
	if answer.status != http.StatusOK {
		return "", &scrapeError{answer.body.String()}
	}
	_, err = answer.body.WriteTo(w)
	return answer.header.Get("Content-Type"), err
}

// scrapeError is what the collectors had to say.
type scrapeError struct{ text string }

func (e *scrapeError) Error() string { return "telemetry: " + strings.TrimSpace(e.text) }

// answer holds what promhttp writes: it is the one way to its choice of
// formats that needs no server of net/http.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
