package route

import (
	"slices"
	"sync"

	"nearside/matcher"
)

// contest is who may answer the sub-requests of one request. Which remotes and
// plugins there are does not change while it lasts.
type contest struct {
	matchers   []matcher.Matcher // the local one, the remotes, the plugins: the order that settles ties
	remotes    []matcher.Remote
	owners     *matcher.Owners
	prefilters []matcher.Prefilter
	release    func() // to be called once, at the end
}

// contest begins a contest. Of a request that was forwarded remotes are not
// part, but what they own is theirs all the same.
func (r *Router) contest(forwarded bool) *contest {
	c := &contest{matchers: []matcher.Matcher{r.options.Local}, release: func() {}}
	if r.options.Remotes != nil {
		c.remotes, c.owners = r.options.Remotes.Now()
	}
	if forwarded {
		c.remotes = nil
	}
	for _, m := range c.remotes {
		c.matchers = append(c.matchers, m)
	}
	if r.options.Plugins != nil {
		var plugins []matcher.Matcher
		plugins, c.prefilters, c.release = r.options.Plugins.Acquire()
		c.matchers = append(c.matchers, plugins...)
	}
	return c
}

// copies reports whether matcher i has the objects of the local store: the
// local matcher, or a replica. Of those, the idler one is asked first.
func (c *contest) copies(i int) bool { return i <= len(c.remotes) }

// admits reports whether matcher i may answer for a set, and why not. owners
// is whose the set is: they answer for it and nobody else.
func (c *contest) admits(i int, owners []string) (reason string, ok bool) {
	remote := i > 0 && i <= len(c.remotes)
	switch {
	case len(owners) == 0 && remote && !c.remotes[i-1].Replica():
		return "answers only for what it owns", false
	case len(owners) > 0 && (!remote || !slices.Contains(owners, c.matchers[i].Name())):
		return "the set is owned by " + matcher.OwnerText(owners), false
	}
	return "", true
}

// busy counts the calls under way, by the name of the matcher.
type busy struct {
	mu    sync.Mutex
	calls map[string]int
}

func (b *busy) add(name string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls == nil {
		b.calls = map[string]int{}
	}
	if b.calls[name] += n; b.calls[name] == 0 {
		delete(b.calls, name) // remotes and plugins come and go
	}
}

func (b *busy) of(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[name]
}
