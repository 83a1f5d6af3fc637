package lua51_test

import (
	"fmt"
	"strings"
)

// expr returns an expression of a kind. d is its depth.
func (g *generator) expr(k kind, d int) string {
	if g.IntN(14) == 0 {
		return "(" + g.space() + g.expr(k, d) + ")"
	}
	switch k {
	case num:
		return g.numExpr(d)
	case str:
		return g.strExpr(d)
	case list:
		return g.listExpr(d)
	case table:
		if v := g.pickVariable(table, false); v != "" && g.IntN(3) > 0 {
			return v
		}
		return fmt.Sprintf("{x = %s, y = %s, z = %s}", g.anyExpr(d+1), g.anyExpr(d+1), g.anyExpr(d+2))
	case fun:
		return g.funExpr(d)
	case object:
		if v := g.pickVariable(object, false); v != "" {
			return v
		}
	}
	return g.anyExpr(d)
}

// anyExpr returns an expression of any kind.
func (g *generator) anyExpr(d int) string {
	if d > 3 {
		return g.atom()
	}
	switch g.IntN(13) {
	case 0, 1, 2:
		return g.anyExpr(d+1) + g.space() + g.choose("and", "or") + " " + g.anyExpr(d+1)
	case 3:
		return "not " + g.atom()
	case 4:
		return g.boolExpr(d)
	case 5:
		return g.numExpr(d + 1)
	case 6:
		return g.strExpr(d + 1)
	case 7:
		return g.callExpr(d + 1)
	case 8:
		return fmt.Sprintf("(%s)", g.anyExpr(d+1))
	case 9:
		if g.vararg {
			return g.choose("...", "(...)", "select('#', ...)", "(select(2, ...))", "(select(-1, 1, ...))")
		}
	case 10:
		if f := g.pickVariable(fun, false); f != "" {
			return fmt.Sprintf("%s(%s)", f, g.argList(d+1))
		}
	}
	return g.atom()
}

// atom returns an expression without operators.
func (g *generator) atom() string {
	switch g.IntN(6) {
	case 0:
		return g.constant()
	case 1:
		if t := g.pickVariable(table, false); t != "" {
			return t + g.choose(".x", ".y", ".z", "[1]", `["x"]`, "[n]", ".missing")
		}
	}
	if v := g.pickVariable(kind(g.IntN(3)), false); v != "" {
		return v
	}
	return g.constant()
}

func (g *generator) argList(d int) string {
	args := make([]string, g.IntN(4))
	for i := range args {
		args[i] = g.anyExpr(d)
	}
	return strings.Join(args, ","+g.space())
}

func (g *generator) boolExpr(d int) string {
	switch g.IntN(7) {
	case 0, 1:
		return g.numExpr(d+1) + g.space() + g.choose("<", "<=", ">", ">=", "==", "~=") + " " + g.numExpr(d+1)
	case 2:
		return g.strExpr(d+1) + " " + g.choose("<", "<=", ">", ">=", "==", "~=") + g.space() + g.strExpr(d+1)
	case 3:
		return g.atom() + " " + g.choose("==", "~=") + " " + g.atom()
	case 4:
		return "not (" + g.cond(d+1) + ")"
	case 5:
		return "(" + g.anyExpr(d+1) + ") == " + g.constant()
	}
	return g.choose("true", "false", "nil", g.atom())
}

// cond returns a condition.
func (g *generator) cond(d int) string {
	if d > 3 || g.IntN(3) == 0 {
		return g.boolExpr(d + 1)
	}
	switch g.IntN(6) {
	case 0:
		return "not (" + g.cond(d+1) + ")"
	case 1:
		return g.anyExpr(d + 1)
	}
	return fmt.Sprintf("(%s%s%s %s)", g.cond(d+1), g.space(), g.choose("and", "or"), g.cond(d+1))
}

func (g *generator) numExpr(d int) string {
	if v := g.pickVariable(num, false); v != "" && (d > 3 || g.IntN(3) == 0) {
		return v
	}
	if d > 3 {
		return g.number()
	}
	e := func() string { return g.numExpr(d + 1) }
	switch g.IntN(22) {
	case 0, 1, 2, 3, 4:
		return e() + g.space() + g.choose("+", "-", "*", "/", "%", "+", "-") + g.space() + e()
	case 5:
		return "(" + e() + ") " + g.choose("%", "+", "*") + " " + g.choose("3", "7", "-4", "0.1", "1", "2.5", e())
	case 6:
		return "-" + g.choose("(", "(0 + ") + e() + ")"
	case 7:
		return g.choose("2", "10", "-3", "0", "1.5", "(-2)", "4") + "^" + g.choose("2", "3", "0", "-1", "10", "0.5", "-2")
	case 8:
		return "#" + g.choose(`"abc"`, "s", "("+g.strExpr(d+1)+")", "q", "("+g.listExpr(d+1)+")")
	case 9:
		return fmt.Sprintf("(tonumber(%s) or %s)", g.strExpr(d+1), e())
	case 10:
		return fmt.Sprintf("(tonumber(%s, %d) or 1)", g.choose(`"ff"`, `"10"`, `"zz"`, `" 11 "`, `"-7"`, `"8"`, `"1010"`, `"1.5"`, `""`, `"7z"`), []int{2, 8, 10, 16, 36, 3}[g.IntN(6)])
	case 11:
		return g.choose("math.floor", "math.ceil", "math.abs", "math.sqrt", "tonumber") + "(" + e() + ")"
	case 12:
		return g.choose("math.max", "math.min") + "(" + e() + "," + g.space() + e() + ", 3)"
	case 13:
		return g.choose(`"10"`, `" 5 "`, `"0x10"`, `"1e1"`, `"010"`, `"-3"`) + " " + g.choose("+", "-", "*", "/", "%") + " " + e()
	case 14:
		return fmt.Sprintf("(%s):len()", g.strExpr(d+1))
	case 15:
		return fmt.Sprintf("((%s):find(%s) or 0)", g.strExpr(d+1), g.pattern())
	case 16:
		return fmt.Sprintf("((%s):byte(%s) or -1)", g.strExpr(d+1), g.choose("1", "-1", "2", "9", "0"))
	case 17:
		return fmt.Sprintf("math.fmod(%s, %s)", g.choose("7", "-7", "5.5", "n"), g.choose("3", "-3", "2.5"))
	case 18:
		return g.choose("select('#', nil, nil)", "select('#')", "(math.modf(3.7))", "math.ldexp(0.5, 3)", "(math.frexp(10))", "math.huge", "-math.huge", "math.pi", "table.maxn({1, nil, 3})", "table.getn({1, 2})", "math.pow(2, 5)", "math.log10(1000)", "math.exp(0)", "math.log(1)", "math.deg(0)")
	}
	return g.number()
}

func (g *generator) strExpr(d int) string {
	if v := g.pickVariable(str, false); v != "" && (d > 3 || g.IntN(3) == 0) {
		return v
	}
	if d > 3 {
		return g.text()
	}
	e := func() string { return g.strExpr(d + 1) }
	switch g.IntN(20) {
	case 0, 1, 2:
		return e() + g.space() + ".." + g.space() + g.choose(e(), g.numExpr(d+2), e()+" .. "+e())
	case 3:
		return "tostring(" + g.choose(g.numExpr(d+1), "not "+g.atom(), "nil") + ")"
	case 4, 5:
		return g.format(d)
	case 6:
		return fmt.Sprintf("(%s):%s()", e(), g.choose("upper", "lower", "reverse"))
	case 7:
		return fmt.Sprintf("string.sub(%s, %d%s)", e(), g.IntN(9)-4, g.choose("", ", -1", ", 2", ", 0", ", -3", ", 100"))
	case 8:
		return fmt.Sprintf("string.rep(%s, %s)", g.text(), g.choose("0", "2", "-1", "3", "1.9"))
	case 9, 10:
		return fmt.Sprintf("(string.gsub(%s, %s, %s%s))", e(), g.pattern(), g.replacement(), g.choose("", "", ", 1", ", 0", ", 2"))
	case 11:
		return fmt.Sprintf("(string.match(%s, %s) or %s)", e(), g.pattern(), g.text()) + g.choose("", `.. ""`)
	case 12:
		return fmt.Sprintf("table.concat(%s, %s)", g.listExpr(d+1), g.text())
	case 13:
		return "type(" + g.anyExpr(d+1) + " or nil)"
	case 14:
		return fmt.Sprintf("string.char(%d, %d)", 65+g.IntN(26), 48+g.IntN(10))
	case 15:
		return "(" + g.numExpr(d+1) + ") .. " + g.text()
	}
	return g.text()
}

func (g *generator) pattern() string {
	return g.choose(`"a"`, `"%a+"`, `"(%w+)"`, `"%s*$"`, `"^%s*(.-)%s*$"`, `"[^,]+"`, `"(%w+)=(%w+)"`, `"%b()"`, `"%f[%a]%a"`, `"()a()"`, `"."`, `"a-b"`, `"a*"`, `"(a)(b)"`, `"[%]a]"`, `"%."`,
		`"[a-c]+"`, `"^a"`, `"l?o"`, `"(.)%1"`, `"%d+"`, `""`, `"[%w_]"`, `"x*"`, `"%u"`, `"[^%s]"`, `"$"`, `"^"`, `"%z"`, `"(%a)(%a)"`)
}

func (g *generator) replacement() string {
	return g.choose(`"<%0>"`, `"%1"`, `""`, `"x"`, `"%%"`, `{a = "1", hello = 2, x = false}`, `function(p, q) return q end`, `function(p) return p .. "!" end`,
		`function() end`, `string.upper`, `"%1%1"`, `function(p) return false end`, "7")
}

func (g *generator) format(d int) string {
	switch g.IntN(6) {
	case 0:
		return fmt.Sprintf("string.format(%s, %s)", g.choose(`"%5d|"`, `"%-5d|"`, `"%05d"`, `"%+d"`, `"%x"`, `"%X"`, `"%o"`, `"%#x"`, `"%.3d"`, `"% d"`, `"%i"`, `"%c"`, `"%u"`, `"%5.2d|"`), g.choose("65", "7", "255", "100", "48"))
	case 1:
		return fmt.Sprintf("string.format(%s, %s)", g.choose(`"%f"`, `"%.2f"`, `"%10.3f|"`, `"%-10.1f|"`, `"%e"`, `"%.3e"`, `"%g"`, `"%G"`, `"%.14g"`, `"%+.1f"`, `"%08.2f"`, `"%.0f"`, `"%#.3g"`, `"%.17g"`, `"%E"`, `"% g"`, `"%5g|"`),
			g.choose("n", "m", "3.14159", "-2.5", "1e20", "0", "1/3", "1/0", "-1/0", "123456789", "0.0001", "1e-5", "100000", "1e6", "2.5", "-0"))
	case 2:
		return fmt.Sprintf("string.format(%s, %s)", g.choose(`"%s"`, `"%10s|"`, `"%-10s|"`, `"%.2s|"`, `"%q"`, `"%5.1s|"`, `"%%%s"`), g.choose(g.strExpr(d+1), g.numExpr(d+2)))
	case 3:
		return fmt.Sprintf("string.format(%s, %s, %s)", `"%s-%d"`, g.strExpr(d+1), g.choose("1", "-2", "3", `"4"`, "5.0"))
	}
	return fmt.Sprintf("string.format(%s)", g.choose(`"plain"`, `"%%"`, `"%s", true == nil`, `"%5s|%-3s|", 1, 2`))
}

func (g *generator) listExpr(int) string {
	if v := g.pickVariable(list, false); v != "" && g.IntN(2) == 0 {
		return v
	}
	items := make([]string, 1+g.IntN(4))
	for i := range items {
		items[i] = g.choose(g.number(), g.text())
	}
	if g.vararg && g.IntN(9) == 0 {
		items = append(items, "select('#', ...)")
	}
	return "{" + strings.Join(items, ","+g.space()) + "}"
}

func (g *generator) funExpr(int) string {
	if v := g.pickVariable(fun, false); v != "" && g.IntN(2) == 0 {
		return v
	}
	return fmt.Sprintf("function(%s) return %s end", g.choose("", "..."), g.number())
}

// callExpr returns a call that has any number of values.
func (g *generator) callExpr(d int) string {
	switch g.IntN(9) {
	case 0:
		return "(function() return " + g.constant() + ", " + g.constant() + " end)()"
	case 1:
		return fmt.Sprintf("unpack({%s, %s, %s}%s)", g.constant(), g.constant(), g.number(), g.choose(", 2", ", 1, 2", ", 3", ", 2, 1", ", 1, 3"))
	case 2:
		return fmt.Sprintf("select(%s, %s, %s, %s)", g.choose("1", "2", "-1", "3", "-2"), g.constant(), g.constant(), g.constant())
	case 3:
		return "type(" + g.atom() + ")"
	case 4:
		return "next({})"
	case 5:
		return fmt.Sprintf("rawequal(%s, %s)", g.atom(), g.atom())
	case 6:
		if o := g.pickVariable(object, false); o != "" {
			return o + g.choose(".x", ".foo", ":get(1)", ":get()", ".n", `["bar"]`, "(1, 2)")
		}
	}
	return "(" + g.anyExpr(d+1) + ")"
}
