package vm

import (
	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// logicExpr evaluates `and` and `or` into reg. It writes reg only when the result
// is known, because reg may be a local that later operands read.
func (f *fn) logicExpr(e *syntax.Binary, reg int) {
	var out []int
	f.exitIf(e.Left, e.Op == "or", reg, &out)
	f.evalInto(e.Right, reg)
	f.patchJumpsHere(out)
}

// exitIf evaluates e. If the truth value of e is truth, the generated code writes
// e to reg and takes a jump, which exitIf adds to out. Otherwise the value of e is
// not needed.
func (f *fn) exitIf(e syntax.Expr, truth bool, reg int, out *[]int) {
	top := f.top
	defer func() { f.top = top }()
	if v, ok := constantValue(e); ok {
		if glua.LVAsBool(v) == truth {
			f.evalInto(e, reg)
			*out = append(*out, f.jump(f.line))
		}
		return
	}
	switch e := e.(type) {
	case *syntax.Paren:
		if !isMulti(e.X) {
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
			f.exitBool(f.compareJump(e, !truth), truth, reg, out)
			return
		case (e.Op == "or") == truth: // either operand can be the result
			f.exitIf(e.Left, truth, reg, out)
			f.exitIf(e.Right, truth, reg, out)
			return
		default: // the left operand decides whether the right operand is evaluated
			skip := f.jumpIf(e.Left, !truth)
			f.exitIf(e.Right, truth, reg, out)
			f.patchJumpsHere(skip)
			return
		}
	}
	value := f.evalAny(e)
	if value == reg {
		f.emit(f.line, glua.OP_TEST, reg, 0, b2i(truth))
	} else {
		f.emit(f.line, glua.OP_TESTSET, reg, value, b2i(truth))
	}
	*out = append(*out, f.jump(f.line))
}

// exitBool ends exitIf for a boolean expression. stay holds the jumps that are taken
// if the value of the expression is not truth.
func (f *fn) exitBool(stay []int, truth bool, reg int, out *[]int) {
	f.emit(f.line, glua.OP_LOADBOOL, reg, b2i(truth), 0)
	*out = append(*out, f.jump(f.line))
	f.patchJumpsHere(stay)
}

// jumpIf evaluates e. It returns the jumps that are taken if the truth value of e
// is truth.
func (f *fn) jumpIf(e syntax.Expr, truth bool) []int {
	top := f.top
	defer func() { f.top = top }()
	if v, ok := constantValue(e); ok {
		if glua.LVAsBool(v) != truth {
			return nil
		}
		return []int{f.jump(f.line)}
	}
	switch e := e.(type) {
	case *syntax.Paren:
		if !isMulti(e.X) {
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
			return f.compareJump(e, truth)
		case (e.Op == "or") == truth:
			return append(f.jumpIf(e.Left, truth), f.jumpIf(e.Right, truth)...)
		default:
			skip := f.jumpIf(e.Left, !truth)
			jumps := f.jumpIf(e.Right, truth)
			f.patchJumpsHere(skip)
			return jumps
		}
	}
	f.emit(f.line, glua.OP_TEST, f.evalAny(e), 0, b2i(truth))
	return []int{f.jump(f.line)}
}

// compareJump evaluates a comparison. It returns a jump that is taken if the
// result is truth.
func (f *fn) compareJump(e *syntax.Binary, truth bool) []int {
	top := f.top
	defer func() { f.top = top }()
	left := f.evalOperand(e.Left)
	right := f.evalOperand(e.Right)
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
