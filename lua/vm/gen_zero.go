package vm

import (
	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// gopher-lua's arithmetic turns -0 into 0. Where an operation may have the
// result -0, an instruction behind it tests the result for 0; if it is, a
// function computes the operation again. The call is at the end of the
// function's code, so that the usual way is short.
type zeroCheck struct {
	jump, back          int
	op                  string
	line                int
	result, left, right int
	top                 int
}

func (f *fn) arithmetic(e *syntax.Binary, op, reg int) {
	left := f.operand(e.Left)
	right := f.operand(e.Right)
	if !f.mayBeMinusZero(e) {
		f.emit(e.Line, op, reg, left, right)
		return
	}
	zero := f.zero()
	result := reg
	if zero > maxRK || reg == left || reg == right {
		result = f.reserve(1)
	}
	f.emit(e.Line, op, result, left, right)
	if zero > maxRK {
		z := f.reserve(1)
		f.emitBx(e.Line, glua.OP_LOADK, z, zero)
		f.emit(e.Line, glua.OP_EQ, 1, result, z)
	} else {
		f.emit(e.Line, glua.OP_EQ, 1, result, zero|rkConstant)
	}
	c := zeroCheck{jump: f.jump(e.Line), op: e.Op, line: e.Line, result: result, left: left, right: right, top: f.top}
	c.back = f.here()
	f.zeroChecks = append(f.zeroChecks, c)
	f.touch(f.top + 4)
	f.move(reg, result, e.Line)
}

// zero is a constant of its own: that of the source may be -0, and an operand
// is shown as it is written first.
func (f *fn) zero() int {
	if f.zeroConstant == 0 {
		f.constants = append(f.constants, glua.LNumber(0))
		f.zeroConstant = len(f.constants)
	}
	return f.zeroConstant - 1
}

// zeroCalls generates the calls that zero checks lead to.
func (f *fn) zeroCalls() {
	for _, c := range f.zeroChecks {
		f.patchHere([]int{c.jump})
		f.emitBx(c.line, glua.OP_GETGLOBAL, c.top, f.nameConstant(zeroName(c.op)))
		f.move(c.top+1, c.left, c.line)
		f.move(c.top+2, c.right, c.line)
		f.move(c.top+3, c.result, c.line)
		f.emit(c.line, glua.OP_CALL, c.top, 4, 2)
		f.move(c.result, c.top, c.line)
		f.patch(f.jump(c.line), c.back)
	}
}

// mayBeMinusZero reports whether the result of e could be -0. A number with a
// bound is not -0.
func (f *fn) mayBeMinusZero(e *syntax.Binary) bool {
	a, ok1 := fold(e.Left)
	b, ok2 := fold(e.Right)
	switch e.Op {
	case "+": // of two -0 only
		return !(ok1 && a != 0 || ok2 && b != 0 || f.bound(e.Left) > 0 || f.bound(e.Right) > 0)
	case "-": // of -0 and 0 only
		return !(ok1 && a != 0 || ok2 && b != 0 || f.bound(e.Left) > 0)
	case "%":
		return false // an exact one; see exactModulo
	}
	return f.bound(e.Left) == 0 || f.bound(e.Right) == 0
}
