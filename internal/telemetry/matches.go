package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearside/matcher"
)

// matchMetrics are the metrics of what matchers do.
type matchMetrics struct {
	duration *prometheus.HistogramVec
	errors   *prometheus.CounterVec
	subs     *prometheus.CounterVec
	rows     *prometheus.CounterVec
	returned *prometheus.CounterVec
}

// newMatchMetrics returns the metrics of the matches of clients. Their label is the matcher.
func newMatchMetrics(f factory) *matchMetrics {
	return &matchMetrics{
		duration: f.newHistogram("match_duration_seconds", "Time that a matcher took for its part of a request.", "matcher"),
		errors:   f.newCounter("match_errors_total", "Parts of requests that failed in a matcher.", "matcher"),
		subs:     f.newCounter("match_subrequests_total", "Pairs of a reference and a candidate set that a matcher was asked for.", "matcher"),
		rows:     f.newCounter("match_rows_scanned_total", "Rows that a matcher compared.", "matcher"),
		returned: f.newCounter("match_rows_returned_total", "Rows that a matcher returned.", "matcher"),
	}
}

// newInternalMetrics returns the metrics of the matches that plugins ask for. Their labels
// are the matcher and the plugin.
func newInternalMetrics(f factory) *matchMetrics {
	return &matchMetrics{
		duration: f.newHistogram("internal_match_duration_seconds", "Time that a matcher took for its part of a match of a plugin.", "matcher", "plugin"),
		errors:   f.newCounter("internal_match_errors_total", "Parts of matches of plugins that failed in a matcher.", "matcher", "plugin"),
		subs:     f.newCounter("internal_match_subrequests_total", "Pairs of a reference and a candidate set that a matcher was asked for by plugins.", "matcher", "plugin"),
		rows:     f.newCounter("internal_match_rows_scanned_total", "Rows that a matcher compared for plugins.", "matcher", "plugin"),
		returned: f.newCounter("internal_match_rows_returned_total", "Rows that a matcher returned to plugins.", "matcher", "plugin"),
	}
}

// Matched implements [matcher.Observer]. Raw matches compare no stored rows, so they are in
// the metrics of requests only.
func (t *Telemetry) Matched(p matcher.MatchPoint) {
	if p.Kind == matcher.MatchRaw {
		return
	}
	metrics, labels := t.matches, []string{p.Matcher}
	if plugin := p.Cause.Plugin(); plugin != "" {
		metrics, labels = t.internal, append(labels, plugin)
	}
	metrics.duration.WithLabelValues(labels...).Observe(p.Duration.Seconds())
	metrics.subs.WithLabelValues(labels...).Add(float64(p.Subs))
	metrics.rows.WithLabelValues(labels...).Add(float64(p.Rows))
	metrics.returned.WithLabelValues(labels...).Add(float64(p.Matches))
	if p.Err != nil {
		metrics.errors.WithLabelValues(labels...).Inc()
	}
}
