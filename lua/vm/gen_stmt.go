package vm

import (
	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

func (f *fn) statements(list []syntax.Stmt) {
	for _, s := range list {
		f.statement(s)
		f.top = f.active() // temporaries are over
	}
}

func (f *fn) statement(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.Local:
		f.localStatement(s)
	case *syntax.LocalFunction:
		reg := f.reserve(1)
		f.line = s.Line
		f.declare(variable{name: s.Name}, reg)
		f.into(s.Func, reg)
	case *syntax.Assign:
		f.assign(s)
	case *syntax.CallStmt:
		f.call(s.Call, 0)
	case *syntax.Do:
		f.scope(s.Body, s.End)
	case *syntax.While:
		f.while(s)
	case *syntax.Repeat:
		f.repeat(s)
	case *syntax.If:
		f.ifs(s)
	case *syntax.NumericFor:
		f.numericFor(s)
	case *syntax.GenericFor:
		f.genericFor(s)
	case *syntax.Return:
		f.returns(s)
	case *syntax.Break:
		f.breaks(s)
	case *syntax.Goto:
		f.gotoLabel(s.Name, s.Line)
	case *syntax.Label:
		f.setLabel(s.Name, s.Line, s.Last)
	}
}

// scope generates body as a block of its own.
func (f *fn) scope(body []syntax.Stmt, end int) {
	f.enter(false)
	f.statements(body)
	f.leave(end)
}

func (f *fn) localStatement(s *syntax.Local) {
	vars := make([]variable, len(s.Names))
	for i, name := range s.Names {
		vars[i].name = name
		if i < len(s.Values) && !f.g.assigned[name] {
			vars[i].numeric, vars[i].bound = f.numeric(s.Values[i]), f.bound(s.Values[i])
		}
	}
	first := f.top
	f.list(s.Values, len(s.Names), s.Line)
	f.line = s.Line
	for i, v := range vars {
		f.declare(v, first+i)
	}
}

// list evaluates values into the next want registers: what is missing is nil,
// what is too much is evaluated and dropped.
func (f *fn) list(values []syntax.Expr, want, line int) {
	first := f.top
	for i, e := range values {
		if i == len(values)-1 && several(e) {
			n := max(want-i, 0)
			f.several(e, n)
			f.top = first + want
			f.touch(f.top)
			return
		}
		f.next(e)
	}
	if missing := want - len(values); missing > 0 {
		reg := f.reserve(missing)
		f.emit(line, glua.OP_LOADNIL, reg, reg+missing-1, 0)
	}
	f.top = first + want
}

func (f *fn) ifs(s *syntax.If) {
	var ends []int
	for i, c := range s.Clauses {
		no := f.jumpIf(c.Cond, false)
		f.scope(c.Body, c.End)
		if i < len(s.Clauses)-1 || s.Else != nil {
			ends = append(ends, f.jump(c.End))
		}
		f.patchHere(no)
	}
	f.scope(s.Else, f.line)
	f.patchHere(ends)
}

func (f *fn) while(s *syntax.While) {
	start := f.here()
	exit := f.jumpIf(s.Cond, false)
	f.enter(true)
	loop := f.block
	f.statements(s.Body)
	f.leave(s.End)
	f.patch(f.jump(s.End), start)
	f.patchHere(exit)
	f.patchHere(loop.breaks)
}

// repeat has two blocks: break leaves the outer one, and the condition sees
// the variables of the inner one.
func (f *fn) repeat(s *syntax.Repeat) {
	start := f.here()
	f.enter(true)
	loop := f.block
	f.enter(false)
	f.statements(s.Body)
	body := f.block
	again := f.jumpIf(s.Cond, false)
	if body.captured {
		f.emit(s.End, glua.OP_CLOSE, body.base, 0, 0)
		out := f.jump(s.End)
		f.patchHere(again)
		f.leave(s.End)
		f.patch(f.jump(s.End), start)
		f.patchHere([]int{out})
	} else {
		for _, pc := range again {
			f.patch(pc, start)
		}
		f.leave(s.End)
	}
	f.leave(s.End)
	f.patchHere(loop.breaks)
}

func (f *fn) numericFor(s *syntax.NumericFor) {
	step := s.Step
	if step == nil {
		step = &syntax.Number{Value: 1}
	}
	f.enter(true)
	loop := f.block
	base := f.top
	v := variable{name: s.Name}
	if !f.g.assigned[s.Name] {
		v.numeric, v.bound = true, f.loopBound(s.Init, s.Limit, step)
	}
	if f.numeric(s.Init) && f.numeric(s.Limit) && f.numeric(step) {
		f.next(s.Init)
		f.next(s.Limit)
		f.next(step)
	} else { // strings count as numbers here
		f.helper(forName, s.DoLine, []syntax.Expr{s.Init, s.Limit, step}, 3)
	}
	prepare := f.emitBx(s.DoLine, glua.OP_FORPREP, base, maxJump)
	f.top = base + 3
	f.hidden(3)
	f.enter(false)
	f.line = s.Line
	f.declare(v, f.reserve(1))
	start := f.here()
	f.statements(s.Body)
	f.leave(s.End)
	f.patch(prepare, f.here())
	f.patch(f.emitBx(s.Line, glua.OP_FORLOOP, base, maxJump), start)
	f.leave(s.End)
	f.patchHere(loop.breaks)
}

// hidden declares the n variables of a loop that the source cannot name.
func (f *fn) hidden(n int) {
	for i := range n {
		f.declare(variable{name: "(for)"}, f.top-n+i)
	}
}

func (f *fn) genericFor(s *syntax.GenericFor) {
	f.enter(true)
	loop := f.block
	base := f.top
	f.list(s.Values, 3, s.DoLine)
	f.hidden(3)
	prepare := f.jump(s.DoLine)
	f.enter(false)
	f.line = s.Line
	for _, name := range s.Names {
		f.declare(variable{name: name}, f.reserve(1))
	}
	f.touch(base + 6) // the iterator's call
	start := f.here()
	f.statements(s.Body)
	f.leave(s.End)
	f.patch(prepare, f.here())
	f.emit(s.Line, glua.OP_TFORLOOP, base, 0, len(s.Names))
	f.patch(f.jump(s.Line), start)
	f.leave(s.End)
	f.patchHere(loop.breaks)
}

func (f *fn) breaks(s *syntax.Break) {
	captured := false
	for b := f.block; b != nil; b = b.parent {
		captured = captured || b.captured
		if !b.loop {
			continue
		}
		if captured {
			f.emit(s.Line, glua.OP_CLOSE, b.base, 0, 0)
		}
		b.breaks = append(b.breaks, f.jump(s.Line))
		return
	}
	f.fail(s.Line, "break is not inside of a loop")
}

func (f *fn) returns(s *syntax.Return) {
	first := f.top
	if len(s.Values) == 1 {
		switch e := s.Values[0].(type) {
		case *syntax.Call, *syntax.Method:
			f.tailCall(e, s.Line)
			return
		case *syntax.Vararg:
		default:
			f.emit(s.Line, glua.OP_RETURN, f.any(e), 2, 0)
			return
		}
	}
	if open := f.open(s.Values); open {
		f.emit(s.Line, glua.OP_RETURN, first, 0, 0)
		return
	}
	f.emit(s.Line, glua.OP_RETURN, first, len(s.Values)+1, 0)
}

// open evaluates values into the next registers, all values of the last one
// if it can have several; then it returns true.
func (f *fn) open(values []syntax.Expr) bool {
	for i, e := range values {
		if i == len(values)-1 && several(e) {
			f.several(e, -1)
			return true
		}
		f.next(e)
	}
	return false
}
