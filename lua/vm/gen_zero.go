package vm

import (
	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// gopher-lua's arithmetic turns -0 into 0. If an operation may have the result
// -0, the next instruction tests whether the result is 0. If it is, a function of
// this package computes the operation again. The call of that function is at the
// end of the code, so that the common path is short.

// A zeroCheck is a test for 0 whose call is not generated yet.
type zeroCheck struct {
	jump, back          int // the jump to the call, and the instruction after it
	op                  string
	line                int
	result, left, right int // operands
	top                 int // first free register
}

// arithmetic evaluates an operation with two operands into reg.
func (f *fn) arithmetic(e *syntax.Binary, op, reg int) {
	left := f.evalOperand(e.Left)
	right := f.evalOperand(e.Right)
	if !f.mayBeMinusZero(e) {
		f.emit(e.Line, op, reg, left, right)
		return
	}
	zero := f.zeroConstantIndex()
	result := reg
	if zero > maxRK || reg == left || reg == right {
		result = f.reserveRegisters(1)
	}
	f.emit(e.Line, op, result, left, right)
	if zero > maxRK {
		z := f.reserveRegisters(1)
		f.emitBx(e.Line, glua.OP_LOADK, z, zero)
		f.emit(e.Line, glua.OP_EQ, 1, result, z)
	} else {
		f.emit(e.Line, glua.OP_EQ, 1, result, zero|rkConstant)
	}
	c := zeroCheck{jump: f.jump(e.Line), op: e.Op, line: e.Line, result: result, left: left, right: right, top: f.top}
	c.back = f.here()
	f.zeroChecks = append(f.zeroChecks, c)
	f.markUsed(f.top + 4)
	f.move(reg, result, e.Line)
}

// zeroConstantIndex returns the index of a constant 0 for zero checks. It is not
// the constant 0 of the source: 0 and -0 of the source share one constant, which
// has the sign of the first of them.
func (f *fn) zeroConstantIndex() int {
	if f.zeroConstant == 0 {
		f.constants = append(f.constants, glua.LNumber(0))
		f.zeroConstant = len(f.constants)
	}
	return f.zeroConstant - 1
}

// emitZeroCalls generates the calls to which the zero checks jump.
func (f *fn) emitZeroCalls() {
	for _, c := range f.zeroChecks {
		f.patchJumpsHere([]int{c.jump})
		f.emitBx(c.line, glua.OP_GETGLOBAL, c.top, f.nameConstant(zeroName(c.op)))
		f.move(c.top+1, c.left, c.line)
		f.move(c.top+2, c.right, c.line)
		f.move(c.top+3, c.result, c.line)
		f.emit(c.line, glua.OP_CALL, c.top, 4, 2)
		f.move(c.result, c.top, c.line)
		f.patchJump(f.jump(c.line), c.back)
	}
}

// mayBeMinusZero reports whether the result of e could be -0. An operand with an
// upper bound is not -0.
func (f *fn) mayBeMinusZero(e *syntax.Binary) bool {
	a, ok1 := foldConstant(e.Left)
	b, ok2 := foldConstant(e.Right)
	switch e.Op {
	case "+": // only -0 + -0
		return !(ok1 && a != 0 || ok2 && b != 0 || f.upperBound(e.Left) > 0 || f.upperBound(e.Right) > 0)
	case "-": // only -0 - 0
		return !(ok1 && a != 0 || ok2 && b != 0 || f.upperBound(e.Left) > 0)
	case "%":
		return false // the interpreter's % is used only if it is exact; see exactModulo
	}
	return f.upperBound(e.Left) == 0 || f.upperBound(e.Right) == 0
}
