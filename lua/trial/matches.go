package trial

import (
	"context"

	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/matcher/route"
)

// match answers ns.match from the objects in the store of the test. There are no other
// plugins, and the hooks of the plugin under test take no part.
func (t *trial) match(ctx context.Context, q *ns.MatchQuery) (*ns.MatchAnswer, error) {
	if !t.serving.Load() {
		return nil, matcher.Errorf(matcher.CodeUnavailable, "the server is starting; call ns.match in a function that ns.ready has started, or later")
	}
	router := route.New(route.Options{Registry: t.store.memory.decoder.Registry, Moments: t.store.memory, Local: t.store.memory})
	return routed(router)(ctx, q)
}

// routed returns a function that answers ns.match with a router.
func routed(r *route.Router) func(ctx context.Context, q *ns.MatchQuery) (*ns.MatchAnswer, error) {
	return func(ctx context.Context, q *ns.MatchQuery) (*ns.MatchAnswer, error) {
		answer, err := r.Match(ctx, &route.Request{
			References: q.Request.References, Candidates: []*matcher.Candidates{&q.Request.Candidates[0].Candidates}, Type: q.Type, Version: q.Version,
			Account: q.Account, RequestID: q.RequestID, Explain: q.Explain, ReferencesMax: q.ReferencesMax, RowsMax: q.RowsMax,
		})
		if err != nil {
			return nil, err
		}
		return &ns.MatchAnswer{References: answer.References, Results: answer.Results, Plans: answer.Plans}, nil
	}
}
