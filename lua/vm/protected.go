package vm

import (
	"fmt"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// protectedCall calls fn with the values of l from index first on. On success, it
// pushes the results on l and returns their number. fn runs on a separate thread of
// the same execution, for two reasons: an error must not close the open upvalues of
// the caller (yuin/gopher-lua#448), and fn may call functions that wait.
func protectedCall(l *glua.LState, ex *execution, fn glua.LValue, first int) (results int, err error) {
	p := beginProtected(l, ex, fn)
	nargs := 0
	for i := first; i <= l.GetTop(); i++ {
		p.thread.Push(l.Get(i))
		nargs++
	}
	if err := p.run(nargs); err != nil {
		return 0, err
	}
	results = p.thread.GetTop()
	for i := 1; i <= results; i++ {
		l.Push(p.thread.Get(i))
	}
	ex.state.putThread(p.thread)
	return results, nil
}

// protection is a protected call in progress: its thread, and what the execution had
// before it.
type protection struct {
	thread            *glua.LState
	ex                *execution
	coroutine, caller *glua.LState
	outer             *glua.LState
	depth             int
}

// beginProtected prepares a call of fn on a new thread. The caller pushes the arguments on
// this thread, and calls run or end.
func beginProtected(l *glua.LState, ex *execution, fn glua.LValue) protection {
	if ex.depth >= MaxDepth {
		l.RaiseError("calls, coroutines and callbacks are nested deeper than %d levels", MaxDepth)
	}
	g := ex.state.main.G
	p := protection{ex: ex, coroutine: ex.coroutine, caller: g.CurrentThread, outer: ex.outer, depth: ex.depth}
	p.thread = ex.state.takeThread(ex)
	ex.depth++
	ex.outer = l
	ex.callbacks = append(ex.callbacks, callback{p.thread, l})
	p.thread.Push(fn)
	return p
}

// run makes the call. After an error, the thread must not be reused: it is in an unknown
// state.
func (p *protection) run(nargs int) error {
	err := safePCall(p.thread, nargs)
	p.end()
	if err != nil {
		p.ex.unitsLeft -= caughtErrorUnits
		p.ex.noteKillMessage(raisedValue(err))
	}
	return err
}

// end restores the execution.
func (p *protection) end() {
	ex := p.ex
	ex.coroutine, ex.depth, ex.state.main.G.CurrentThread, ex.outer = p.coroutine, p.depth, p.caller, p.outer
	ex.threads = ex.threads[:len(ex.threads)-1]
	ex.callbacks = ex.callbacks[:len(ex.callbacks)-1]
}

// safePCall is like LState.PCall, but also recovers the panics of the interpreter
// that PCall does not recover.
func safePCall(p *glua.LState, nargs int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	return p.PCall(nargs, glua.MultRet, nil)
}

// raisedValue returns the Lua value that was raised as err.
func raisedValue(err error) glua.LValue {
	if api, ok := err.(*glua.ApiError); ok { //nolint:errorlint // gopher-lua never wraps it
		if s, ok := api.Object.(glua.LString); ok {
			return glua.LString(untagged(string(s)))
		}
		return api.Object
	}
	return glua.LString(err.Error())
}

// withoutPosition corrects the error v of a library function that pcall called
// directly. There is no position then, but gopher-lua leaves a space for it and
// calls the function "main chunk". The errors of `error` and of functions that call
// Lua functions are not changed, because they may be any text of the script.
func withoutPosition(l *glua.LState, v glua.LValue) glua.LValue {
	message, isText := v.(glua.LString)
	fn, isFunction := l.Get(1).(*glua.LFunction)
	if !isText || !isFunction || !fn.IsG || fn == executionOf(l).state.lib.env.RawGetString("error") {
		return v
	}
	for i := 2; i <= l.GetTop(); i++ {
		if _, callback := l.Get(i).(*glua.LFunction); callback {
			return v
		}
	}
	text, found := strings.CutPrefix(string(message), " ")
	if !found {
		return v
	}
	if strings.HasPrefix(text, "bad argument #") {
		text = strings.Replace(text, " to main chunk (", " to '?' (", 1)
	}
	return glua.LString(text)
}

// noteKillMessage records the first error after the call was killed. The errors
// that are raised later, outside of the pcall or coroutine, name another line.
func (ex *execution) noteKillMessage(v glua.LValue) {
	if text, ok := v.(glua.LString); ok && ex.killReason != nil && ex.killMessage == "" {
		ex.killMessage = string(text)
	}
}

// luaPcall is pcall.
func luaPcall(l *glua.LState) int {
	n, err := protectedCall(l, executionOf(l), l.CheckAny(1), 2)
	if err != nil {
		l.Push(glua.LFalse)
		l.Push(withoutPosition(l, raisedValue(err)))
		return 2
	}
	l.Insert(glua.LTrue, l.GetTop()-n+1)
	return n + 1
}

// luaXpcall is xpcall. It calls the handler after the stack is unwound, so the
// handler gets the error but cannot see the frames.
func luaXpcall(l *glua.LState) int {
	fn, handler, ex := l.CheckAny(1), l.CheckAny(2), executionOf(l)
	l.SetTop(2) // Lua 5.1 passes no arguments
	n, err := protectedCall(l, ex, fn, 3)
	if err == nil {
		l.Insert(glua.LTrue, 3)
		return n + 1
	}
	l.SetTop(0)
	l.Push(raisedValue(err))
	n, err = protectedCall(l, ex, handler, 1)
	if err != nil {
		l.Push(glua.LFalse)
		l.Push(glua.LString("error in error handling"))
		return 2
	}
	l.Insert(glua.LFalse, 2)
	return n + 1
}
