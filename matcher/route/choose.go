package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// choice is the choice of a matcher for one sub-request.
type choice struct {
	offered []wire.PlanMatcher // the cost or the refusal of each matcher
	ranked  []int              // the matchers that can answer, in the order in which they are asked
	at      int                // index in ranked of the matcher that is asked, or that answered
}

// choose asks the matchers that may answer sub for its cost. The cheapest comes
// first. At equal cost, the local matcher or remote with fewer calls in progress
// comes first. Then the order of the contest decides.
func (r *Router) choose(ctx context.Context, c *contest, sub *matcher.SubRequest, owners []string) (choice, error) {
	ch := choice{offered: make([]wire.PlanMatcher, len(c.matchers))}
	for i, m := range c.matchers {
		offer := &ch.offered[i]
		offer.Name = m.Name()
		reason, ok := c.admits(i, owners)
		if ok {
			offer.Cost, reason, ok = m.Cost(ctx, sub)
		}
		offer.Reason = reason
		if ok {
			ch.ranked = append(ch.ranked, i)
		}
	}
	switch {
	case ch.ranked == nil:
		return ch, ch.noMatcherError()
	case len(ch.ranked) > 1:
		r.sortRanked(c, &ch)
	}
	return ch, nil
}

// sortRanked sorts the matchers that can answer a sub-request.
func (r *Router) sortRanked(c *contest, ch *choice) {
	load := make([]int, len(c.matchers)) // read once, so that the order is consistent
	for i := range load {
		switch {
		case !c.balancesLoad(i):
			load[i] = math.MaxInt
		case len(c.remotes) > 0:
			load[i] = r.calls.callsOf(c.matchers[i].Name())
		}
	}
	slices.SortStableFunc(ch.ranked, func(a, b int) int {
		return cmp.Or(cmp.Compare(ch.offered[a].Cost, ch.offered[b].Cost), cmp.Compare(load[a], load[b]))
	})
}

// noMatcherError returns the error for a sub-request that no matcher can answer.
// It has each matcher's reason.
func (ch *choice) noMatcherError() error {
	reasons := make([]string, len(ch.offered))
	for i, m := range ch.offered {
		reasons[i] = m.Name + ": " + cmp.Or(m.Reason, "it gave no reason")
	}
	return fmt.Errorf("no matcher can answer for this candidate set: %s", strings.Join(reasons, "; "))
}

// matcher returns the index of the matcher that is asked.
func (ch *choice) matcher() int { return ch.ranked[ch.at] }

// isLast reports whether the current matcher is the last that can answer.
func (ch *choice) isLast() bool { return ch.at == len(ch.ranked)-1 }

// tryNext moves to the next matcher, because the current one failed with err.
func (ch *choice) tryNext(err error, account *matcher.ID) {
	ch.offered[ch.matcher()].Reason = failedReason(err, account)
	ch.at++
}

// failedReason returns the reason in a plan for a matcher that failed with err.
// Clients see it, so it has no stack of a panic, and only the details that the
// account of the request may see.
func failedReason(err error, account *matcher.ID) string {
	text := err.Error()
	if e, ok := errors.AsType[*matcher.Error](err); ok {
		text = e.For(account).Detail
		if e.Path != "" { // the plan is at that path
			text = strings.TrimPrefix(text, e.Path+": ")
		}
	}
	text, _, _ = strings.Cut(text, "\n")
	return "failed: " + text
}

// setReasons sets the reasons of the matcher that answered, and of those after it,
// which were not asked.
func (ch *choice) setReasons() {
	m := &ch.offered[ch.matcher()]
	for _, i := range ch.ranked[ch.at+1:] {
		other := &ch.offered[i]
		reason := "costs more"
		if other.Cost <= m.Cost {
			reason = "same cost, but busier or later in order"
		}
		if other.Reason != "" {
			reason = other.Reason + "; " + reason
		}
		other.Reason = reason
	}
	m.Chosen = true
	switch {
	case m.Reason != "":
	case ch.at > 0:
		m.Reason = "cheaper matchers failed"
	default:
		m.Reason = "lowest cost"
	}
}
