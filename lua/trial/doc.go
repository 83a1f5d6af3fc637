// Package trial runs the tests of plugins, measures their hooks and creates new
// plugins, for the commands `nearside plugin test`, `bench` and `new`.
//
// [Run] runs the test files of a plugin, which require "nearside.test", in an
// interpreter of their own. A trial is one test with its own host and with test doubles
// of everything outside the plugin. Its clock stands still while any code of the plugin
// runs, and jumps to the time of the next sleeper when no code runs. For this, the host
// counts its goroutines (peer.Counter). They may block only in Clock.Sleep, in a
// peer.Flight, or for a short time.
//
// The double of HTTP replaces the transport. The doubles of Redis and RabbitMQ replace
// the interfaces of their clients. So tests also run the code of the modules. The
// doubles of the store, the metrics and the local matcher are ns.Services. A module that
// uses another service needs a double too.
package trial
