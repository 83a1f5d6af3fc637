package lua

import (
	"context"
	"fmt"
	"testing"
	"time"

	"nearside/lua/luatest"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
)

// workOf returns the average number of units that one run of body is charged.
func (in *instance) workOf(t *testing.T, setup, body string, args ...any) int {
	t.Helper()
	const times = 100
	source := fmt.Sprintf("local ns = require('nearside') return function(req, set)\n%s\nfor i = 1, %d do %s end\nend", setup, times, body)
	script, err := vm.Compile("t.lua", source, ns.Root)
	if err != nil {
		t.Fatal(err)
	}
	_, fn, err := in.State.Load(context.Background(), vm.Limits{}, script)
	if err != nil {
		t.Fatal(err)
	}
	before := in.State.Counters().Instructions
	if _, err := in.Call(context.Background(), vm.Limits{Slice: time.Minute}, fn.(*vm.Func), args...); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return int(in.State.Counters().Instructions-before) / times
}

// TestChargesOfModules: the functions of ns charge at least a minimum, which is about half
// of the units that correspond to their measured time. See TestChargesMatchTheWork of
// package vm.
func TestChargesOfModules(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(`M.schema = {properties = {a = {default = {1, 2, 3}}, b = {default = {x = 1}}}}`))
	in := h.current.Load().plugins[0].main.first()
	for _, test := range []struct {
		setup, body string
		minimum     int
	}{
		{"", "local x = ns.name", 12},
		{"", "local x = ns.conf", 50},
		{"local f = function() end", "ns.spawn(f):cancel()", 40},
		{"", "local x = ns.re.match('key=12', '(\\\\w+)=(\\\\d+)')", 30},
		{"local s = ('a1'):rep(1000)", "local x = ns.re.replace(s, '(\\\\d)', '<$1>')", 9000},
		{"local s = ('a1'):rep(1000)", "local x = ns.re.find_all(s, '\\\\d')", 6000},
		{"", "local x = ns.json.decode('1')", 25},
		{"", "local x = ns.int64('9007199254740993' .. i)", 25},
		{"local s = ('7'):rep(800000)", "local x = ns.int64(s)", 50_000},
		{"", "local x = ns.int64.compare(2^53, 2^54)", 25},
		{"", "local x = math.fmod(1e308, 5e-324)", 400},
		{"", "print('x')", 40},
	} {
		if got := in.workOf(t, test.setup, test.body); got < test.minimum {
			t.Errorf("%s is charged %d units, want at least %d", test.body, got, test.minimum)
		}
	}
	m, v := people(t, 20)
	h, _ = startHost(t, luatest.MatchingPlugin("function M:prefilter(req, set) return set end"), withMatcher(m))
	state, err := h.current.Load().plugins[0].pool.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.current.Load().plugins[0].pool.Put(state, false)
	sub := subRequest(v, 1, &matcher.Candidates{Limit: 5})
	rows, err := m.Select(t.Context(), sub.Candidates, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := ns.SelectionOf(rows)
	if err != nil {
		t.Fatal(err)
	}
	req := ns.NewHookRequest(t.Context(), "prefilter", &sub)
	for _, body := range []string{"none:to_table(10)", "set:to_table(0)", "none:where('age', '>', 1)", "none:len() set:ids({})"} {
		if got := state.Owner().(*instance).workOf(t, "local none = set:ids({})", body, req.Object(), ns.SetOf(&h.Host, req, whole)); got < ns.OpCost {
			t.Errorf("%s is charged %d units, want at least %d", body, got, ns.OpCost)
		}
	}
}

// TestChargesOfExtra: work on added fields is charged by their number and their bytes.
func TestChargesOfExtra(t *testing.T) {
	m, v := people(t, 101)
	h, _ := startHost(t, luatest.MatchingPlugin("function M:results() end"), withMatcher(m))
	state, err := h.current.Load().plugins[0].pool.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.current.Load().plugins[0].pool.Put(state, false)
	for body, minimum := range map[string]int{ // the function's second argument, set, is a list of 101 rows
		"set:add('f' .. i, 1)": 101 * 50, // on average, a row has 50 fields
		"if i == 1 then set:add('t', ('x'):rep(15000)) end local x = set:at(1).extra":     15000 / 8,
		"if i == 1 then set:add('t', ('x'):rep(15000)) end set:group_by('extra.t', 1000)": 101 * 15000 / 8,
		"set:limit(1):add('t', function() return {('x'):rep(15000)} end)":                 15000 / 8,
	} {
		sub, result := nearest(t, m, v, 101)
		rows := ns.NewRows(&sub, &result, &ns.ExtraRoom{})
		if got := state.Owner().(*instance).workOf(t, "", body, nil, rows.Object()); got < minimum {
			t.Errorf("%s is charged %d units, want at least %d", body, got, minimum)
		}
		rows.Discard()
	}
}
