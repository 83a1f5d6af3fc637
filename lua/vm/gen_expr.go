package vm

import (
	"math"

	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// isMulti reports whether e can have any number of values.
func isMulti(e syntax.Expr) bool {
	switch e.(type) {
	case *syntax.Call, *syntax.Method, *syntax.Vararg:
		return true
	}
	return false
}

// evalMulti evaluates e, for which isMulti is true, into the next n registers. n
// is -1 for all values. It does not change f.top.
func (f *fn) evalMulti(e syntax.Expr, n int) {
	v, ok := e.(*syntax.Vararg)
	if !ok {
		f.callExpr(e, n)
		return
	}
	if n == 0 {
		return
	}
	f.markUsed(f.top + max(n, 1))
	f.emit(v.Line, glua.OP_VARARG, f.top, n+1, 0)
}

// evalNext reserves the next register, evaluates e into it and returns it.
func (f *fn) evalNext(e syntax.Expr) int {
	reg := f.reserveRegisters(1)
	f.evalInto(e, reg)
	return reg
}

// evalAny evaluates e and returns its register. A local stays in its register.
func (f *fn) evalAny(e syntax.Expr) int {
	if v := f.localOf(e); v != nil {
		return v.reg
	}
	return f.evalNext(e)
}

// evalReusing is like evalAny, but uses reg if it is the topmost temporary register.
// So a long chain of operations does not need a register for each operation.
func (f *fn) evalReusing(e syntax.Expr, reg int) int {
	if f.localOf(e) == nil && f.isTopTemporary(reg) {
		f.evalInto(e, reg)
		return reg
	}
	return f.evalAny(e)
}

// localOf returns the local variable that e names, or nil.
func (f *fn) localOf(e syntax.Expr) *variable {
	switch e := e.(type) {
	case *syntax.Name:
		return f.lookupLocal(e.Name)
	case *syntax.Paren:
		return f.localOf(e.X)
	}
	return nil
}

// constantValue returns the value of e if it is a constant.
func constantValue(e syntax.Expr) (glua.LValue, bool) {
	switch e := e.(type) {
	case *syntax.Nil:
		return glua.LNil, true
	case *syntax.Bool:
		return glua.LBool(e.Value), true
	case *syntax.String:
		return glua.LString(e.Value), true
	case *syntax.Paren:
		return constantValue(e.X)
	}
	if n, ok := foldConstant(e); ok {
		return glua.LNumber(n), true
	}
	return nil, false
}

// evalOperand returns e as an operand: a constant if possible, else a register.
func (f *fn) evalOperand(e syntax.Expr) int {
	if v, ok := constantValue(e); ok {
		if i := f.constant(v); i <= maxRK {
			return i | rkConstant
		}
	}
	return f.evalAny(e)
}

// evalKey is evalOperand for the key of a table. name reports whether the key is
// a constant name, for which the interpreter has special instructions.
func (f *fn) evalKey(e syntax.Expr) (operand int, name bool) {
	s, ok := e.(*syntax.String)
	if !ok {
		return f.evalOperand(e), false
	}
	if len(s.Value) > freeTextBytes { // the instructions for names are not charged for the length
		return f.evalOperand(e), false
	}
	if i := f.constant(glua.LString(s.Value)); i <= maxRK {
		return f.nameConstant(s.Value) | rkConstant, true
	}
	return f.evalAny(e), false
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

// evalInto evaluates e into reg, which is a reserved register or a local. A local
// is written after all reads of e.
func (f *fn) evalInto(e syntax.Expr, reg int) {
	top := f.top
	defer func() { f.top = top }()
	if n, ok := foldConstant(e); ok {
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
		f.evalOne(e, reg)
	case *syntax.Name:
		f.loadVariable(e, reg)
	case *syntax.Index:
		object := f.evalReusing(e.Object, reg)
		key, name := f.evalKey(e.Key)
		op := glua.OP_GETTABLE
		if name {
			op = glua.OP_GETTABLEKS
		}
		f.emit(e.Line, op, reg, object, key)
	case *syntax.Function:
		f.closureExpr(e, reg)
	case *syntax.Binary:
		f.binary(e, reg)
	case *syntax.Concat:
		f.concatChain(e, reg)
	case *syntax.Unary:
		f.unary(e, reg)
	case *syntax.Paren:
		f.evalInto(e.X, reg)
	case *syntax.Table:
		f.tableConstructor(e, reg)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// isTopTemporary reports whether reg is the highest register in use and does not
// hold a local.
func (f *fn) isTopTemporary(reg int) bool { return reg == f.top-1 && reg >= f.firstTemporary() }

// inFreshRegister calls generate with a register above all registers in use, and
// moves the result to reg. Calls and table constructors need this: they overwrite
// the registers above their own. If reg is a local, the expression may also still
// read it.
func (f *fn) inFreshRegister(reg, line int, generate func(fresh int)) {
	if f.isTopTemporary(reg) {
		generate(reg)
		return
	}
	fresh := f.reserveRegisters(1)
	generate(fresh)
	f.emit(line, glua.OP_MOVE, reg, fresh, 0)
}

// evalOne evaluates a call or `...` into reg as one value.
func (f *fn) evalOne(e syntax.Expr, reg int) {
	f.inFreshRegister(reg, f.line, func(fresh int) {
		f.top = fresh
		f.evalMulti(e, 1)
		f.top = fresh + 1
	})
}

// loadVariable loads a local, upvalue or global into reg.
func (f *fn) loadVariable(e *syntax.Name, reg int) {
	if v := f.lookupLocal(e.Name); v != nil {
		f.move(reg, v.reg, e.Line)
	} else if i := f.lookupUpvalue(e.Name); i >= 0 {
		f.emit(e.Line, glua.OP_GETUPVAL, reg, i, 0)
	} else {
		f.checkName(e.Name, e.Line)
		f.emitBx(e.Line, glua.OP_GETGLOBAL, reg, f.nameConstant(e.Name))
	}
}

// closureExpr generates a function and the closure of it in reg.
func (f *fn) closureExpr(e *syntax.Function, reg int) {
	child, p := f.g.generateFunction(f, e)
	if len(f.protos) > maxConstants {
		f.fail(e.Line, "the function contains more than %d functions", maxConstants)
	}
	f.protos = append(f.protos, p)
	f.emitBx(e.End, glua.OP_CLOSURE, reg, len(f.protos)-1)
	for _, u := range child.upvalues {
		op := glua.OP_GETUPVAL
		if u.local {
			op = glua.OP_MOVE
		}
		f.dataWords[f.emit(e.End, op, 0, u.index, 0)] = true
	}
}

var operations = map[string]int{
	"+": glua.OP_ADD, "-": glua.OP_SUB, "*": glua.OP_MUL, "/": glua.OP_DIV, "%": glua.OP_MOD, "^": glua.OP_POW,
}

func (f *fn) binary(e *syntax.Binary, reg int) {
	op, ok := operations[e.Op]
	switch {
	case e.Op == "and" || e.Op == "or":
		f.logicExpr(e, reg)
	case !ok:
		yes := f.compareJump(e, true)
		f.emit(e.Line, glua.OP_LOADBOOL, reg, 0, 1)
		f.patchJumpsHere(yes)
		f.emit(e.Line, glua.OP_LOADBOOL, reg, 1, 0)
	case e.Op == "%" && !f.exactModulo(e):
		f.callHelperInto(modName, e.Line, []syntax.Expr{e.Left, e.Right}, reg)
	case e.Op == "^":
		f.callHelperInto(powName, e.Line, []syntax.Expr{e.Left, e.Right}, reg)
	default:
		f.arithmetic(e, op, reg)
	}
}

func (f *fn) unary(e *syntax.Unary, reg int) {
	switch e.Op {
	case "#":
		f.callHelperInto(lenName, e.Line, []syntax.Expr{e.X}, reg)
	case "not":
		f.emit(e.Line, glua.OP_NOT, reg, f.evalAny(e.X), 0)
	default:
		if f.isNumeric(e.X) {
			f.emit(e.Line, glua.OP_UNM, reg, f.evalAny(e.X), 0)
			return
		}
		f.callHelperInto(minusName, e.Line, []syntax.Expr{e.X}, reg)
	}
}

// foldConstant computes constant arithmetic as the reference compiler does. It does
// not fold if the result is NaN or a divisor is 0.
func foldConstant(e syntax.Expr) (float64, bool) {
	switch e := e.(type) {
	case *syntax.Number:
		return e.Value, true
	case *syntax.Paren:
		return foldConstant(e.X)
	case *syntax.Unary:
		if e.Op == "-" {
			n, ok := foldConstant(e.X)
			return -n, ok
		}
	case *syntax.Binary:
		if _, ok := operations[e.Op]; !ok {
			return 0, false
		}
		a, ok1 := foldConstant(e.Left)
		b, ok2 := foldConstant(e.Right)
		if !ok1 || !ok2 || b == 0 && (e.Op == "/" || e.Op == "%") {
			return 0, false
		}
		n := applyOperator(e.Op, a, b)
		return n, !math.IsNaN(n)
	}
	return 0, false
}

// maxLength is greater than the length of any string or table.
const maxLength = 1 << 40

// isNumeric reports whether e is known to be a number.
func (f *fn) isNumeric(e syntax.Expr) bool {
	if _, ok := foldConstant(e); ok {
		return true
	}
	switch e := e.(type) {
	case *syntax.Name:
		v := f.lookupLocal(e.Name)
		return v != nil && v.numeric
	case *syntax.Paren:
		return f.isNumeric(e.X)
	case *syntax.Unary:
		return e.Op == "#" || e.Op == "-" && f.isNumeric(e.X)
	case *syntax.Binary:
		_, ok := operations[e.Op]
		return ok && f.isNumeric(e.Left) && f.isNumeric(e.Right)
	}
	return false
}

// upperBound returns an upper bound of e if e is known to be a non-negative
// integer, and 0 otherwise.
func (f *fn) upperBound(e syntax.Expr) float64 {
	if n, ok := foldConstant(e); ok {
		if wholeNumber(n) && n > 0 {
			return n
		}
		return 0
	}
	switch e := e.(type) {
	case *syntax.Name:
		if v := f.lookupLocal(e.Name); v != nil {
			return v.upperBound
		}
	case *syntax.Paren:
		return f.upperBound(e.X)
	case *syntax.Unary:
		if e.Op == "#" {
			return maxLength
		}
	case *syntax.Binary:
		a, b := f.upperBound(e.Left), f.upperBound(e.Right)
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

// loopUpperBound is upperBound for the variable of a numeric loop.
func (f *fn) loopUpperBound(from, to, step syntax.Expr) float64 {
	by, ok := foldConstant(step)
	if !ok || by != math.Trunc(by) || by == 0 || by > 1024 {
		return 0
	}
	start, limit := f.upperBound(from), f.upperBound(to)
	if n, ok := foldConstant(from); ok && n == 0 {
		start = 1
	}
	if start == 0 || start > 1<<50 {
		return 0
	}
	if by < 0 { // the loop counts down to the limit, which must not be negative
		if n, ok := foldConstant(to); (ok && n >= 0) || limit > 0 {
			return start
		}
		return 0
	}
	if n, ok := foldConstant(to); ok && n < 1<<50 {
		return max(n, start)
	}
	return 1 << 50 // no loop runs long enough to exceed this
}

// exactModulo reports whether the interpreter's % has the result of Lua 5.1. It
// does if the left operand is a non-negative integer and the right operand is a
// constant positive integer.
func (f *fn) exactModulo(e *syntax.Binary) bool {
	n, ok := foldConstant(e.Right)
	if !ok || n < 1 || !wholeNumber(n) {
		return false
	}
	return f.upperBound(e.Left) > 0
}
