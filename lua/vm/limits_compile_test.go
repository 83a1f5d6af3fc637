package vm

import (
	"fmt"
	"strings"
	"testing"
)

// TestCompileLimits checks that a long source is compiled correctly or refused.
func TestCompileLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString("local t = {")
	for i := range 60_000 {
		fmt.Fprintf(&b, "%d,", i+1)
	}
	b.WriteString("} local sum = 0 for i = 1, #t do if t[i] ~= i then return -i end sum = sum + t[i] end return sum")
	if got := evalBody(t, b.String()); got != 60_000.0*60_001/2 {
		t.Errorf("a long list: %v", got)
	}
	b.Reset()
	b.WriteString("local t, s = {}, 0 ")
	for i := range 600 {
		fmt.Fprintf(&b, "t.k%d = %d.5 t['x%d'] = 'v%d' s = s + t.k%d ", i, i, i, i, i)
	}
	b.WriteString("function t:m599() return self.k599 + 0 * -1 end return s + t:m599() + (t.x599 == 'v599' and 1 or 0)")
	if got := evalBody(t, b.String()); got != 600*599/2+300.0+599.5+1 {
		t.Errorf("many constants: %v", got)
	}
	b.Reset()
	for i := range 195 {
		fmt.Fprintf(&b, "local v%d = %d ", i, i)
	}
	b.WriteString("local function f(a, b, c) return a + b * c end return f(v1, v194, v2 .. '') .. '|' .. v193 .. '|' .. #('x' .. v3)")
	if got := evalBody(t, b.String()); got != "389|193|2" {
		t.Errorf("many locals: %v", got)
	}
	for source, want := range map[string]string{
		strings.Repeat("local a\n", 201):               "t.lua:201: the function that begins in line 0 has more than 200 local variables",
		"return f(" + strings.Repeat("1,", 260) + "1)": "needs more than 250 registers",
		"return " + strings.Repeat("(", 300) + "1":     "deeper than 200 levels",
		"\nbreak":                              "t.lua:2: break outside of a loop",
		"goto x":                               `no label "x"`,
		"do goto x end local a ::x:: return a": "jumps into the scope",
		"local function f() return ... end":    "outside a vararg function",
		"x = 1\ny = 2":                         "t.lua:2: write to the undeclared global \"y\"",
		"local s = 'a\nb'":                     "unfinished string",
		"local a = f\n(1)":                     "ambiguous syntax",
		"while true do " + strings.Repeat("local a = {}; ", 199) + strings.Repeat("a.b = a.c + 1 ", 60_000) + "end": "too long",
	} {
		if _, err := Compile("t.lua", source, "test"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %.300v, want %q", source, err, want)
		}
	}
	if got := evalBody(t, "local n = 0 for i = 1, 5 do for j = 1, 3 do if j == 2 then goto continue end local k = j n = n + k ::continue:: end end return n"); got != 20.0 {
		t.Errorf("goto: %v", got)
	}
}

// TestPortableLibraries runs code with which single-file libraries usually begin.
func TestPortableLibraries(t *testing.T) {
	got := evalBody(t, `
local unpack = table.unpack or unpack
local load = loadstring or load
local _G = _G
local M = {_VERSION = "1.0", huge = math.huge}
local Object = {} Object.__index = Object
function Object:extend() local cls = {} for k, v in pairs(self) do if k:find("__") == 1 then cls[k] = v end end
  cls.__index = cls cls.super = self return setmetatable(cls, self) end
function Object:__call(...) local o = setmetatable({}, self) o:new(...) return o end
function Object:new() end
local P = Object:extend() function P:new(x) self.x = x end function P:__tostring() return "P" .. self.x end
local p = P(4)
local isNil = rawlen == nil and table.pack == nil and jit == nil and rawget(_G, "jit") == nil and rawget(_G, "print") == print
for k in pairs(_G) do if k == "string" then M.seen = true end end
return tostring(p) .. tostring(load) .. select('#', unpack({1, 2})) .. string.format("%q", "a\n") .. tostring(isNil) .. tostring(M.seen) .. _VERSION`)
	if got != "P4nil2\"a\\\n\"truetrueLua 5.1" {
		t.Errorf("the libraries returned %q", got)
	}
	wantError(t, `local co = coroutine.wrap(function() return setmetatable({}, {__index = function() coroutine.yield(1) end}).x end) return co()`, "attempt to yield")
	wantError(t, `local co = coroutine.wrap(function() for x in function() return (function() coroutine.yield(1) end)() end do end end) return co()`, "attempt to yield")
}
