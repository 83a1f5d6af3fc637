package remote

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"nearside/internal/access"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// Group has the remotes of a configuration. It is safe for concurrent use.
type Group struct {
	decoder func() *wire.Decoder
	log     *slog.Logger
	dial    dialer
	current atomic.Pointer[generation]
	mu      sync.Mutex // held by Configure and Close
}

// generation has the remotes of one configuration.
type generation struct {
	all     []*Remote
	remotes []matcher.Remote // the same as all
	owners  *matcher.Owners
}

// NewGroup returns a Group without remotes. decoder returns the current decoder,
// which reads objects.
func NewGroup(decoder func() *wire.Decoder, log *slog.Logger) *Group {
	g := &Group{decoder: decoder, log: log, dial: (&net.Dialer{Timeout: dialTimeout}).DialContext}
	g.current.Store(&generation{})
	return g
}

// Current returns the remotes in the order of the configuration, and the data that
// they own. The caller must not change the results.
func (g *Group) Current() ([]matcher.Remote, *matcher.Owners) {
	current := g.current.Load()
	return current.remotes, current.owners
}

// State is the state of a remote.
type State struct {
	Name   string
	Reason string // why it is unhealthy; empty: it is healthy
	Calls  int    // in progress
}

// States returns the states of the remotes, in the order of the configuration.
func (g *Group) States() []State {
	remotes := g.current.Load().all
	states := make([]State, len(remotes))
	for i, r := range remotes {
		states[i] = State{Name: r.config.Name, Calls: len(r.slots)}
		if reason := r.unhealthy.Load(); reason != nil {
			states[i].Reason = *reason
		}
	}
	return states
}

// Configure replaces the remotes. Remotes whose configuration is unchanged keep
// their connections. Requests in progress keep the remotes that they began with.
// After an error, all remotes are unchanged.
func (g *Group) Configure(configs []Config) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.current.Load()
	next := &generation{owners: ownersOf(configs)}
	var created []*Remote
	var faults []error
	for i := range configs {
		key, err := keyOf(&configs[i])
		if err != nil {
			faults = append(faults, fmt.Errorf("matchers.remote[%d].key_file: %w", i, err))
			continue
		}
		r := before.unchanged(&configs[i], key)
		if r == nil {
			if r, err = newRemote(fmt.Sprintf("matchers.remote[%d]", i), configs[i], key, g.decoder, g.log, g.dial); err != nil {
				faults = append(faults, err)
				continue
			}
			created = append(created, r)
		}
		next.all = append(next.all, r)
		next.remotes = append(next.remotes, r)
	}
	if faults != nil {
		closeAll(created)
		return errors.Join(faults...)
	}
	g.current.Store(next)
	var removed []*Remote
	for _, r := range before.all {
		if next.unchanged(&r.config, r.key) != r {
			removed = append(removed, r)
		}
	}
	closeAll(removed)
	return nil
}

// Close closes all remotes.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	closeAll(g.current.Swap(&generation{}).all)
}

func closeAll(remotes []*Remote) {
	for _, r := range remotes {
		r.close()
	}
}

// keyOf reads the key for a remote. It returns "" if none is configured.
func keyOf(c *Config) (string, error) {
	if c.KeyFile == "" {
		return "", nil
	}
	return access.ReadKeyFile(c.KeyFile)
}

// unchanged returns the remote with an equal configuration and an equal key, or nil.
func (g *generation) unchanged(c *Config, key string) *Remote {
	for _, r := range g.all {
		if r.config.equal(c) && r.key == key {
			return r
		}
	}
	return nil
}

// ownersOf returns the data that remotes own, or nil if they own nothing.
func ownersOf(configs []Config) *matcher.Owners {
	o := &matcher.Owners{Lists: map[matcher.ID][]string{}}
	owned := false
	for _, c := range configs {
		for _, origin := range c.Origins {
			o.Origins[origin] = append(o.Origins[origin], c.Name)
			owned = true
		}
		for _, id := range c.Lists {
			o.Lists[id] = append(o.Lists[id], c.Name)
			owned = true
		}
	}
	if !owned {
		return nil
	}
	return o
}
