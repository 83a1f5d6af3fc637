package lua

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// permissionKinds are the kinds that name a target, and those that do not.
var permissionKinds = map[string]bool{"http": true, "redis": true, "amqp": true, "store": false}

// permissions is what a plugin may reach: "http:host:port", "http:host" (any
// port), "http:*", "store".
type permissions []string

// parsePermissions checks the list of a plugin's table.
func parsePermissions(list []any) (permissions, error) {
	var p permissions
	for i, item := range list {
		text, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("permissions[%d]: %v is not a text", i+1, item)
		}
		kind, target, hasTarget := strings.Cut(text, ":")
		wantsTarget, known := permissionKinds[kind]
		switch {
		case !known:
			return nil, fmt.Errorf("permissions[%d]: %q is of no known kind: http, redis, amqp, store", i+1, text)
		case wantsTarget && target == "":
			return nil, fmt.Errorf("permissions[%d]: %q names no host: write %s:host:port or %s:*", i+1, text, kind, kind)
		case !wantsTarget && hasTarget:
			return nil, fmt.Errorf("permissions[%d]: %q: %s takes no target", i+1, text, kind)
		}
		p = append(p, text)
	}
	return p, nil
}

// permit says which permission is missing to reach target ("host:port"; empty
// for kinds without one). Hosts are compared as they are written, without
// regard to case: a name is not resolved.
func (p permissions) permit(kind, target string) error {
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
