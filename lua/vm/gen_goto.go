package vm

import glua "github.com/yuin/gopher-lua"

// A label that a goto can lead to.
type label struct {
	pc   int
	vars int // in scope there
	reg  int // the first free register there
}

// A pending goto waits for its label.
type pending struct {
	name string
	line int
	pc   int // of its CLOSE; the jump follows
	vars int // in scope at the goto, without those of blocks that have ended
}

// gotoLabel jumps to a label of this block or one around it.
func (f *fn) gotoLabel(name string, line int) {
	pc := f.emit(line, glua.OP_CLOSE, maxRegisters, 0, 0) // closes nothing until it is patched
	f.jump(line)
	p := pending{name: name, line: line, pc: pc, vars: len(f.vars)}
	for b := f.block; b != nil; b = b.parent {
		if l, ok := b.labels[name]; ok {
			f.arrive(p, l)
			return
		}
	}
	f.block.gotos = append(f.block.gotos, p)
}

// arrive lets p lead to l. What lies beyond the label's variables is closed.
func (f *fn) arrive(p pending, l label) {
	f.code[p.pc] = uint32(glua.OP_CLOSE)<<26 | uint32(l.reg)<<18 //nolint:gosec // a register
	f.patch(p.pc+1, l.pc)
}

// setLabel puts a label here. One at the end of its block is outside of the
// scope of the block's variables.
func (f *fn) setLabel(name string, line int, last bool) {
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
	var rest []pending
	for _, p := range f.block.gotos {
		if p.name != name {
			rest = append(rest, p)
			continue
		}
		if l.vars > p.vars {
			f.fail(p.line, "goto %s jumps into the scope of local %q", name, f.vars[p.vars].name)
		}
		f.arrive(p, l)
	}
	f.block.gotos = rest
}

// outerGotos hands the gotos of an ended block on to the one around it.
func (f *fn) outerGotos(b *block) {
	for _, p := range b.gotos {
		p.vars = min(p.vars, b.vars)
		if f.block != nil {
			f.block.gotos = append(f.block.gotos, p)
		}
	}
}

func (f *fn) noLabel(gotos []pending) {
	if len(gotos) > 0 {
		f.fail(gotos[0].line, "no label %q can be seen from this goto", gotos[0].name)
	}
}
