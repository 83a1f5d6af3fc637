package lua51_test

import (
	"fmt"
	"strconv"
)

// block writes a block of 1 to limit statements. Its variables end with it.
func (g *generator) block(limit int) {
	n := len(g.vars)
	g.depth++
	for range 1 + g.IntN(limit) {
		g.statement()
	}
	g.depth--
	g.vars = g.vars[:n]
}

// functionBody writes the body of a function with parameters.
func (g *generator) functionBody(vararg bool, write func(), params ...variable) {
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
		g.simpleStatement()
		return
	}
	switch g.IntN(27) {
	case 0, 1:
		g.ifStatement()
	case 2, 3:
		g.numericFor()
	case 4:
		g.genericFor()
	case 5:
		g.whileLoop()
	case 6:
		g.repeatLoop()
	case 7:
		g.writeLine("do")
		g.block(3)
		g.writeLine("end")
	case 8, 9:
		g.functionStatement()
	case 10, 11:
		g.tryStatement()
	case 12:
		g.closureStatements()
	case 13:
		g.coroutineStatements()
	case 14:
		g.objectStatements()
	case 15:
		g.errorStatement()
	case 16:
		g.libraryStatement()
	case 17:
		g.recursionStatements()
	case 18:
		g.traversalStatements()
	default:
		g.simpleStatement()
	}
}

func (g *generator) assignTarget(k kind) string {
	if v := g.pickVariable(k, true); v != "" {
		return v
	}
	return "t.z"
}

func (g *generator) simpleStatement() {
	k := []kind{anything, anything, anything, num, num, str}[g.IntN(6)]
	switch g.IntN(17) {
	case 0, 1, 2:
		e := g.expr(k, 0)
		if k == str { // otherwise, strings would grow without limit in loops
			e = "string.sub(" + e + ", 1, 40)"
		}
		g.writeLine("%s = %s", g.assignTarget(k), e)
	case 3, 4:
		g.writeLine("%s, %s =%s%s, %s", g.assignTarget(anything), g.choose("t.x", "t.y", "t[1]", "b", "c"), g.space(), g.anyExpr(1), g.anyExpr(1))
	case 5:
		g.writeLine("a, %s, c = %s", g.choose("b", "t.x", "t.z"), g.choose(g.callExpr(1), g.anyExpr(1)+", "+g.callExpr(1), g.anyExpr(1)+", "+g.anyExpr(1)+", 1", g.anyExpr(0)))
	case 6:
		g.writeLine("n, m = m, n")
	case 7:
		v, k2 := g.newName("v"), []kind{anything, num, str, list, table}[g.IntN(5)]
		g.writeLine("local %s =%s%s", v, g.space(), g.expr(k2, 0))
		g.declare(v, k2)
	case 8:
		x, y := g.newName("v"), g.newName("v")
		g.writeLine("local %s, %s%s", x, y, g.choose("", " = "+g.anyExpr(1), " = "+g.callExpr(1), " = "+g.anyExpr(1)+", "+g.anyExpr(1), " = "+g.anyExpr(2)+", "+g.anyExpr(2)+", "+g.callExpr(1)))
		g.declare(x, anything)
		g.declare(y, anything)
	case 9:
		g.writeLine("t[%s] = %s", g.choose(`"x"`, "n == n and n or 1", "1", `s .. "k"`, "true", "2.5"), g.anyExpr(1))
	case 10:
		g.writeLine("show(%s, %s)", g.anyExpr(0), g.anyExpr(0))
	case 11:
		g.writeLine("show(%s)", g.choose(g.numExpr(0), g.strExpr(0), g.boolExpr(0), g.callExpr(0)))
	case 12:
		g.writeLine("if %s then show(%s) end", g.cond(0), g.number())
	case 13:
		l := g.assignTarget(list)
		if l == "t.z" {
			l = "q"
		}
		switch g.IntN(4) {
		case 0:
			g.writeLine("table.insert(%s, %s)", l, g.choose(g.number(), g.text()))
		case 1:
			g.writeLine("table.insert(%s, 1, %s)", l, g.number())
		case 2:
			g.writeLine("if #%s > 2 then show(table.remove(%s%s)) end", l, l, g.choose("", ", 1", ", 2"))
		default:
			g.writeLine("%s[#%s + 1] = %s", l, l, g.numExpr(1))
		}
	case 14:
		if g.loops > 0 {
			g.writeLine("if %s then break end", g.cond(1))
		}
	case 15:
		g.writeLine("show(%s, {%s, %s, %s, [2] = %s, k = %s})", g.numExpr(1), g.anyExpr(1), g.anyExpr(1), g.callExpr(1), g.anyExpr(1), g.anyExpr(2))
	default:
		k := kind(g.IntN(2))
		g.writeLine("%s = %s", g.assignTarget(k), g.expr(k, 1))
	}
}

func (g *generator) ifStatement() {
	g.writeLine("if %s then", g.cond(0))
	g.block(3)
	for range g.IntN(3) {
		g.writeLine("elseif %s then", g.cond(0))
		g.block(2)
	}
	if g.IntN(2) == 0 {
		g.writeLine("else")
		g.block(2)
	}
	g.writeLine("end")
}

// loopBody writes the body of a loop with the variables vars.
func (g *generator) loopBody(limit int, vars ...variable) {
	n := len(g.vars)
	g.vars = append(g.vars, vars...)
	g.loops++
	g.block(limit)
	g.loops--
	g.vars = g.vars[:n]
}

func (g *generator) numericFor() {
	i := g.newName("i")
	g.writeLine("for %s = %s do", i, g.choose("1, 3", "3, 1, -1", "1, 2, 0.5", "0, -1", "1, #q", "#q, 1, -1", `"1", "2"`, "0.1, 0.5, 0.1", "-1, 1", "1, 3, 2", "n, n + 2", "1, math.min(3, m)", "5, 1", "10, 1, -4", "1, 1", "1, 0/0", "2^53, 2^53 + 2, 2"))
	if g.IntN(3) == 0 {
		g.writeLine("show(%s, %s %% 3, -%s %% 4)", i, i, i)
	}
	g.loopBody(3, variable{i, num, false})
	g.writeLine("end")
}

func (g *generator) genericFor() {
	k, v := g.newName("k"), g.newName("w")
	counter := g.newName("z")
	g.writeLine("local %s = 0", counter)
	switch g.IntN(6) {
	case 0:
		g.writeLine("for %s, %s in ipairs({%s, %s, %s}) do", k, v, g.anyExpr(2), g.anyExpr(2), g.constant())
	case 1:
		g.writeLine("for %s, %s in pairs({%s}) do", k, v, g.choose("7", "x = 1", "", `"one"`, "nil, 2"))
	case 2:
		g.writeLine("for %s, %s in (%s):gmatch(%s) do", k, v, g.strExpr(1), g.pattern())
	case 3:
		g.writeLine("for %s, %s in function(st, c) if c < st then return c + 1, c * 2 end end, 3, 0 do", k, v)
	case 4:
		g.writeLine("for %s, %s in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i, %s) end end) do", k, v, g.constant())
	default:
		g.writeLine("for %s, %s in next, {%s} do", k, v, g.choose("7", "x = 1", "", "1, 2"))
	}
	g.writeLine("%s = %s + 1 if %s > 6 then break end", counter, counter, counter)
	g.loopBody(3, variable{k, anything, true}, variable{v, anything, false})
	g.writeLine("end")
}

// traversalStatements iterates over a table with keys of many types and changes the table. Its
// output does not depend on the order of the keys.
func (g *generator) traversalStatements() {
	t, k, v, n := g.newName("t"), g.newName("k"), g.newName("v"), g.newName("n")
	g.writeLine("local %s, %s = {%s, %s}, {}", t, n, g.anyExpr(2), g.anyExpr(2))
	for i := range 1 + g.IntN(6) {
		key := g.choose(g.number(), g.numExpr(1), g.text(), "true", "2^63", "-2^63", "1e300", "-1/0", "2^53 + 2", "-1", "0.5", "2^31", strconv.Itoa(i+3))
		g.writeLine("if %s == %s then %s[%s] = %s end", key, key, t, key, g.choose("7", g.anyExpr(2), "nil"))
	}
	g.writeLine("for %s, %s in %s do", k, v, g.choose("pairs("+t+")", "next, "+t, "next, "+t+", nil"))
	g.writeLine("%s[#%s + 1] = tostring(type(%s) == 'number' and %s + 0 or %s) .. type(%s)", n, n, k, k, k, v)
	switch g.IntN(4) {
	case 0:
		g.writeLine("%s[%s] = nil", t, k)
	case 1:
		g.writeLine("%s[%s] = 1", t, k)
	case 2:
		g.writeLine("if #%s %% 2 == 0 then %s[%s] = nil end", n, t, k)
	}
	g.writeLine("end")
	g.writeLine("table.sort(%s) show(#%s, table.concat(%s, ' '), next(%s) == nil)", n, n, n, t)
}

func (g *generator) whileLoop() {
	c := g.newName("z")
	g.writeLine("do local %s = 0", c)
	g.writeLine("while %s do", g.choose("true", c+" < 3", c+" < 2 and "+g.cond(1), g.cond(0), "not ("+g.cond(1)+")", "1", "nil", "not false"))
	g.writeLine("%s = %s + 1 if %s > %d then break end", c, c, c, g.IntN(4))
	g.loopBody(3)
	g.writeLine("end end")
}

func (g *generator) repeatLoop() {
	c, v := g.newName("z"), g.newName("v")
	g.writeLine("do local %s = 0 repeat %s = %s + 1", c, c, c)
	n := len(g.vars)
	g.writeLine("local %s = %s", v, g.anyExpr(1))
	g.declare(v, anything)
	if g.IntN(2) == 0 {
		g.writeLine("t.z = function() %s = %s return %s end", v, g.anyExpr(2), v)
	}
	g.loopBody(2)
	g.writeLine("until %s > 3 or %s", c, g.choose(g.cond(1), v+" == "+g.constant(), v))
	g.vars = g.vars[:n]
	g.writeLine("end")
}

func (g *generator) functionStatement() {
	f, p, r := g.newName("f"), g.newName("p"), g.newName("p")
	vararg := g.IntN(2) == 0
	params := p + ", " + r
	if vararg {
		params += ", ..."
	}
	switch g.IntN(3) {
	case 0:
		g.writeLine("local function %s(%s)", f, params)
	default:
		g.writeLine("local %s%s= function(%s)", f, g.space(), params)
	}
	g.functionBody(vararg, func() {
		if g.IntN(3) == 0 {
			g.writeLine("%s = %s", g.choose(p, r), g.anyExpr(0))
		}
		g.block(3)
		if g.IntN(4) == 0 {
			g.writeLine("if %s then return %s end", g.cond(1), g.anyExpr(1))
		}
		switch g.IntN(5) {
		case 0:
			g.writeLine("return %s, %s", g.anyExpr(1), g.callExpr(1))
		case 1:
			g.writeLine("return %s", g.anyExpr(0))
		case 2:
			g.writeLine("return (%s)", g.callExpr(1))
		case 3:
			if vararg {
				g.writeLine("return %s, ...", g.anyExpr(1))
			} else {
				g.writeLine("return %s, %s, %s", p, r, g.anyExpr(2))
			}
		}
	}, variable{name: p}, variable{name: r})
	g.writeLine("end")
	g.declare(f, fun)
	g.writeLine("show(%s(%s))", f, g.argList(1))
	if g.IntN(2) == 0 {
		g.writeLine("a, b = %s(%s, %s(%s))", f, g.anyExpr(1), f, g.argList(1))
	}
}

// tryStatement runs statements that may fail.
func (g *generator) tryStatement() {
	vararg := g.IntN(2) == 0
	g.writeLine("try(function(%s)", map[bool]string{true: "..."}[vararg])
	g.functionBody(vararg, func() {
		g.block(3)
		g.writeLine("%s", g.failingStatement())
		g.block(2)
		g.writeLine("return %s", g.anyExpr(1))
	})
	g.writeLine("end, %s, %s)", g.anyExpr(2), g.anyExpr(2))
}

// failingStatement returns a statement that often fails.
func (g *generator) failingStatement() string {
	x := g.atom()
	return g.choose(
		fmt.Sprintf("a = %s%s+ (%s)", g.space(), x, g.atom()), fmt.Sprintf("a = %s ..%s%s", x, g.space(), g.atom()),
		fmt.Sprintf("b = %s <%s%s", x, g.space(), g.atom()), fmt.Sprintf("c = t.missing%s.x", g.space()), "t.missing.x = 1", "t.missing()", "t:missing(1)",
		fmt.Sprintf("error('E:%d', %d)", g.IntN(9), g.IntN(4)), "error('E:x')", fmt.Sprintf("error({code = %s})", g.number()), "error()", "error(nil)",
		fmt.Sprintf("assert(%s, 'E:assert')", g.anyExpr(2)), "assert(false)", fmt.Sprintf("a = #(%s)", x), fmt.Sprintf("a = -(%s)", x), "do local z = nil z() end", fmt.Sprintf("for i = 1, %s do if i > 3 then break end show(i) end", x),
		"string.rep()", "local z = ('x'):bad()", "t[nil] = 1", "a = t[nil]", "t[0/0] = 1", "setmetatable(1, {})", "for k in 5 do end", "error(setmetatable({code = 1}, {__tostring = function() return 'obj' end}))",
		"ipairs()", "a = ('x') < 1", "a = {} < {}", "a = nil > 1", "table.concat({{}})", "table.insert(q, 1, 2, 3)", "string.format('%d', 'x')", "string.char(256)", "select(0)", "tonumber('1', 99)",
		"do local z = (function() error('E:inner', 2) end)() end", "do return error('E:tail') end", "math.floor({})", "do return (function() local x = nil return x.y end)() end", "error('E:two', 2)",
		"a = math.huge < 'x'", "local x = a.b.c.d", "local z = setmetatable({}, {__index = function(_, k) error('E:idx' .. k) end}).foo()", "xpcall()", "coroutine.yield(1)", "coroutine.resume(1)", "error(42)", "error('E:z', 0)",
		"rawset(t, nil, 1)", "getmetatable()", "unpack()", "unpack({}, 1, 1e8)", "string.gsub('x', '(', '')", "string.find('a', '[a')", "table.sort({3, 'x', 1})", "string.gsub('abc', 'b', {b = {}})",
	)
}
