package lua51_test

import (
	"fmt"
)

// block writes a block; its variables end with it.
func (g *generator) block(most int) {
	n := len(g.vars)
	g.depth++
	for range 1 + g.IntN(most) {
		g.statement()
	}
	g.depth--
	g.vars = g.vars[:n]
}

// body writes the body of a function with parameters.
func (g *generator) body(vararg bool, write func(), params ...variable) {
	n, before, loops := len(g.vars), g.vararg, g.loops
	g.vararg, g.loops = vararg, 0
	g.vars = append(g.vars, params...)
	write()
	g.vars, g.vararg, g.loops = g.vars[:n], before, loops
}

func (g *generator) declare(name string, k kind) {
	g.vars = append(g.vars, variable{name: name, kind: k})
}

func (g *generator) statement() {
	g.budget--
	if g.depth > 3 || g.budget < 0 {
		g.simple()
		return
	}
	switch g.IntN(26) {
	case 0, 1:
		g.ifs()
	case 2, 3:
		g.numericFor()
	case 4:
		g.genericFor()
	case 5:
		g.while()
	case 6:
		g.repeats()
	case 7:
		g.line("do")
		g.block(3)
		g.line("end")
	case 8, 9:
		g.function()
	case 10, 11:
		g.try()
	case 12:
		g.closures()
	case 13:
		g.coroutine()
	case 14:
		g.object()
	case 15:
		g.errors()
	case 16:
		g.library()
	case 17:
		g.recursion()
	default:
		g.simple()
	}
}

func (g *generator) target(k kind) string {
	if v := g.pick(k, true); v != "" {
		return v
	}
	return "t.z"
}

func (g *generator) simple() {
	k := []kind{anything, anything, anything, num, num, str}[g.IntN(6)]
	switch g.IntN(17) {
	case 0, 1, 2:
		e := g.expr(k, 0)
		if k == str { // strings in loops would grow for ever
			e = "string.sub(" + e + ", 1, 40)"
		}
		g.line("%s = %s", g.target(k), e)
	case 3, 4:
		g.line("%s, %s =%s%s, %s", g.target(anything), g.one("t.x", "t.y", "t[1]", "b", "c"), g.sp(), g.any(1), g.any(1))
	case 5:
		g.line("a, %s, c = %s", g.one("b", "t.x", "t.z"), g.one(g.call(1), g.any(1)+", "+g.call(1), g.any(1)+", "+g.any(1)+", 1", g.any(0)))
	case 6:
		g.line("n, m = m, n")
	case 7:
		v, k2 := g.name("v"), []kind{anything, num, str, list, table}[g.IntN(5)]
		g.line("local %s =%s%s", v, g.sp(), g.expr(k2, 0))
		g.declare(v, k2)
	case 8:
		x, y := g.name("v"), g.name("v")
		g.line("local %s, %s%s", x, y, g.one("", " = "+g.any(1), " = "+g.call(1), " = "+g.any(1)+", "+g.any(1), " = "+g.any(2)+", "+g.any(2)+", "+g.call(1)))
		g.declare(x, anything)
		g.declare(y, anything)
	case 9:
		g.line("t[%s] = %s", g.one(`"x"`, "n == n and n or 1", "1", `s .. "k"`, "true", "2.5"), g.any(1))
	case 10:
		g.line("show(%s, %s)", g.any(0), g.any(0))
	case 11:
		g.line("show(%s)", g.one(g.numExpr(0), g.strExpr(0), g.boolean(0), g.call(0)))
	case 12:
		g.line("if %s then show(%s) end", g.cond(0), g.number())
	case 13:
		l := g.target(list)
		if l == "t.z" {
			l = "q"
		}
		switch g.IntN(4) {
		case 0:
			g.line("table.insert(%s, %s)", l, g.one(g.number(), g.text()))
		case 1:
			g.line("table.insert(%s, 1, %s)", l, g.number())
		case 2:
			g.line("if #%s > 2 then show(table.remove(%s%s)) end", l, l, g.one("", ", 1", ", 2"))
		default:
			g.line("%s[#%s + 1] = %s", l, l, g.numExpr(1))
		}
	case 14:
		if g.loops > 0 {
			g.line("if %s then break end", g.cond(1))
		}
	case 15:
		g.line("show(%s, {%s, %s, %s, [2] = %s, k = %s})", g.numExpr(1), g.any(1), g.any(1), g.call(1), g.any(1), g.any(2))
	default:
		k := kind(g.IntN(2))
		g.line("%s = %s", g.target(k), g.expr(k, 1))
	}
}

func (g *generator) ifs() {
	g.line("if %s then", g.cond(0))
	g.block(3)
	for range g.IntN(3) {
		g.line("elseif %s then", g.cond(0))
		g.block(2)
	}
	if g.IntN(2) == 0 {
		g.line("else")
		g.block(2)
	}
	g.line("end")
}

func (g *generator) loop(most int, vars ...variable) {
	n := len(g.vars)
	g.vars = append(g.vars, vars...)
	g.loops++
	g.block(most)
	g.loops--
	g.vars = g.vars[:n]
}

func (g *generator) numericFor() {
	i := g.name("i")
	g.line("for %s = %s do", i, g.one("1, 3", "3, 1, -1", "1, 2, 0.5", "0, -1", "1, #q", "#q, 1, -1", `"1", "2"`, "0.1, 0.5, 0.1", "-1, 1", "1, 3, 2", "n, n + 2", "1, math.min(3, m)", "5, 1", "10, 1, -4", "1, 1", "1, 0/0", "2^53, 2^53 + 2, 2"))
	if g.IntN(3) == 0 {
		g.line("show(%s, %s %% 3, -%s %% 4)", i, i, i)
	}
	g.loop(3, variable{i, num, false})
	g.line("end")
}

func (g *generator) genericFor() {
	k, v := g.name("k"), g.name("w")
	counter := g.name("z")
	g.line("local %s = 0", counter)
	switch g.IntN(6) {
	case 0:
		g.line("for %s, %s in ipairs({%s, %s, %s}) do", k, v, g.any(2), g.any(2), g.constant())
	case 1:
		g.line("for %s, %s in pairs({%s}) do", k, v, g.one("7", "x = 1", "", `"one"`, "nil, 2"))
	case 2:
		g.line("for %s, %s in (%s):gmatch(%s) do", k, v, g.strExpr(1), g.pattern())
	case 3:
		g.line("for %s, %s in function(st, c) if c < st then return c + 1, c * 2 end end, 3, 0 do", k, v)
	case 4:
		g.line("for %s, %s in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i, %s) end end) do", k, v, g.constant())
	default:
		g.line("for %s, %s in next, {%s} do", k, v, g.one("7", "x = 1", "", "1, 2"))
	}
	g.line("%s = %s + 1 if %s > 6 then break end", counter, counter, counter)
	g.loop(3, variable{k, anything, true}, variable{v, anything, false})
	g.line("end")
}

func (g *generator) while() {
	c := g.name("z")
	g.line("do local %s = 0", c)
	g.line("while %s do", g.one("true", c+" < 3", c+" < 2 and "+g.cond(1), g.cond(0), "not ("+g.cond(1)+")", "1", "nil", "not false"))
	g.line("%s = %s + 1 if %s > %d then break end", c, c, c, g.IntN(4))
	g.loop(3)
	g.line("end end")
}

func (g *generator) repeats() {
	c, v := g.name("z"), g.name("v")
	g.line("do local %s = 0 repeat %s = %s + 1", c, c, c)
	n := len(g.vars)
	g.line("local %s = %s", v, g.any(1))
	g.declare(v, anything)
	if g.IntN(2) == 0 {
		g.line("t.z = function() %s = %s return %s end", v, g.any(2), v)
	}
	g.loop(2)
	g.line("until %s > 3 or %s", c, g.one(g.cond(1), v+" == "+g.constant(), v))
	g.vars = g.vars[:n]
	g.line("end")
}

func (g *generator) function() {
	f, p, r := g.name("f"), g.name("p"), g.name("p")
	vararg := g.IntN(2) == 0
	params := p + ", " + r
	if vararg {
		params += ", ..."
	}
	switch g.IntN(3) {
	case 0:
		g.line("local function %s(%s)", f, params)
	default:
		g.line("local %s%s= function(%s)", f, g.sp(), params)
	}
	g.body(vararg, func() {
		if g.IntN(3) == 0 {
			g.line("%s = %s", g.one(p, r), g.any(0))
		}
		g.block(3)
		if g.IntN(4) == 0 {
			g.line("if %s then return %s end", g.cond(1), g.any(1))
		}
		switch g.IntN(5) {
		case 0:
			g.line("return %s, %s", g.any(1), g.call(1))
		case 1:
			g.line("return %s", g.any(0))
		case 2:
			g.line("return (%s)", g.call(1))
		case 3:
			if vararg {
				g.line("return %s, ...", g.any(1))
			} else {
				g.line("return %s, %s, %s", p, r, g.any(2))
			}
		}
	}, variable{name: p}, variable{name: r})
	g.line("end")
	g.declare(f, fun)
	g.line("show(%s(%s))", f, g.args(1))
	if g.IntN(2) == 0 {
		g.line("a, b = %s(%s, %s(%s))", f, g.any(1), f, g.args(1))
	}
}

// try runs statements that may fail.
func (g *generator) try() {
	vararg := g.IntN(2) == 0
	g.line("try(function(%s)", map[bool]string{true: "..."}[vararg])
	g.body(vararg, func() {
		g.block(3)
		g.line("%s", g.failing())
		g.block(2)
		g.line("return %s", g.any(1))
	})
	g.line("end, %s, %s)", g.any(2), g.any(2))
}

// failing is a statement that often fails.
func (g *generator) failing() string {
	x := g.atom()
	return g.one(
		fmt.Sprintf("a = %s%s+ (%s)", g.sp(), x, g.atom()), fmt.Sprintf("a = %s ..%s%s", x, g.sp(), g.atom()),
		fmt.Sprintf("b = %s <%s%s", x, g.sp(), g.atom()), fmt.Sprintf("c = t.missing%s.x", g.sp()), "t.missing.x = 1", "t.missing()", "t:missing(1)",
		fmt.Sprintf("error('E:%d', %d)", g.IntN(9), g.IntN(4)), "error('E:x')", fmt.Sprintf("error({code = %s})", g.number()), "error()", "error(nil)",
		fmt.Sprintf("assert(%s, 'E:assert')", g.any(2)), "assert(false)", fmt.Sprintf("a = #(%s)", x), fmt.Sprintf("a = -(%s)", x), "do local z = nil z() end", fmt.Sprintf("for i = 1, %s do if i > 3 then break end show(i) end", x),
		"string.rep()", "local z = ('x'):bad()", "t[nil] = 1", "a = t[nil]", "t[0/0] = 1", "setmetatable(1, {})", "for k in 5 do end", "error(setmetatable({code = 1}, {__tostring = function() return 'obj' end}))",
		"ipairs()", "a = ('x') < 1", "a = {} < {}", "a = nil > 1", "table.concat({{}})", "table.insert(q, 1, 2, 3)", "string.format('%d', 'x')", "string.char(256)", "select(0)", "tonumber('1', 99)",
		"do local z = (function() error('E:inner', 2) end)() end", "do return error('E:tail') end", "math.floor({})", "do return (function() local x = nil return x.y end)() end", "error('E:two', 2)",
		"a = math.huge < 'x'", "local x = a.b.c.d", "local z = setmetatable({}, {__index = function(_, k) error('E:idx' .. k) end}).foo()", "xpcall()", "coroutine.yield(1)", "coroutine.resume(1)", "error(42)", "error('E:z', 0)",
		"rawset(t, nil, 1)", "getmetatable()", "unpack()", "unpack({}, 1, 1e8)", "string.gsub('x', '(', '')", "string.find('a', '[a')", "table.sort({3, 'x', 1})", "string.gsub('abc', 'b', {b = {}})",
	)
}
