package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearside/matcher"
)

// namespace is the prefix of the names of our metrics.
const namespace = "nearside"

// factory creates metrics and registers them.
type factory struct{ registry *prometheus.Registry }

// durationBuckets are the buckets of durations, in seconds. A small match takes much
// less than a millisecond; a cross match may take as long as its deadline.
var durationBuckets = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

func (f factory) newCounter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	f.registry.MustRegister(c)
	return c
}

func (f factory) newHistogram(name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: durationBuckets}, labels)
	f.registry.MustRegister(h)
	return h
}

func (f factory) newGauge(name, help string, labels prometheus.Labels, value func() float64) {
	f.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}, value))
}

func (f factory) registerGauges(g Gauges) {
	if g.Rows != nil {
		for origin := range matcher.Origins {
			f.newGauge("rows", "Stored objects, by origin.", prometheus.Labels{"origin": origin.String()},
				func() float64 { return float64(g.Rows(origin)) })
		}
	}
	if g.Lists != nil {
		f.newGauge("lists", "Stored lists.", nil, func() float64 { return float64(g.Lists()) })
	}
	if g.Memory != nil {
		f.newGauge("rows_memory_bytes", "Memory used by the stored rows, in bytes.", nil, func() float64 { return float64(g.Memory()) })
	}
	if g.Queue != nil {
		f.newGauge("queue_length", "References with rows that no worker has taken yet.", nil, func() float64 { return float64(g.Queue()) })
	}
	if g.Process != nil {
		f.registerProcessMemory(g.Process)
	}
	if g.Remotes != nil {
		f.registry.MustRegister(remoteStates(g.Remotes))
	}
	if g.TLS != nil {
		f.registerTLS(g.TLS)
	}
	if g.Audit != nil {
		f.registerAudit(g.Audit)
	}
	if g.Snapshots != nil {
		f.registerSnapshots(g.Snapshots)
	}
	if g.Plugins != nil {
		f.registry.MustRegister(pluginStates(g.Plugins))
	}
	if g.Workers != nil {
		f.newGauge("workers", "Number of workers of the local matcher.", nil, func() float64 { return float64(g.Workers()) })
	}
}

// registerProcessMemory registers the metrics of limits.process_memory. state is
// [Gauges.Process].
func (f factory) registerProcessMemory(state func() (limit int64, reached bool, matches, writes int64)) {
	f.newGauge("process_memory_limit_bytes", "The limit in force for limits.process_memory; 0 means no limit.", nil, func() float64 {
		limit, _, _, _ := state()
		return float64(limit)
	})
	f.newGauge("process_memory_limit_reached", "1 while limits.process_memory is reached and work is refused, else 0.", nil, func() float64 {
		if _, reached, _, _ := state(); reached {
			return 1
		}
		return 0
	})
	refused := func(work string, count func() int64) {
		f.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "process_memory_refused_total", Help: "Matches and writes that were refused because limits.process_memory was reached.",
			ConstLabels: prometheus.Labels{"work": work},
		}, func() float64 { return float64(count()) }))
	}
	refused("match", func() int64 { _, _, matches, _ := state(); return matches })
	refused("write", func() int64 { _, _, _, writes := state(); return writes })
}
