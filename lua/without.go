package lua

import (
	"context"
	"slices"

	"nearside/matcher"
)

// An Others is the matching side of all plugins except one. It is for the matches that this
// plugin asks for, which must not call its own hooks.
type Others struct {
	host   *Host
	except string
}

// Without returns the matching side of all plugins except the one of that name.
func (h *Host) Without(name string) Others { return Others{h, name} }

// AcquireHooks does the same as Host.AcquireHooks. After the host was closed, there is a
// prefilter that fails, because the plugins cannot narrow the candidate sets any more.
func (o Others) AcquireHooks() (hooks matcher.Hooks, release func()) {
	if o.host.current.Load().cancel == nil {
		return matcher.Hooks{Prefilters: []matcher.Prefilter{closedPrefilter{}}}, func() {}
	}
	hooks, release = o.host.AcquireHooks()
	hooks.Requests = slices.DeleteFunc(hooks.Requests, func(h matcher.RequestHook) bool { return h.Name() == o.except })
	hooks.Matchers = slices.DeleteFunc(hooks.Matchers, func(m matcher.Matcher) bool { return m.Name() == o.except })
	hooks.Prefilters = slices.DeleteFunc(hooks.Prefilters, func(p matcher.Prefilter) bool { return p.Name() == o.except })
	hooks.Results = slices.DeleteFunc(hooks.Results, func(h matcher.ResultsHook) bool { return h.Name() == o.except })
	return hooks, release
}

// A closedPrefilter takes the place of the prefilters of a host that is closed.
type closedPrefilter struct{}

// Name implements [matcher.Prefilter].
func (closedPrefilter) Name() string { return "plugins" }

// Applies implements [matcher.Prefilter].
func (closedPrefilter) Applies(*matcher.SubRequest) bool { return true }

// Narrow implements [matcher.Prefilter].
func (closedPrefilter) Narrow(context.Context, *matcher.SubRequest, matcher.Selection) (matcher.Selection, error) {
	return nil, matcher.Errorf(matcher.CodeUnavailable, "the plugins are closed")
}
