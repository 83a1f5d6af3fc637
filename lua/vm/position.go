package vm

import (
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// A callback is a thread that runs a function for pcall, table.sort or another Go
// function, and the thread that called it. In Lua 5.1, both are the same thread.
type callback struct{ thread, caller *glua.LState }

// position returns "file:line: " of the function at a level of the call stack.
// Level 1 is the caller of the running Go function. The result is empty for a Go
// function, and if a tail call has removed the function from the stack.
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

// lineOf is position for a level of one thread, as gopher-lua counts levels.
func lineOf(l *glua.LState, level int) string {
	where := l.Where(level)
	if where == "" || strings.HasPrefix(where, "[G]") {
		return ""
	}
	return where + " "
}

// callerOf returns the thread that waits for l, or nil if l is not a thread of
// protectedCall.
func callerOf(l *glua.LState) *glua.LState {
	ex := executionOf(l)
	for _, v := range slices.Backward(ex.callbacks) {
		if v.thread == l {
			return v.caller
		}
	}
	return nil
}

// levelOf returns the position of a level of a thread. If the thread has fewer
// levels, depth is their number; otherwise it is greater than level. As in Lua 5.1,
// operators do not count as levels, although this package calls functions for them,
// and a tail call counts as one.
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

// chargeLevels charges for looking at all levels of the call stack. gopher-lua
// searches each level from the top.
func chargeLevels(l *glua.LState) {
	depth := frameOf(l).Idx
	executionOf(l).charge(l, depth*(20+depth/16))
}

// chargeTrace charges for a traceback. gopher-lua makes one for each error, even if
// the error is caught.
func chargeTrace(l *glua.LState) { executionOf(l).charge(l, traceUnits*frameOf(l).Idx) }

// traceUnits is the work of one line of a traceback.
const traceUnits = 60

// isOperator reports whether fn is a function that generated code calls for an
// operator.
func isOperator(l *glua.LState, fn glua.LValue) bool {
	f, ok := fn.(*glua.LFunction)
	return ok && f.IsG && executionOf(l).state.lib.operators[f]
}

// traceback returns the lines of gopher-lua's traceback, one for each level. No
// other function of gopher-lua reports tail calls.
func traceback(l *glua.LState) []string {
	top := l.GetTop()
	defer l.SetTop(top)
	l.Push(executionOf(l).state.lib.traceback)
	l.Call(0, 1)
	lines := strings.Split(l.Get(-1).String(), "\n")[1:] // without the title
	if len(lines) > 7 && lines[7] == "\t..." {
		return lines[:7] // gopher-lua leaves out the middle of a deep stack
	}
	return lines
}
