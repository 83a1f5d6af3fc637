// Package ns implements the functions that a plugin can call: require("nearside").
// [Library] lists all of them. The clients of servers are in the packages below.
//
// A [Host] holds what all plugins of a process share, such as the clock and the
// [Services]. A [Plugin] is one plugin of one generation. An [Instance] is one
// interpreter of a Plugin. Package lua creates all three. A function of a module calls
// self to find its Instance. In plugin tests, the clock is a double, and
// [Doubles] replaces the network and the servers.
//
// # Writing a module
//
// A module is one file with one function that returns a vm.Module, and one line
// in modules (modules.go):
//
//	func redisModule() vm.Module {
//		return vm.Module{Name: "redis", Doc: "Redis.", Functions: []vm.Function{{
//			Name: "connect", Params: []string{"url: string"}, Returns: []string{"RedisClient?", "string? err"},
//			Doc: "Connects to a server.", Waits: true, Run: redisConnect,
//		}}, Classes: []*vm.Class{redisClass}}
//	}
//
//	func redisConnect(c *vm.Call) error {
//		in := self(c)                      // the instance whose script calls
//		url := c.Text(1)                   // raises an error unless it is a string
//		if err := in.Permit("redis", host(url)); err != nil {
//			return err                     // a mistake of the plugin's author, raised as an error
//		}
//		var client *redis.Client
//		err := c.Wait(func(ctx context.Context) (err error) { // runs without the lock, so it must not use Lua values
//			client, err = dial(ctx, url)
//			return err
//		})
//		if err != nil {
//			return c.Fail(err)             // an expected failure, returned as nil and a text
//		}
//		in.OnClose(client.Close) // when the generation ends
//		return c.Return(vm.Object{Class: redisClass, Value: client})
//	}
//
// A returned error is raised in the script. c.Fail returns nil and a text to the
// script. Arguments and results are Go values (vm.Call.Value, vm.Call.Return). Ids
// are strings, and integers beyond 2^53 are of type vm.Integer.
//
// Only c.Wait may block, and its function must return when its context ends. Use
// Instance.Goroutine to start a goroutine, and Instance.spawn to call a Lua function
// in a goroutine; both end with the instance. Register anything else that must be closed
// with Instance.OnClose. Use Instance.Call to call a stored Lua function (vm.Func)
// from Go, and c.Invoke to call it during the same call. Every queue, map and wait
// has a limit. A module reaches other packages of the process through a field of
// Services.
//
// The file lua/library/nearside.lua, for editors, is generated from the modules:
// go test ./lua/trial -run TestLibraryFile -update.
package ns
