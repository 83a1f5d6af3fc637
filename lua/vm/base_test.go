package vm

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

// TestStandardLibrary compares results with those of the Lua 5.1 reference manual.
func TestStandardLibrary(t *testing.T) {
	f := func(body string, want any) {
		t.Helper()
		if got := evalBody(t, body); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, want %#v", body, got, want)
		}
	}
	f(`return 1 .. 2`, "12")
	f(`local a, b, c = 'a', 'b', 'c' return a .. b .. c .. 1.5`, "abc1.5")
	f(`local function two() return 'x', 'y' end return 'a' .. two()`, "ax")
	f(`local function two() return 'x', 'y' end return #{('a' .. two()), two()}`, 3.0)
	f(`local t = setmetatable({}, {__concat = function(a, b) return (a == 'l' and 'left' or 'right') end}) return 'l' .. t`, "left")
	f(`local t = setmetatable({}, {__concat = function(a, b) return 'm' end}) return t .. 'a' .. 'b'`, "m")
	f(`return ("x"):rep(3)`, "xxx")
	f(`return ("abc"):rep(-1)`, "")
	f(`return ("hello"):upper() .. ("WORLD"):lower()`, "HELLOworld")
	f(`return ("abc"):reverse()`, "cba")
	f(`return ("abc"):byte(-1)`, 99.0)
	f(`return select('#', ("abc"):byte(1, -1))`, 3.0)
	f(`return ("hello world"):find("o w")`, 5.0)
	f(`return select(2, ("hello world"):find("o%sw"))`, 7.0)
	f(`return ("key = value"):match("^(%w+)%s*=%s*(%w+)$")`, "key")
	f(`return ("THE (quick) fox"):find("%((%a+)%)")`, 5.0)
	f(`return ("f(a(b)c)d"):match("%b()")`, "(a(b)c)")
	f(`return (("THE (quick) fox"):gsub("%f[%a]%a+", "W"))`, "W (W) W")
	f(`return (("hello world"):gsub("o", "0", 1))`, "hell0 world")
	f(`return (("hello"):gsub("", "-"))`, "-h-e-l-l-o-")
	f(`return (("abc"):gsub("%w", "%0%0"))`, "aabbcc")
	f(`return (("hello world"):gsub("(%w+) (%w+)", "%2 %1"))`, "world hello")
	f(`return (("$a $b"):gsub("%$(%w)", {a = "1"}))`, "1 $b")
	f(`return (("abc"):gsub("%w", function(c) if c == "b" then return "X" end end))`, "aXc")
	f(`local t = {} for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do t[#t + 1] = k .. v end return table.concat(t, ";")`, "a1;b2")
	f(`return ("x"):rep(3, "y")`, "xxx") // 5.1 has no separator
	f(`return (" x "):match("^%s*(.-)%s*$")`, "x")
	f(`return ("abab"):match("(ab)%1")`, "ab")
	f(`return ("hello"):match("()ll()")`, 3.0)
	f(`return ("a.b"):find(".", 1, true)`, 2.0)
	f(`return ("]"):match("[]]")`, "]")
	f(`return ("a-b"):match("[a%-]+")`, "a-")
	f(`return string.format("%5.2f|%-5s|%05d|%x|%q|%c|%%", 3.14159, "ab", 42, 255, 'a"b', 65)`, ` 3.14|ab   |00042|ff|"a\"b"|A|%`)
	f(`return string.format("%g %g %s %s", 1e20, 0.1, "x", 2^53)`, "1e+20 0.1 x 9.007199254741e+15")
	f(`local ok, e = pcall(string.format, "%s", nil) return ok`, false) // Lua 5.1 converts strings and numbers only
	f(`return string.format("%.3s|%5.1s|", "abcdef", "xyz")`, "abc|    x|")
	f(`return table.concat({1, 2, "x"}, ", ", 2, 3)`, "2, x")
	f(`local t = {3, 1, 2} table.sort(t) return table.concat(t)`, "123")
	f(`local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return table.concat(t)`, "321")
	f(`local t = {1, 2, 3} table.insert(t, 2, 9) return table.concat(t)`, "1923")
	f(`local t = {1, 2, 3} return table.remove(t, 1) .. table.remove(t) .. #t`, "131")
	f(`return select('#', unpack({1, 2, 3}))`, 3.0)
	f(`return math.huge`, math.Inf(1))
	f(`return math.floor(2.7) + math.max(1, 5)`, 7.0)
	f(`local r = math.random(3) return r >= 1 and r <= 3 and r % 1 == 0`, true)
	f(`return type(os.time()) .. type(os.clock())`, "numbernumber")
	f(`return _G.tostring(5) .. tostring(_G.nothing)`, "5nil")
	f(`return select('#', pcall(function() return 1, nil end))`, 3.0)
	f(`local ok, e = pcall(error, {code = 7}) return e.code`, 7.0)
	f(`local ok, e = pcall(assert, false, {code = 7}) return type(e)`, "string") // Lua 5.1 accepts only a string here
	f(`local ok, e = xpcall(function() error("x", 0) end, function(m) return "h:" .. m end) return e`, "h:x")
	f(`local ns = require('test') return ns.sub.one() .. ns.sub.owner`, "1me")
	f(`local t = {} for i = 1, 100 do t[i] = i .. ' ' end return `+strings.Repeat("'a' .. ", 200)+`'b'`, strings.Repeat("a", 200)+"b")
}

func TestErrorLines(t *testing.T) {
	wantError(t, "local x = 1\nlocal y = {}\nreturn 'a' .. x ..\n y", "t.lua:5: attempt to concatenate a table value")
	wantError(t, "\n\nerror('boom')", "t.lua:4: boom")
	wantError(t, "\nlocal ns = ns\n ns.panic()", "t.lua:4: panic: internal error: boom")
	wantError(t, "ns.sleep('x')", "bad argument #1 (number expected, got string)")
	wantError(t, "ns.sleep()", "bad argument #1 (number expected, got no value)")
	wantError(t, "return ns.nothing", `test has no "nothing"`)
}
