package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// registerSnapshots registers the metrics of snapshots. state is [Gauges.Snapshots].
func (f factory) registerSnapshots(state func() (last time.Time, failures int64)) {
	f.newGauge("snapshot_last_success_timestamp_seconds", "When the last snapshot was made, in seconds since 1970; 0 if there is none.", nil, func() float64 {
		last, _ := state()
		if last.IsZero() {
			return 0
		}
		return float64(last.UnixMilli()) / 1000
	})
	f.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "snapshot_failures_total", Help: "Snapshots that could not be made.",
	}, func() float64 { _, failures := state(); return float64(failures) }))
}
