package lua

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"nearside/matcher"
)

// An Override changes what a plugin declares about itself (plugins.override in the
// configuration). A zero field changes nothing.
type Override struct {
	Order  *int        // of the hooks request, prefilter and results
	Cost   *float64    // in place of the result of the hook cost
	When   When        // the matches in which the plugin takes part
	Log    *slog.Level // of the plugin's log
	Memory int64       // limits.memory, in bytes
}

// When restricts the matches in which a plugin takes part. An empty list restricts nothing.
type When struct {
	Lists    []matcher.ID // the candidate set is restricted to lists, and one of them is here
	Origins  []matcher.Origin
	Accounts []matcher.ID // of the request
	Routes   []string     // as in metrics: "POST:/matcher/faces"
}

func (w *When) isZero() bool { return len(w.Lists)+len(w.Origins)+len(w.Accounts)+len(w.Routes) == 0 }

// refusal returns why a plugin does not take part in the match of a candidate set; empty: it
// does.
func (w *When) refusal(set *matcher.Candidates, account *matcher.ID, route string) string {
	const suffix = " (plugins.override)"
	switch {
	case len(w.Origins) > 0 && !slices.Contains(w.Origins, set.Origin):
		return "not for " + set.Origin.String() + suffix
	case len(w.Accounts) > 0 && (account == nil || !slices.Contains(w.Accounts, *account)):
		return "not for the account of the request" + suffix
	case len(w.Routes) > 0 && !slices.Contains(w.Routes, route):
		return "not for the route " + route + suffix
	case len(w.Lists) > 0 && !w.namesList(&set.Filter):
		return "not for the lists of the set" + suffix
	}
	return ""
}

// namesList reports whether a filter names one of the lists.
func (w *When) namesList(f *matcher.Filter) bool {
	return f.ListID != nil && slices.Contains(w.Lists, *f.ListID) ||
		slices.ContainsFunc(f.Lists, func(id matcher.ID) bool { return slices.Contains(w.Lists, id) })
}

// override applies the operator's override to the plugin's own declarations.
func (p *plugin) override(o *Override) error {
	var faults []error
	fault := func(field, why string) {
		faults = append(faults, fmt.Errorf("plugins.override.%s.%s: %s", p.Name, field, why))
	}
	p.overridden = *o
	switch {
	case p.matching == nil:
		if o.Order != nil {
			fault("order", "is only for plugins of kind matching")
		}
		if !o.When.isZero() {
			fault("when", "is only for plugins of kind matching")
		}
	case o.Order != nil:
		p.matching.order = *o.Order
	}
	if o.Cost != nil && !p.hooks["match"] {
		fault("cost", "is only for plugins with the hook match")
	}
	if o.Memory > 0 {
		p.memory = o.Memory
	}
	return errors.Join(faults...)
}

// refusal returns why the plugin cannot process sub; empty: it can.
func (p *plugin) refusal(sub *matcher.SubRequest) string {
	if why := p.overridden.When.refusal(sub.Candidates, sub.Account, sub.Route); why != "" {
		return why
	}
	return p.matching.refusal(sub)
}
