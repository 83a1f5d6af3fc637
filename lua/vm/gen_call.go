package vm

import (
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// call generates a Call or Method whose function is at f.top, with n results
// from there on, or all of them if n is -1. It returns where the instruction
// is. f.top is as before.
func (f *fn) call(e syntax.Expr, n int) int {
	base := f.top
	line, args, calls := 0, 1, unnamed
	var list []syntax.Expr
	switch e := e.(type) {
	case *syntax.Call:
		f.next(e.Func)
		line, list, calls = e.Line, e.Args, callName(e.Func)
	case *syntax.Method:
		object := f.any(e.Object)
		f.top = base
		f.reserve(2)
		f.checkName(e.Name, e.SelfLine)
		key := f.constant(glua.LString(e.Name))
		if key <= maxRK {
			key = f.nameConstant(e.Name) | rkConstant
		} else {
			f.emitBx(e.SelfLine, glua.OP_LOADK, base+1, key)
			key = base + 1
		}
		f.emit(e.SelfLine, glua.OP_SELF, base, object, key)
		line, list, calls, args = e.Line, e.Args, e.Name, 2
	}
	f.top = base + args
	args += len(list)
	if f.open(list) {
		args = 0
	}
	f.top = base
	f.touch(base + max(n, 1))
	pc := f.emit(line, glua.OP_CALL, base, args, n+1)
	f.calls = append(f.calls, glua.DbgCall{Name: markedName(calls, n), Pc: pc})
	return pc
}

// unnamed is the name of a called function without one. It is not "?", for
// which gopher-lua shows what it also shows for metamethods.
const unnamed = "(function)"

// wantsMark is between the name of a called function and the number of
// results that its caller wants: what resumes a coroutine has to know it, and
// gopher-lua tells nothing else. It is left out for one result and for none.
const wantsMark = "\x01"

func markedName(name string, results int) string {
	if results == 0 || results == 1 {
		return name
	}
	return name + wantsMark + strconv.Itoa(results)
}

// unmarked takes the marks out of a message or traceback.
func unmarked(s string) string {
	before, after, found := strings.Cut(s, wantsMark)
	if !found {
		return s
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		count := strings.TrimLeft(strings.TrimPrefix(after, "-"), "0123456789")
		if strings.HasSuffix(after[:len(after)-len(count)], "-") || len(count) == len(after) {
			b.WriteString(wantsMark) // no number follows
			count = after
		}
		before, after, found = strings.Cut(count, wantsMark)
	}
	b.WriteString(before)
	return b.String()
}

// tailCall returns what a call returns. coroutine.yield is called in the
// ordinary way.
func (f *fn) tailCall(e syntax.Expr, line int) {
	base := f.top
	pc := f.call(e, -1)
	call, name := f.code[pc], f.calls[len(f.calls)-1].Name
	callLine := f.lines[pc]
	yield := f.constant(yieldFunction)
	if yield > maxRK { // then every call is ordinary, and takes a frame
		f.emit(line, glua.OP_RETURN, base, 0, 0)
		return
	}
	f.code, f.lines = f.code[:pc], f.lines[:pc]
	f.emit(callLine, glua.OP_EQ, 1, base, yield|rkConstant)
	ordinary := f.jump(callLine)
	f.calls[len(f.calls)-1].Pc = f.word(callLine, call&(1<<26-1)|uint32(glua.OP_TAILCALL)<<26)
	f.emit(line, glua.OP_RETURN, base, 0, 0)
	f.patchHere([]int{ordinary})
	f.calls = append(f.calls, glua.DbgCall{Name: name, Pc: f.word(callLine, call)})
	f.emit(line, glua.OP_RETURN, base, 0, 0)
}

// callName is the name of a called function in messages.
func callName(e syntax.Expr) string {
	switch e := e.(type) {
	case *syntax.Name:
		return e.Name
	case *syntax.Index:
		if s, ok := e.Key.(*syntax.String); ok {
			return s.Value
		}
	}
	return unnamed
}

// helper calls one of our functions with args; its n results are in the
// registers from f.top on.
func (f *fn) helper(name string, line int, args []syntax.Expr, n int) {
	base := f.top
	if v := f.localOf(args[0]); v != nil && len(args) == 2 && f.g.assigned[v.name] && !simple(args[1]) {
		f.helperLate(name, line, args)
		return
	}
	f.emitBx(line, glua.OP_GETGLOBAL, f.reserve(1), f.nameConstant(name))
	for _, e := range args {
		f.next(e)
	}
	f.emit(line, glua.OP_CALL, base, len(args)+1, n+1)
	f.top = base
}

// simple reports whether evaluating e cannot change a variable.
func simple(e syntax.Expr) bool {
	_, isName := e.(*syntax.Name)
	_, isLiteral := literal(e)
	return isName || isLiteral
}

// helperLate is helper for an operator whose left operand is a local that the
// right one may change: the operator sees the change, as in Lua 5.1.
func (f *fn) helperLate(name string, line int, args []syntax.Expr) {
	base := f.top
	left := f.operand(args[0])
	right := f.next(args[1])
	function := f.reserve(3)
	f.emitBx(line, glua.OP_GETGLOBAL, function, f.nameConstant(name))
	f.move(function+1, left, line)
	f.move(function+2, right, line)
	f.emit(line, glua.OP_CALL, function, 3, 2)
	f.move(base, function, line)
	f.top = base
}

// helperInto is helper for one result, in reg.
func (f *fn) helperInto(name string, line int, args []syntax.Expr, reg int) {
	f.work(reg, line, func(fresh int) {
		f.top = fresh
		f.helper(name, line, args, 1)
		f.top = fresh + 1
	})
}

// concat passes the operands of `..` to our function, all at once as far as
// registers suffice: it joins them from right to left, as the operator does.
func (f *fn) concat(e *syntax.Concat, reg int) {
	f.work(reg, e.Line, func(fresh int) {
		f.top = fresh
		f.emitBx(e.Line, glua.OP_GETGLOBAL, f.reserve(1), f.nameConstant(concatName))
		held := 0
		for i, operand := range e.Operands {
			f.next(operand)
			held++
			if f.top < maxRegisters-30 && held < 200 || i == len(e.Operands)-1 || held < 2 {
				continue
			}
			// What lua5.1 refuses, because it is longer than 200 operands.
			f.emit(e.Line, glua.OP_CALL, fresh, held+1, 2)
			f.top = fresh + 1
			f.move(f.reserve(1), fresh, e.Line)
			f.emitBx(e.Line, glua.OP_GETGLOBAL, fresh, f.nameConstant(concatName))
			held = 1
		}
		f.emit(e.Line, glua.OP_CALL, fresh, held+1, 2)
		f.top = fresh + 1
	})
}

// perFlush is how many items of a list one instruction stores.
const perFlush = 50

func (f *fn) table(e *syntax.Table, reg int) {
	f.work(reg, e.Line, func(t int) {
		items := 0
		for _, field := range e.Fields {
			if field.Key == nil {
				items++
			}
		}
		f.emit(e.Line, glua.OP_NEWTABLE, t, min(items, 511), min(len(e.Fields)-items, 511))
		held, batch := 0, 1
		for i, field := range e.Fields {
			top := f.top
			switch {
			case field.Key != nil:
				key, name := f.key(field.Key)
				op := glua.OP_SETTABLE
				if name {
					op = glua.OP_SETTABLEKS
				}
				f.emit(field.Line, op, t, key, f.operand(field.Value))
				f.top = top
			case i == len(e.Fields)-1 && several(field.Value):
				f.several(field.Value, -1)
				f.setList(field.Line, t, 0, batch)
				held = 0
			default:
				f.next(field.Value)
				held++
			}
			if held == perFlush {
				f.setList(field.Line, t, held, batch)
				held, batch = 0, batch+1
			}
		}
		if held > 0 {
			f.setList(f.line, t, held, batch)
		}
		f.top = t + 1
	})
}

// setList stores n items, or all from the table up to the last register in
// use if n is 0.
func (f *fn) setList(line, t, n, batch int) {
	c := batch
	if c > 511 {
		c = 0
	}
	f.emit(line, glua.OP_SETLIST, t, n, c)
	if c == 0 {
		f.data[f.word(line, uint32(batch))] = true //nolint:gosec // bounded by the source's length
	}
	f.top = t + 1
}
