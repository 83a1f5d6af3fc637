package access

import (
	"fmt"

	"nearside/matcher"
)

// Role says which operations a caller may use. Each role includes the roles below it.
type Role uint8

// The roles, from low to high. A caller without a role may use only what is open.
const (
	NoRole Role = iota
	Match       // matches
	Read        // also reads objects and metrics
	Write       // also writes objects
	Admin       // everything
)

// Roles are the roles that a configuration can name.
var Roles = []Role{Match, Read, Write, Admin}

// String returns the name of the role in the configuration.
func (r Role) String() string { return [...]string{"none", "match", "read", "write", "admin"}[r] }

// ParseRole parses the name of a role.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles {
		if r.String() == s {
			return r, nil
		}
	}
	return NoRole, fmt.Errorf("must be one of match, read, write, admin, got %q", matcher.Shorten(s))
}
