// Package lua hosts plugins: scripts of three kinds, event, background and
// matching, that run beside requests and do not delay them.
//
// A [Host] runs the active plugins as one generation. Reload checks, compiles
// and initialises a whole new generation, swaps one pointer, and closes the old
// one after its calls have ended. A plugin has one or more instances, each with
// its own interpreter (vm.State). Only the key-value store of a plugin outlives a
// generation. Package ns holds the functions that plugins can call and describes
// how its modules are written. Package trial runs the tests of plugins with a
// [Probe] of a host.
//
// # Calling hooks
//
// [Host.Emit] queues a point for event plugins and returns at once. [Host.Serve]
// answers a request below /plugins with a route that a plugin has registered.
// [Host.AcquireHooks] returns the hooks of matching plugins for one request. They stay
// usable until the request releases them, even if the host reloads meanwhile. The hooks
// run on pooled states. Their arguments req, set and rows are vm.Objects, which Lua
// receives without a copy. [Host.Plugins] returns the status of all plugins.
//
// # Memory
//
// All states of a plugin share one account (vm.Memory), which measures the values
// that the states can reach. The account must also know about memory that Go code
// holds for a script. So a module that keeps a function or a value after a call ends
// calls State.Keep, a module that allocates memory for a script calls Call.Allocate
// first, and large objects implement vm.Sized. A state that exceeds the limit is
// replaced: by the pool on the matching side, and by replace.go on the main side.
package lua
