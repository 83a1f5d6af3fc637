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

// Acquire does the same as Host.Acquire. After the host was closed, prefilters is one that
// fails, because the plugins cannot narrow the candidate sets any more.
func (o Others) Acquire() (matchers []matcher.Matcher, prefilters []matcher.Prefilter, release func()) {
	if o.host.current.Load().cancel == nil {
		return nil, []matcher.Prefilter{closedPrefilter{}}, func() {}
	}
	matchers, prefilters, release = o.host.Acquire()
	matchers = slices.DeleteFunc(matchers, func(m matcher.Matcher) bool { return m.Name() == o.except })
	prefilters = slices.DeleteFunc(prefilters, func(p matcher.Prefilter) bool { return p.Name() == o.except })
	return matchers, prefilters, release
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
