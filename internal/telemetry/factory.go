package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearside/matcher"
)

// namespace begins the names of our metrics.
const namespace = "nearside"

// factory makes metrics and registers them.
type factory struct{ registry *prometheus.Registry }

// buckets of durations: a small match takes well under a millisecond, a cross
// match as long as its deadline.
var buckets = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

func (f factory) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	f.registry.MustRegister(c)
	return c
}

func (f factory) histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	f.registry.MustRegister(h)
	return h
}

func (f factory) gauge(name, help string, labels prometheus.Labels, ask func() float64) {
	f.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}, ask))
}

func (f factory) gauges(g Gauges) {
	if g.Rows != nil {
		for origin := range matcher.Origins {
			f.gauge("rows", "Objects stored, by origin.", prometheus.Labels{"origin": origin.String()},
				func() float64 { return float64(g.Rows(origin)) })
		}
	}
	if g.Lists != nil {
		f.gauge("lists", "Lists stored.", nil, func() float64 { return float64(g.Lists()) })
	}
	if g.Memory != nil {
		f.gauge("rows_memory_bytes", "Memory of the stored rows.", nil, func() float64 { return float64(g.Memory()) })
	}
	if g.Queue != nil {
		f.gauge("queue_length", "Sub-requests that wait for a worker.", nil, func() float64 { return float64(g.Queue()) })
	}
	if g.Remotes != nil {
		f.registry.MustRegister(remotes(g.Remotes))
	}
	if g.Workers != nil {
		f.gauge("workers", "Workers of the local matcher.", nil, func() float64 { return float64(g.Workers()) })
	}
}
