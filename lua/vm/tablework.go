package vm

import (
	glua "github.com/yuin/gopher-lua"
)

// length is #t, charged for the nils at the end of the array that it looks at.
func length(l *glua.LState, t *glua.LTable) int {
	taskOf(l).charge(l, trailing(t))
	return t.Len()
}

// compareUnits is the work of comparing two values by `<`.
func compareUnits(a, b glua.LValue) int {
	x, _ := a.(glua.LString)
	y, _ := b.(glua.LString)
	return 1 + min(len(x), len(y))/6
}

// hold counts bytes that a function of Go keeps while it calls Lua, which may
// wait, until release is called.
func (t *task) hold(bytes int) (release func()) {
	t.state.holding += int64(bytes)
	return func() { t.state.holding -= int64(bytes) }
}
