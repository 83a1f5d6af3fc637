package route

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// choice is what the matchers said about a sub-request, and who is to answer
// it.
type choice struct {
	offered []wire.PlanMatcher // by matcher
	ranked  []int              // those that can do it, in the order in which they are asked
	at      int                // of ranked: who is asked, or answered
}

// choose asks the matchers that may answer sub for its cost. The cheapest comes
// first; of equal ones that have the same objects, the idler; then the order of
// the contest decides.
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
		return ch, ch.nobody()
	case len(ch.ranked) > 1:
		r.rank(c, &ch)
	}
	return ch, nil
}

// rank orders the matchers that can do a sub-request.
func (r *Router) rank(c *contest, ch *choice) {
	load := make([]int, len(c.matchers)) // of one moment
	for i := range load {
		switch {
		case !c.copies(i):
			load[i] = math.MaxInt
		case len(c.remotes) > 0:
			load[i] = r.busy.of(c.matchers[i].Name())
		}
	}
	slices.SortStableFunc(ch.ranked, func(a, b int) int {
		return cmp.Or(cmp.Compare(ch.offered[a].Cost, ch.offered[b].Cost), cmp.Compare(load[a], load[b]))
	})
}

// nobody says why no matcher can do it.
func (ch *choice) nobody() error {
	reasons := make([]string, len(ch.offered))
	for i, m := range ch.offered {
		reasons[i] = m.Name + ": " + cmp.Or(m.Reason, "cannot")
	}
	return fmt.Errorf("no matcher can do it: %s", strings.Join(reasons, "; "))
}

// matcher returns the number of the one that is asked.
func (ch *choice) matcher() int { return ch.ranked[ch.at] }

// last reports whether nobody is left to ask.
func (ch *choice) last() bool { return ch.at == len(ch.ranked)-1 }

// next goes on to the next one, since the present one failed with err. Clients
// see the reason, but no stack of a panic.
func (ch *choice) next(err error) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	ch.offered[ch.matcher()].Reason = "failed: " + text
	ch.at++
}

// settle says who answered, and of those behind it why they were not asked.
func (ch *choice) settle() {
	m := &ch.offered[ch.matcher()]
	for _, i := range ch.ranked[ch.at+1:] {
		other := &ch.offered[i]
		why := "costs more"
		if other.Cost <= m.Cost {
			why = "as cheap, but busier or later in order"
		}
		if other.Reason != "" {
			why = other.Reason + "; " + why
		}
		other.Reason = why
	}
	m.Chosen = true
	switch {
	case m.Reason != "":
	case ch.at > 0:
		m.Reason = "cheaper ones failed"
	default:
		m.Reason = "lowest cost"
	}
}
