package ns

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// MetricKind is the kind of a metric.
type MetricKind uint8

// The kinds of metrics.
const (
	Counter   MetricKind = iota // its value only increases
	Gauge                       // its value increases and decreases
	Histogram                   // counts values by size
)

// String returns "counter", "gauge" or "histogram".
func (k MetricKind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }

// A MetricShape is a plugin's declaration of a metric.
type MetricShape struct {
	Kind    MetricKind
	Name    string // without a prefix; letters, digits and _
	Help    string
	Labels  []string  // names, sorted; never plugin, le or quantile
	Buckets []float64 // of a histogram: finite upper bounds, ascending; nil: buckets for seconds
}

// A Meter stores the metrics of plugins and exports them with the label "plugin".
type Meter interface {
	// Metric declares a metric. The declaration lasts until Release is called. If
	// the same plugin has already declared the metric with the same kind, labels
	// and buckets, both declarations share one value. So a reload keeps the
	// value. If the kind, labels or buckets differ, the newer declaration is
	// exported. Metric fails if another plugin has declared a metric of the same
	// name with another kind.
	Metric(plugin string, s MetricShape) (Metric, error)
}

// A Metric is a metric of a plugin. labels are the values for MetricShape.Labels, in
// the same order. Add and Set fail if there are too many sets of label values.
type Metric interface {
	Add(v float64, labels []string) error // for a counter or a gauge; a histogram observes v
	Set(v float64, labels []string) error // for a gauge
	Release()
}

// metrics holds the metrics that a plugin of one generation has declared.
type metrics struct {
	mu     sync.Mutex
	byName map[string]*metric // the keys have no suffix _total
	closed bool
}

// metric is a Metric with its shape.
type metric struct {
	MetricShape
	Metric
}

// declare returns the metric with the given shape. All instances share it.
func (ms *metrics) declare(p *Plugin, s MetricShape) (*metric, error) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	// Some Prometheus formats put _total into a counter's name and some do not,
	// so the key must not depend on it.
	key := strings.TrimSuffix(s.Name, "_total")
	if m := ms.byName[key]; m != nil {
		if m.Name != s.Name || m.Kind != s.Kind || !slices.Equal(m.Labels, s.Labels) || !slices.Equal(m.Buckets, s.Buckets) {
			return nil, fmt.Errorf("the %s %s is declared already, with another kind, other labels or other buckets", m.Kind, m.Name)
		}
		return m, nil
	}
	if len(ms.byName) >= MaxMetrics {
		return nil, fmt.Errorf("a plugin has at most %d metrics", MaxMetrics)
	}
	m := &metric{s, discardedMetric{}}
	if meter := p.Host.Services.Metrics; meter != nil && !ms.closed {
		var err error
		if m.Metric, err = meter.Metric(p.About.Name, s); err != nil {
			return nil, err
		}
	}
	if ms.byName == nil {
		ms.byName = map[string]*metric{}
	}
	ms.byName[key] = m
	return m, nil
}

// Release releases all metrics of the plugin.
func (ms *metrics) Release() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, m := range ms.byName {
		if !ms.closed {
			m.Release()
		}
	}
	ms.closed = true
}

// discardedMetric is a metric whose values are discarded, for a host without a Meter.
type discardedMetric struct{}

func (discardedMetric) Add(float64, []string) error { return nil }
func (discardedMetric) Set(float64, []string) error { return nil }
func (discardedMetric) Release()                    {}
