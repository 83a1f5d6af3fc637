package vm

import glua "github.com/yuin/gopher-lua"

// A label is a possible target of a goto.
type label struct {
	pc   int
	vars int // number of variables in scope at the label
	reg  int // first free register at the label
}

// A pendingGoto is a goto whose label has not been found yet.
type pendingGoto struct {
	name string
	line int
	pc   int // index of its CLOSE instruction; the jump follows it
	vars int // variables in scope at the goto, without those of blocks that have ended
}

// gotoStatement jumps to a label of this block or of a block around it.
func (f *fn) gotoStatement(name string, line int) {
	pc := f.emit(line, glua.OP_CLOSE, maxRegisters, 0, 0) // closes nothing until it is patched
	f.jump(line)
	p := pendingGoto{name: name, line: line, pc: pc, vars: len(f.vars)}
	for b := f.block; b != nil; b = b.parent {
		if l, ok := b.labels[name]; ok {
			f.resolveGoto(p, l)
			return
		}
	}
	f.block.gotos = append(f.block.gotos, p)
}

// resolveGoto sets the target of p to l. It closes the variables that are not in
// scope at the label.
func (f *fn) resolveGoto(p pendingGoto, l label) {
	f.code[p.pc] = uint32(glua.OP_CLOSE)<<26 | uint32(l.reg)<<18 //nolint:gosec // a register
	f.patchJump(p.pc+1, l.pc)
}

// defineLabel defines a label at the next instruction. A label at the end of its
// block (last) is outside the scope of the block's variables.
func (f *fn) defineLabel(name string, line int, last bool) {
	for b := f.block; b != nil; b = b.parent {
		if _, ok := b.labels[name]; ok {
			f.fail(line, "label %q is already defined", name)
		}
	}
	l := label{pc: f.here(), vars: len(f.vars), reg: f.top}
	if last {
		l.vars, l.reg = f.block.vars, f.block.base
	}
	if f.block.labels == nil {
		f.block.labels = map[string]label{}
	}
	f.block.labels[name] = l
	var rest []pendingGoto
	for _, p := range f.block.gotos {
		if p.name != name {
			rest = append(rest, p)
			continue
		}
		if l.vars > p.vars {
			f.fail(p.line, "goto %s jumps into the scope of local %q", name, f.vars[p.vars].name)
		}
		f.resolveGoto(p, l)
	}
	f.block.gotos = rest
}

// passGotosOut moves the pending gotos of an ended block to the block around it.
func (f *fn) passGotosOut(b *block) {
	for _, p := range b.gotos {
		p.vars = min(p.vars, b.vars)
		if f.block != nil {
			f.block.gotos = append(f.block.gotos, p)
		}
	}
}

// checkPendingGotos fails if a goto of the function has no label.
func (f *fn) checkPendingGotos(gotos []pendingGoto) {
	if len(gotos) > 0 {
		f.fail(gotos[0].line, "no label %q is visible from this goto", gotos[0].name)
	}
}
