package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"nearside/lua"
)

// seriesMax bounds the sets of label values of one plugin, over all of its
// metrics.
const seriesMax = 1000

// pluginMetrics are what plugins count. It is a [lua.Meter], and a collector
// of Prometheus that does not say beforehand what it has.
type pluginMetrics struct {
	mu      sync.Mutex // of everything below, metrics too
	plugins map[string]*pluginMeter
}

// pluginMeter is what one plugin counts.
type pluginMeter struct {
	name    string
	metrics []*pluginMetric // in the order of declaration
	series  int             // of all of them
}

// pluginMetric implements [lua.Metric].
type pluginMetric struct {
	lua.MetricShape
	all     *pluginMetrics
	meter   *pluginMeter
	holders int // declarations that were not released
	series  map[string]*series
}

// series is one set of label values.
type series struct {
	labels []string // their values, the plugin's name first
	value  float64
	count  uint64 // of a histogram, whose value is the sum
	counts []uint64
}

// family is what a metric's name must not share with one of another kind:
// OpenMetrics leaves out or puts in _total.
func family(name string) string { return strings.TrimSuffix(name, "_total") }

// Metric implements [lua.Meter].
func (a *pluginMetrics) Metric(plugin string, s lua.MetricShape) (lua.Metric, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range a.plugins {
		for _, m := range other.shown() {
			if other.name != plugin && family(m.Name) == family(s.Name) && (m.Name != s.Name || m.Kind != s.Kind) {
				return nil, fmt.Errorf("%s %s: plugin %s has the %s %s", s.Kind, s.Name, other.name, m.Kind, m.Name)
			}
		}
	}
	meter := a.plugins[plugin]
	if meter == nil {
		meter = &pluginMeter{name: plugin}
		a.plugins[plugin] = meter
	}
	if s.Kind == lua.Histogram && s.Buckets == nil {
		s.Buckets = buckets
	}
	for _, m := range meter.metrics {
		if m.Name == s.Name && m.Kind == s.Kind && slices.Equal(m.Labels, s.Labels) && slices.Equal(m.Buckets, s.Buckets) {
			m.holders++
			m.Help = s.Help
			return m, nil
		}
	}
	m := &pluginMetric{MetricShape: s, all: a, meter: meter, holders: 1, series: map[string]*series{}}
	meter.metrics = append(meter.metrics, m)
	return m, nil
}

// Release implements [lua.Metric].
func (m *pluginMetric) Release() {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	if m.holders--; m.holders > 0 {
		return
	}
	m.meter.series -= len(m.series)
	m.meter.metrics = slices.DeleteFunc(m.meter.metrics, func(other *pluginMetric) bool { return other == m })
	if len(m.meter.metrics) == 0 {
		delete(m.all.plugins, m.meter.name)
	}
}

// find returns the series of these label values.
func (m *pluginMetric) find(labels []string) (*series, error) {
	key := strings.Join(labels, "\xff") // which UTF-8 has not
	s := m.series[key]
	if s != nil {
		return s, nil
	}
	if m.meter.series >= seriesMax {
		return nil, fmt.Errorf("%s: the plugin has %d sets of label values, which is the most", m.Name, seriesMax)
	}
	m.meter.series++
	s = &series{labels: append([]string{m.meter.name}, labels...), counts: make([]uint64, len(m.Buckets))}
	m.series[key] = s
	return s, nil
}

// Add implements [lua.Metric].
func (m *pluginMetric) Add(v float64, labels []string) error {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	s, err := m.find(labels)
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

// Set implements [lua.Metric].
func (m *pluginMetric) Set(v float64, labels []string) error {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	s, err := m.find(labels)
	if err == nil {
		s.value = v
	}
	return err
}

// shown are the metrics of a plugin by family; the last declared of each.
func (p *pluginMeter) shown() map[string]*pluginMetric {
	shown := make(map[string]*pluginMetric, len(p.metrics))
	for _, m := range p.metrics {
		shown[family(m.Name)] = m
	}
	return shown
}

// Describe implements [prometheus.Collector].
func (a *pluginMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector]. While a reload goes on, two
// plugins may disagree about a family: then the first by name has it, since a
// contradiction would fail the whole scrape.
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
		for key, m := range a.plugins[name].shown() {
			first := families[key]
			if first == nil {
				first = m
				families[key] = m
			}
			if first.Kind == m.Kind && first.Name == m.Name {
				m.collect(first.Help, out)
			}
		}
	}
}

func (m *pluginMetric) collect(help string, out chan<- prometheus.Metric) {
	desc := prometheus.NewDesc(namespace+"_plugin_"+m.Name, help, append([]string{"plugin"}, m.Labels...), nil)
	for _, s := range m.series {
		switch m.Kind {
		case lua.Counter:
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, s.value, s.labels...)
		case lua.Gauge:
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, s.value, s.labels...)
		case lua.Histogram:
			counts, below := make(map[float64]uint64, len(m.Buckets)), uint64(0)
			for i, bound := range m.Buckets {
				below += s.counts[i]
				counts[bound] = below
			}
			out <- prometheus.MustNewConstHistogram(desc, s.count, s.value, counts, s.labels...)
		}
	}
}
