package vm

import (
	"time"

	glua "github.com/yuin/gopher-lua"
)

// Bounds of what one script can make the host do.
const (
	MaxSource      = 1 << 20  // bytes of one source file
	MaxString      = 16 << 20 // bytes of a string that a function makes
	MaxArray       = 1 << 20  // items of the array part of a table
	MaxDepth       = 64       // nesting of pcall, coroutines and callbacks
	MaxCoroutines  = 10_000   // coroutines of a state that have not ended
	MaxTasks       = 4096     // goroutines of a state
	maxFrames      = 1000     // Lua calls on one thread
	maxRegistry    = 1 << 18  // values on one thread
	maxResults     = 8000     // values of unpack, string.byte
	maxThreads     = 64       // idle threads of a state
	maxSteps       = 4 << 20  // steps of one pattern match
	pooledRegistry = 4096     // values of a thread that is kept for the next call
	checkEvery     = 256      // units of work between two checks of a call's budget
)

// Bounds of memory.
const (
	DefaultMemory = 256 << 20 // live bytes of all states of a plugin
	maxSliceBytes = 64 << 20  // allocated in one slice
)

// Limits is the budget of a call.
type Limits struct {
	Slice time.Duration // of Lua between two waits, as counted work; 0 is DefaultSlice
	Work  time.Duration // of Lua in the whole call, as counted work; 0 is no bound
	Wait  time.Duration // of all waits of the call, by the clock; 0 is no bound
	Total time.Duration // of the whole call, by the clock; 0 is no bound. A deadline of the call's context holds beside it
}

// DefaultSlice is how long Lua may run between two waits.
const DefaultSlice = 50 * time.Millisecond

func init() {
	// A process-wide setting of gopher-lua, whose only user is this package:
	// one assignment t[n] = v allocates up to this many values.
	glua.MaxArrayIndex = MaxArray
}

func stateOptions() glua.Options {
	return glua.Options{
		CallStackSize:    maxFrames,
		RegistrySize:     256,
		RegistryMaxSize:  maxRegistry,
		RegistryGrowStep: 65536, // small steps copy the stack again and again

		SkipOpenLibs:        true,
		MinimizeStackMemory: true,
	}
}
