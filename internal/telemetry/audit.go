package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearside/internal/audit"
)

// registerAudit registers the metrics of the audit.
func (f factory) registerAudit(state func() audit.Stats) {
	counter := func(name, help string, count func() int64) {
		f.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help},
			func() float64 { return float64(count()) }))
	}
	counter("audit_lines_total", "Lines of the audit that were written.", func() int64 { return state().Lines })
	counter("audit_failures_total", "Lines of the audit that could not be written.", func() int64 { return state().Failures })
	f.newGauge("audit_pending_records", "Records of writes whose lines are not in the file of the audit yet.", nil, func() float64 { return float64(state().Pending) })
	f.newGauge("audit_failing", "1 while the audit cannot be written and work is refused, else 0.", nil, func() float64 {
		if state().Failing {
			return 1
		}
		return 0
	})
}
