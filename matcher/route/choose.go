package route

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// choice is what the matchers said about a sub-request, and who is to answer
// it.
type choice struct {
	offered []wire.PlanMatcher // by matcher
	ranked  []int              // those that can do it, the cheapest first
	at      int                // of ranked: who is asked, or answered
}

// choose asks matchers for the cost of sub.
func choose(ctx context.Context, matchers []matcher.Matcher, sub *matcher.SubRequest) (choice, error) {
	c := choice{offered: make([]wire.PlanMatcher, len(matchers))}
	for i, m := range matchers {
		cost, reason, ok := m.Cost(ctx, sub)
		c.offered[i] = wire.PlanMatcher{Name: m.Name(), Cost: cost, Reason: reason}
		if ok {
			c.ranked = append(c.ranked, i)
		}
	}
	if c.ranked == nil {
		return c, errors.New("no matcher can do it")
	}
	slices.SortStableFunc(c.ranked, func(a, b int) int { return cmp.Compare(c.offered[a].Cost, c.offered[b].Cost) })
	return c, nil
}

// matcher returns the number of the one that is asked.
func (c *choice) matcher() int { return c.ranked[c.at] }

// last reports whether nobody is left to ask.
func (c *choice) last() bool { return c.at == len(c.ranked)-1 }

// next goes on to the next cheapest, since the present one failed with err.
func (c *choice) next(err error) {
	c.offered[c.matcher()].Reason = "failed: " + err.Error()
	c.at++
}

// settle says who answered.
func (c *choice) settle() {
	m := &c.offered[c.matcher()]
	m.Chosen = true
	switch {
	case m.Reason != "":
	case c.at > 0:
		m.Reason = "cheaper ones failed"
	default:
		m.Reason = "lowest cost"
	}
}
