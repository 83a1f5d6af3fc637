package ns

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// Limits of the metrics of one plugin.
const (
	MaxMetrics      = 64
	maxMetricName   = 100 // bytes of the name of a metric or a label
	maxMetricHelp   = 500 // bytes
	maxMetricLabels = 8
	maxLabelValue   = 128 // bytes
	maxBuckets      = 32
)

// hostMetrics are the names, without _total, of the metrics that the host has for each
// plugin.
var hostMetrics = []string{"hook_seconds", "calls", "errors", "timeouts", "rejected", "lost_values", "dropped", "memory_bytes"}

// IsHostMetric reports whether the host has a metric for each plugin with the name of a
// metric of a plugin.
func IsHostMetric(name string) bool {
	return slices.Contains(hostMetrics, strings.TrimSuffix(name, "_total"))
}

// labelsParam is the parameter of a method that takes label values.
const labelsParam = "labels?: table<string, string|number>"

var counterClass = &vm.Class{
	Name: "Counter", Doc: "A metric whose value only increases.",
	Methods: []vm.Function{{
		Name: "add", Params: []string{"n?: number", labelsParam}, Returns: []string{"boolean?", "string? err"},
		Doc: "Adds n (default 1), which must not be negative. Returns nil and an error if there are too many sets of label values.",
		Run: func(c *vm.Call) error {
			if c.NumberOr(1, 1) < 0 {
				return errors.New("a counter cannot decrease")
			}
			return addMetric(c)
		},
	}},
}

var gaugeClass = &vm.Class{
	Name: "Gauge", Doc: "A metric whose value increases and decreases.",
	Methods: []vm.Function{
		{
			Name: "set", Params: []string{"v: number", labelsParam}, Returns: []string{"boolean?", "string? err"},
			Doc: "Sets the value. Returns nil and an error if there are too many sets of label values.",
			Run: func(c *vm.Call) error { return updateMetric(c, Metric.Set, c.Number(1)) },
		},
		{
			Name: "add", Params: []string{"n?: number", labelsParam}, Returns: []string{"boolean?", "string? err"},
			Doc: "Adds n (default 1), which may be negative. Returns nil and an error if there are too many sets of label values.",
			Run: addMetric,
		},
	},
}

var histogramClass = &vm.Class{
	Name: "Histogram", Doc: "A metric that counts values by size.",
	Methods: []vm.Function{{
		Name: "observe", Params: []string{"v: number", labelsParam}, Returns: []string{"boolean?", "string? err"},
		Doc: "Counts a value. Returns nil and an error if there are too many sets of label values.",
		Run: func(c *vm.Call) error { return updateMetric(c, Metric.Add, c.Number(1)) },
	}},
}

// metricsModule is ns.metrics: metrics on /metrics. A declaration names the labels,
// and each call gives their values.
func metricsModule() vm.Module {
	m := vm.Module{
		Name: "metrics", Doc: "Metrics of the plugin. /metrics shows them as nearside_plugin_<name>, with the label plugin. A reload keeps the values of metrics that are declared again in the same way. The name of a counter ends with _total, which is added if it is missing.",
		Classes: []*vm.Class{counterClass, gaugeClass, histogramClass},
	}
	for _, k := range []struct {
		kind  MetricKind
		class *vm.Class
		doc   string
	}{
		{Counter, counterClass, "Declares a counter and returns it. labels are the names of the labels whose values each add must give."},
		{Gauge, gaugeClass, "Declares a gauge and returns it. labels are the names of the labels whose values each set and add must give."},
		{Histogram, histogramClass, "Declares a histogram and returns it. labels are the names of the labels whose values each observe must give. buckets are ascending upper bounds; without them, they suit durations in seconds."},
	} {
		params := []string{"name: string", "help: string", "labels?: string[]"}
		if k.kind == Histogram {
			params = append(params, "buckets?: number[]")
		}
		m.Functions = append(m.Functions, vm.Function{
			Name: k.kind.String(), Params: params, Returns: []string{k.class.Name}, Doc: k.doc,
			Run: func(c *vm.Call) error {
				c.Charge(500)
				s, err := metricShape(c, k.kind)
				if err != nil {
					return err
				}
				p := self(c).Plugin
				declared, err := p.Metrics.declare(p, s)
				if err != nil {
					return err
				}
				return c.Return(vm.Object{Class: k.class, Value: declared})
			},
		})
	}
	return m
}

var metricName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)

// metricShape reads and checks the arguments of a declaration.
func metricShape(c *vm.Call, kind MetricKind) (MetricShape, error) {
	s := MetricShape{Kind: kind, Name: c.Text(1), Help: strings.ToValidUTF8(c.Text(2)[:min(len(c.Text(2)), maxMetricHelp+1)], "?")}
	if err := checkMetricName(s.Name); err != nil {
		return s, err
	}
	for _, suffix := range []string{"_total", "_bucket", "_sum", "_count", "_created"} {
		if strings.HasSuffix(s.Name, suffix) && (kind != Counter || suffix != "_total") {
			return s, fmt.Errorf("name %q: the name of a %s must not end with %s", s.Name, kind, suffix)
		}
	}
	if kind == Counter && !strings.HasSuffix(s.Name, "_total") {
		s.Name += "_total"
	}
	if len(s.Help) > maxMetricHelp {
		return s, fmt.Errorf("help must have at most %d bytes, got %d", maxMetricHelp, len(c.Text(2)))
	}
	if c.Has(3) {
		if err := s.readLabels(c.List(3)); err != nil {
			return s, err
		}
	}
	if kind == Histogram && c.Has(4) {
		return s, s.readBuckets(c.List(4))
	}
	return s, nil
}

func checkMetricName(name string) error {
	if !metricName.MatchString(name) || len(name) > maxMetricName {
		return fmt.Errorf("name %q must be a letter, followed by up to %d letters, digits and _", goval.Shorten(name), maxMetricName-1)
	}
	return nil
}

func (s *MetricShape) readBuckets(list []any) error {
	if len(list) == 0 || len(list) > maxBuckets {
		return fmt.Errorf("buckets: must have 1 to %d bounds, got %d", maxBuckets, len(list))
	}
	for i, item := range list {
		v, ok := item.(float64)
		if !ok || math.IsNaN(v) || math.IsInf(v, 0) || i > 0 && v <= s.Buckets[i-1] {
			return fmt.Errorf("buckets[%d]: must be a finite number above the previous one, got %v", i+1, item)
		}
		s.Buckets = append(s.Buckets, v)
	}
	return nil
}

// LabelText returns the value of a label as text. It writes integers without an
// exponent.
func LabelText(v any) string {
	if text, err := goval.ScalarText(v); err == nil {
		return text
	}
	return fmt.Sprint(v) // NaN and infinities, which JSON cannot represent
}

func addMetric(c *vm.Call) error { return updateMetric(c, Metric.Add, c.NumberOr(1, 1)) }

// updateMetric calls update, which is Metric.Add or Metric.Set, with v and with the label
// values from argument 2.
func updateMetric(c *vm.Call, update func(Metric, float64, []string) error, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("must be a finite number, got %v", v)
	}
	c.Charge(50)
	m := c.Self().(*metric)
	labels, err := m.labelValues(c.Map(2))
	if err != nil {
		return err
	}
	if err := update(m, v, labels); err != nil {
		p := self(c).Plugin
		p.Lasting.LostValues.Add(1)
		if !m.full.Swap(true) {
			p.Log.Warn("values of a metric are lost, because the plugin has too many sets of label values", slog.String("metric", m.Name), slog.String("error", err.Error()))
		}
		return c.Fail(err)
	}
	return c.Return(true)
}

// labelValues checks the label values and returns them in the order of the labels.
func (m *metric) labelValues(given map[string]any) ([]string, error) {
	if len(given) != len(m.Labels) {
		return nil, fmt.Errorf("labels: %s has %d labels (%s), got %d", m.Name, len(m.Labels), strings.Join(m.Labels, ", "), len(given))
	}
	values := make([]string, len(m.Labels))
	for i, name := range m.Labels {
		switch v := given[name].(type) {
		case string:
			if len(v) > maxLabelValue {
				return nil, fmt.Errorf("label %s: must have at most %d bytes, got %d", name, maxLabelValue, len(v))
			}
			values[i] = strings.ToValidUTF8(v, "?")
		case float64, vm.Integer:
			values[i] = LabelText(v)
		default:
			return nil, fmt.Errorf("label %s: must be a text or a number, got %s", name, goval.Describe(v))
		}
		if n := len(values[i]); n > maxLabelValue {
			return nil, fmt.Errorf("label %s: must have at most %d bytes, got %d", name, maxLabelValue, n)
		}
	}
	return values, nil
}

var reservedLabels = []string{"plugin", "le", "quantile"}

func (s *MetricShape) readLabels(list []any) error {
	if len(list) > maxMetricLabels {
		return fmt.Errorf("labels: must have at most %d names, got %d", maxMetricLabels, len(list))
	}
	for i, item := range list {
		name, ok := item.(string)
		if !ok {
			return fmt.Errorf("labels[%d]: %v is not a name", i+1, item)
		}
		if err := checkMetricName(name); err != nil {
			return fmt.Errorf("labels[%d]: %w", i+1, err)
		}
		if slices.Contains(reservedLabels, name) {
			return fmt.Errorf("labels[%d]: %s is reserved; the reserved names are %q", i+1, name, reservedLabels)
		}
		if slices.Contains(s.Labels, name) {
			return fmt.Errorf("labels[%d]: %s is given twice", i+1, name)
		}
		s.Labels = append(s.Labels, name)
	}
	slices.Sort(s.Labels)
	return nil
}

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
	full atomic.Bool // whether a log line has said that values are lost
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
	if IsHostMetric(s.Name) { // plugins of earlier versions may have such a name
		p.Log.Warn("a metric of the plugin is not exported, because the host has a metric of this name; rename it", slog.String("metric", s.Name))
	}
	m := &metric{MetricShape: s, Metric: discardedMetric{}}
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
