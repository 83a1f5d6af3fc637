package vm

import (
	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

func (f *fn) statements(list []syntax.Stmt) {
	for _, s := range list {
		f.statement(s)
		f.top = f.firstTemporary() // release temporaries
	}
}

func (f *fn) statement(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.Local:
		f.localStatement(s)
	case *syntax.LocalFunction:
		reg := f.reserveRegisters(1)
		f.line = s.Line
		f.declare(variable{name: s.Name}, reg)
		f.evalInto(s.Func, reg)
	case *syntax.Assign:
		f.assignStatement(s)
	case *syntax.CallStmt:
		f.callExpr(s.Call, 0)
	case *syntax.Do:
		f.scope(s.Body, s.End)
	case *syntax.While:
		f.whileStatement(s)
	case *syntax.Repeat:
		f.repeatStatement(s)
	case *syntax.If:
		f.ifStatement(s)
	case *syntax.NumericFor:
		f.numericFor(s)
	case *syntax.GenericFor:
		f.genericFor(s)
	case *syntax.Return:
		f.returnStatement(s)
	case *syntax.Break:
		f.breakStatement(s)
	case *syntax.Goto:
		f.gotoStatement(s.Name, s.Line)
	case *syntax.Label:
		f.defineLabel(s.Name, s.Line, s.Last)
	}
}

// scope generates body in a new block.
func (f *fn) scope(body []syntax.Stmt, end int) {
	f.enterBlock(false)
	f.statements(body)
	f.leaveBlock(end)
}

func (f *fn) localStatement(s *syntax.Local) {
	vars := make([]variable, len(s.Names))
	for i, name := range s.Names {
		vars[i].name = name
		if i < len(s.Values) && !f.g.assigned[name] {
			vars[i].numeric, vars[i].upperBound = f.isNumeric(s.Values[i]), f.upperBound(s.Values[i])
		}
	}
	first := f.top
	f.evalList(s.Values, len(s.Names), s.Line)
	f.line = s.Line
	for i, v := range vars {
		f.declare(v, first+i)
	}
}

// evalList evaluates values into the next want registers. Missing values are nil.
// Extra values are evaluated and dropped.
func (f *fn) evalList(values []syntax.Expr, want, line int) {
	first := f.top
	for i, e := range values {
		if i == len(values)-1 && isMulti(e) {
			n := max(want-i, 0)
			f.evalMulti(e, n)
			f.top = first + want
			f.markUsed(f.top)
			return
		}
		f.evalNext(e)
	}
	if missing := want - len(values); missing > 0 {
		reg := f.reserveRegisters(missing)
		f.emit(line, glua.OP_LOADNIL, reg, reg+missing-1, 0)
	}
	f.top = first + want
}

func (f *fn) ifStatement(s *syntax.If) {
	var ends []int
	for i, c := range s.Clauses {
		no := f.jumpIf(c.Cond, false)
		f.scope(c.Body, c.End)
		if i < len(s.Clauses)-1 || s.Else != nil {
			ends = append(ends, f.jump(c.End))
		}
		f.patchJumpsHere(no)
	}
	f.scope(s.Else, f.line)
	f.patchJumpsHere(ends)
}

// whileStatement generates a while loop.
func (f *fn) whileStatement(s *syntax.While) {
	start := f.here()
	exit := f.jumpIf(s.Cond, false)
	f.enterBlock(true)
	loop := f.block
	f.statements(s.Body)
	f.leaveBlock(s.End)
	f.patchJump(f.jump(s.End), start)
	f.patchJumpsHere(exit)
	f.patchJumpsHere(loop.breaks)
}

// repeatStatement uses two blocks: break leaves the outer block, and the condition
// can use the variables of the inner block.
func (f *fn) repeatStatement(s *syntax.Repeat) {
	start := f.here()
	f.enterBlock(true)
	loop := f.block
	f.enterBlock(false)
	f.statements(s.Body)
	body := f.block
	again := f.jumpIf(s.Cond, false)
	if body.captured {
		f.emit(s.End, glua.OP_CLOSE, body.base, 0, 0)
		out := f.jump(s.End)
		f.patchJumpsHere(again)
		f.leaveBlock(s.End)
		f.patchJump(f.jump(s.End), start)
		f.patchJumpsHere([]int{out})
	} else {
		for _, pc := range again {
			f.patchJump(pc, start)
		}
		f.leaveBlock(s.End)
	}
	f.leaveBlock(s.End)
	f.patchJumpsHere(loop.breaks)
}

func (f *fn) numericFor(s *syntax.NumericFor) {
	step := s.Step
	if step == nil {
		step = &syntax.Number{Value: 1}
	}
	f.enterBlock(true)
	loop := f.block
	base := f.top
	v := variable{name: s.Name}
	if !f.g.assigned[s.Name] {
		v.numeric, v.upperBound = true, f.loopUpperBound(s.Init, s.Limit, step)
	}
	if f.isNumeric(s.Init) && f.isNumeric(s.Limit) && f.isNumeric(step) {
		f.evalNext(s.Init)
		f.evalNext(s.Limit)
		f.evalNext(step)
	} else { // forName converts strings to numbers
		f.callHelper(forName, s.DoLine, []syntax.Expr{s.Init, s.Limit, step}, 3)
	}
	prepare := f.emitBx(s.DoLine, glua.OP_FORPREP, base, maxJump)
	f.top = base + 3
	f.declareHidden(3)
	f.enterBlock(false)
	f.line = s.Line
	f.declare(v, f.reserveRegisters(1))
	start := f.here()
	f.statements(s.Body)
	f.leaveBlock(s.End)
	f.patchJump(prepare, f.here())
	f.patchJump(f.emitBx(s.Line, glua.OP_FORLOOP, base, maxJump), start)
	f.leaveBlock(s.End)
	f.patchJumpsHere(loop.breaks)
}

// declareHidden declares the n internal variables of a loop.
func (f *fn) declareHidden(n int) {
	for i := range n {
		f.declare(variable{name: "(for)"}, f.top-n+i)
	}
}

func (f *fn) genericFor(s *syntax.GenericFor) {
	f.enterBlock(true)
	loop := f.block
	base := f.top
	f.evalList(s.Values, 3, s.DoLine)
	f.declareHidden(3)
	prepare := f.jump(s.DoLine)
	f.enterBlock(false)
	f.line = s.Line
	for _, name := range s.Names {
		f.declare(variable{name: name}, f.reserveRegisters(1))
	}
	f.markUsed(base + 6) // the iterator's call
	start := f.here()
	f.statements(s.Body)
	f.leaveBlock(s.End)
	f.patchJump(prepare, f.here())
	f.emit(s.Line, glua.OP_TFORLOOP, base, 0, len(s.Names))
	f.patchJump(f.jump(s.Line), start)
	f.leaveBlock(s.End)
	f.patchJumpsHere(loop.breaks)
}

func (f *fn) breakStatement(s *syntax.Break) {
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
	f.fail(s.Line, "break outside of a loop")
}

func (f *fn) returnStatement(s *syntax.Return) {
	first := f.top
	if len(s.Values) == 1 {
		switch e := s.Values[0].(type) {
		case *syntax.Call, *syntax.Method:
			f.tailCall(e, s.Line)
			return
		case *syntax.Vararg:
		default:
			f.emit(s.Line, glua.OP_RETURN, f.evalAny(e), 2, 0)
			return
		}
	}
	if open := f.evalOpenList(s.Values); open {
		f.emit(s.Line, glua.OP_RETURN, first, 0, 0)
		return
	}
	f.emit(s.Line, glua.OP_RETURN, first, len(s.Values)+1, 0)
}

// evalOpenList evaluates values into the next registers. If the last expression
// can have any number of values, it keeps all of them and returns true.
func (f *fn) evalOpenList(values []syntax.Expr) bool {
	for i, e := range values {
		if i == len(values)-1 && isMulti(e) {
			f.evalMulti(e, -1)
			return true
		}
		f.evalNext(e)
	}
	return false
}
