package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// registerTLS registers the metrics of TLS. state is [Gauges.TLS].
func (f factory) registerTLS(state func() (expires time.Time, reloadFailures, handshakeFailures int64)) {
	f.newGauge("tls_certificate_expiry_timestamp_seconds", "When the server's certificate expires, in seconds since 1970; 0 without TLS.", nil, func() float64 {
		expires, _, _ := state()
		if expires.IsZero() {
			return 0
		}
		return float64(expires.Unix())
	})
	counter := func(name, help string, count func() int64) {
		f.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help},
			func() float64 { return float64(count()) }))
	}
	counter("tls_reload_failures_total", "New certificate files that were not used because they were wrong.", func() int64 { _, failures, _ := state(); return failures })
	counter("tls_handshake_failures_total", "TLS handshakes that failed.", func() int64 { _, _, failures := state(); return failures })
}
