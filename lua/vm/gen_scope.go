package vm

import (
	"errors"
	"fmt"

	glua "github.com/yuin/gopher-lua"
)

// A variable is a local in scope.
type variable struct {
	name    string
	reg     int
	numeric bool    // it is known to hold a number
	bound   float64 // if positive, it is an integer from 0 up to this
}

// An upvalue of a function is a register or an upvalue of its parent.
type upvalue struct {
	name  string
	local bool
	index int
}

// A block of a function.
type block struct {
	parent   *block
	vars     int  // of the function, where the block begins
	base     int  // the first register of the block
	captured bool // a closure has captured one of its variables
	loop     bool
	breaks   []int // jumps out of the loop
	labels   map[string]label
	gotos    []pending
}

func (f *fn) enter(loop bool) {
	f.block = &block{parent: f.block, vars: len(f.vars), base: f.top, loop: loop}
}

// leave ends a block. Its variables that closures have captured are closed.
func (f *fn) leave(line int) {
	b := f.block
	if b.captured {
		f.emit(line, glua.OP_CLOSE, b.base, 0, 0)
	}
	f.vars = f.vars[:b.vars]
	f.top = b.base
	f.block = b.parent
	f.outerGotos(b)
}

// reserve takes n registers and returns the first.
func (f *fn) reserve(n int) int {
	first := f.top
	f.top += n
	f.touch(f.top)
	return first
}

// touch notes that registers below top are used.
func (f *fn) touch(top int) {
	if top > maxRegisters {
		f.fail(f.line, "a function or expression is too complex: it needs more than %d registers", maxRegisters)
	}
	f.maxTop = max(f.maxTop, top)
}

// declare brings v into scope.
func (f *fn) declare(v variable, reg int) {
	if len(f.vars) >= maxLocals {
		f.fail(f.line, "the function that begins in line %d has more than %d local variables", f.source.Line, maxLocals)
	}
	v.reg = reg
	f.vars = append(f.vars, v)
}

// active is the first register that holds no variable.
func (f *fn) active() int {
	if len(f.vars) == 0 {
		return f.block.base
	}
	return max(f.vars[len(f.vars)-1].reg+1, f.block.base)
}

// local returns the variable of this function that name means, or nil.
func (f *fn) local(name string) *variable {
	for i := len(f.vars) - 1; i >= 0; i-- {
		if f.vars[i].name == name {
			return &f.vars[i]
		}
	}
	return nil
}

// upvalue returns the index of the upvalue that name means, or -1 when it is
// a global.
func (f *fn) upvalue(name string) int {
	for i, u := range f.upvalues {
		if u.name == name {
			return i
		}
	}
	if f.parent == nil {
		return -1
	}
	u := upvalue{name: name}
	if v := f.parent.capture(name); v != nil {
		u.local, u.index = true, v.reg
	} else if u.index = f.parent.upvalue(name); u.index < 0 {
		return -1
	}
	if len(f.upvalues) >= maxUpvalues {
		f.fail(f.line, "the function that begins in line %d has more than %d upvalues", f.source.Line, maxUpvalues)
	}
	f.upvalues = append(f.upvalues, u)
	return len(f.upvalues) - 1
}

// capture is local for a closure, and notes it at the variable's block.
func (f *fn) capture(name string) *variable {
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

// globalWrite notes that the source writes a global.
func (f *fn) globalWrite(line int, name string) {
	f.g.faults = append(f.g.faults,
		fmt.Errorf("%s:%d: write to the undeclared global %q: declare it with local", f.g.name, line, name))
}

func (g *generator) globals() error { return errors.Join(g.faults...) }
