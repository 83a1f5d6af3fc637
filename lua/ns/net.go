package ns

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
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
	return c.Return(vm.Object{Class: taskClass, Value: task})
}

// PermissionKinds maps each kind of permission to whether it has a target.
var PermissionKinds = map[string]bool{"http": true, "redis": true, "amqp": true, "store": false}

// Permissions lists what a plugin may access. Examples are "http:host:port", "http:host"
// (any port), "http:*" (any host) and "store".
type Permissions []string

// ParsePermissions reads and checks the permissions in a plugin's table.
func ParsePermissions(list []any) (Permissions, error) {
	var p Permissions
	for i, item := range list {
		text, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("permissions[%d]: %v is not a text", i+1, item)
		}
		kind, target, hasTarget := strings.Cut(text, ":")
		wantsTarget, known := PermissionKinds[kind]
		switch {
		case !known:
			return nil, fmt.Errorf("permissions[%d]: %q must begin with one of http, redis, amqp, store", i+1, text)
		case wantsTarget && target == "":
			return nil, fmt.Errorf("permissions[%d]: %q does not name a host: write %s:host:port or %s:*", i+1, text, kind, kind)
		case !wantsTarget && hasTarget:
			return nil, fmt.Errorf("permissions[%d]: %q must be %q, without a target", i+1, text, kind)
		}
		p = append(p, text)
	}
	return p, nil
}

// permit returns an error that names the missing permission, or nil. target is a
// "host:port", or empty for a kind without a target. Hosts are compared as text,
// ignoring case; names are not resolved.
func (p Permissions) permit(kind, target string) error {
	need := kind
	if target != "" {
		need += ":" + target
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = target
	}
	allowed := func(granted string) bool {
		return strings.EqualFold(granted, need) || granted == kind+":*" || target != "" && strings.EqualFold(granted, kind+":"+host)
	}
	if slices.ContainsFunc(p, allowed) {
		return nil
	}
	return fmt.Errorf("not permitted: add %q to the plugin's permissions", need)
}
