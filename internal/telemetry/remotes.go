package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearside/matcher/remote"
)

// remotes collects the gauges of remotes, which come and go.
type remotes func() []remote.State

var (
	remoteUp = prometheus.NewDesc(namespace+"_remote_up", "1 while a remote is well, else 0.", []string{"remote"}, nil)
	inFlight = prometheus.NewDesc(namespace+"_remote_calls", "Calls to a remote that are under way.", []string{"remote"}, nil)
)

// Describe implements [prometheus.Collector].
func (remotes) Describe(out chan<- *prometheus.Desc) {
	out <- remoteUp
	out <- inFlight
}

// Collect implements [prometheus.Collector].
func (states remotes) Collect(out chan<- prometheus.Metric) {
	for _, s := range states() {
		up := 1.0
		if s.Reason != "" {
			up = 0
		}
		out <- prometheus.MustNewConstMetric(remoteUp, prometheus.GaugeValue, up, s.Name)
		out <- prometheus.MustNewConstMetric(inFlight, prometheus.GaugeValue, float64(s.Calls), s.Name)
	}
}
