package ns

import (
	"errors"
	"sync"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns/http"
	"nearside/lua/ns/peer"
	"nearside/lua/vm"
)

// Default and limit of the option timeout_ms.
const (
	defaultTimeout = 10 * time.Second
	maxTimeout     = 300 * time.Second
)

// network is the state of the modules http, redis and amqp for one plugin. The zero
// value is ready to use.
type network struct {
	usage peer.Usage // of the redis and amqp clients

	once sync.Once // sets http
	http *http.Client
}

// readTimeout reads the option timeout_ms.
func readTimeout(r *goval.Reader) time.Duration {
	ms := r.Number("timeout_ms", float64(defaultTimeout.Milliseconds()), 1, float64(maxTimeout.Milliseconds()))
	return time.Duration(ms * float64(time.Millisecond))
}

// newClient reads the options of connect. It checks that the plugin may reach all
// targets; kind is "redis" or "amqp". name names the server in messages.
func newClient(c *vm.Call, kind, name string, targets ...string) (peer.Client, error) {
	in := self(c)
	o := &goval.Reader{Map: c.Map(2), Path: "options."}
	o.RefuseUnknown("timeout_ms")
	k := peer.Client{Owner: in, Target: name, Timeout: readTimeout(o)}
	faults := o.Faults
	for _, target := range targets {
		faults = append(faults, in.Permit(kind, target))
	}
	return k, errors.Join(faults...)
}

// returnTask returns the handle of a started task to the script, or nil and err.
func returnTask(c *vm.Call, task peer.Task, err error) error {
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: taskHandle, Value: task})
}
