package main

import (
	"context"

	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/matcher/route"
)

// matchFor answers a match that a plugin asks for. Like a match of a client, it is refused
// while the process has too little memory.
func (s *service) matchFor(ctx context.Context, q *ns.MatchQuery) (*ns.MatchAnswer, error) {
	router, host := s.router.Load(), s.plugins.Load()
	if router == nil || host == nil {
		return nil, matcher.Errorf(matcher.CodeUnavailable, "the server is starting; call ns.match in a function that ns.ready has started, or later")
	}
	if err := s.pressure.refuseMatch(); err != nil {
		return nil, err
	}
	answer, err := router.Match(ctx, &route.Request{
		References: q.Request.References, Candidates: []*matcher.Candidates{&q.Request.Candidates[0].Candidates}, Type: q.Type, Version: q.Version,
		Account: q.Account, RequestID: q.RequestID, Explain: q.Explain, Plugins: host.Without(q.Plugin),
		ReferencesMax: q.ReferencesMax, RowsMax: q.RowsMax,
	})
	if err != nil {
		return nil, err
	}
	return &ns.MatchAnswer{References: answer.References, Results: answer.Results, Plans: answer.Plans}, nil
}
