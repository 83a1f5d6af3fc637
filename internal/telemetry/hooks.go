package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearside/lua"
	"nearside/lua/ns"
)

// pluginStates is a collector of what the host measures of plugins. Plugins may be loaded
// and unloaded between scrapes.
type pluginStates func() []lua.Status

var pluginHooks = prometheus.NewDesc(namespace+"_plugin_hook_seconds", "Time of the calls of a plugin's hook, in seconds.", []string{"plugin", "hook"}, nil)

// pluginValue is a metric with one value for each plugin.
type pluginValue struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(s *lua.Status) float64
}

func newPluginValue(name, help string, kind prometheus.ValueType, value func(s *lua.Status) float64) pluginValue {
	return pluginValue{prometheus.NewDesc(namespace+"_plugin_"+name, help, []string{"plugin"}, nil), kind, value}
}

var pluginValues = []pluginValue{
	newPluginValue("calls_total", "Calls into the Lua code of a plugin since it was loaded.", prometheus.CounterValue, func(s *lua.Status) float64 { return float64(s.Totals.Calls) }),
	newPluginValue("errors_total", "Calls that raised an error, since the plugin was loaded.", prometheus.CounterValue, func(s *lua.Status) float64 { return float64(s.Totals.Errors) }),
	newPluginValue("timeouts_total", "Calls that their budget ended, since the plugin was loaded.", prometheus.CounterValue, func(s *lua.Status) float64 { return float64(s.Totals.Timeouts) }),
	newPluginValue("rejected_total", "Requests that a plugin rejected.", prometheus.CounterValue, func(s *lua.Status) float64 { return float64(s.Rejected) }),
	newPluginValue("lost_values_total", "Values of a plugin's metrics that were lost, because it has too many sets of label values.", prometheus.CounterValue, func(s *lua.Status) float64 { return float64(s.LostValues) }),
	newPluginValue("dropped_total", "Events and values of batches that a plugin had no room for.", prometheus.CounterValue, func(s *lua.Status) float64 { return float64(s.Dropped) }),
	newPluginValue("memory_bytes", "Memory of all states of a plugin.", prometheus.GaugeValue, func(s *lua.Status) float64 { return float64(s.Memory) }),
}

// Describe implements [prometheus.Collector].
func (pluginStates) Describe(out chan<- *prometheus.Desc) {
	out <- pluginHooks
	for _, m := range pluginValues {
		out <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (states pluginStates) Collect(out chan<- prometheus.Metric) {
	for _, s := range states() {
		for _, m := range pluginValues {
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&s), s.Name)
		}
		for _, h := range s.HookTimes {
			counts, sum := make(map[float64]uint64, len(ns.HookBounds)), uint64(0)
			for i, bound := range ns.HookBounds {
				sum += h.Buckets[i]
				counts[bound] = sum // Prometheus counts all values up to the bound
			}
			out <- prometheus.MustNewConstHistogram(pluginHooks, h.Count, h.Seconds, counts, s.Name, h.Hook)
		}
	}
}
