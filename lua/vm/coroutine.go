package vm

import (
	"runtime"
	"strconv"
	"strings"
	"time"
	"weak"

	glua "github.com/yuin/gopher-lua"
)

// live are the coroutines of a state that have not ended. Each is a whole
// interpreter thread (11 KB and more). Those that a script has dropped
// half-way leave when the garbage collector finds them. The value is how many
// results a suspended one wants from its yield: all that come if negative.
type live map[weak.Pointer[glua.LState]]int

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
		"running": coroutineRunning,
		"wrap": func(l *glua.LState) int {
			create(l)
			thread := l.Get(-1)
			l.Push(l.NewClosure(func(l *glua.LState) int {
				l.Insert(thread, 1)
				n := resume(l)
				first := l.GetTop() - n + 1
				if l.Get(first) == glua.LFalse {
					raised := l.Get(first + 1)
					if s, ok := textOf(raised); ok {
						raised = glua.LString(position(l, 1) + s)
					}
					l.Error(raised, 0)
				}
				return n - 1
			}, thread)) // an upvalue, so that it counts as memory
			return 1
		},
	}
}

func coroutineCreate(l *glua.LState, create glua.LGFunction) int {
	if l.CheckFunction(1).IsG {
		l.ArgError(1, "Lua function expected")
	}
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
	t.state.live[weak.Make(l.Get(-1).(*glua.LState))] = -1
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
	// gopher-lua leaves registers empty for which no value came.
	for wants := s.live[weak.Make(thread)]; l.GetTop()-1 < wants; {
		l.Push(glua.LNil)
	}
	n := resume(l)
	if e, ok := l.Get(-1).(glua.LString); ok && n == 2 && l.Get(-2) == glua.LFalse {
		l.Replace(l.GetTop(), glua.LString(unmarked(string(e))))
	}
	return n
}

// yieldFunction is coroutine.yield, of all libraries: generated code compares
// with it, because gopher-lua loses a coroutine that yields in a tail call.
var yieldFunction = &glua.LFunction{IsG: true, GFunction: coroutineYield}

// coroutineYield works on the coroutine's own thread only: a pcall or a
// callback in between has a thread of its own.
func coroutineYield(l *glua.LState) int {
	t := taskOf(l)
	chargeLevels(l)
	if t.current != l || acrossGo(l) {
		l.Error(glua.LString("attempt to yield from outside of a coroutine, or across a pcall, a metamethod, an iterator or a callback"), 0)
	}
	wants := 1
	if dbg, ok := l.GetStack(0); ok {
		_, _ = l.GetInfo("n", dbg, glua.LNil) // nothing to be found is no error
		if _, count, marked := strings.Cut(dbg.Name, wantsMark); marked {
			wants, _ = strconv.Atoi(count)
		}
	}
	t.state.live[weak.Make(l)] = wants
	return -1
}

// acrossGo reports whether a function that the interpreter has called from
// Go, as it does metamethods and iterators, is among those in progress:
// gopher-lua would lose it.
func acrossGo(l *glua.LState) bool {
	for i := 0; ; i++ {
		if _, more := l.GetStack(i + 1); !more {
			return false
		}
		dbg, _ := l.GetStack(i)
		_, _ = l.GetInfo("n", dbg, glua.LNil)
		if dbg.Name == "(anonymous)" || strings.HasPrefix(dbg.Name, "<") { // or a tail call
			return loops() > 1
		}
	}
}

// loops counts the interpreter's loops of the coroutine that runs.
func loops() int {
	pcs := make([]uintptr, 256)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for n := 0; ; {
		frame, more := frames.Next()
		switch {
		case strings.HasSuffix(frame.Function, ".mainLoopWithContext"):
			n++
		case strings.HasSuffix(frame.Function, ".threadRun"), !more:
			return n
		}
	}
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
