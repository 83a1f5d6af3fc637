package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"nearside/lua/ns"
)

// seriesMax is the largest number of sets of label values of one plugin, over all of
// its metrics.
const seriesMax = 1000

// pluginMetrics holds the metrics of all plugins. It implements [ns.Meter], and it is
// an unchecked collector of Prometheus: it does not describe its metrics in advance.
type pluginMetrics struct {
	mu      sync.Mutex // guards everything below, including the metrics
	plugins map[string]*pluginMeter
}

// pluginMeter holds the metrics of one plugin.
type pluginMeter struct {
	name        string
	metrics     []*pluginMetric // in the order of declaration
	seriesCount int             // of all metrics
}

// pluginMetric implements [ns.Metric].
type pluginMetric struct {
	ns.MetricShape
	owner   *pluginMetrics
	meter   *pluginMeter
	holders int                // number of declarations that were not released
	series  map[string]*series // by label values, see seriesOf
}

// series is one set of label values.
type series struct {
	labels []string // label values; the first is the plugin's name
	value  float64  // the sum of the values of a histogram
	count  uint64   // the number of values of a histogram
	counts []uint64 // the number of values in each bucket of a histogram
}

// family returns the name of a metric without the suffix _total, which OpenMetrics
// adds or removes. Metrics of the same family must have the same kind.
func family(name string) string { return strings.TrimSuffix(name, "_total") }

// Metric implements [ns.Meter].
func (a *pluginMetrics) Metric(plugin string, s ns.MetricShape) (ns.Metric, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range a.plugins {
		for _, m := range other.latestByFamily() {
			if other.name != plugin && family(m.Name) == family(s.Name) && (m.Name != s.Name || m.Kind != s.Kind) {
				return nil, fmt.Errorf("%s %s: the name is taken by plugin %s for the %s %s", s.Kind, s.Name, other.name, m.Kind, m.Name)
			}
		}
	}
	meter := a.plugins[plugin]
	if meter == nil {
		meter = &pluginMeter{name: plugin}
		a.plugins[plugin] = meter
	}
	if s.Kind == ns.Histogram && s.Buckets == nil {
		s.Buckets = durationBuckets
	}
	for _, m := range meter.metrics {
		if m.Name == s.Name && m.Kind == s.Kind && slices.Equal(m.Labels, s.Labels) && slices.Equal(m.Buckets, s.Buckets) {
			m.holders++
			m.Help = s.Help
			return m, nil
		}
	}
	m := &pluginMetric{MetricShape: s, owner: a, meter: meter, holders: 1, series: map[string]*series{}}
	meter.metrics = append(meter.metrics, m)
	return m, nil
}

// Release implements [ns.Metric].
func (m *pluginMetric) Release() {
	m.owner.mu.Lock()
	defer m.owner.mu.Unlock()
	if m.holders--; m.holders > 0 {
		return
	}
	m.meter.seriesCount -= len(m.series)
	m.meter.metrics = slices.DeleteFunc(m.meter.metrics, func(other *pluginMetric) bool { return other == m })
	if len(m.meter.metrics) == 0 {
		delete(m.owner.plugins, m.meter.name)
	}
}

// seriesOf returns the series with the given label values, and creates it if it does
// not exist.
func (m *pluginMetric) seriesOf(labels []string) (*series, error) {
	key := strings.Join(labels, "\xff") // this byte does not occur in UTF-8
	s := m.series[key]
	if s != nil {
		return s, nil
	}
	if m.meter.seriesCount >= seriesMax {
		return nil, fmt.Errorf("%s: a plugin must have at most %d sets of label values", m.Name, seriesMax)
	}
	m.meter.seriesCount++
	s = &series{labels: append([]string{m.meter.name}, labels...), counts: make([]uint64, len(m.Buckets))}
	m.series[key] = s
	return s, nil
}

// Add implements [ns.Metric].
func (m *pluginMetric) Add(v float64, labels []string) error {
	m.owner.mu.Lock()
	defer m.owner.mu.Unlock()
	s, err := m.seriesOf(labels)
	if err != nil {
		return err
	}
	s.value += v
	s.count++
	if i, _ := slices.BinarySearch(m.Buckets, v); i < len(m.Buckets) {
		s.counts[i]++
	}
	return nil
}

// Set implements [ns.Metric].
func (m *pluginMetric) Set(v float64, labels []string) error {
	m.owner.mu.Lock()
	defer m.owner.mu.Unlock()
	s, err := m.seriesOf(labels)
	if err == nil {
		s.value = v
	}
	return err
}

// latestByFamily returns, for each family, the metric that was declared last.
func (p *pluginMeter) latestByFamily() map[string]*pluginMetric {
	latest := make(map[string]*pluginMetric, len(p.metrics))
	for _, m := range p.metrics {
		latest[family(m.Name)] = m
	}
	return latest
}

// Describe implements [prometheus.Collector].
func (a *pluginMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector]. During a reload, two plugins may have
// metrics of different kinds in a family. Then the metric of the plugin that comes
// first by name is collected, because a conflict would make the whole scrape fail. For the
// same reason, metrics with the name of one of the host's are not collected.
func (a *pluginMetrics) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := make([]string, 0, len(a.plugins))
	for name := range a.plugins {
		names = append(names, name)
	}
	slices.Sort(names)
	families := map[string]*pluginMetric{}
	for _, name := range names {
		for key, m := range a.plugins[name].latestByFamily() {
			first := families[key]
			if first == nil {
				first = m
				families[key] = m
			}
			if first.Kind == m.Kind && first.Name == m.Name && !ns.IsHostMetric(m.Name) {
				m.collect(first.Help, out)
			}
		}
	}
}

func (m *pluginMetric) collect(help string, out chan<- prometheus.Metric) {
	desc := prometheus.NewDesc(namespace+"_plugin_"+m.Name, help, append([]string{"plugin"}, m.Labels...), nil)
	for _, s := range m.series {
		switch m.Kind {
		case ns.Counter:
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, s.value, s.labels...)
		case ns.Gauge:
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, s.value, s.labels...)
		case ns.Histogram:
			counts, sum := make(map[float64]uint64, len(m.Buckets)), uint64(0)
			for i, bound := range m.Buckets {
				sum += s.counts[i]
				counts[bound] = sum // Prometheus counts all values up to the bound
			}
			out <- prometheus.MustNewConstHistogram(desc, s.count, s.value, counts, s.labels...)
		}
	}
}
