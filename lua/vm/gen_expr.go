package vm

import (
	"math"

	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// several reports whether e can have more or fewer values than one.
func several(e syntax.Expr) bool {
	switch e.(type) {
	case *syntax.Call, *syntax.Method, *syntax.Vararg:
		return true
	}
	return false
}

// several evaluates e, for which several holds, into the next n registers;
// all its values when n is -1.
func (f *fn) several(e syntax.Expr, n int) {
	v, ok := e.(*syntax.Vararg)
	if !ok {
		f.call(e, n)
		return
	}
	if n == 0 {
		return
	}
	f.touch(f.top + max(n, 1))
	f.emit(v.Line, glua.OP_VARARG, f.top, n+1, 0)
}

// next evaluates e into the next register and returns it.
func (f *fn) next(e syntax.Expr) int {
	reg := f.reserve(1)
	f.into(e, reg)
	return reg
}

// any evaluates e into some register: a local stays where it is.
func (f *fn) any(e syntax.Expr) int {
	if v := f.localOf(e); v != nil {
		return v.reg
	}
	return f.next(e)
}

// anyIn is any, but uses reg if it is fresh: a long chain of operations then
// needs no register for each of them.
func (f *fn) anyIn(e syntax.Expr, reg int) int {
	if f.localOf(e) == nil && f.fresh(reg) {
		f.into(e, reg)
		return reg
	}
	return f.any(e)
}

func (f *fn) localOf(e syntax.Expr) *variable {
	switch e := e.(type) {
	case *syntax.Name:
		return f.local(e.Name)
	case *syntax.Paren:
		return f.localOf(e.X)
	}
	return nil
}

// literal returns the value of e when it is a constant.
func literal(e syntax.Expr) (glua.LValue, bool) {
	switch e := e.(type) {
	case *syntax.Nil:
		return glua.LNil, true
	case *syntax.Bool:
		return glua.LBool(e.Value), true
	case *syntax.String:
		return glua.LString(e.Value), true
	case *syntax.Paren:
		return literal(e.X)
	}
	if n, ok := fold(e); ok {
		return glua.LNumber(n), true
	}
	return nil, false
}

// operand evaluates e into a register, or returns it as a constant operand.
func (f *fn) operand(e syntax.Expr) int {
	if v, ok := literal(e); ok {
		if i := f.constant(v); i <= maxRK {
			return i | rkConstant
		}
	}
	return f.any(e)
}

// key is operand for a table's key. name says that it is a constant name, for
// which the interpreter has instructions of its own.
func (f *fn) key(e syntax.Expr) (operand int, name bool) {
	s, ok := e.(*syntax.String)
	if !ok {
		return f.operand(e), false
	}
	if len(s.Value) > longText { // only the others are charged for the length of the key
		return f.operand(e), false
	}
	if i := f.constant(glua.LString(s.Value)); i <= maxRK {
		return f.nameConstant(s.Value) | rkConstant, true
	}
	return f.any(e), false
}

// move copies an operand to a register.
func (f *fn) move(reg, operand, line int) {
	switch {
	case operand >= rkConstant:
		f.emitBx(line, glua.OP_LOADK, reg, operand-rkConstant)
	case operand != reg:
		f.emit(line, glua.OP_MOVE, reg, operand, 0)
	}
}

// into evaluates e into reg, which is reserved or a local. A local is not
// written before e has been read.
func (f *fn) into(e syntax.Expr, reg int) {
	top := f.top
	defer func() { f.top = top }()
	if n, ok := fold(e); ok {
		f.emitBx(f.line, glua.OP_LOADK, reg, f.constant(glua.LNumber(n)))
		return
	}
	switch e := e.(type) {
	case *syntax.Nil:
		f.emit(f.line, glua.OP_LOADNIL, reg, reg, 0)
	case *syntax.Bool:
		f.emit(f.line, glua.OP_LOADBOOL, reg, b2i(e.Value), 0)
	case *syntax.String:
		f.emitBx(f.line, glua.OP_LOADK, reg, f.constant(glua.LString(e.Value)))
	case *syntax.Vararg, *syntax.Call, *syntax.Method:
		f.one(e, reg)
	case *syntax.Name:
		f.variable(e, reg)
	case *syntax.Index:
		object := f.anyIn(e.Object, reg)
		key, name := f.key(e.Key)
		op := glua.OP_GETTABLE
		if name {
			op = glua.OP_GETTABLEKS
		}
		f.emit(e.Line, op, reg, object, key)
	case *syntax.Function:
		f.closure(e, reg)
	case *syntax.Binary:
		f.binary(e, reg)
	case *syntax.Concat:
		f.concat(e, reg)
	case *syntax.Unary:
		f.unary(e, reg)
	case *syntax.Paren:
		f.into(e.X, reg)
	case *syntax.Table:
		f.table(e, reg)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fresh reports whether reg is the highest register in use, and no local.
func (f *fn) fresh(reg int) bool { return reg == f.top-1 && reg >= f.active() }

// work calls generate with a fresh register, and moves what it leaves there
// to reg: what calls and builds tables would overwrite the registers above
// and, if reg is a local, what is still to be read.
func (f *fn) work(reg, line int, generate func(fresh int)) {
	if f.fresh(reg) {
		generate(reg)
		return
	}
	fresh := f.reserve(1)
	generate(fresh)
	f.emit(line, glua.OP_MOVE, reg, fresh, 0)
}

// one evaluates a call or `...` to one value.
func (f *fn) one(e syntax.Expr, reg int) {
	f.work(reg, f.line, func(fresh int) {
		f.top = fresh
		f.several(e, 1)
		f.top = fresh + 1
	})
}

func (f *fn) variable(e *syntax.Name, reg int) {
	if v := f.local(e.Name); v != nil {
		f.move(reg, v.reg, e.Line)
	} else if i := f.upvalue(e.Name); i >= 0 {
		f.emit(e.Line, glua.OP_GETUPVAL, reg, i, 0)
	} else {
		f.checkName(e.Name, e.Line)
		f.emitBx(e.Line, glua.OP_GETGLOBAL, reg, f.nameConstant(e.Name))
	}
}

func (f *fn) closure(e *syntax.Function, reg int) {
	child, p := f.g.function(f, e)
	if len(f.protos) > maxConstants {
		f.fail(e.Line, "a function has more than %d functions", maxConstants)
	}
	f.protos = append(f.protos, p)
	f.emitBx(e.End, glua.OP_CLOSURE, reg, len(f.protos)-1)
	for _, u := range child.upvalues {
		op := glua.OP_GETUPVAL
		if u.local {
			op = glua.OP_MOVE
		}
		f.data[f.emit(e.End, op, 0, u.index, 0)] = true
	}
}

var operations = map[string]int{
	"+": glua.OP_ADD, "-": glua.OP_SUB, "*": glua.OP_MUL, "/": glua.OP_DIV, "%": glua.OP_MOD, "^": glua.OP_POW,
}

func (f *fn) binary(e *syntax.Binary, reg int) {
	op, ok := operations[e.Op]
	switch {
	case e.Op == "and" || e.Op == "or":
		f.logic(e, reg)
	case !ok:
		yes := f.compare(e, true)
		f.emit(e.Line, glua.OP_LOADBOOL, reg, 0, 1)
		f.patchHere(yes)
		f.emit(e.Line, glua.OP_LOADBOOL, reg, 1, 0)
	case e.Op == "%" && !f.exactModulo(e):
		f.helperInto(modName, e.Line, []syntax.Expr{e.Left, e.Right}, reg)
	case e.Op == "^":
		f.helperInto(powName, e.Line, []syntax.Expr{e.Left, e.Right}, reg)
	default:
		f.arithmetic(e, op, reg)
	}
}

func (f *fn) unary(e *syntax.Unary, reg int) {
	switch e.Op {
	case "#":
		f.helperInto(lenName, e.Line, []syntax.Expr{e.X}, reg)
	case "not":
		f.emit(e.Line, glua.OP_NOT, reg, f.any(e.X), 0)
	default:
		if f.numeric(e.X) {
			f.emit(e.Line, glua.OP_UNM, reg, f.any(e.X), 0)
			return
		}
		f.helperInto(minusName, e.Line, []syntax.Expr{e.X}, reg)
	}
}

// fold computes constant arithmetic as the reference compiler does: not when
// the result would be NaN or a divisor is 0.
func fold(e syntax.Expr) (float64, bool) {
	switch e := e.(type) {
	case *syntax.Number:
		return e.Value, true
	case *syntax.Paren:
		return fold(e.X)
	case *syntax.Unary:
		if e.Op == "-" {
			n, ok := fold(e.X)
			return -n, ok
		}
	case *syntax.Binary:
		if _, ok := operations[e.Op]; !ok {
			return 0, false
		}
		a, ok1 := fold(e.Left)
		b, ok2 := fold(e.Right)
		if !ok1 || !ok2 || b == 0 && (e.Op == "/" || e.Op == "%") {
			return 0, false
		}
		n := compute(e.Op, a, b)
		return n, !math.IsNaN(n)
	}
	return 0, false
}

// maxLength is more than any string or table has.
const maxLength = 1 << 40

// numeric reports whether e is certain to be a number.
func (f *fn) numeric(e syntax.Expr) bool {
	if _, ok := fold(e); ok {
		return true
	}
	switch e := e.(type) {
	case *syntax.Name:
		v := f.local(e.Name)
		return v != nil && v.numeric
	case *syntax.Paren:
		return f.numeric(e.X)
	case *syntax.Unary:
		return e.Op == "#" || e.Op == "-" && f.numeric(e.X)
	case *syntax.Binary:
		_, ok := operations[e.Op]
		return ok && f.numeric(e.Left) && f.numeric(e.Right)
	}
	return false
}

// bound returns a number that e, an integer from 0 on, is certain not to
// exceed; or 0 if that is not known.
func (f *fn) bound(e syntax.Expr) float64 {
	if n, ok := fold(e); ok {
		if wholeNumber(n) && n > 0 {
			return n
		}
		return 0
	}
	switch e := e.(type) {
	case *syntax.Name:
		if v := f.local(e.Name); v != nil {
			return v.bound
		}
	case *syntax.Paren:
		return f.bound(e.X)
	case *syntax.Unary:
		if e.Op == "#" {
			return maxLength
		}
	case *syntax.Binary:
		a, b := f.bound(e.Left), f.bound(e.Right)
		if a == 0 || b == 0 {
			return 0
		}
		switch n := map[string]float64{"+": a + b, "*": a * b, "%": b}[e.Op]; {
		case e.Op == "%" && !f.exactModulo(e):
		case n < maxInteger:
			return n
		}
	}
	return 0
}

// loopBound is bound for the variable of a loop.
func (f *fn) loopBound(from, to, step syntax.Expr) float64 {
	by, ok := fold(step)
	if !ok || by != math.Trunc(by) || by == 0 || by > 1024 {
		return 0
	}
	start, limit := f.bound(from), f.bound(to)
	if n, ok := fold(from); ok && n == 0 {
		start = 1
	}
	if start == 0 || start > 1<<50 {
		return 0
	}
	if by < 0 { // it counts down to the limit, which must not be negative
		if n, ok := fold(to); (ok && n >= 0) || limit > 0 {
			return start
		}
		return 0
	}
	if n, ok := fold(to); ok && n < 1<<50 {
		return max(n, start)
	}
	return 1 << 50 // nobody can count further
}

// exactModulo reports whether the interpreter's % computes what Lua 5.1
// does: of integers that are not negative by one that is constant.
func (f *fn) exactModulo(e *syntax.Binary) bool {
	n, ok := fold(e.Right)
	if !ok || n < 1 || !wholeNumber(n) {
		return false
	}
	return f.bound(e.Left) > 0
}
