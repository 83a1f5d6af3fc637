package access

import (
	"cmp"
	"crypto/subtle"
	"fmt"
	"slices"
	"time"

	"nearside/matcher"
)

// KeysMax is the largest number of keys. Each request compares its key with all of them.
const KeysMax = 1000

// Config configures access.
type Config struct {
	Open []string // what is answered without a key; see Openable
	Keys []Key
	JWT  JWT
}

// Openable are the names that Config.Open can have.
var Openable = []string{"livez", "readyz", "version", "metrics", "docs", "healthcheck"}

// Required reports whether requests need a key.
func (c *Config) Required() bool { return len(c.Keys) > 0 || c.JWT.configured() }

// Policy identifies callers. It is safe for concurrent use and does not change.
type Policy struct {
	required bool
	open     []string
	keys     []Key
	callers  []*Caller // of keys
	tokens   *verifier // nil: no tokens are accepted
}

// Caller is who sends a request.
type Caller struct {
	// Name is the name of the key, or "jwt:" and the subject of a token.
	Name    string
	Role    Role
	Account *matcher.ID  // the only account that the caller sees; nil: all accounts
	Lists   []matcher.ID // the only lists that the caller sees, sorted; nil: all lists

	limits *limiter // nil: no limits
}

// New returns a Policy. It reads the files of c.JWT. before is the Policy that the new one
// replaces: keys keep what they have used of their limits. It may be nil.
func New(c Config, before *Policy) (*Policy, error) {
	p := &Policy{required: c.Required(), open: c.Open, keys: slices.Clone(c.Keys)}
	var err error
	if p.tokens, err = newVerifier(c.JWT); err != nil {
		return nil, fmt.Errorf("access.jwt.%w", err)
	}
	now := time.Now()
	for i := range p.keys {
		k := &p.keys[i]
		caller := &Caller{Name: k.Name, Role: k.role(), limits: before.limiterOf(k.Name)}
		if !k.Account.IsZero() {
			caller.Account = &k.Account
		}
		if len(k.Lists) > 0 {
			caller.Lists = slices.SortedFunc(slices.Values(k.Lists), matcher.ID.Compare)
		}
		caller.limits.configure(k, now)
		p.callers = append(p.callers, caller)
	}
	return p, nil
}

// limiterOf returns the limiter of the key with that name, or a new one.
func (p *Policy) limiterOf(name string) *limiter {
	if p != nil {
		for _, c := range p.callers {
			if c.Name == name {
				return c.limits
			}
		}
	}
	return &limiter{}
}

// Required reports whether requests need a key. A nil Policy requires none.
func (p *Policy) Required() bool { return p != nil && p.required }

// Opens reports whether name, one of Openable, is answered without a key.
func (p *Policy) Opens(name string) bool { return slices.Contains(p.open, name) }

// Identify returns the caller that a key or a token belongs to, or CodeUnauthorized.
func (p *Policy) Identify(credential string, now time.Time) (*Caller, error) {
	if !IsKey(credential) {
		if p.tokens == nil {
			return nil, matcher.Errorf(matcher.CodeUnauthorized, "the key is not valid: a key is ns_ and %d letters and digits", keyChars)
		}
		return p.tokens.identify(credential, now)
	}
	sum, found := HashKey(credential), -1
	for i := range p.keys { // without an early end, so that the time says nothing about the hashes
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], p.keys[i].SHA256[:]), i, found)
	}
	switch {
	case found < 0:
		return nil, matcher.Errorf(matcher.CodeUnauthorized, "the key is unknown")
	case p.keys[found].Expired(now):
		return nil, matcher.Errorf(matcher.CodeUnauthorized, "the key has expired")
	}
	return p.callers[found], nil
}

// Begin counts a request that begins. It returns CodeBusy if the key has reached its rate
// or its number of requests at once. After nil, End must be called.
func (c *Caller) Begin(now time.Time) error {
	if c.limits == nil {
		return nil
	}
	return c.limits.begin(c.Name, now)
}

// End counts the end of a request.
func (c *Caller) End() {
	if c.limits != nil {
		c.limits.end()
	}
}

// Allow returns CodeForbidden if the caller lacks a role.
func (c *Caller) Allow(needed Role) error {
	if c.Role >= needed {
		return nil
	}
	return matcher.Errorf(matcher.CodeForbidden, "%s: needs the role %s, but has %s", c.who(), needed, cmp.Or(rolesText(c.Role), "no role"))
}

func rolesText(r Role) string {
	if r == NoRole {
		return ""
	}
	return "the role " + r.String()
}

// who returns the subject of an error.
func (c *Caller) who() string {
	if c.limits == nil {
		return "the token"
	}
	return "key " + c.Name
}
