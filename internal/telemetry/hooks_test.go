package telemetry

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nearside/lua"
)

// TestPluginStates: the values of the host for each plugin are exported, and a metric of a
// plugin that has the name of one of them is not.
func TestPluginStates(t *testing.T) {
	var host *lua.Host
	tm := New("1", Gauges{Plugins: func() []lua.Status { return host.Plugins() }})
	h, _ := startPlugins(t, tm, map[string]string{"p": `
function M:initialize() end
function M:start()
  ns.metrics.counter("calls", "Own."):add(7)
  ns.metrics.gauge("errors", "Own."):set(7)
  ns.metrics.gauge("memory_bytes", "Own."):set(7)
  ns.metrics.counter("own", "Own."):add(7)
end`})
	host = h
	if err := h.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{"", "application/openmetrics-text"} {
		var text strings.Builder
		if _, err := tm.WriteText(&text, accept); err != nil {
			t.Fatal(err)
		}
		lines := pluginLines(strings.Split(text.String(), "\n"))
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "_bucket{") })
		for i, line := range lines {
			lines[i] = regexp.MustCompile(`(_sum{.*}|_bytes{.*}) .*`).ReplaceAllString(line, "$1 *")
		}
		s := h.Plugins()[0]
		if s.Totals.Calls == 0 {
			t.Errorf("%+v", s)
		}
		want := []string{
			`nearside_plugin_calls_total{plugin="p"} `, `nearside_plugin_dropped_total{plugin="p"} 0`, `nearside_plugin_errors_total{plugin="p"} 0`,
			`nearside_plugin_hook_seconds_count{hook="initialize",plugin="p"} 2`, `nearside_plugin_hook_seconds_count{hook="start",plugin="p"} 2`,
			`nearside_plugin_hook_seconds_sum{hook="initialize",plugin="p"} *`, `nearside_plugin_hook_seconds_sum{hook="start",plugin="p"} *`,
			`nearside_plugin_lost_values_total{plugin="p"} 0`, `nearside_plugin_memory_bytes{plugin="p"} *`, `nearside_plugin_own_total{plugin="p"} 14`,
			`nearside_plugin_rejected_total{plugin="p"} 0`, `nearside_plugin_timeouts_total{plugin="p"} 0`,
		}
		if len(lines) != len(want) {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), strings.Join(lines, "\n"))
		}
		for i, line := range lines {
			if !strings.HasPrefix(strings.ReplaceAll(line, ".0", ""), want[i]) {
				t.Errorf("%s, want %s", line, want[i])
			}
		}
	}
}
