// Package vm runs Lua scripts with bounded time and memory. It does not depend
// on nearside: its users pass the functions that scripts can call as a Library.
//
// A Script is compiled once and shared by all states. A State is one
// interpreter behind a lock. Each call into a State runs on its own Lua thread.
// A Library function that waits releases the lock while it waits, so the calls
// into a State interleave only where a script calls such a function.
// A Task is a function that runs in its own goroutine. A Pool keeps several
// States that share no data. A Ref is a reference to a Lua value in Go. A Func is
// a Lua function that Go can call.
//
// Every call has a budget (Limits): how much Lua may do between two waits, and
// how long the call may take. A slice is the part of a call between two waits.
// Lua is not timed. Instructions, the work of library functions and allocations
// are counted in units of work (work.go), which are calibrated once per
// process. A call that exceeds its budget is killed: every further instruction
// raises the error again, so pcall and coroutines cannot keep it alive.
// Instructions whose work depends on their operands are charged for that work
// (meter.go). Every function that loops over data of a script is charged too.
// Strings, tables, patterns, coroutines, tasks and nesting are also bounded
// (limits.go).
//
// Scripts compute what Lua 5.1 computes. The package parses sources (syntax)
// and generates the instructions for gopher-lua's interpreter (gen.go). It
// replaces library functions of gopher-lua that differ from Lua 5.1. The tests
// in lua51 compare it with the reference interpreter on random programs.
//
// States share a Memory, which bounds their live bytes. When the bytes
// allocated since the last measurement may exceed the limit, it measures the
// live bytes by walking all values that a state can reach (walk.go). Sizes come
// from private fields of gopher-lua and of Go's maps (layout.go, sizes.go). The
// layout of these fields is checked when the process starts.
//
// gopher-lua keeps the keys of removed table entries. When more than half of a
// table's keys belong to removed entries, the package drops those keys
// (growth.go).
package vm
