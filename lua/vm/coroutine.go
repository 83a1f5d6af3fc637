package vm

import (
	"runtime"
	"time"
	"weak"

	glua "github.com/yuin/gopher-lua"
)

// live are the coroutines of a state that have not ended. Each is a whole
// interpreter thread (11 KB and more). Those that a script has dropped
// half-way leave when the garbage collector finds them.
type live map[weak.Pointer[glua.LState]]struct{}

// collectTime is what a garbage collection is charged as.
const collectTime = 10 * time.Millisecond

// room reports whether one more may be made.
func (v live) room() bool {
	if len(v) < MaxCoroutines {
		return true
	}
	runtime.GC() // dropped ones count until they are found
	for p := range v {
		if p.Value() == nil {
			delete(v, p)
		}
	}
	return len(v) < MaxCoroutines
}

// coroutineFuncs are the functions of gopher-lua that the bounded ones build on.
type coroutineFuncs struct{ create, resume, status glua.LGFunction }

// coroutineLib replaces gopher-lua's: there, a coroutine's budget is not its
// resumer's, two tasks can resume one coroutine, and two coroutines that
// resume each other overflow the process's stack.
func coroutineLib(stock coroutineFuncs) map[string]glua.LGFunction {
	create := func(l *glua.LState) int { return coroutineCreate(l, stock.create) }
	resume := func(l *glua.LState) int { return coroutineResume(l, stock.resume) }
	return map[string]glua.LGFunction{
		"create":  create,
		"resume":  resume,
		"status":  func(l *glua.LState) int { return coroutineStatus(l, stock.status) },
		"yield":   coroutineYield,
		"running": coroutineRunning,
		"wrap": func(l *glua.LState) int {
			create(l)
			thread := l.Get(-1)
			l.Push(l.NewClosure(func(l *glua.LState) int {
				l.Insert(thread, 1)
				top := l.GetTop()
				n := resume(l)
				if l.Get(top+1) == glua.LFalse {
					l.Error(l.Get(top+2), 0)
				}
				return n - 1
			}, thread)) // an upvalue, so that it counts as memory
			return 1
		},
	}
}

func coroutineCreate(l *glua.LState, create glua.LGFunction) int {
	l.CheckFunction(1)
	t := taskOf(l)
	if len(t.state.live) >= MaxCoroutines {
		t.charge(l, int(unitsIn(collectTime)))
	}
	if !t.state.live.room() {
		l.RaiseError("more than %d coroutines have not ended", MaxCoroutines)
	}
	t.reserve(l, newThreadBytes)
	// With a context, create would derive one that never ends with the task.
	l.RemoveContext()
	n := create(l)
	l.SetContext(t)
	t.state.live[weak.Make(l.Get(-1).(*glua.LState))] = struct{}{}
	return n
}

func coroutineResume(l *glua.LState, resume glua.LGFunction) int {
	thread := l.CheckThread(1)
	t := taskOf(l)
	s, g := t.state, t.state.main.G
	refuse := ""
	switch {
	case s.busy[thread]:
		refuse = "cannot resume a coroutine that is not suspended"
	case thread.Dead:
		refuse = "cannot resume dead coroutine"
	case t.depth >= MaxDepth:
		refuse = "calls, coroutines and callbacks are nested too deeply"
	}
	if refuse != "" {
		l.Push(glua.LFalse)
		l.Push(glua.LString(refuse))
		return 2
	}
	current, depth, caller := t.current, t.depth, g.CurrentThread
	s.busy[thread] = true
	t.current, t.depth = thread, t.depth+1
	thread.SetContext(t)
	defer func() {
		thread.RemoveContext()
		delete(s.busy, thread)
		if thread.Dead {
			delete(s.live, weak.Make(thread))
		}
		t.current, t.depth, g.CurrentThread = current, depth, caller
	}()
	return resume(l)
}

// coroutineYield works on the coroutine's own thread only: a pcall or a
// callback in between has a thread of its own.
func coroutineYield(l *glua.LState) int {
	if taskOf(l).current != l {
		l.RaiseError("attempt to yield from outside of a coroutine, or across a pcall or a callback")
	}
	return -1
}

func coroutineRunning(l *glua.LState) int {
	if current := taskOf(l).current; current != nil {
		l.Push(current)
		return 1
	}
	l.Push(glua.LNil)
	return 1
}

func coroutineStatus(l *glua.LState, status glua.LGFunction) int {
	thread, t := l.CheckThread(1), taskOf(l)
	switch {
	case t.current == thread:
		l.Push(glua.LString("running"))
	case t.state.busy[thread]:
		l.Push(glua.LString("normal"))
	default:
		return status(l)
	}
	return 1
}
