package lua

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"nearside/lua/goval"
	"nearside/lua/luatest"
	"nearside/matcher"
)

var inf, nan = math.Inf(1), math.NaN()

// oddNumbers are numbers, in Lua syntax, that a Go integer, index or duration cannot
// hold. The only problem of the numbers in fractions is that they have a fraction.
var (
	oddNumbers = []string{"0/0", "1/0", "-1/0", "2^63", "-2^63", "2^64", "1e300", "-1e300", "2^53*3"}
	fractions  = []string{"1.5", "-0.5", "2.0000001"}
)

// isHuge reports whether an odd number is finite, positive and a whole number.
func isHuge(number string) bool {
	return number == "1e300" || number == "2^63" || number == "2^64" || number == "2^53*3"
}

// TestOddNumbersInModules: no function of ns converts an odd number to another number.
// Each raises an error about the number, and does not panic.
func TestOddNumbersInModules(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(`M.permissions = {"redis:*", "http:*", "amqp:*"}`))
	in := h.current.Load().plugins[0].main.first()
	for _, test := range []struct {
		call      string // X stands for the number
		fractions bool   // whether the function accepts fractions
		accepted  string // odd numbers that it accepts
	}{
		{"ns.sleep(X)", true, ""},
		{"ns.every(X, print)", true, ""},
		{"ns.kv.set('k', 1, X)", true, ""},
		{"ns.kv.add('new', 1, X)", true, ""},
		{"assert(ns.kv.incr('n', X)) ns.kv.delete('n')", true, "2^63 -2^63 2^64 1e300 -1e300 2^53*3"},
		{"ns.kv.keys('', X)", false, ""},
		{"ns.re.find_all('a', 'a', X)", false, ""},
		{"ns.reject(X, 'no')", false, ""},
		{"ns.batch{size = X, flush = print}", false, ""},
		{"ns.batch{max = X, flush = print}", false, ""},
		{"ns.batch{seconds = X, flush = print}", true, ""},
		{"ns.int64(X)", false, "2^63 -2^63 2^64 1e300 -1e300 2^53*3"},
		{"ns.json.encode(X)", true, "2^63 -2^63 2^64 1e300 -1e300 2^53*3"},
		{"ns.metrics.histogram('h', 'help', {}, {X})", true, "2^63 -2^63 2^64 1e300 -1e300 2^53*3"},
		{"ns.metrics.gauge('g', 'help'):set(X)", true, "2^63 -2^63 2^64 1e300 -1e300 2^53*3"},
		{"ns.http.get('http://127.0.0.1:1/', {timeout_ms = X})", true, ""},
		{"ns.http.get('http://127.0.0.1:1/', {query = {x = X}, timeout_ms = 0})", true, ""},
	} {
		numbers := oddNumbers
		if !test.fractions {
			numbers = append(numbers, fractions...)
		}
		for _, number := range numbers {
			if strings.Contains(" "+test.accepted+" ", " "+number+" ") {
				continue
			}
			call := strings.Replace(test.call, "X", number, 1)
			_, err := in.run(t, call)
			if err == nil || strings.Contains(err.Error(), "internal error") {
				t.Errorf("%s: error %v, want one about the number", call, err)
			}
		}
	}
	if _, err := in.run(t, "ns.kv.set('short', 1, 1e-12)"); err != nil {
		t.Error(err)
	}
	if v, err := in.run(t, "ns.sleep(0.001) return ns.kv.get('short')"); v != nil || err != nil {
		t.Error("a time to live of less than a nanosecond was taken as no time to live", v, err)
	}
}

// TestOddNumbersInOptions checks the options of clients that must be integers.
func TestOddNumbersInOptions(t *testing.T) {
	for _, number := range append([]float64{-1, 0.5, 1e300, -1e300, 1 << 63, -1 << 63}, inf, -inf, nan) {
		r := &goval.Reader{Map: map[string]any{"n": number}, Path: "options."}
		if n := r.Whole("n", 7, 0, 1000); n != 7 || len(r.Faults) != 1 || !strings.Contains(r.Faults[0].Error(), "options.n: ") {
			t.Errorf("%v: %d with faults %v", number, n, r.Faults)
		}
	}
}

// TestOddNumbersInShapes checks the numbers in a plugin's table.
func TestOddNumbersInShapes(t *testing.T) {
	for _, field := range []string{
		"states = X", "limits = {memory = X}", "limits = {slice = X}", "limits = {close = X}", "limits = {prefilter = X}", "matching = {order = X}", "api = X",
		`schema = {properties = {a = {minLength = X}}}`,
	} {
		for _, number := range append(append([]string{}, oddNumbers...), fractions...) {
			if number == "1.5" && strings.Contains(field, "limits") && !strings.Contains(field, "memory") && !strings.Contains(field, "slice") {
				continue
			}
			if number == "2.0000001" && (strings.Contains(field, "close") || strings.Contains(field, "prefilter")) {
				continue
			}
			if isHuge(number) && strings.Contains(field, "minLength") {
				continue // no text has this length
			}
			_, err := loadNumber(t, strings.Replace(field, "X", number, 1))
			name, _, _ := strings.Cut(field, " ")
			if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "internal error") || strings.Count(err.Error(), name) > 1 {
				t.Errorf("%s with %s: error %v, want one about it", field, number, err)
			}
		}
	}
}

func loadNumber(t *testing.T, field string) (*Host, error) {
	t.Helper()
	source := fmt.Sprintf(`local M = {api = 1, name = "p", kinds = {"matching"}}
local function set(fields) for k, v in pairs(fields) do M[k] = v end end
set{%s}
function M:prefilter(req, set) return set end
return M`, field)
	h, err := New(t.Context(), Options{Dir: luatest.Folder(t, map[string]string{"p.lua": source}), Active: []string{"p"}})
	if err == nil {
		closeHost(t, h)
	}
	return h, err
}

// TestOddNumbersInMatching checks results of hooks and arguments of sets.
func TestOddNumbersInMatching(t *testing.T) {
	m, v := people(t, 20)
	for _, call := range []string{"set:top('age', X)", "set:sample(X, 1)", "set:sample(1, X)", "set:to_table(X)"} {
		for _, number := range append(append([]string{}, oddNumbers...), fractions...) {
			h, _ := startHost(t, luatest.MatchingPlugin("M.matching = {on_error = 'fail'}\nfunction M:prefilter(req, set)\nlocal x = "+strings.Replace(call, "X", number, 1)+"\nreturn set end"), withMatcher(m))
			_, err := runPrefilter(t, h, m, subRequest(v, 1, &matcher.Candidates{Limit: 5}))
			if err == nil || !strings.Contains(causeOf(err).Error(), "whole number") {
				t.Errorf("%s with %s: error %v", call, number, err)
			}
			closeHost(t, h)
		}
	}
	for _, number := range oddNumbers {
		finite := isHuge(number) || number == "-2^63" || number == "-1e300"
		h, log := startHost(t, luatest.MatchingPlugin("function M:cost() return "+number+" end\nfunction M:match() end"), withMatcher(m))
		matchers, _, release := h.Acquire()
		sub := subRequest(v, 1, &matcher.Candidates{Limit: 5})
		_, reason, ok := matchers[0].Cost(t.Context(), &sub)
		if ok != finite || !ok && !strings.Contains(log.All(), "finite number") {
			t.Errorf("cost %s: %v %q\n%s", number, ok, reason, log.All())
		}
		release()
		closeHost(t, h)
	}
}

// TestOddNumbersInRoutes checks the status, which is the first result of a handler.
func TestOddNumbersInRoutes(t *testing.T) {
	for _, number := range append([]float64{199, 600, -200, 200.5, 1e300, 1 << 63, -1 << 63}, inf, -inf, nan) {
		if _, err := parseResponse([]any{number}, false); err == nil {
			t.Errorf("%v was accepted as a status", number)
		}
	}
}

// TestStatusOfHandler: the error for a wrong status names the value as the script wrote it.
func TestStatusOfHandler(t *testing.T) {
	const start = "the handler must return a status (a number from 200 to 599), got "
	for want, results := range map[string][]any{
		`text "200"`: {"200"}, "nothing": nil, "199": {199.0}, "a table": {map[string]any{"a": 1.0}}, "true": {true}, "a list": {[]any{1.0}}, "1000000": {1e6},
	} {
		if _, err := parseResponse(results, false); err == nil || err.Error() != start+want {
			t.Errorf("%v, want %q", err, start+want)
		}
	}
}

// TestWholeNumberText: the bounds of a whole number are written in full.
func TestWholeNumberText(t *testing.T) {
	r := &goval.Reader{Map: map[string]any{"limit": -1.0, "n": 1.5, "text": "7"}}
	for _, field := range []string{"limit", "n", "text"} {
		r.Whole(field, 0, 0, 1<<53)
	}
	const rest = "is not a whole number from 0 to 9007199254740992"
	if got, want := errors.Join(r.Faults...).Error(), "limit: -1 "+rest+"\nn: 1.5 "+rest+"\ntext: text \"7\" "+rest; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
