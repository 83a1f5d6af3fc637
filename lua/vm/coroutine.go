package vm

import (
	"runtime"
	"strconv"
	"strings"
	"time"
	"weak"

	glua "github.com/yuin/gopher-lua"
)

// A coroutineSet holds the coroutines of a state that have not ended. Each is an
// interpreter thread of at least 11 KB. Coroutines that a script has dropped
// leave the set after a garbage collection. The map's values are the numbers of
// results that suspended coroutines want from their yields; a negative number means
// all.
type coroutineSet map[weak.Pointer[glua.LState]]int

// collectTime is the time that is charged for a garbage collection.
const collectTime = 10 * time.Millisecond

// hasRoom reports whether another coroutine may be made.
func (s coroutineSet) hasRoom() bool {
	if len(s) < MaxCoroutines {
		return true
	}
	runtime.GC() // dropped coroutines count until a collection finds them
	for p := range s {
		if p.Value() == nil {
			delete(s, p)
		}
	}
	return len(s) < MaxCoroutines
}

// coroutineFuncs are the functions of gopher-lua on which coroutineLib is built.
type coroutineFuncs struct{ create, resume, status glua.LGFunction }

// coroutineLib returns the coroutine functions that replace gopher-lua's. In
// gopher-lua, a coroutine does not use the budget of the call that resumes it,
// two calls can resume the same coroutine, and two coroutines that resume each
// other overflow the stack of the process.
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
			}, thread)) // thread is an upvalue, so that it counts as memory
			return 1
		},
	}
}

func coroutineCreate(l *glua.LState, create glua.LGFunction) int {
	if l.CheckFunction(1).IsG {
		l.ArgError(1, "Lua function expected")
	}
	ex := executionOf(l)
	if len(ex.state.liveCoroutines) >= MaxCoroutines {
		ex.charge(l, int(unitsIn(collectTime)))
	}
	if !ex.state.liveCoroutines.hasRoom() {
		l.RaiseError("too many coroutines: more than %d coroutines have not ended", MaxCoroutines)
	}
	ex.reserveBytes(l, newThreadBytes)
	// If l had a context, create would derive another one, which does not end with
	// the execution.
	l.RemoveContext()
	n := create(l)
	l.SetContext(ex)
	ex.state.liveCoroutines[weak.Make(l.Get(-1).(*glua.LState))] = -1
	return n
}

func coroutineResume(l *glua.LState, resume glua.LGFunction) int {
	thread := l.CheckThread(1)
	ex := executionOf(l)
	s, g := ex.state, ex.state.main.G
	refuse := ""
	switch {
	case s.busyCoroutines[thread]:
		refuse = "cannot resume a coroutine that is not suspended"
	case thread.Dead:
		refuse = "cannot resume dead coroutine"
	case ex.depth >= MaxDepth:
		refuse = "calls, coroutines and callbacks are nested too deeply"
	}
	if refuse != "" {
		l.Push(glua.LFalse)
		l.Push(glua.LString(refuse))
		return 2
	}
	current, depth, caller := ex.coroutine, ex.depth, g.CurrentThread
	s.busyCoroutines[thread] = true
	ex.coroutine, ex.depth = thread, ex.depth+1
	thread.SetContext(ex)
	defer func() {
		thread.RemoveContext()
		delete(s.busyCoroutines, thread)
		if thread.Dead {
			delete(s.liveCoroutines, weak.Make(thread))
		}
		ex.coroutine, ex.depth, g.CurrentThread = current, depth, caller
	}()
	// gopher-lua does not set the registers of missing results to nil.
	for wants := s.liveCoroutines[weak.Make(thread)]; l.GetTop()-1 < wants; {
		l.Push(glua.LNil)
	}
	n := resume(l)
	if e, ok := l.Get(-1).(glua.LString); ok && n == 2 && l.Get(-2) == glua.LFalse {
		message := glua.LString(untagged(string(e)))
		ex.noteKillMessage(message)
		l.Replace(l.GetTop(), message)
	}
	return n
}

// yieldFunction is coroutine.yield in all libraries. Generated code compares
// functions with it, because gopher-lua loses a coroutine that yields in a tail
// call.
var yieldFunction = &glua.LFunction{IsG: true, GFunction: coroutineYield}

// coroutineYield is coroutine.yield. It can yield only from the coroutine's own
// thread. A pcall or a callback runs on another thread.
func coroutineYield(l *glua.LState) int {
	ex := executionOf(l)
	chargeLevels(l)
	if ex.coroutine != l || calledFromGo(l) {
		l.Error(glua.LString("attempt to yield from outside of a coroutine, or across a pcall, a metamethod, an iterator or a callback"), 0)
	}
	wants := 1
	if dbg, ok := l.GetStack(0); ok {
		_, _ = l.GetInfo("n", dbg, glua.LNil) // without a name, one result is wanted
		if _, count, marked := strings.Cut(dbg.Name, wantsTag); marked {
			wants, _ = strconv.Atoi(count)
		}
	}
	ex.state.liveCoroutines[weak.Make(l)] = wants
	return -1
}

// calledFromGo reports whether the call stack contains a function that the
// interpreter called from Go, such as a metamethod or an iterator. gopher-lua
// would lose that function in a yield.
func calledFromGo(l *glua.LState) bool {
	for i := 0; ; i++ {
		if _, more := l.GetStack(i + 1); !more {
			return false
		}
		dbg, _ := l.GetStack(i)
		_, _ = l.GetInfo("n", dbg, glua.LNil)
		if dbg.Name == "(anonymous)" || strings.HasPrefix(dbg.Name, "<") { // called from Go, or a tail call
			return interpreterLoops() > 1
		}
	}
}

// interpreterLoops counts the interpreter loops of the running coroutine on the
// Go stack. A function called from Go has its own loop.
func interpreterLoops() int {
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
	if current := executionOf(l).coroutine; current != nil {
		l.Push(current)
		return 1
	}
	l.Push(glua.LNil)
	return 1
}

func coroutineStatus(l *glua.LState, status glua.LGFunction) int {
	thread, ex := l.CheckThread(1), executionOf(l)
	switch {
	case ex.coroutine == thread:
		l.Push(glua.LString("running"))
	case ex.state.busyCoroutines[thread]:
		l.Push(glua.LString("normal"))
	default:
		return status(l)
	}
	return 1
}
