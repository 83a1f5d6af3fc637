package vm

import (
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// A callback is a thread that runs a function for pcall, a sort or the like,
// and the thread that waits for it. In Lua 5.1 both would be one.
type callback struct{ thread, caller *glua.LState }

// position is "file:line: " of the function at a level of the call stack: 1
// is the caller of the Go function that asks. It is empty for functions in Go
// and where a tail call has taken the function off the stack.
func position(l *glua.LState, level int) string {
	if level == 1 {
		return lineOf(l, 1)
	}
	for {
		line, depth := levelOf(l, level)
		if level < depth {
			return line
		}
		caller := callerOf(l)
		if caller == nil {
			return ""
		}
		l, level = caller, level-depth
	}
}

func lineOf(l *glua.LState, level int) string {
	where := l.Where(level)
	if where == "" || strings.HasPrefix(where, "[G]") {
		return ""
	}
	return where + " "
}

// callerOf is the thread that waits for l, a thread of protectedCall.
func callerOf(l *glua.LState) *glua.LState {
	t := taskOf(l)
	for _, v := range slices.Backward(t.callbacks) {
		if v.thread == l {
			return v.caller
		}
	}
	return nil
}

// levelOf returns the position of a level of a thread; or, if the thread has
// fewer, how many it has. Operators that are functions here have no level in
// Lua 5.1, and a tail call has one.
func levelOf(l *glua.LState, level int) (line string, depth int) {
	chargeLevels(l)
	trace := traceback(l)
	for i := 0; ; i++ {
		if i < len(trace) && strings.Contains(trace[i], "(tailcall)") {
			if depth == level {
				return "", depth + 1
			}
			depth++
			continue
		}
		dbg, ok := l.GetStack(i)
		if !ok {
			return "", depth
		}
		if fn, err := l.GetInfo("f", dbg, glua.LNil); err == nil && isOperator(l, fn) {
			continue
		}
		if depth == level {
			return lineOf(l, i), depth + 1
		}
		depth++
	}
}

// chargeLevels charges for a look at all levels of the call stack: gopher-lua
// finds each of them from the top.
func chargeLevels(l *glua.LState) {
	depth := frameOf(l).Idx
	taskOf(l).charge(l, depth*(20+depth/16))
}

func isOperator(l *glua.LState, fn glua.LValue) bool {
	f, ok := fn.(*glua.LFunction)
	return ok && f.IsG && taskOf(l).state.lib.operators[f]
}

// traceback is gopher-lua's, a line for each level: the only place where it
// tells tail calls.
func traceback(l *glua.LState) []string {
	top := l.GetTop()
	defer l.SetTop(top)
	l.Push(taskOf(l).state.lib.traceback)
	l.Call(0, 1)
	lines := strings.Split(l.Get(-1).String(), "\n")[1:] // without the title
	if len(lines) > 7 && lines[7] == "\t..." {
		return lines[:7] // it leaves out the middle of a deep stack
	}
	return lines
}
