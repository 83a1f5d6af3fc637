package vm

import (
	"slices"

	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// A place is what an assignment writes to.
type place struct {
	kind   int
	reg    int // of the local, or of the table
	index  int // of the upvalue
	key    int // operand
	name   bool
	line   int
	global string
}

const (
	placeLocal = iota
	placeUpvalue
	placeGlobal
	placeTable
)

// place evaluates the table and the key of a target.
func (f *fn) place(target syntax.Expr) place {
	switch t := target.(type) {
	case *syntax.Name:
		if v := f.local(t.Name); v != nil {
			return place{kind: placeLocal, reg: v.reg}
		}
		if i := f.upvalue(t.Name); i >= 0 {
			return place{kind: placeUpvalue, index: i}
		}
		return place{kind: placeGlobal, global: t.Name, line: t.Line}
	case *syntax.Index:
		p := place{kind: placeTable, reg: f.any(t.Object)}
		p.key, p.name = f.key(t.Key)
		return p
	}
	panic("vm: a target that is not assignable")
}

// store writes the operand value.
func (f *fn) store(p place, value, line int) {
	switch p.kind {
	case placeLocal:
		f.move(p.reg, value, line)
	case placeUpvalue:
		f.emit(line, glua.OP_SETUPVAL, value, p.index, 0)
	case placeGlobal:
		f.globalWrite(p.line, p.global)
	case placeTable:
		op := glua.OP_SETTABLE
		if p.name {
			op = glua.OP_SETTABLEKS
		}
		f.emit(line, op, p.reg, p.key, value)
	}
}

// storeExpr evaluates e and writes it.
func (f *fn) storeExpr(p place, e syntax.Expr, line int) {
	switch p.kind {
	case placeLocal:
		f.into(e, p.reg)
	case placeTable:
		f.store(p, f.operand(e), line)
	default:
		f.store(p, f.any(e), line)
	}
}

func (f *fn) assign(s *syntax.Assign) {
	places := make([]place, len(s.Targets))
	for i, t := range s.Targets {
		places[i] = f.place(t)
		if places[i].kind == placeLocal {
			f.conflict(places[:i], places[i].reg, s.Line)
		}
	}
	last := len(places) - 1
	if len(s.Values) != len(places) {
		f.list(s.Values, len(places), s.Line)
	} else {
		for _, e := range s.Values[:last] {
			f.next(e)
		}
		top := f.top
		f.storeExpr(places[last], s.Values[last], s.Line)
		f.top = top
		places = places[:last]
	}
	for _, place := range slices.Backward(places) {
		f.top--
		f.store(place, f.top, s.Line)
	}
}

// conflict lets targets before a local use a copy of it where it is their
// table or key: it is assigned to first.
func (f *fn) conflict(before []place, local, line int) {
	taken := -1
	spare := func() int {
		if taken < 0 {
			taken = f.reserve(1)
			f.move(taken, local, line)
		}
		return taken
	}
	for i := range before {
		p := &before[i]
		if p.kind != placeTable {
			continue
		}
		if p.reg == local {
			p.reg = spare()
		}
		if p.key == local {
			p.key = spare()
		}
	}
}
