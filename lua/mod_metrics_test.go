package lua

import (
	"fmt"
	"strings"
	"testing"

	"nearside/lua/luatest"
	"nearside/lua/ns"
)

// TestMetricDeclarations: mistakes raise an error that names them, even on a host without
// a Meter.
func TestMetricDeclarations(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(""))
	in := h.current.Load().plugins[0].main.first()
	f := func(body, want string) {
		t.Helper()
		if _, err := in.run(t, body); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	f(`assert(ns.metrics.counter("ok_total", "x"):add())`, "")
	f(`assert(ns.metrics.counter("ok_total", "y") ~= nil)`, "")
	f(`ns.metrics.gauge("ok_total", "x")`, `the name of a gauge must not end with _total`)
	f(`ns.metrics.counter("ok", "x")`, "") // the same metric, because _total is added
	f(`ns.metrics.gauge("ok", "x")`, `the counter ok_total is declared already`)
	f(`local c = ns.metrics.counter("ok", "x") c:add(1, {a = 1})`, "ok_total has 0 labels")
	f(`ns.metrics.counter("ok_total", "x", {"a"})`, `is declared already`)
	f(`ns.metrics.counter("1x", "x")`, `name "1x"`)
	f(`ns.metrics.counter("", "x")`, `name ""`)
	f(`ns.metrics.counter("a-b", "x")`, `name "a-b"`)
	f(`ns.metrics.counter(("a"):rep(101), "x")`, `name "aaa`)
	f(`ns.metrics.counter("x")`, "bad argument #2")
	f(`ns.metrics.counter("x", ("h"):rep(501))`, "help must have at most 500 bytes, got 501")
	f(`ns.metrics.histogram("x_count", "x")`, "_count")
	f(`ns.metrics.gauge("x", "x", {"plugin"})`, "labels[1]: plugin is reserved")
	f(`ns.metrics.gauge("x", "x", {"a", "a"})`, "labels[2]: a is given twice")
	f(`ns.metrics.gauge("x", "x", {"a", 1})`, "labels[2]: 1 is not a name")
	f(`ns.metrics.gauge("x", "x", {"__a"})`, `labels[1]: name "__a"`)
	f(`ns.metrics.gauge("x", "x", {"a", "b", "c", "d", "e", "f", "g", "h", "i"})`, "must have at most 8 names, got 9")
	f(`ns.metrics.histogram("x", "x", nil, {1, 1})`, "buckets[2]: must be a finite number above the previous one, got 1")
	f(`ns.metrics.histogram("x", "x", nil, {})`, "must have 1 to 32 bounds, got 0")
	f(`ns.metrics.histogram("x", "x", nil, {0/0})`, "buckets[1]: must be a finite number")

	f(`local c = ns.metrics.counter("ok_total", "x") c:add(-1)`, "a counter cannot decrease")
	f(`local c = ns.metrics.counter("ok_total", "x") c:add(0/0)`, "must be a finite number, got NaN")
	f(`local c = ns.metrics.counter("ok_total", "x") c:add(1, {a = 1})`, "ok_total has 0 labels (), got 1")
	f(`local c = ns.metrics.counter("ok_total", "x") c:set(1)`, `Counter has no "set"`)
	f(`local g = ns.metrics.gauge("g", "x", {"a", "b"}) assert(g:set(1, {b = 1.5, a = "x"})) assert(g:add(-1, {b = 1.5, a = "x"}))`, "")
	f(`local g = ns.metrics.gauge("g", "x", {"b", "a"}) g:set(1, {a = 1, c = 2})`, "label b: must be a text or a number, got nothing")
	f(`local g = ns.metrics.gauge("g", "x", {"b", "a"}) g:set(1, {a = 1, b = true})`, "label b: must be a text or a number, got true")
	f(`local g = ns.metrics.gauge("g", "x", {"b", "a"}) g:set(1, {a = 1, b = ("x"):rep(200)})`, "label b: must have at most 128 bytes, got 200")
	f(`local g = ns.metrics.gauge("g", "x", {"b", "a"}) g:set(nil, {a = 1, b = 2})`, "bad argument #1")
	f(`ns.metrics.histogram("h", "x", nil, {1, 2}):observe(3)`, "")
	f(`ns.metrics.histogram("h", "x")`, "declared already")
	for i := range ns.MaxMetrics - 3 {
		f(fmt.Sprintf(`ns.metrics.gauge("g%d", "x")`, i), "")
	}
	f(`ns.metrics.gauge("one_more", "x")`, "at most 64 metrics")
	f(`ns.resource()`, "does not measure its resources")
}

func TestRouteModule(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(`
function M:start()
  ns.route("GET", "/teapot", function(req) return 418, {path = req.path, q = req.query.q}, {["X-Tea"] = "green"} end)
end`))
	r, err := h.Serve(t.Context(), Request{Method: "GET", Path: "/p/teapot", Query: map[string][]string{"q": {"1"}}})
	if err != nil || r.Status != 418 || string(r.Body) != `{"path":"/p/teapot","q":"1"}` || r.Headers["x-tea"] != "green" {
		t.Errorf("%v %+v %s", err, r, r.Body)
	}
	in := h.current.Load().plugins[0].main.first()
	for body, want := range map[string]string{
		`ns.route("GET", "teapot", print)`: `path "teapot"`,
		`ns.route("EAT", "/x", print)`:     `method "EAT"`,
		`ns.route("GET", "/x")`:            "bad argument #3",
	} {
		if _, err := in.run(t, body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
