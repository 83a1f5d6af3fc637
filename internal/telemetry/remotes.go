package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearside/matcher/remote"
)

// remoteStates is a collector of the gauges of remotes. Remotes may be added and removed
// between scrapes.
type remoteStates func() []remote.State

var (
	remoteUp    = prometheus.NewDesc(namespace+"_remote_up", "1 while the remote is available, else 0.", []string{"remote"}, nil)
	remoteCalls = prometheus.NewDesc(namespace+"_remote_calls", "Calls to the remote that are in progress.", []string{"remote"}, nil)
)

// Describe implements [prometheus.Collector].
func (remoteStates) Describe(out chan<- *prometheus.Desc) {
	out <- remoteUp
	out <- remoteCalls
}

// Collect implements [prometheus.Collector].
func (states remoteStates) Collect(out chan<- prometheus.Metric) {
	for _, s := range states() {
		up := 1.0
		if s.Reason != "" {
			up = 0
		}
		out <- prometheus.MustNewConstMetric(remoteUp, prometheus.GaugeValue, up, s.Name)
		out <- prometheus.MustNewConstMetric(remoteCalls, prometheus.GaugeValue, float64(s.Calls), s.Name)
	}
}
