package lua

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// MetricKind says what a metric does.
type MetricKind uint8

// The kinds of metrics.
const (
	Counter   MetricKind = iota // goes up
	Gauge                       // goes up and down
	Histogram                   // counts values by size
)

// String returns "counter", "gauge" or "histogram".
func (k MetricKind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }

// A MetricShape is what a plugin says of a metric.
type MetricShape struct {
	Kind    MetricKind
	Name    string // without a prefix; letters, digits and _
	Help    string
	Labels  []string  // names, sorted; never plugin, le or quantile
	Buckets []float64 // of a histogram: upper bounds, ascending, finite; nil: those of durations in seconds
}

// Meter keeps the metrics of plugins and shows them, with a label "plugin".
type Meter interface {
	// Metric declares a metric, until its Release. While it is declared with
	// that kind, labels and buckets by the same plugin already, the two have
	// one value: so a reload keeps it. When that is with others, the newer one
	// is shown. The error says that another plugin has a metric of that name
	// and another kind.
	Metric(plugin string, s MetricShape) (Metric, error)
}

// A Metric is one of a plugin's. labels are the values of MetricShape.Labels,
// in that order. A new set of values may be one too many: that is the error.
type Metric interface {
	Add(v float64, labels []string) error // to a counter or a gauge; a histogram observes v
	Set(v float64, labels []string) error // a gauge
	Release()
}

// metrics are those that a plugin of one generation has declared.
type metrics struct {
	mu     sync.Mutex
	byName map[string]*metric // without _total
	closed bool
}

// metric is a Metric with its shape.
type metric struct {
	MetricShape
	Metric
}

// declare returns the metric of that shape, the same for all instances.
func (ms *metrics) declare(p *plugin, s MetricShape) (*metric, error) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	// The formats of Prometheus disagree about the end of a counter's name.
	key := strings.TrimSuffix(s.Name, "_total")
	if m := ms.byName[key]; m != nil {
		if m.Name != s.Name || m.Kind != s.Kind || !slices.Equal(m.Labels, s.Labels) || !slices.Equal(m.Buckets, s.Buckets) {
			return nil, fmt.Errorf("the %s %s is declared already, with another kind, other labels or buckets", m.Kind, m.Name)
		}
		return m, nil
	}
	if len(ms.byName) >= maxMetrics {
		return nil, fmt.Errorf("a plugin has at most %d metrics", maxMetrics)
	}
	m := &metric{s, nowhere{}}
	if meter := p.host.o.Services.Metrics; meter != nil && !ms.closed {
		var err error
		if m.Metric, err = meter.Metric(p.name, s); err != nil {
			return nil, err
		}
	}
	if ms.byName == nil {
		ms.byName = map[string]*metric{}
	}
	ms.byName[key] = m
	return m, nil
}

// release ends the declarations.
func (ms *metrics) release() {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, m := range ms.byName {
		if !ms.closed {
			m.Release()
		}
	}
	ms.closed = true
}

// nowhere is a metric of a host that shows none.
type nowhere struct{}

func (nowhere) Add(float64, []string) error { return nil }
func (nowhere) Set(float64, []string) error { return nil }
func (nowhere) Release()                    {}
