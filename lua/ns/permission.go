package ns

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

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
