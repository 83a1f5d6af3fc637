package lua51_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// helpers is the source of the functions that each program can use:
//   - show prints values, without addresses and without the sign of NaN;
//   - E returns the part of an error that must be equal in both interpreters: its
//     line, and its text if the program raised it;
//   - try calls a function and prints the result or the error;
//   - tried prints the results of a pcall.
const helpers = `local function show(...) local o = {} for i = 1, select('#', ...) do local v = select(i, ...) local k = type(v) ` +
	`if k == 'number' then o[i] = v ~= v and 'nan' or tostring(v) elseif k == 'string' or k == 'nil' or k == 'boolean' then o[i] = tostring(v) else o[i] = k end end print(table.concat(o, ' ')) end ` +
	`local function E(e) if type(e) ~= 'string' then return type(e) == 'table' and 'table ' .. tostring(rawget(e, 'code')) or tostring(e) end ` +
	`if e:find('E:', 1, true) then return e end return 'line ' .. (e:match('^p:(%d+):') or '?') end ` +
	`local function tried(ok, ...) if ok then show('ok', ...) else show('failed', E((...))) end end ` +
	`local function try(f, ...) return tried(pcall(f, ...)) end ` +
	`return show, E, tried, try`

// opening is the beginning of each program. A program returns a function whose
// arguments are the helpers, so that the helpers are compiled only once.
const opening = "return function(show, E, tried, try, ...) "

// A generator writes one random program. The program always ends, because every loop
// has a counter and recursion has a maximum depth.
type generator struct {
	*rand.Rand
	out    strings.Builder
	vars   []variable // variables in scope
	unique int        // number of names made
	depth  int        // nesting of blocks
	budget int        // statements left
	vararg bool       // whether the function has "..."
	loops  int        // nesting of loops in the function
}

// A kind is the type of values that a variable or expression has.
type kind int

const (
	anything kind = iota
	num
	str
	list   // a table that is a list without holes
	table  // a table with the fields x, y, z
	fun    // a function that accepts any arguments
	object // a table with a metatable
)

// A variable is a local variable of the program.
type variable struct {
	name  string
	kind  kind
	fixed bool // whether the program must not assign to it
}

// generateProgram returns the source of program i of a seed.
func generateProgram(seed, i uint64) string {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, i)), budget: 2}
	if g.IntN(8) == 0 { // usually a few statements are enough to find a fault
		g.budget += 10 + g.IntN(32)
	} else {
		g.budget += g.IntN(8)
	}
	g.out.WriteString(opening)
	if g.IntN(40) == 0 {
		g.manyLocals()
	}
	// The first statements declare variables. An entry without a name declares a, b and
	// c; an entry without a text names the second variable of the entry before it.
	for _, d := range []struct {
		text, name string
		kind       kind
	}{
		{"local a, b, c = %s, %s, %s", "", anything},
		{"local n, m = %s, %s", "n", num},
		{"", "m", num},
		{"local s, u = %s, %s", "s", str},
		{"", "u", str},
		{"local t = {x = %s, y = %s, %s}", "t", table},
		{"local q = {%s, %s, %s}", "q", list},
	} {
		switch {
		case d.name == "":
			g.writeLine(fmt.Sprintf(d.text, g.constant(), g.constant(), g.constant()))
			g.vars = append(g.vars, variable{name: "a"}, variable{name: "b"}, variable{name: "c"})
		case d.text != "":
			n := strings.Count(d.text, "%s")
			args := make([]any, n)
			for i := range args {
				args[i] = g.literalOf(d.kind)
			}
			g.writeLine(fmt.Sprintf(d.text, args...))
			fallthrough
		default:
			g.vars = append(g.vars, variable{name: d.name, kind: d.kind})
		}
	}
	g.vararg = true
	for g.budget > 0 {
		g.statement()
	}
	g.writeLine("show(a, b, c, n, m, s, u, t.x, t.y, t.z, t[1], #q, unpack(q))")
	return g.out.String() + "end"
}

// manyLocals declares so many locals that registers become scarce.
func (g *generator) manyLocals() {
	n := []int{100, 170, 185, 186, 189, 190, 250}[g.IntN(7)]
	for i := 0; i < n; i += 10 {
		var names, values []string
		for j := i; j < min(i+10, n); j++ {
			names, values = append(names, fmt.Sprintf("l%d", j)), append(values, strconv.Itoa(j))
		}
		g.writeLine("local %s = %s", strings.Join(names, ", "), strings.Join(values, ", "))
	}
	g.vars = append(g.vars, variable{name: "l0", kind: num}, variable{name: fmt.Sprintf("l%d", n-1), kind: num})
}

// writeLine writes a statement.
func (g *generator) writeLine(format string, args ...any) {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	g.out.WriteString(format)
	if g.IntN(8) == 0 {
		g.out.WriteString(" ") // the next statement is on the same line
	} else {
		g.out.WriteString("\n")
	}
}

// space returns a space, or sometimes a newline.
func (g *generator) space() string {
	if g.IntN(30) == 0 {
		return "\n"
	}
	return " "
}

func (g *generator) newName(prefix string) string {
	g.unique++
	return fmt.Sprintf("%s%d", prefix, g.unique)
}

func (g *generator) choose(choices ...string) string { return choices[g.IntN(len(choices))] }

// pickVariable returns the name of a variable of a kind, or "" if no such variable
// exists. If assign is true, the program must be allowed to assign to the variable.
func (g *generator) pickVariable(k kind, assign bool) string {
	var names []string
	for i, v := range g.vars {
		shadowed := false
		for _, later := range g.vars[i+1:] {
			shadowed = shadowed || later.name == v.name
		}
		if v.kind == k && !shadowed && (!assign || !v.fixed) {
			names = append(names, v.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	if g.IntN(3) == 0 {
		return names[len(names)-1]
	}
	return names[g.IntN(len(names))]
}

func (g *generator) literalOf(k kind) string {
	switch k {
	case num:
		return g.number()
	case str:
		return g.text()
	case list:
		return g.choose(g.number(), g.text())
	}
	return g.constant()
}

func (g *generator) constant() string {
	switch g.IntN(4) {
	case 0:
		return g.number()
	case 1:
		return g.text()
	}
	return g.choose("nil", "true", "false", "{}")
}

func (g *generator) number() string {
	if g.IntN(6) == 0 {
		return g.choose("0", "-0", "0.5", "-1.5", "1e15", "1e100", "-1e15", "2^53", "1e-7", "123456789012", "0x10", "0xff", "1/0", "-1/0", "0/0", "1e308 * 10",
			"3.14159265358979", "100", "1e14", "123456.789e3", "5e-324", ".5", "3.", "0.1", "1/3", "2^31", "-2^63", "4294967296", "99999999999999", "1e16")
	}
	return strconv.Itoa(g.IntN(12) - 2)
}

func (g *generator) text() string {
	return g.choose(`"a"`, `"abc"`, `""`, `"10"`, `"0x1f"`, `" 7 "`, `"3.5"`, `"hello world"`, `"a.b.c"`, `"x=1, y=2"`, `"%d"`, `"A"`, `"aaa"`, `'q"q'`, `"l\nm"`, `"\0z"`, `"010"`,
		`[[long]]`, `[==[]]]==]`, `"1e2"`, `"\65\066"`, `"THE (quick) fox"`, `"  trim  "`, `"inf"`, `"-5"`, `"5 5"`)
}
