package vm

import (
	glua "github.com/yuin/gopher-lua"
)

// tableLength returns #t. It charges for the nils at the end of the array, because
// gopher-lua looks at each of them.
func tableLength(l *glua.LState, t *glua.LTable) int {
	executionOf(l).charge(l, trailingNils(t))
	return t.Len()
}

// compareUnits returns the work of comparing two values by `<`.
func compareUnits(a, b glua.LValue) int {
	x, _ := a.(glua.LString)
	y, _ := b.(glua.LString)
	return 1 + min(len(x), len(y))/6
}

// holdBytes counts bytes as memory of the state until release is called. Go functions
// use it for bytes that they keep while they call Lua, because Lua may wait.
func (ex *execution) holdBytes(bytes int) (release func()) {
	ex.state.heldBytes += int64(bytes)
	return func() { ex.state.heldBytes -= int64(bytes) }
}
