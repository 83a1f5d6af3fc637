package vm

import (
	"errors"
	"fmt"

	glua "github.com/yuin/gopher-lua"
)

// meterConstants makes every use of a long constant as a key go through the
// instructions that are charged for the length of their keys: the short forms
// for names are not. It refuses long names of globals and methods, for which
// there is only a short form.
func meterConstants(p *glua.FunctionProto) error {
	long := func(i int) bool {
		if i >= len(p.Constants) {
			return false
		}
		s, ok := p.Constants[i].(glua.LString)
		return ok && len(s) > longText
	}
	isLong := func(arg int) bool { return arg&0x100 != 0 && long(arg&0xff) }
	var faults []error
	for i, inst := range p.Code {
		switch op := int(inst >> 26); {
		case op == glua.OP_GETTABLEKS && isLong(argC(inst)):
			p.Code[i] = withOp(inst, glua.OP_GETTABLE)
		case op == glua.OP_SETTABLEKS && isLong(argB(inst)):
			p.Code[i] = withOp(inst, glua.OP_SETTABLE)
		case op == glua.OP_GETGLOBAL && long(int(inst&0x3ffff)), op == glua.OP_SELF && isLong(argC(inst)):
			faults = append(faults, fmt.Errorf("%s:%d: a name is longer than %d bytes", p.SourceName, p.DbgSourcePositions[i], longText))
		}
	}
	for _, child := range p.FunctionPrototypes {
		faults = append(faults, meterConstants(child))
	}
	return errors.Join(faults...)
}

// withOp is an instruction with the same operands.
func withOp(inst uint32, op int) uint32 { return inst&(1<<26-1) | uint32(op)<<26 }
