package lua51_test

import (
	"fmt"
	"strings"
)

func (g *generator) closureStatements() {
	fs, i, v := g.newName("fs"), g.newName("i"), g.newName("v")
	g.writeLine("local %s = {}", fs)
	switch g.IntN(4) {
	case 0:
		g.writeLine("for %s = 1, 3 do local %s = %s * 2", i, v, i)
	case 1:
		g.writeLine("for %s, %s in ipairs({5, 6, 7}) do", i, v)
	case 2:
		g.writeLine("local %s = 0 while %s < 3 do %s = %s + 1 local %s = %s", i, i, i, i, v, i)
	default:
		g.writeLine("for %s = 3, 1, -1 do local %s = {x = %s}", i, v, g.anyExpr(2))
		g.writeLine("%s = %s.x or 1", v, v)
	}
	n := len(g.vars)
	g.vars = append(g.vars, variable{i, num, true}, variable{v, anything, false})
	if g.IntN(3) == 0 {
		g.writeLine("if %s then break end", g.cond(2))
	}
	g.writeLine("%s[#%s + 1] = function(x) %s = x or %s return %s, %s end", fs, fs, v, v, i, v)
	if g.IntN(2) == 0 {
		g.writeLine("%s[#%s + 1] = function() return %s end", fs, fs, v)
	}
	if g.IntN(3) == 0 {
		g.writeLine("%s = %s", v, g.anyExpr(2))
	}
	g.vars = g.vars[:n]
	g.writeLine("end")
	g.writeLine("for i = 1, #%s do show(%s[i](%s)) end for i = 1, #%s do show(%s[i]()) end", fs, fs, g.choose("", "i", "nil", "9"), fs, fs)
}

func (g *generator) coroutineStatements() {
	co := g.newName("co")
	wrap := g.IntN(2) == 0
	g.writeLine("local %s = coroutine.%s(function(%s)", co, map[bool]string{true: "wrap", false: "create"}[wrap], "...")
	g.functionBody(true, func() {
		g.writeLine("local x, y = ...")
		g.declare("x", anything)
		g.declare("y", anything)
		for range 1 + g.IntN(3) {
			switch g.IntN(5) {
			case 0:
				g.writeLine("for i = 1, %d do x = coroutine.yield(i, x) end", 1+g.IntN(2))
			case 1:
				g.writeLine("x, y = coroutine.yield(%s)", g.argList(1))
			case 2:
				g.writeLine("show('in', coroutine.yield(...))")
			case 3:
				g.writeLine("show(select('#', coroutine.yield()))")
			default:
				g.block(2)
			}
		}
		g.writeLine("%s", g.choose("return x, y", "return", "return coroutine.yield(1)", "error('E:co')", "return ...", "error({code = 2})", "local z = t.missing.y"))
	})
	g.writeLine("end)")
	for range 2 + g.IntN(4) {
		if wrap {
			g.writeLine("try(%s, %s)", co, g.anyExpr(2))
		} else {
			g.writeLine("%s", g.choose(
				fmt.Sprintf("tried(coroutine.resume(%s, %s))", co, g.anyExpr(2)),
				fmt.Sprintf("show(coroutine.status(%s))", co)))
		}
	}
}

func (g *generator) objectStatements() {
	o, mt := g.newName("o"), g.newName("mt")
	g.writeLine("local %s = {n = %s}", mt, g.number())
	g.writeLine("%s.__index = %s", mt, g.choose(mt, fmt.Sprintf("function(self, k) return k .. %s end", g.text()), fmt.Sprintf("setmetatable({foo = %s}, {__index = {x = 'deep'}})", g.constant()), "{x = 1, foo = 2}"))
	for _, event := range []string{"add", "sub", "mul", "div", "mod", "pow", "unm", "concat", "eq", "lt", "le", "call", "len", "tostring", "newindex"} {
		if g.IntN(3) == 0 {
			continue
		}
		switch event {
		case "newindex":
			g.writeLine("%s.__newindex = %s", mt, g.choose("function(self, k, v) rawset(self, k, v) show('new', k) end", "{}", fmt.Sprintf("function(self, k, v) if %s then rawset(self, k, v) end end", g.cond(2))))
		case "tostring":
			g.writeLine("function %s:__tostring() return 'object ' .. tostring(rawget(self, 'n')) end", mt)
		case "eq", "lt", "le":
			g.writeLine("%s.__%s = function(p, r) show('%s') return %s end", mt, event, event, g.choose("rawget(p, 'n') == rawget(r, 'n')", "true", "nil", "1", g.cond(2)))
		case "call":
			g.writeLine("%s.__call = function(self, ...) return select('#', ...), ... end", mt)
		default:
			g.writeLine("%s.__%s = function(p, r) return %s end", mt, event, g.choose("1", "'"+event+"'", "type(p) .. type(r)", "rawequal(p, r)", "p, r", "7"))
		}
	}
	g.writeLine("function %s:get(x)%sreturn %s, x end", mt, g.space(), g.choose("self.n", "rawget(self, 'n')", "x"))
	g.writeLine("local %s = setmetatable({n = %s, get = %s.get}, %s)", o, g.number(), mt, mt)
	o2 := g.newName("o")
	g.writeLine("local %s = setmetatable({n = %s, get = %s.get}, %s)", o2, g.number(), mt, g.choose(mt, "{__metatable = 'locked'}", "{}"))
	g.declare(o, object)
	g.declare(o2, object)
	uses := []string{"x + 1", "1 - x", "x * x", "x / y", "x % 2", "2 % x", "x ^ 2", "-x", "x .. 'a'", "'a' .. x", "'a' .. 'b' .. x .. 'c' .. 1", "x == y", "x ~= y", "x < y", "x <= y", "x > y", "x >= y", "x(1, nil)", "#x", "tostring(x)", "x.foo", "x.x", "x:get(1)", "getmetatable(x)", "rawequal(x, y)", "x == x", "x == 1", "x < 1", "'1' + x", "x + '1'", "not x", "x and y", "rawget(x, 'foo')", "next(x) ~= nil", "type(x)"}
	for range 2 + g.IntN(5) {
		use := strings.NewReplacer("x)", o+")", "(x", "("+o, "x ", o+" ", " x", " "+o, "-x", "-"+o, "#x", "#"+o, "x.", o+".", "x:", o+":", "x(", o+"(", "y)", o2+")", " y", " "+o2).Replace(uses[g.IntN(len(uses))])
		g.writeLine("try(function() return%s%s end)", g.choose(" ", " ", "\n"), use)
	}
	if g.IntN(2) == 0 {
		g.writeLine("try(function() %s.%s = %s return %s end)", o, g.choose("foo", "n", "x"), g.anyExpr(2), o+g.choose(".foo", ".n", ".x"))
	}
}

func (g *generator) errorStatement() {
	switch g.IntN(5) {
	case 0:
		f := g.newName("f")
		g.writeLine("local function %s(l) error('E:lvl', l) end", f)
		g.writeLine("try(function()%s%s(%d) end)", g.space(), f, 1+g.IntN(3))
	case 1:
		g.writeLine("show(xpcall(function() %s end, function(e) return E(e) end))", g.failingStatement())
	case 2:
		g.writeLine("try(function() local ok, e = pcall(error, %s) show(ok, E(e)) error(e, 0) end)", g.choose("'E:a'", "{code = 5}", "nil", "'E:b', 2"))
	case 3:
		g.writeLine("try(function() for i = 1, 3 do local ok, e = pcall(function() if i == 2 then error('E:' .. i) end return i end) show(ok, E(e)) end end)")
	default:
		g.writeLine("try(function() %s end)", g.failingStatement())
	}
}

func (g *generator) libraryStatement() {
	switch g.IntN(12) {
	case 0:
		g.writeLine("local z = {5, 2, 8, 1} table.sort(z%s) show(unpack(z))", g.choose("", ", function(x, y) return x > y end", ", function(x, y) return x < y end"))
	case 1:
		g.writeLine("local z = {'b', 'a', 'C', '10', '9'} table.sort(z) show(unpack(z))")
	case 2:
		g.writeLine("show(string.find(%s, %s%s))", g.strExpr(1), g.pattern(), g.choose("", ", 2", ", -2", ", 1, true", ", 10"))
	case 3:
		g.writeLine("show(string.match(%s, %s%s))", g.strExpr(1), g.pattern(), g.choose("", ", 2", ", -3"))
	case 4:
		g.writeLine("show(string.gsub(%s, %s, %s%s))", g.strExpr(1), g.pattern(), g.replacement(), g.choose("", ", 1", ", 2"))
	case 5:
		g.writeLine("show(string.byte(%s, %s))", g.strExpr(1), g.choose("1, -1", "2, 3", "-2", "0", "5, 1", "1, 3"))
	case 6:
		g.writeLine("show(tonumber(%s), tonumber(%s), tostring(%s))", g.strExpr(1), g.choose("nil", "true", "{}", "''", "'0x'", "'1e'", "'1 2'", "' 0x1F '", "'.'", "'5.'", "'0x1p4'", "'1e+3'", "'--1'", "'inf'", "'nan' and 1"), g.numExpr(1))
	case 7:
		g.writeLine("show(table.concat({%s, %s, %s}, %s, %s))", g.numExpr(2), g.strExpr(2), g.number(), g.text(), g.choose("1", "2", "3", "1, 2", "2, 1", "4, 3"))
	case 8:
		g.writeLine("local z = {1, 2, 3} show(table.remove(z%s), #z, table.remove(z), table.remove({}))", g.choose("", ", 1", ", 2", ", 3"))
	case 9:
		g.writeLine("show(select('#', unpack({1, nil, 3}, 1, %d)), select(-1, 1, 2), (select(2, 'a', 'b')))", g.IntN(5))
	case 10:
		g.writeLine("show(math.floor(%s), math.ceil(%s), math.abs(%s), math.max(1, %s), math.modf(%s))", g.number(), g.number(), g.number(), g.number(), g.number())
	default:
		g.writeLine("show(%s, %s, %s)", g.format(1), g.format(1), g.format(1))
	}
}

func (g *generator) recursionStatements() {
	f := g.newName("f")
	switch g.IntN(4) {
	case 0:
		g.writeLine("local function %s(d, x) if d == 0 then return x end return %s(d - 1, %s) end", f, f, g.choose("x", "d", "x .. d", "not x", "{x}", "x, d"))
		g.writeLine("show(%s(%d, %s))", f, []int{1, 10, 150, 5000}[g.IntN(4)], g.text())
	case 1:
		g.writeLine("local function %s(d) if d <= 0 then return 0, 'end' end local x, y = %s(d - 1) return x + 1, y end", f, f)
		g.writeLine("show(%s(%d))", f, []int{1, 20, 150}[g.IntN(3)])
	case 2:
		g.writeLine("local %s %s = function(d, ...) if d == 0 then return select('#', ...), ... end return %s(d - 1, d, ...) end", f, f, f)
		g.writeLine("show(%s(%d%s))", f, 1+g.IntN(6), g.choose("", ", nil", ", 1, nil"))
	default:
		g.writeLine("local function %s(d) if d == 0 then %s end return (%s(d - 1)) end", f, g.choose("error('E:deep')", "return t.missing.x", "error('E:deep', 2)", "return 1"), f)
		g.writeLine("try(%s, %d)", f, 1+g.IntN(20))
	}
}
