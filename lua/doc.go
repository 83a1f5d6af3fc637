// Package lua hosts plugins: scripts of three kinds, event, background and
// matching, that run beside requests and never in their way.
//
// A Host runs the active plugins as one generation: Reload checks, compiles
// and initialises a whole new one, swaps one pointer, and closes the old one
// after its calls have ended. A plugin has one or more instances, each with
// an interpreter (vm.State) of its own. What outlives a generation is the
// plugin's key-value store.
//
// # Writing an ns module
//
// Scripts reach the host by require("nearside"). A module of it is one file
// here, mod_<name>.go, with one function that returns a vm.Module, and one
// line in modules (modules.go):
//
//	func redisModule() vm.Module {
//		return vm.Module{Name: "redis", Doc: "Redis.", Functions: []vm.Function{{
//			Name: "connect", Params: []string{"url: string"}, Returns: []string{"RedisClient?", "string? err"},
//			Doc: "Connects to a server.", Waits: true, Run: redisConnect,
//		}}, Classes: []*vm.Class{redisClient}}
//	}
//
//	func redisConnect(c *vm.Call) error {
//		p := self(c)                       // the instance whose script calls
//		url := c.Text(1)                   // raises when it is no string
//		if err := p.permit("redis", host(url)); err != nil {
//			return err                     // a mistake of the author: raised
//		}
//		var client *goredis.Client
//		err := c.Wait(func(ctx context.Context) (err error) { // without the lock: no Lua value in here
//			client, err = dial(ctx, url)
//			return err
//		})
//		if err != nil {
//			return c.Fail(err)             // to be expected: nil, "text"
//		}
//		p.onClose(client.Close) // ends with the generation
//		return c.Return(vm.Object{Class: redisClient, Value: client})
//	}
//
// Rules: a returned error is raised in the script, c.Fail gives it nil and a
// text. Values cross as Go values (vm.Call.Value, vm.Call.Return); ids are
// strings, and whole numbers beyond 2^53 a vm.Integer. Only c.Wait may block, and its function must
// return when its context ends. A goroutine is started by instance.goroutine
// (Go) or instance.spawn (a Lua function), which end with the instance;
// anything else that has to be ended goes to instance.onClose. A Lua function
// that was kept (vm.Func) is called from Go by instance.call, and from within
// the same call by c.Invoke. Every queue, map and wait has a bound. What a
// module needs from outside this package is a field of Services.
//
// lua/library/nearside.lua, for editors, is written from the modules:
// go test ./lua -run TestLibraryFile -update.
//
// # Calling hooks
//
// Host.Emit hands a point to event plugins and returns at once. Host.Serve
// answers a request below /plugins with what a background plugin has
// registered by instance.addRoute. Host.Lease holds the matching plugins for
// one request, whatever is reloaded meanwhile: MatchPlugin.Cost, Prefilter and
// Match run on pooled states. What req and set are there, the caller decides:
// a vm.Object of a vm.Class that is in modules has methods, operators and
// fields, and crosses without a copy. Host.Plugins says how plugins are.
//
// # Tests of plugins
//
// Test runs the test files of a plugin, which require "nearside.test", in an
// interpreter beside the plugin's. The files trial*.go have it: a trial is one
// test, with a host of its own. Its clock (trialClock) stands still while
// anything of the plugin runs and jumps when nothing does, for which
// Host.busy counts what instance.spawn and instance.goroutine have started:
// what they run may block only in Clock.Sleep, or not for long. HTTP
// is answered at the transport, so that all before it is tested too; redis and
// amqp are modules with the same declarations and other functions (doubled);
// store, metrics and the local matcher are Services. A module that reaches
// anything else needs a double as well.
//
// # Memory
//
// All states of a plugin share one account (vm.Memory), which measures what
// they can reach. So that it finds what Go keeps for a script, a module that
// keeps a function or a value longer than a call says so by State.Keep, one
// that allocates for a script calls Call.Allocate first, and an object that is
// large implements vm.Sized. A state over the limit is replaced: by the pool on
// the matching side, by replace.go on the other.
package lua
