package vm

import glua "github.com/yuin/gopher-lua"

// convertUnits is the work of converting one value, in addition to the work for
// its bytes.
const convertUnits = 2

// tableUnits is the work of allocating the maps of one new table.
const tableUnits = 12

// toLua converts a Go value to Lua and charges for it. It raises no error when
// the budget is spent, because the Go value exists already. The next budget
// check ends the call.
func (ex *execution) toLua(v any) (glua.LValue, error) {
	c := converter{state: ex.state}
	result, err := c.toLua(v, 0)
	ex.countAllocated(c.bytes)
	ex.unitsLeft -= c.values*convertUnits + c.tables*tableUnits
	return result, err
}

// toGo converts a Lua value to Go and charges for it. It also returns the bytes
// of the Go value.
func (ex *execution) toGo(v glua.LValue) (any, int, error) {
	c := converter{state: ex.state}
	result, err := c.toGo(v, 0)
	ex.countAllocated(c.bytes)
	ex.unitsLeft -= c.values * convertUnits
	return result, c.bytes, err
}

// Charge counts work that Go does for the script. One unit takes about as long
// as one Lua instruction. It raises an error when the budget of the call is
// spent. Call it before the work.
func (c *Call) Charge(units int) { c.exec.charge(c.l, units) }

// Allocate counts bytes that Go allocates for the script, and the time that
// this takes. It raises an error when the call exceeds its allocation limit. Call
// it before the allocation. While the call waits, the bytes count as memory of
// the state.
func (c *Call) Allocate(bytes int) {
	c.exec.reserveBytes(c.l, bytes)
	c.heldBytes += bytes
}
