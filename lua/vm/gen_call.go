package vm

import (
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// callExpr generates a Call or Method. The function is in register f.top. The n
// results replace it and the registers after it; n is -1 for all results. It
// returns the index of the call instruction and leaves f.top as it was.
func (f *fn) callExpr(e syntax.Expr, n int) int {
	base := f.top
	line, args, callee := 0, 1, unnamed
	var list []syntax.Expr
	switch e := e.(type) {
	case *syntax.Call:
		f.evalNext(e.Func)
		line, list, callee = e.Line, e.Args, callName(e.Func)
	case *syntax.Method:
		object := f.evalAny(e.Object)
		f.top = base
		f.reserveRegisters(2)
		f.checkName(e.Name, e.SelfLine)
		key := f.constant(glua.LString(e.Name))
		if key <= maxRK {
			key = f.nameConstant(e.Name) | rkConstant
		} else {
			f.emitBx(e.SelfLine, glua.OP_LOADK, base+1, key)
			key = base + 1
		}
		f.emit(e.SelfLine, glua.OP_SELF, base, object, key)
		line, list, callee, args = e.Line, e.Args, e.Name, 2
	}
	f.top = base + args
	args += len(list)
	if f.evalOpenList(list) {
		args = 0
	}
	f.top = base
	f.markUsed(base + max(n, 1))
	pc := f.emit(line, glua.OP_CALL, base, args, n+1)
	f.calls = append(f.calls, glua.DbgCall{Name: taggedName(callee, n), Pc: pc})
	return pc
}

// unnamed replaces the name of a called function that has none. It is not "?",
// because gopher-lua then prints the same text as for metamethods.
const unnamed = "(function)"

// wantsTag separates the name of a called function from the number of results
// that its caller wants. coroutine.resume needs this number, and the name is the
// only way to pass it through gopher-lua. For zero or one result, the tag and the
// number are left out.
const wantsTag = "\x01"

// taggedName returns name with the number of wanted results.
func taggedName(name string, results int) string {
	if results == 0 || results == 1 {
		return name
	}
	return name + wantsTag + strconv.Itoa(results)
}

// untagged removes the tags and their numbers from a message or traceback.
func untagged(s string) string {
	before, after, found := strings.Cut(s, wantsTag)
	if !found {
		return s
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		rest := strings.TrimLeft(strings.TrimPrefix(after, "-"), "0123456789")
		if strings.HasSuffix(after[:len(after)-len(rest)], "-") || len(rest) == len(after) {
			b.WriteString(wantsTag) // not a tag: no number follows
			rest = after
		}
		before, after, found = strings.Cut(rest, wantsTag)
	}
	b.WriteString(before)
	return b.String()
}

// tailCall generates `return f(args)`. Calls of coroutine.yield are ordinary
// calls, because gopher-lua loses a coroutine that yields in a tail call.
func (f *fn) tailCall(e syntax.Expr, line int) {
	base := f.top
	pc := f.callExpr(e, -1)
	call, name := f.code[pc], f.calls[len(f.calls)-1].Name
	callLine := f.lines[pc]
	yield := f.constant(yieldFunction)
	if yield > maxRK { // it cannot be compared with, so no call is a tail call
		f.emit(line, glua.OP_RETURN, base, 0, 0)
		return
	}
	f.code, f.lines = f.code[:pc], f.lines[:pc]
	f.emit(callLine, glua.OP_EQ, 1, base, yield|rkConstant)
	ordinary := f.jump(callLine)
	f.calls[len(f.calls)-1].Pc = f.emitWord(callLine, call&(1<<26-1)|uint32(glua.OP_TAILCALL)<<26)
	f.emit(line, glua.OP_RETURN, base, 0, 0)
	f.patchJumpsHere([]int{ordinary})
	f.calls = append(f.calls, glua.DbgCall{Name: name, Pc: f.emitWord(callLine, call)})
	f.emit(line, glua.OP_RETURN, base, 0, 0)
}

// callName returns the name of a called function for messages.
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

// callHelper calls a function of this package with args. Its n results are in
// register f.top and the registers after it.
func (f *fn) callHelper(name string, line int, args []syntax.Expr, n int) {
	base := f.top
	if v := f.localOf(args[0]); v != nil && len(args) == 2 && f.g.assigned[v.name] && !hasNoEffect(args[1]) {
		f.callHelperLate(name, line, args)
		return
	}
	f.emitBx(line, glua.OP_GETGLOBAL, f.reserveRegisters(1), f.nameConstant(name))
	for _, e := range args {
		f.evalNext(e)
	}
	f.emit(line, glua.OP_CALL, base, len(args)+1, n+1)
	f.top = base
}

// hasNoEffect reports whether e is so simple that evaluating it cannot change a
// variable.
func hasNoEffect(e syntax.Expr) bool {
	_, isName := e.(*syntax.Name)
	_, isLiteral := constantValue(e)
	return isName || isLiteral
}

// callHelperLate is callHelper for an operator whose left operand is a local that
// the right operand may change. The operator uses the changed value, as in Lua
// 5.1.
func (f *fn) callHelperLate(name string, line int, args []syntax.Expr) {
	base := f.top
	left := f.evalOperand(args[0])
	right := f.evalNext(args[1])
	function := f.reserveRegisters(3)
	f.emitBx(line, glua.OP_GETGLOBAL, function, f.nameConstant(name))
	f.move(function+1, left, line)
	f.move(function+2, right, line)
	f.emit(line, glua.OP_CALL, function, 3, 2)
	f.move(base, function, line)
	f.top = base
}

// callHelperInto is callHelper with one result, which goes to reg.
func (f *fn) callHelperInto(name string, line int, args []syntax.Expr, reg int) {
	f.inFreshRegister(reg, line, func(fresh int) {
		f.top = fresh
		f.callHelper(name, line, args, 1)
		f.top = fresh + 1
	})
}

// concatChain calls the concatenation function. It passes all operands of `..` in
// one call if there are enough registers. The function joins them from right to
// left, as the operator does.
func (f *fn) concatChain(e *syntax.Concat, reg int) {
	f.inFreshRegister(reg, e.Line, func(fresh int) {
		f.top = fresh
		f.emitBx(e.Line, glua.OP_GETGLOBAL, f.reserveRegisters(1), f.nameConstant(concatName))
		held := 0
		for i, operand := range e.Operands {
			f.evalNext(operand)
			held++
			if f.top < maxRegisters-30 && held < 200 || i == len(e.Operands)-1 || held < 2 {
				continue
			}
			// lua5.1 refuses such a chain, because it has more than 200 operands.
			f.emit(e.Line, glua.OP_CALL, fresh, held+1, 2)
			f.top = fresh + 1
			f.move(f.reserveRegisters(1), fresh, e.Line)
			f.emitBx(e.Line, glua.OP_GETGLOBAL, fresh, f.nameConstant(concatName))
			held = 1
		}
		f.emit(e.Line, glua.OP_CALL, fresh, held+1, 2)
		f.top = fresh + 1
	})
}

// itemsPerFlush is the number of list items that one instruction stores.
const itemsPerFlush = 50

// tableConstructor evaluates a table constructor into reg.
func (f *fn) tableConstructor(e *syntax.Table, reg int) {
	f.inFreshRegister(reg, e.Line, func(t int) {
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
				key, name := f.evalKey(field.Key)
				op := glua.OP_SETTABLE
				if name {
					op = glua.OP_SETTABLEKS
				}
				f.emit(field.Line, op, t, key, f.evalOperand(field.Value))
				f.top = top
			case i == len(e.Fields)-1 && isMulti(field.Value):
				f.evalMulti(field.Value, -1)
				f.setList(field.Line, t, 0, batch)
				held = 0
			default:
				f.evalNext(field.Value)
				held++
			}
			if held == itemsPerFlush {
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

// setList stores n items from the registers after the table in register t. If n
// is 0, it stores all items up to the top of the stack.
func (f *fn) setList(line, t, n, batch int) {
	c := batch
	if c > 511 {
		c = 0
	}
	f.emit(line, glua.OP_SETLIST, t, n, c)
	if c == 0 {
		f.dataWords[f.emitWord(line, uint32(batch))] = true //nolint:gosec // bounded by the source's length
	}
	f.top = t + 1
}
