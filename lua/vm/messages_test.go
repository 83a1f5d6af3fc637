package vm

import (
	"context"
	"strings"
	"testing"
)

// TestErrorsOfFunctionsCalledByPcall checks errors of library functions that pcall
// calls directly. Such an error has no line and no function name.
func TestErrorsOfFunctionsCalledByPcall(t *testing.T) {
	for body, want := range map[string]string{
		`pcall(string.rep)`:                                           `bad argument #1 to '?' (string expected, got no value)`,
		`pcall(setmetatable, 1)`:                                      `bad argument #1 to '?' (table expected, got number)`,
		`pcall(string.find, "a", "%")`:                                `malformed pattern (ends with '%')`,
		`pcall(string.find, "a", "%f")`:                               `missing '[' after '%f' in pattern`,
		`pcall(string.format, "%y", 1)`:                               `invalid option '%y' to 'format'`,
		`pcall(error, " x", 0)`:                                       " x",
		`pcall(function() error(" x", 0) end)`:                        " x",
		`pcall(table.sort, {2, 1}, function() error(" sort", 0) end)`: " sort",
	} {
		if got := evalBody(t, "local ok, message = "+body+" return message"); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// TestKillReportsTheInnerLine checks that the error of a killed call has the line of
// the loop, and not the line of the pcall or coroutine around it.
func TestKillReportsTheInnerLine(t *testing.T) {
	for _, around := range []string{"%s", "pcall(%s)", "coroutine.resume(coroutine.create(%s))", "coroutine.wrap(function() pcall(%s) end)()", "pcall(function() coroutine.wrap(function() pcall(%s) end)() end)"} {
		s := newState(t)
		call := strings.Replace(around, "%s", "function()\nwhile true do end\nend", 1)
		if around == "%s" {
			call = "while true do\nend"
		}
		fn := loadFunction(t, s, "return function()\n"+call+"\nend")
		_, err := s.Call(context.Background(), Limits{}, fn)
		if want := "t.lua:3: " + ErrSlice.Error(); err == nil || !strings.HasPrefix(err.Error(), want) && !strings.HasPrefix(err.Error(), "t.lua:2: ") {
			t.Errorf("%s: error %v, want %q", around, err, want)
		} else if around != "%s" && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", around, err, want)
		}
	}
}
