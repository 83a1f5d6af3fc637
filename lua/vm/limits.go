package vm

import (
	"time"

	glua "github.com/yuin/gopher-lua"
)

// Limits of one script, one state or one thread.
const (
	MaxSource      = 1 << 20  // bytes of one source file
	MaxString      = 16 << 20 // bytes of a string that a function makes
	MaxArray       = 1 << 20  // items of the array part of a table
	MaxDepth       = 64       // nesting of pcall, coroutines and callbacks
	MaxCoroutines  = 10_000   // coroutines of a state that have not ended
	MaxTasks       = 4096     // tasks of a state, each of which is a goroutine
	maxFrames      = 1000     // Lua calls on one thread
	maxRegistry    = 1 << 18  // values on one thread
	maxResults     = 8000     // results of unpack or string.byte
	maxFreeThreads = 64       // idle threads of a state
	maxSteps       = 4 << 20  // steps of one pattern match
	pooledRegistry = 4096     // a thread with a larger stack is not kept for the next call
	checkEvery     = 256      // units of work between two checks of a call's budget
)

// Limits of memory.
const (
	DefaultMemory = 256 << 20 // live bytes of the states that share a Memory
	maxSliceBytes = 64 << 20  // bytes allocated in one slice
)

// Limits is the budget of a call.
type Limits struct {
	Slice time.Duration // counted work of Lua between two waits; 0: DefaultSlice
	Work  time.Duration // counted work of Lua in the whole call; 0: no limit
	Wait  time.Duration // time of all waits of the call, by the clock; 0: no limit
	Total time.Duration // time of the whole call, by the clock; 0: no limit. A deadline of the call's context also applies
}

// DefaultSlice is the default of Limits.Slice.
const DefaultSlice = 50 * time.Millisecond

func init() {
	// This is a process-wide setting of gopher-lua, which only this package uses. One
	// assignment t[n] = v can allocate up to this number of values.
	glua.MaxArrayIndex = MaxArray
}

func stateOptions() glua.Options {
	return glua.Options{
		CallStackSize:    maxFrames,
		RegistrySize:     256,
		RegistryMaxSize:  maxRegistry,
		RegistryGrowStep: 65536, // with small steps, the stack is copied too often

		SkipOpenLibs:        true,
		MinimizeStackMemory: true,
	}
}
