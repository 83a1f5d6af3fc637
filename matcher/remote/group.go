package remote

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Group is the remotes of a configuration. It is safe for concurrent use.
type Group struct {
	decoder func() *wire.Decoder
	log     *slog.Logger
	dial    dialer
	now     atomic.Pointer[generation]
	mu      sync.Mutex // held by Configure and Close
}

// generation is what one configuration says.
type generation struct {
	own     []*Remote
	remotes []matcher.Remote
	owners  *matcher.Owners
}

// NewGroup returns a Group without remotes. decoder returns the one that reads
// objects now.
func NewGroup(decoder func() *wire.Decoder, log *slog.Logger) *Group {
	g := &Group{decoder: decoder, log: log, dial: (&net.Dialer{Timeout: dialTimeout}).DialContext}
	g.now.Store(&generation{})
	return g
}

// Now returns the remotes in the order of the configuration, and what they own.
// Neither is to be changed.
func (g *Group) Now() ([]matcher.Remote, *matcher.Owners) {
	now := g.now.Load()
	return now.remotes, now.owners
}

// State is how a remote is.
type State struct {
	Name   string
	Reason string // why it is not well; empty: it is
	Calls  int    // under way
}

// States returns how the remotes are, in the order of the configuration.
func (g *Group) States() []State {
	own := g.now.Load().own
	all := make([]State, len(own))
	for i, r := range own {
		all[i] = State{Name: r.config.Name, Calls: len(r.places)}
		if sick := r.sick.Load(); sick != nil {
			all[i].Reason = *sick
		}
	}
	return all
}

// Configure replaces the remotes. Those that stay as they are keep their
// connections; requests under way end with those that they began with. After
// an error the remotes are what they were.
func (g *Group) Configure(configs []Config) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.now.Load()
	next := &generation{owners: owners(configs)}
	var made []*Remote
	var faults []error
	for i := range configs {
		r := before.find(&configs[i])
		if r == nil {
			var err error
			if r, err = newRemote(configs[i], g.decoder, g.log, g.dial); err != nil {
				faults = append(faults, fmt.Errorf("matchers.remote[%d].url: %w", i, err))
				continue
			}
			made = append(made, r)
		}
		next.own = append(next.own, r)
		next.remotes = append(next.remotes, r)
	}
	if faults != nil {
		closeAll(made)
		return errors.Join(faults...)
	}
	g.now.Store(next)
	var gone []*Remote
	for _, r := range before.own {
		if next.find(&r.config) != r {
			gone = append(gone, r)
		}
	}
	closeAll(gone)
	return nil
}

// Close ends all remotes.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	closeAll(g.now.Swap(&generation{}).own)
}

func closeAll(remotes []*Remote) {
	for _, r := range remotes {
		r.close()
	}
}

// find returns the remote of a configuration that has not changed.
func (g *generation) find(c *Config) *Remote {
	for _, r := range g.own {
		if r.config.equal(c) {
			return r
		}
	}
	return nil
}

// owners returns what remotes own, nil when that is nothing.
func owners(configs []Config) *matcher.Owners {
	o := &matcher.Owners{Lists: map[matcher.ID][]string{}}
	some := false
	for _, c := range configs {
		for _, origin := range c.Origins {
			o.Origins[origin] = append(o.Origins[origin], c.Name)
			some = true
		}
		for _, id := range c.Lists {
			o.Lists[id] = append(o.Lists[id], c.Name)
			some = true
		}
	}
	if !some {
		return nil
	}
	return o
}
