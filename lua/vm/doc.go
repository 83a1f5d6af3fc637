// Package vm runs Lua scripts inside bounds. It knows Lua and nothing of
// nearside: what scripts can call is a Library that others fill.
//
// A Script is compiled once and shared. A State is one interpreter behind a
// lock: each call into it runs on a Lua thread of its own, and a function of
// the Library that waits releases the lock meanwhile, so that a script reads
// like one asyncio program: control changes hands only at a waiting call. A
// Pool keeps several States that share nothing. A Ref is a Lua value that Go
// holds, a Func one that can be called.
//
// Every call has a budget (Limits): how much Lua may do between two waits, and
// how long the call may take. Lua is not timed. Its instructions, the work of
// library functions and allocations are counted in units of work (work.go),
// which are calibrated once per process. A call that exceeds its budget is
// killed: each further instruction raises again, so that no pcall and no
// coroutine outlives it. Instructions whose work depends on their operands are
// charged for it (hooks.go), and so is every function that loops over data of
// a script. Strings, tables, patterns, coroutines, tasks and nesting are
// bounded, too (limits.go).
//
// Scripts compute what Lua 5.1 computes. The package reads sources (syntax)
// and generates instructions for gopher-lua's interpreter (gen.go) itself, and
// has library functions of its own where gopher-lua's differ. lua51 compares
// it with the reference interpreter on random programs.
//
// The live memory of states is bounded by an account that they share (Memory).
// It walks all that a state can reach (walk.go) when what was allocated since
// the last walk may exceed the limit. Sizes come from private fields of
// gopher-lua and of Go's maps (layout.go, sizes.go), whose layout is checked
// when the process starts.
//
// gopher-lua keeps the keys of removed entries of a table. When more than half
// of a table's keys are such, they are forgotten (growth.go).
package vm
