package vm

import (
	"errors"
	"fmt"

	glua "github.com/yuin/gopher-lua"
)

// A variable is a local variable in scope.
type variable struct {
	name       string
	reg        int
	numeric    bool    // whether it is known to hold a number
	upperBound float64 // if positive, the variable is an integer from 0 to this number
}

// An upvalue of a function refers to a register or to an upvalue of its parent.
type upvalue struct {
	name  string
	local bool // whether index is a register of the parent; otherwise it is an upvalue of the parent
	index int
}

// A block is a scope of local variables in a function.
type block struct {
	parent   *block
	vars     int   // number of variables in scope before the block
	base     int   // first register of the block
	captured bool  // whether a closure has captured one of its variables
	loop     bool  // whether break leaves this block
	breaks   []int // jumps out of the loop
	labels   map[string]label
	gotos    []pendingGoto
}

func (f *fn) enterBlock(loop bool) {
	f.block = &block{parent: f.block, vars: len(f.vars), base: f.top, loop: loop}
}

// leaveBlock ends a block. It closes the variables that closures have captured.
func (f *fn) leaveBlock(line int) {
	b := f.block
	if b.captured {
		f.emit(line, glua.OP_CLOSE, b.base, 0, 0)
	}
	f.vars = f.vars[:b.vars]
	f.top = b.base
	f.block = b.parent
	f.passGotosOut(b)
}

// reserveRegisters reserves n registers and returns the first one.
func (f *fn) reserveRegisters(n int) int {
	first := f.top
	f.top += n
	f.markUsed(f.top)
	return first
}

// markUsed records that the function uses the registers below top.
func (f *fn) markUsed(top int) {
	if top > maxRegisters {
		f.fail(f.line, "a function or expression is too complex: it needs more than %d registers", maxRegisters)
	}
	f.maxTop = max(f.maxTop, top)
}

// declare adds v, which lives in reg, to the scope.
func (f *fn) declare(v variable, reg int) {
	if len(f.vars) >= maxLocals {
		f.fail(f.line, "the function that begins in line %d has more than %d local variables", f.source.Line, maxLocals)
	}
	v.reg = reg
	f.vars = append(f.vars, v)
}

// firstTemporary returns the first register that does not hold a variable.
func (f *fn) firstTemporary() int {
	if len(f.vars) == 0 {
		return f.block.base
	}
	return max(f.vars[len(f.vars)-1].reg+1, f.block.base)
}

// lookupLocal returns the variable of this function to which name refers, or nil.
func (f *fn) lookupLocal(name string) *variable {
	for i := len(f.vars) - 1; i >= 0; i-- {
		if f.vars[i].name == name {
			return &f.vars[i]
		}
	}
	return nil
}

// lookupUpvalue returns the index of the upvalue to which name refers, or -1 if
// name is a global.
func (f *fn) lookupUpvalue(name string) int {
	for i, u := range f.upvalues {
		if u.name == name {
			return i
		}
	}
	if f.parent == nil {
		return -1
	}
	u := upvalue{name: name}
	if v := f.parent.captureLocal(name); v != nil {
		u.local, u.index = true, v.reg
	} else if u.index = f.parent.lookupUpvalue(name); u.index < 0 {
		return -1
	}
	if len(f.upvalues) >= maxUpvalues {
		f.fail(f.line, "the function that begins in line %d has more than %d upvalues", f.source.Line, maxUpvalues)
	}
	f.upvalues = append(f.upvalues, u)
	return len(f.upvalues) - 1
}

// captureLocal is lookupLocal for a closure. It marks the block of the variable as
// captured.
func (f *fn) captureLocal(name string) *variable {
	for i := len(f.vars) - 1; i >= 0; i-- {
		if f.vars[i].name != name {
			continue
		}
		b := f.block
		for b.vars > i {
			b = b.parent
		}
		b.captured = true
		return &f.vars[i]
	}
	return nil
}

// reportGlobalWrite records an error: the source writes a global.
func (f *fn) reportGlobalWrite(line int, name string) {
	f.g.globalWrites = append(f.g.globalWrites,
		fmt.Errorf("%s:%d: write to the undeclared global %q: declare it with local", f.g.name, line, name))
}

func (g *generator) globalWriteError() error { return errors.Join(g.globalWrites...) }
