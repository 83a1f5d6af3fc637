package vm

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"nearside/internal/precise"
)

var inf = math.Inf(1)

// TestExp checks that math.exp returns the float64 nearest to the exact result, on every
// CPU. Go's math.Exp returns another float64 for some of these arguments. Which arguments
// these are depends on the CPU.
func TestExp(t *testing.T) {
	s := newState(t)
	exp := loadFunction(t, s, "return function(x) return math.exp(x) end")
	for i := -4000; i < 4000; i++ {
		x := float64(i) / 37
		results, err := s.Call(t.Context(), Limits{}, exp, x)
		if err != nil {
			t.Fatal(err)
		}
		if want := precise.Exp(x); results[0] != want {
			t.Errorf("math.exp(%v) is %v, want %v", x, results[0], want)
		}
	}
	if got := evalBody(t, "return tostring(math.exp(math.huge)) .. ' ' .. math.exp(-math.huge) .. ' ' .. math.exp(0)"); got != "inf 0 1" {
		t.Errorf("math.exp of infinities and 0: %v, want inf 0 1", got)
	}
}

// oddNumbers are numbers, as Lua expressions, that do not fit into a Go integer or
// are near its limits.
var oddNumbers = []string{"0/0", "1/0", "-1/0", "2^63", "-2^63", "2^64", "1e300", "-1e300", "2^53+2", "-1", "0", "1.5", "-0.5"}

// integerCalls are calls of functions that convert a number to an integer. X is the
// place of the number.
var integerCalls = []string{
	"('abc'):sub(X)", "('abc'):sub(1, X)", "('abc'):sub(X, X)", "('abc'):byte(X)", "('abc'):byte(1, X)", "('abc'):find('b', X)",
	"('abc'):match('.', X)", "('abc'):find('b', X, true)", "string.char(X)", "('x'):rep(X)", "(''):rep(X)", "('a'):gsub('a', 'b', X)",
	"unpack({1, 2}, X)", "unpack({1, 2}, 1, X)", "unpack({1, 2}, X, X)", "table.concat({1, 2}, '', X)", "table.concat({1, 2}, '', 1, X)",
	"table.insert({1, 2}, X, 3)", "table.remove({1, 2}, X)", "table.maxn({[X] = 1})", "select(X, 1, 2)", "tonumber('10', X)",
	"math.ldexp(1, X)", "math.ldexp(5e-324, X)", "math.random(X)", "math.random(X, X)", "math.fmod(X, 3)", "math.floor(X)", "math.ceil(X)", "math.frexp(X)", "math.modf(X)",
	"string.format('%d', X)", "string.format('%u', X)", "string.format('%x', X)", "string.format('%c', X)", "string.format('%5.1f', X)", "string.format('%g', X)",
	"os.date('!%c', X)", "os.date('!*t', X)", "os.difftime(X, 1)", "error('x', X)", "tostring(X)",
	"rawset({}, X, 1)", "rawget({1}, X)", "next({1}, X)", "({1})[X]", "#{[X] = 1}",
	"os.time{year = X, month = 1, day = 1}", "os.time{year = 2020, month = X, day = 1}", "os.time{year = 2020, month = 1, day = X}",
	"os.time{year = 2020, month = 1, day = 1, hour = X}", "os.time{year = 2020, month = 1, day = 1, min = X}", "os.time{year = 2020, month = 1, day = 1, sec = X}",
}

// knownDifference returns the reason why the result of a call differs from lua5.1,
// which keeps only 32 bits of many numbers. It returns "" if the results must be the
// same.
func knownDifference(call, number string) string {
	beyond32 := strings.Contains(number, "^") || strings.Contains(number, "e300") || strings.Contains(number, "/0")
	switch {
	case strings.Contains(call, "random"):
		return "it is random"
	case strings.HasPrefix(call, "next"):
		return "a key that is not in the table"
	case strings.HasPrefix(call, "os.difftime") && beyond32:
		return "lua5.1 wraps around at 64 bits"
	case strings.Contains(call, ":rep("), strings.HasPrefix(call, "string.char"), strings.HasPrefix(call, "unpack"), strings.HasPrefix(call, "table."),
		strings.HasPrefix(call, "select"), strings.HasPrefix(call, "tonumber"), strings.HasPrefix(call, "math.ldexp"), strings.HasPrefix(call, "error"), strings.Contains(call, "%c"), strings.Contains(call, ":gsub("):
		if beyond32 {
			return "lua5.1 wraps around at 32 bits"
		}
	}
	return ""
}

// TestOddNumbers compares functions of the standard library with lua5.1 for odd
// numbers, except where lua5.1 wraps numbers around. It also checks that no function
// panics or runs forever.
func TestOddNumbers(t *testing.T) {
	type testCase struct{ call, number string }
	var all []testCase
	var program strings.Builder
	program.WriteString("local out = {}\nlocal function show(ok, ...) if not ok then return 'error' end local s = {} for i = 1, select('#', ...) do local v = select(i, ...) s[i] = type(v) == 'table' and 'table' or tostring(v) end return table.concat(s, ',') end\n")
	for _, call := range integerCalls {
		for _, number := range oddNumbers {
			all = append(all, testCase{call, number})
			fmt.Fprintf(&program, "out[#out + 1] = show(pcall(function() return %s end))\n", strings.ReplaceAll(call, "X", "("+number+")"))
		}
	}
	program.WriteString("return table.concat(out, '\\n')")
	ours, err := runBody(t, program.String())
	if err != nil {
		t.Fatal(err)
	}
	theirs := runLua51(t, "UTC", "io.write((function() "+program.String()+" end)())")
	got, want := strings.Split(ours[0].(string), "\n"), strings.Split(theirs, "\n")
	if len(got) != len(all) || len(want) != len(all) {
		t.Fatalf("%d calls have %d results, with lua5.1 %d", len(all), len(got), len(want))
	}
	for i, c := range all {
		if withoutSign(got[i]) != withoutSign(want[i]) && knownDifference(c.call, c.number) == "" {
			t.Errorf("%s with %s: %s, lua5.1 has %s", c.call, c.number, got[i], want[i])
		}
	}
}

// withoutSign removes the sign of NaN, which may differ, and the padding before it.
func withoutSign(text string) string {
	if trimmed := strings.TrimLeft(text, " -"); trimmed == "nan" {
		return trimmed
	}
	return text
}

// TestLargeExponents checks numbers that lua5.1 wraps around and this package does
// not.
func TestLargeExponents(t *testing.T) {
	for source, want := range map[string]any{
		"return math.ldexp(1, 2^31)": inf, "return math.ldexp(1, 2^63)": inf, "return math.ldexp(5e-324, -1e300)": 0.0, "return math.ldexp(1, -2^40)": 0.0,
		"return math.ldexp(5e-324, 1074)": 1.0, "return table.maxn{[2^60] = 1, [1.5] = 1, 5}": float64(1 << 60), "return table.maxn{[-3] = 1}": 0.0,
	} {
		if got := evalBody(t, source); got != want {
			t.Errorf("%s: %v, want %v", source, got, want)
		}
	}
}

// TestOddNumbersInGoFunctions checks that the getters of Call refuse odd numbers.
func TestOddNumbersInGoFunctions(t *testing.T) {
	lib := NewLibrary("test", Module{Functions: []Function{
		{Name: "int", Run: func(c *Call) error { return c.Return(c.Int(1)) }},
		{Name: "count", Run: func(c *Call) error { return c.Return(c.Count(1, 1)) }},
	}})
	s := lib.NewState(context.Background(), StateOptions{})
	defer func() { _ = s.Close(context.Background()) }()
	for _, name := range []string{"int", "count"} {
		for _, number := range []string{"0/0", "1/0", "-1/0", "2^63", "-2^63", "2^64", "1e300", "2^53+2", "1.5", "-0.5"} {
			fn := loadFunction(t, s, "local ns = require('test') return function() return ns."+name+"("+number+") end")
			if r, err := s.Call(context.Background(), Limits{}, fn); err == nil || !strings.Contains(err.Error(), "whole number expected") {
				t.Errorf("%s(%s): %v %v", name, number, r, err)
			}
		}
	}
	fn := loadFunction(t, s, "local ns = require('test') return function() return ns.count(0) end")
	if _, err := s.Call(context.Background(), Limits{}, fn); err == nil || !strings.Contains(err.Error(), "a whole number from 1 expected, got 0") {
		t.Errorf("count(0): error %v, want a message with the minimum and the value", err)
	}
}
