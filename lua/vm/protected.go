package vm

import (
	"fmt"

	glua "github.com/yuin/gopher-lua"
)

// protectedCall calls fn with the values of l from index first on, on a
// thread of its own that shares the task: an error there must not close the
// caller's open upvalues (yuin/gopher-lua#448), and waits work inside. On
// success the results are pushed on l and counted.
func protectedCall(l *glua.LState, t *task, fn glua.LValue, first int) (results int, err error) {
	if t.depth >= MaxDepth {
		l.RaiseError("calls, coroutines and callbacks are nested deeper than %d", MaxDepth)
	}
	s, g := t.state, t.state.main.G
	current, depth, caller, outer := t.current, t.depth, g.CurrentThread, t.outer
	p := s.thread(t)
	t.depth++
	t.outer = l
	t.callbacks = append(t.callbacks, callback{p, l})
	p.Push(fn)
	nargs := 0
	for i := first; i <= l.GetTop(); i++ {
		p.Push(l.Get(i))
		nargs++
	}
	err = pcall(p, nargs)
	t.current, t.depth, g.CurrentThread, t.outer = current, depth, caller, outer
	t.threads = t.threads[:len(t.threads)-1]
	t.callbacks = t.callbacks[:len(t.callbacks)-1]
	if err != nil {
		t.left -= caughtUnits
		return 0, err // p is dropped: it is in an unknown state
	}
	results = p.GetTop()
	for i := 1; i <= results; i++ {
		l.Push(p.Get(i))
	}
	s.putThread(p)
	return results, nil
}

// pcall is PCall, which lets some panics of the interpreter through.
func pcall(p *glua.LState, nargs int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	return p.PCall(nargs, glua.MultRet, nil)
}

// raised is the value that a protected call caught.
func raised(err error) glua.LValue {
	if api, ok := err.(*glua.ApiError); ok { //nolint:errorlint // gopher-lua never wraps it
		if s, ok := api.Object.(glua.LString); ok {
			return glua.LString(unmarked(string(s)))
		}
		return api.Object
	}
	return glua.LString(err.Error())
}

func luaPcall(l *glua.LState) int {
	n, err := protectedCall(l, taskOf(l), l.CheckAny(1), 2)
	if err != nil {
		l.Push(glua.LFalse)
		l.Push(raised(err))
		return 2
	}
	l.Insert(glua.LTrue, l.GetTop()-n+1)
	return n + 1
}

// luaXpcall calls the handler after the stack is unwound: it sees the error,
// not the frames.
func luaXpcall(l *glua.LState) int {
	fn, handler, t := l.CheckAny(1), l.CheckAny(2), taskOf(l)
	l.SetTop(2) // Lua 5.1 passes no arguments
	n, err := protectedCall(l, t, fn, 3)
	if err == nil {
		l.Insert(glua.LTrue, 3)
		return n + 1
	}
	l.SetTop(0)
	l.Push(raised(err))
	n, err = protectedCall(l, t, handler, 1)
	if err != nil {
		l.Push(glua.LFalse)
		l.Push(glua.LString("error in error handling"))
		return 2
	}
	l.Insert(glua.LFalse, 2)
	return n + 1
}
