package vm

import (
	"slices"

	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// A place is a target of an assignment after its table and key were evaluated.
type place struct {
	kind   int
	reg    int    // register of the local, or of the table
	index  int    // index of the upvalue
	key    int    // operand that holds the key
	name   bool   // whether key is a constant name
	line   int    // line of the global
	global string // name of the global
}

const (
	placeLocal = iota
	placeUpvalue
	placeGlobal
	placeTable
)

// evalPlace evaluates the table and the key of target.
func (f *fn) evalPlace(target syntax.Expr) place {
	switch t := target.(type) {
	case *syntax.Name:
		if v := f.lookupLocal(t.Name); v != nil {
			return place{kind: placeLocal, reg: v.reg}
		}
		if i := f.lookupUpvalue(t.Name); i >= 0 {
			return place{kind: placeUpvalue, index: i}
		}
		return place{kind: placeGlobal, global: t.Name, line: t.Line}
	case *syntax.Index:
		p := place{kind: placeTable, reg: f.evalAny(t.Object)}
		p.key, p.name = f.evalKey(t.Key)
		return p
	}
	panic("vm: the target of an assignment is not assignable")
}

// storeValue assigns the operand value to p.
func (f *fn) storeValue(p place, value, line int) {
	switch p.kind {
	case placeLocal:
		f.move(p.reg, value, line)
	case placeUpvalue:
		f.emit(line, glua.OP_SETUPVAL, value, p.index, 0)
	case placeGlobal:
		f.reportGlobalWrite(p.line, p.global)
	case placeTable:
		op := glua.OP_SETTABLE
		if p.name {
			op = glua.OP_SETTABLEKS
		}
		f.emit(line, op, p.reg, p.key, value)
	}
}

// evalAndStore evaluates e and assigns it to p.
func (f *fn) evalAndStore(p place, e syntax.Expr, line int) {
	switch p.kind {
	case placeLocal:
		f.evalInto(e, p.reg)
	case placeTable:
		f.storeValue(p, f.evalOperand(e), line)
	default:
		f.storeValue(p, f.evalAny(e), line)
	}
}

func (f *fn) assignStatement(s *syntax.Assign) {
	places := make([]place, len(s.Targets))
	for i, t := range s.Targets {
		places[i] = f.evalPlace(t)
		if places[i].kind == placeLocal {
			f.copyConflicting(places[:i], places[i].reg, s.Line)
		}
	}
	last := len(places) - 1
	if len(s.Values) != len(places) {
		f.evalList(s.Values, len(places), s.Line)
	} else {
		for _, e := range s.Values[:last] {
			f.evalNext(e)
		}
		top := f.top
		f.evalAndStore(places[last], s.Values[last], s.Line)
		f.top = top
		places = places[:last]
	}
	for _, target := range slices.Backward(places) {
		f.top--
		f.storeValue(target, f.top, s.Line)
	}
}

// copyConflicting handles an assignment to a local that is also the table or the
// key of a target before it. The local is assigned first, so these targets use a
// copy of its old value.
func (f *fn) copyConflicting(before []place, local, line int) {
	reg := -1
	oldValue := func() int {
		if reg < 0 {
			reg = f.reserveRegisters(1)
			f.move(reg, local, line)
		}
		return reg
	}
	for i := range before {
		p := &before[i]
		if p.kind != placeTable {
			continue
		}
		if p.reg == local {
			p.reg = oldValue()
		}
		if p.key == local {
			p.key = oldValue()
		}
	}
}
