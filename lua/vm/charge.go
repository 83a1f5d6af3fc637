package vm

import glua "github.com/yuin/gopher-lua"

// A value that is converted counts as so many units of work, beside its bytes.
const convertUnits = 2

// toLua converts a value for the call and charges for it. What the bytes are
// made of exists already, so nothing is raised: the next check ends a call
// that is over its budget.
func (t *task) toLua(v any) (glua.LValue, error) {
	c := converter{state: t.state}
	result, err := c.toLua(v, 0)
	t.allocated(c.bytes)
	t.left -= c.values * convertUnits
	return result, err
}

// toGo is the same in the other direction. It also returns the bytes of the
// value.
func (t *task) toGo(v glua.LValue) (any, int, error) {
	c := converter{state: t.state}
	result, err := c.toGo(v, 0)
	t.allocated(c.bytes)
	t.left -= c.values * convertUnits
	return result, c.bytes, err
}

// Charge counts work of Go in units, of which each takes about as long as an
// instruction of Lua, and raises when the budget of the call is spent. Call it
// before the work.
func (c *Call) Charge(units int) { c.task.charge(c.l, units) }

// Allocate counts bytes that Go allocates for the script, and their time. It
// raises when the call may not allocate so much. Call it before they are
// allocated. While the call waits, they count as memory of the plugin.
func (c *Call) Allocate(bytes int) {
	c.task.reserve(c.l, bytes)
	c.holding += bytes
}
