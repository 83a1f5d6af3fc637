package telemetry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"nearside/lua"
	"nearside/lua/ns"
	"nearside/matcher"
)

// startPlugins starts plugins, given by name and source, whose metrics go to tm. write
// replaces the file of a plugin.
func startPlugins(t *testing.T, tm *Telemetry, sources map[string]string) (h *lua.Host, write func(name, body string)) {
	t.Helper()
	dir := t.TempDir()
	write = func(name, body string) {
		text := "local ns = require('nearside')\nlocal M = {api = 1, name = '" + name + "', kinds = {'background'}}\n" + body + "\nreturn M"
		if err := os.WriteFile(filepath.Join(dir, name+".lua"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := lua.Options{Dir: dir, Services: ns.Services{Metrics: tm.Plugins(), Resources: tm.Resources}}
	for name, body := range sources {
		write(name, body)
		o.Active = append(o.Active, name)
	}
	slices.Sort(o.Active) // plugins start in this order
	h, err := lua.New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if len(tm.plugins.plugins) > 0 {
			t.Errorf("%d plugins still have metrics, want 0", len(tm.plugins.plugins))
		}
	})
	return h, write
}

// pluginLines returns the lines with metrics of plugins, sorted.
func pluginLines(lines []string) []string {
	lines = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.HasPrefix(line, "nearside_plugin_") })
	slices.Sort(lines)
	return lines
}

func expectEqual(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const counting = `
local hits = ns.metrics.counter("hits_total", "Hits.", {"route", "code"})
local heat = ns.metrics.gauge("heat", "Heat.")
local took = ns.metrics.histogram("took", "Time.", {}, {1, 2.5})
function M:initialize()
  assert(not pcall(hits.add, hits)) -- the metric needs labels
  hits:add(1, {route = "a", code = 200}) hits:add(2, {code = "200", route = "a"}) hits:add(0, {route = "b", code = "x\255"})
  heat:set(5) heat:add(-1.5) heat:add()
  took:observe(1) took:observe(2) took:observe(9)
end`

func TestPluginMetrics(t *testing.T) {
	tm := New("1", Gauges{})
	h, write := startPlugins(t, tm, map[string]string{"p": counting, "q": `
ns.metrics.gauge("heat", "Another help."):set(1)
ns.metrics.counter("hits_total", "With other labels.", {"x"}):add(1, {x = "\"\n"})`})
	lines := scrape(t, tm)
	expectEqual(t, pluginLines(lines),
		`nearside_plugin_heat{plugin="p"} 4.5`,
		`nearside_plugin_heat{plugin="q"} 1`,
		`nearside_plugin_hits_total{code="200",plugin="p",route="a"} 3`,
		`nearside_plugin_hits_total{code="x?",plugin="p",route="b"} 0`,
		`nearside_plugin_hits_total{plugin="q",x="\"\n"} 1`,
		`nearside_plugin_took_bucket{plugin="p",le="+Inf"} 3`,
		`nearside_plugin_took_bucket{plugin="p",le="1"} 1`,
		`nearside_plugin_took_bucket{plugin="p",le="2.5"} 2`,
		`nearside_plugin_took_count{plugin="p"} 3`,
		`nearside_plugin_took_sum{plugin="p"} 12`,
	)
	expectLines(t, lines, "# HELP nearside_plugin_heat Heat.", "# TYPE nearside_plugin_heat gauge", "# TYPE nearside_plugin_hits_total counter")

	var open strings.Builder
	if _, err := tm.WriteText(&open, "application/openmetrics-text; version=1.0.0"); err != nil || strings.Count(open.String(), "# TYPE nearside_plugin_hits counter") != 1 {
		t.Error(err, open.String())
	}

	// A name is refused if another plugin uses it for another kind, with or without _total.
	// The values that were counted before the refusal stay.
	write("p", `
ns.metrics.counter("hits_total", "Hits by route.", {"code", "route"}):add(1, {route = "a", code = 200})
ns.metrics.counter("heat_total", "Not a gauge any more."):add(7)`)
	if err := h.Reload(context.Background()); err == nil || !strings.Contains(err.Error(), "counter heat_total: the name is taken by plugin q for the gauge heat") {
		t.Fatal(err)
	}
	want := pluginLines(lines)
	want[2] = strings.Replace(want[2], "} 3", "} 4", 1)
	expectEqual(t, pluginLines(scrape(t, tm)), want...)
}

func TestPluginMetricsReload(t *testing.T) {
	tm := New("1", Gauges{})
	h, write := startPlugins(t, tm, map[string]string{"p": `
local a, b, c = ns.metrics.counter("a", "A."), ns.metrics.counter("b", "B."), ns.metrics.counter("c", "C.")
function M:start() a:add(1) b:add(2) c:add(3) end`})
	before := scrape(t, tm)
	expectEqual(t, pluginLines(before), `nearside_plugin_a_total{plugin="p"} 1`, `nearside_plugin_b_total{plugin="p"} 2`, `nearside_plugin_c_total{plugin="p"} 3`)
	next := `
local a, b = ns.metrics.counter("a", "New help."), ns.metrics.gauge("b", "B.")
function M:start() a:add(10) b:set(20) `
	write("p", next+"error('no') end")
	if err := h.Reload(context.Background()); err == nil {
		t.Fatal("the reload succeeded, want an error")
	}
	// The value that the refused plugin added to the shared counter stays. Its gauge is
	// removed.
	expectEqual(t, pluginLines(scrape(t, tm)), `nearside_plugin_a_total{plugin="p"} 11`, `nearside_plugin_b_total{plugin="p"} 2`, `nearside_plugin_c_total{plugin="p"} 3`)
	write("p", next+"end")
	if err := h.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := scrape(t, tm)
	expectEqual(t, pluginLines(lines), `nearside_plugin_a_total{plugin="p"} 21`, `nearside_plugin_b{plugin="p"} 20`)
	expectLines(t, lines, "# HELP nearside_plugin_a_total New help.", "# TYPE nearside_plugin_b gauge")
}

// TestPluginSeriesAreBounded checks that a plugin gets an error for too many sets of
// label values, and that its existing series still work.
func TestPluginSeriesAreBounded(t *testing.T) {
	tm := New("1", Gauges{})
	h, _ := startPlugins(t, tm, map[string]string{"p": fmt.Sprintf(`
local c = ns.metrics.counter("c", "C.", {"n"})
local g = ns.metrics.gauge("g", "G.")
for i = 1, %d do assert(c:add(1, {n = i})) end
local ok, err = c:add(1, {n = "one more"})
assert(ok == nil and err == "c_total: a plugin must have at most %d sets of label values", err)
assert(g:set(1) == nil)
assert(c:add(1, {n = 1}))`, seriesMax, seriesMax)})
	lines := pluginLines(scrape(t, tm))
	expectLines(t, lines, `nearside_plugin_c_total{n="1",plugin="p"} 2`)
	if len(lines) != seriesMax {
		t.Errorf("%d lines, want %d", len(lines), seriesMax)
	}
	if lost := h.Plugins()[0].LostValues; lost != 2 {
		t.Errorf("%d lost values, want 2", lost)
	}
}

// TestPluginMetricsConcurrently checks that no count is lost while scrapes and reloads
// run.
func TestPluginMetricsConcurrently(t *testing.T) {
	tm := New("1", Gauges{})
	h, _ := startPlugins(t, tm, map[string]string{"p": `
local c = ns.metrics.counter("c", "C.", {"n"})
ns.route("GET", "/hit", function(req) c:add(1, {n = req.query.n}) return 200 end)`})
	const goroutines, each = 4, 100
	var work sync.WaitGroup
	for g := range goroutines {
		work.Go(func() {
			for i := range each {
				r := lua.Request{Method: "GET", Path: "/p/hit", Query: map[string][]string{"n": {strconv.Itoa(i % 3)}}}
				if _, err := h.Serve(context.Background(), r); err != nil {
					t.Error(err)
				}
				if g == 0 && i%10 == 0 {
					if err := h.Reload(context.Background()); err != nil {
						t.Error(err)
					}
				}
				if g == 1 && i%10 == 0 {
					if _, err := tm.WriteText(&strings.Builder{}, ""); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	work.Wait()
	expectEqual(t, pluginLines(scrape(t, tm)), `nearside_plugin_c_total{n="0",plugin="p"} 136`, `nearside_plugin_c_total{n="1",plugin="p"} 132`, `nearside_plugin_c_total{n="2",plugin="p"} 132`)
}

func TestResources(t *testing.T) {
	tm := New("1", Gauges{
		Rows:    func(o matcher.Origin) int { return 10 + int(o) },
		Queue:   func() int { return 5 },
		Workers: func() int { return 2 },
	})
	startPlugins(t, tm, map[string]string{"p": `
local r = ns.resource()
assert(r.rows == 33 and r.queue == 5 and r.workers == 2)
assert(r.goroutines >= 1 and r.uptime >= 0 and r.heap > 1e5)
for name, v in pairs(r) do assert(type(v) == "number", name) end
ns.metrics.gauge("cpu", "CPU."):set(r.cpu)
ns.metrics.gauge("rss", "RSS."):set(r.rss)`})
	expectLines(t, scrape(t, tm), `nearside_workers 2`)
	bare := New("1", Gauges{}).Resources()
	if bare.Rows != 0 || bare.CPU <= 0 || bare.RSS < bare.Heap {
		t.Errorf("%+v", bare)
	}
}
