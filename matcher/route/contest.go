package route

import (
	"slices"
	"sync"

	"nearside/matcher"
)

// contest is the set of matchers that compete for the sub-requests of one
// request. It keeps the remotes and plugins of its start, even if the
// configuration changes meanwhile.
type contest struct {
	matchers []matcher.Matcher // the local one, the remotes, the plugins; ties go to the first
	remotes  []matcher.Remote
	owners   *matcher.Owners
	hooks    matcher.Hooks // of the plugins
	release  func()        // the caller calls it once, at the end
}

// newContest returns the contest for a request in which plugins take part; nil: none. If
// the request was forwarded, remotes do not take part, but no other matcher may answer
// for the data that they own.
func (r *Router) newContest(forwarded bool, plugins Plugins) *contest {
	c := &contest{matchers: []matcher.Matcher{r.options.Local}, release: func() {}}
	if r.options.Remotes != nil {
		c.remotes, c.owners = r.options.Remotes.Current()
	}
	if forwarded {
		c.remotes = nil
	}
	for _, m := range c.remotes {
		c.matchers = append(c.matchers, m)
	}
	if plugins != nil {
		c.hooks, c.release = plugins.AcquireHooks()
		c.matchers = append(c.matchers, c.hooks.Matchers...)
	}
	return c
}

// OnlyLocal reports whether no other matcher than the local one can answer a request, and
// no plugin reads the rows of the answer.
func (r *Router) OnlyLocal(forwarded bool) bool {
	c := r.newContest(forwarded, r.options.Plugins)
	defer c.release()
	return len(c.matchers) == 1 && len(c.hooks.Results) == 0
}

// balancesLoad reports whether the number of calls in progress decides between
// matcher i and others of the same cost. It does for the local matcher and remotes,
// which have the same objects if they compete. It does not for plugins.
func (c *contest) balancesLoad(i int) bool { return i <= len(c.remotes) }

// admits reports whether matcher i may answer for a candidate set; if not, reason
// says why. If the set has owners, only they may answer.
func (c *contest) admits(i int, owners []string) (reason string, ok bool) {
	remote := i > 0 && i <= len(c.remotes)
	switch {
	case len(owners) == 0 && remote && !c.remotes[i-1].Replica():
		return "answers only for the data that it owns", false
	case len(owners) > 0 && (!remote || !slices.Contains(owners, c.matchers[i].Name())):
		return "the set is owned by " + matcher.OwnerText(owners), false
	}
	return "", true
}

// callCounts counts the calls in progress by the name of the matcher.
type callCounts struct {
	mu    sync.Mutex
	calls map[string]int
}

func (c *callCounts) addCalls(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	if c.calls[name] += n; c.calls[name] == 0 {
		delete(c.calls, name) // remotes and plugins come and go
	}
}

func (c *callCounts) callsOf(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[name]
}
