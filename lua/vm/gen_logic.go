package vm

import (
	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// logic evaluates `and` and `or`. Registers are written only on the way out:
// reg may be a local that later operands read.
func (f *fn) logic(e *syntax.Binary, reg int) {
	var out []int
	f.exitIf(e.Left, e.Op == "or", reg, &out)
	f.into(e.Right, reg)
	f.patchHere(out)
}

// exitIf evaluates e. If its truth is truth, its value goes to reg and a jump
// is added to out; otherwise the value is not needed.
func (f *fn) exitIf(e syntax.Expr, truth bool, reg int, out *[]int) {
	top := f.top
	defer func() { f.top = top }()
	if v, ok := literal(e); ok {
		if glua.LVAsBool(v) == truth {
			f.into(e, reg)
			*out = append(*out, f.jump(f.line))
		}
		return
	}
	switch e := e.(type) {
	case *syntax.Paren:
		if !several(e.X) {
			f.exitIf(e.X, truth, reg, out)
			return
		}
	case *syntax.Unary:
		if e.Op == "not" {
			f.exitBool(f.jumpIf(e.X, truth), truth, reg, out)
			return
		}
	case *syntax.Binary:
		_, isArithmetic := operations[e.Op]
		switch {
		case isArithmetic:
		case e.Op != "and" && e.Op != "or":
			f.exitBool(f.compare(e, !truth), truth, reg, out)
			return
		case (e.Op == "or") == truth: // either operand can be the way out
			f.exitIf(e.Left, truth, reg, out)
			f.exitIf(e.Right, truth, reg, out)
			return
		default: // the left operand decides whether the right one is asked
			skip := f.jumpIf(e.Left, !truth)
			f.exitIf(e.Right, truth, reg, out)
			f.patchHere(skip)
			return
		}
	}
	value := f.any(e)
	if value == reg {
		f.emit(f.line, glua.OP_TEST, reg, 0, b2i(truth))
	} else {
		f.emit(f.line, glua.OP_TESTSET, reg, value, b2i(truth))
	}
	*out = append(*out, f.jump(f.line))
}

// exitBool is exitIf for a value that is truth unless stay jumps.
func (f *fn) exitBool(stay []int, truth bool, reg int, out *[]int) {
	f.emit(f.line, glua.OP_LOADBOOL, reg, b2i(truth), 0)
	*out = append(*out, f.jump(f.line))
	f.patchHere(stay)
}

// jumpIf evaluates e and returns jumps that are taken when its truth is truth.
func (f *fn) jumpIf(e syntax.Expr, truth bool) []int {
	top := f.top
	defer func() { f.top = top }()
	if v, ok := literal(e); ok {
		if glua.LVAsBool(v) != truth {
			return nil
		}
		return []int{f.jump(f.line)}
	}
	switch e := e.(type) {
	case *syntax.Paren:
		if !several(e.X) {
			return f.jumpIf(e.X, truth)
		}
	case *syntax.Unary:
		if e.Op == "not" {
			return f.jumpIf(e.X, !truth)
		}
	case *syntax.Binary:
		_, isArithmetic := operations[e.Op]
		switch {
		case isArithmetic:
		case e.Op != "and" && e.Op != "or":
			return f.compare(e, truth)
		case (e.Op == "or") == truth:
			return append(f.jumpIf(e.Left, truth), f.jumpIf(e.Right, truth)...)
		default:
			skip := f.jumpIf(e.Left, !truth)
			jumps := f.jumpIf(e.Right, truth)
			f.patchHere(skip)
			return jumps
		}
	}
	f.emit(f.line, glua.OP_TEST, f.any(e), 0, b2i(truth))
	return []int{f.jump(f.line)}
}

// compare returns a jump that is taken when the comparison is truth.
func (f *fn) compare(e *syntax.Binary, truth bool) []int {
	top := f.top
	defer func() { f.top = top }()
	left := f.operand(e.Left)
	right := f.operand(e.Right)
	op, want := glua.OP_EQ, truth
	switch e.Op {
	case "~=":
		want = !truth
	case "<":
		op = glua.OP_LT
	case "<=":
		op = glua.OP_LE
	case ">":
		op, left, right = glua.OP_LT, right, left
	case ">=":
		op, left, right = glua.OP_LE, right, left
	}
	f.emit(e.Line, op, b2i(want), left, right)
	return []int{f.jump(e.Line)}
}
