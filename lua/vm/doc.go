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
// Every call has a budget (Limits): how long Lua may run between two waits,
// and how long the call may take. A call that exceeds it is killed: each
// further instruction raises again, so that no pcall and no coroutine
// outlives it. Strings, tables, patterns, coroutines, tasks and nesting are
// bounded, too (limits.go). What is not bounded is the memory of all tables
// of a state together; gopher-lua cannot count it.
//
// Scripts compute what Lua 5.1 computes. The package reads sources (syntax)
// and generates instructions for gopher-lua's interpreter (gen.go) itself, and
// has library functions of its own where gopher-lua's differ. lua51 compares
// it with the reference interpreter on random programs.
//
// gopher-lua keeps the keys of removed entries of a table until the table
// itself is garbage: a table whose keys change for ever grows for ever.
package vm
