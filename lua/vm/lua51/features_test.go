package lua51_test

import (
	"fmt"
	"strings"
)

func (g *generator) closures() {
	fs, i, v := g.name("fs"), g.name("i"), g.name("v")
	g.line("local %s = {}", fs)
	switch g.IntN(4) {
	case 0:
		g.line("for %s = 1, 3 do local %s = %s * 2", i, v, i)
	case 1:
		g.line("for %s, %s in ipairs({5, 6, 7}) do", i, v)
	case 2:
		g.line("local %s = 0 while %s < 3 do %s = %s + 1 local %s = %s", i, i, i, i, v, i)
	default:
		g.line("for %s = 3, 1, -1 do local %s = {x = %s}", i, v, g.any(2))
		g.line("%s = %s.x or 1", v, v)
	}
	n := len(g.vars)
	g.vars = append(g.vars, variable{i, num, true}, variable{v, anything, false})
	if g.IntN(3) == 0 {
		g.line("if %s then break end", g.cond(2))
	}
	g.line("%s[#%s + 1] = function(x) %s = x or %s return %s, %s end", fs, fs, v, v, i, v)
	if g.IntN(2) == 0 {
		g.line("%s[#%s + 1] = function() return %s end", fs, fs, v)
	}
	if g.IntN(3) == 0 {
		g.line("%s = %s", v, g.any(2))
	}
	g.vars = g.vars[:n]
	g.line("end")
	g.line("for i = 1, #%s do show(%s[i](%s)) end for i = 1, #%s do show(%s[i]()) end", fs, fs, g.one("", "i", "nil", "9"), fs, fs)
}

func (g *generator) coroutine() {
	co := g.name("co")
	wrap := g.IntN(2) == 0
	g.line("local %s = coroutine.%s(function(%s)", co, map[bool]string{true: "wrap", false: "create"}[wrap], "...")
	g.body(true, func() {
		g.line("local x, y = ...")
		g.declare("x", anything)
		g.declare("y", anything)
		for range 1 + g.IntN(3) {
			switch g.IntN(5) {
			case 0:
				g.line("for i = 1, %d do x = coroutine.yield(i, x) end", 1+g.IntN(2))
			case 1:
				g.line("x, y = coroutine.yield(%s)", g.args(1))
			case 2:
				g.line("show('in', coroutine.yield(...))")
			case 3:
				g.line("show(select('#', coroutine.yield()))")
			default:
				g.block(2)
			}
		}
		g.line("%s", g.one("return x, y", "return", "return coroutine.yield(1)", "error('E:co')", "return ...", "error({code = 2})", "local z = t.missing.y"))
	})
	g.line("end)")
	for range 2 + g.IntN(4) {
		if wrap {
			g.line("try(%s, %s)", co, g.any(2))
		} else {
			g.line("%s", g.one(
				fmt.Sprintf("tried(coroutine.resume(%s, %s))", co, g.any(2)),
				fmt.Sprintf("show(coroutine.status(%s))", co)))
		}
	}
}

func (g *generator) object() {
	o, mt := g.name("o"), g.name("mt")
	g.line("local %s = {n = %s}", mt, g.number())
	g.line("%s.__index = %s", mt, g.one(mt, fmt.Sprintf("function(self, k) return k .. %s end", g.text()), fmt.Sprintf("setmetatable({foo = %s}, {__index = {x = 'deep'}})", g.constant()), "{x = 1, foo = 2}"))
	for _, event := range []string{"add", "sub", "mul", "div", "mod", "pow", "unm", "concat", "eq", "lt", "le", "call", "len", "tostring", "newindex"} {
		if g.IntN(3) == 0 {
			continue
		}
		switch event {
		case "newindex":
			g.line("%s.__newindex = %s", mt, g.one("function(self, k, v) rawset(self, k, v) show('new', k) end", "{}", fmt.Sprintf("function(self, k, v) if %s then rawset(self, k, v) end end", g.cond(2))))
		case "tostring":
			g.line("function %s:__tostring() return 'object ' .. tostring(rawget(self, 'n')) end", mt)
		case "eq", "lt", "le":
			g.line("%s.__%s = function(p, r) show('%s') return %s end", mt, event, event, g.one("rawget(p, 'n') == rawget(r, 'n')", "true", "nil", "1", g.cond(2)))
		case "call":
			g.line("%s.__call = function(self, ...) return select('#', ...), ... end", mt)
		default:
			g.line("%s.__%s = function(p, r) return %s end", mt, event, g.one("1", "'"+event+"'", "type(p) .. type(r)", "rawequal(p, r)", "p, r", "7"))
		}
	}
	g.line("function %s:get(x)%sreturn %s, x end", mt, g.sp(), g.one("self.n", "rawget(self, 'n')", "x"))
	g.line("local %s = setmetatable({n = %s, get = %s.get}, %s)", o, g.number(), mt, mt)
	o2 := g.name("o")
	g.line("local %s = setmetatable({n = %s, get = %s.get}, %s)", o2, g.number(), mt, g.one(mt, "{__metatable = 'locked'}", "{}"))
	g.declare(o, object)
	g.declare(o2, object)
	uses := []string{"x + 1", "1 - x", "x * x", "x / y", "x % 2", "2 % x", "x ^ 2", "-x", "x .. 'a'", "'a' .. x", "'a' .. 'b' .. x .. 'c' .. 1", "x == y", "x ~= y", "x < y", "x <= y", "x > y", "x >= y", "x(1, nil)", "#x", "tostring(x)", "x.foo", "x.x", "x:get(1)", "getmetatable(x)", "rawequal(x, y)", "x == x", "x == 1", "x < 1", "'1' + x", "x + '1'", "not x", "x and y", "rawget(x, 'foo')", "next(x) ~= nil", "type(x)"}
	for range 2 + g.IntN(5) {
		use := strings.NewReplacer("x)", o+")", "(x", "("+o, "x ", o+" ", " x", " "+o, "-x", "-"+o, "#x", "#"+o, "x.", o+".", "x:", o+":", "x(", o+"(", "y)", o2+")", " y", " "+o2).Replace(uses[g.IntN(len(uses))])
		g.line("try(function() return%s%s end)", g.one(" ", " ", "\n"), use)
	}
	if g.IntN(2) == 0 {
		g.line("try(function() %s.%s = %s return %s end)", o, g.one("foo", "n", "x"), g.any(2), o+g.one(".foo", ".n", ".x"))
	}
}

func (g *generator) errors() {
	switch g.IntN(5) {
	case 0:
		f := g.name("f")
		g.line("local function %s(l) error('E:lvl', l) end", f)
		g.line("try(function()%s%s(%d) end)", g.sp(), f, 1+g.IntN(3))
	case 1:
		g.line("show(xpcall(function() %s end, function(e) return E(e) end))", g.failing())
	case 2:
		g.line("try(function() local ok, e = pcall(error, %s) show(ok, E(e)) error(e, 0) end)", g.one("'E:a'", "{code = 5}", "nil", "'E:b', 2"))
	case 3:
		g.line("try(function() for i = 1, 3 do local ok, e = pcall(function() if i == 2 then error('E:' .. i) end return i end) show(ok, E(e)) end end)")
	default:
		g.line("try(function() %s end)", g.failing())
	}
}

func (g *generator) library() {
	switch g.IntN(12) {
	case 0:
		g.line("local z = {5, 2, 8, 1} table.sort(z%s) show(unpack(z))", g.one("", ", function(x, y) return x > y end", ", function(x, y) return x < y end"))
	case 1:
		g.line("local z = {'b', 'a', 'C', '10', '9'} table.sort(z) show(unpack(z))")
	case 2:
		g.line("show(string.find(%s, %s%s))", g.strExpr(1), g.pattern(), g.one("", ", 2", ", -2", ", 1, true", ", 10"))
	case 3:
		g.line("show(string.match(%s, %s%s))", g.strExpr(1), g.pattern(), g.one("", ", 2", ", -3"))
	case 4:
		g.line("show(string.gsub(%s, %s, %s%s))", g.strExpr(1), g.pattern(), g.replacement(), g.one("", ", 1", ", 2"))
	case 5:
		g.line("show(string.byte(%s, %s))", g.strExpr(1), g.one("1, -1", "2, 3", "-2", "0", "5, 1", "1, 3"))
	case 6:
		g.line("show(tonumber(%s), tonumber(%s), tostring(%s))", g.strExpr(1), g.one("nil", "true", "{}", "''", "'0x'", "'1e'", "'1 2'", "' 0x1F '", "'.'", "'5.'", "'0x1p4'", "'1e+3'", "'--1'", "'inf'", "'nan' and 1"), g.numExpr(1))
	case 7:
		g.line("show(table.concat({%s, %s, %s}, %s, %s))", g.numExpr(2), g.strExpr(2), g.number(), g.text(), g.one("1", "2", "3", "1, 2", "2, 1", "4, 3"))
	case 8:
		g.line("local z = {1, 2, 3} show(table.remove(z%s), #z, table.remove(z), table.remove({}))", g.one("", ", 1", ", 2", ", 3"))
	case 9:
		g.line("show(select('#', unpack({1, nil, 3}, 1, %d)), select(-1, 1, 2), (select(2, 'a', 'b')))", g.IntN(5))
	case 10:
		g.line("show(math.floor(%s), math.ceil(%s), math.abs(%s), math.max(1, %s), math.modf(%s))", g.number(), g.number(), g.number(), g.number(), g.number())
	default:
		g.line("show(%s, %s, %s)", g.format(1), g.format(1), g.format(1))
	}
}

func (g *generator) recursion() {
	f := g.name("f")
	switch g.IntN(4) {
	case 0:
		g.line("local function %s(d, x) if d == 0 then return x end return %s(d - 1, %s) end", f, f, g.one("x", "d", "x .. d", "not x", "{x}", "x, d"))
		g.line("show(%s(%d, %s))", f, []int{1, 10, 150, 5000}[g.IntN(4)], g.text())
	case 1:
		g.line("local function %s(d) if d <= 0 then return 0, 'end' end local x, y = %s(d - 1) return x + 1, y end", f, f)
		g.line("show(%s(%d))", f, []int{1, 20, 150}[g.IntN(3)])
	case 2:
		g.line("local %s %s = function(d, ...) if d == 0 then return select('#', ...), ... end return %s(d - 1, d, ...) end", f, f, f)
		g.line("show(%s(%d%s))", f, 1+g.IntN(6), g.one("", ", nil", ", 1, nil"))
	default:
		g.line("local function %s(d) if d == 0 then %s end return (%s(d - 1)) end", f, g.one("error('E:deep')", "return t.missing.x", "error('E:deep', 2)", "return 1"), f)
		g.line("try(%s, %d)", f, 1+g.IntN(20))
	}
}
