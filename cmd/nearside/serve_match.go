package main

import (
	"context"
	"net/http"
	"time"

	"nearside/internal/audit"
	"nearside/internal/server"
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
	if err := s.checkPluginMatch(); err != nil {
		return nil, err
	}
	start := time.Now()
	answer, err := router.Match(ctx, &route.Request{
		References: q.Request.References, Candidates: []*matcher.Candidates{&q.Request.Candidates[0].Candidates}, Type: q.Type, Version: q.Version,
		Account: q.Account, RequestID: q.RequestID, Explain: q.Explain, Plugins: host.Without(q.Plugin),
		ReferencesMax: q.ReferencesMax, RowsMax: q.RowsMax,
	})
	if fault := s.auditPluginMatch(q, answer, start, err); err == nil {
		err = fault
	}
	if err != nil {
		return nil, err
	}
	return &ns.MatchAnswer{References: answer.References, Results: answer.Results, Plans: answer.Plans}, nil
}

// checkPluginMatch refuses a match of a plugin if it needs a line of the audit, and no line
// can be written.
func (s *service) checkPluginMatch() error {
	if !s.audit.Settings().Match {
		return nil
	}
	return s.audit.Err()
}

// auditPluginMatch writes the line of a match of a plugin, before the plugin gets the answer.
// fault is the error of the match.
func (s *service) auditPluginMatch(q *ns.MatchQuery, answer *route.Answer, start time.Time, fault error) error {
	if !s.audit.Settings().Match {
		return nil
	}
	e := &audit.Entry{
		RequestID: q.RequestID, Key: string(matcher.PluginCause(q.Plugin)), Operation: audit.OperationMatch, Start: start,
		Filters: [][]byte{q.Request.Candidates[0].Filters.JSON()},
	}
	if q.Account != nil {
		e.Account = q.Account.String()
	}
	status, references := http.StatusCreated, q.Request.References
	if fault != nil {
		status = server.StatusOf(fault)
	} else {
		references = answer.References
		e.AddRows(answer.Results)
	}
	e.AddReferences(references)
	return s.audit.Add(e, status)
}
