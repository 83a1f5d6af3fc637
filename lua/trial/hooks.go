package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"nearside/lua"
	"nearside/lua/goval"
	"nearside/lua/ns"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// hookMethods are the methods of a plugin under test that call the hooks request and
// results.
func hookMethods() []vm.Function {
	return []vm.Function{
		{
			Name:    "match_request",
			Params:  []string{"candidates?: table|table[]", "options?: {account_id: string?, key: string?, route: string?, kind: string?, forwarded: boolean?, references: table[]?}"},
			Returns: []string{"table[]?", "{status: integer, detail: string}? rejection"}, Waits: true,
			Doc: "The candidate sets of a match after the hook request, each as in req.sets. If the hook rejects the request, nil and the rejection. candidates is one candidate set of a request, or a list of them. kind is match_face (default), match_body or cross_match. references are tables {type, id}.",
			Run: withProbe(trialMatchRequest),
		},
		{
			Name: "results", Params: []string{"rows: table[]", "probe?: integer[]", "candidates?: table"},
			Returns: []string{"table[]", "{order: string?, count: integer?}"}, Waits: true,
			Doc: "Matches the descriptor probe against rows, calls the hook results, and returns the rows of the answer as a client gets them: {face = {...}, similarity, distance, extra}. The second result has order = \"plugin\" if the plugin has sorted the rows, and the count if candidates asks for it. candidates: see cost.",
			Run: withProbe(trialResults),
		},
	}
}

// trialMatchRequest calls the hook request.
func trialMatchRequest(c *vm.Call, t *trial, p *lua.Probe) error {
	if !p.Has("request") {
		return errors.New("the plugin has no hook request")
	}
	call, err := t.newMatchCall(c)
	if err != nil {
		return err
	}
	before := t.failureCount()
	err = c.Wait(func(ctx context.Context) error {
		return t.runUntilIdle(ctx, func(ctx context.Context) error {
			hooks, release := p.Host().AcquireHooks()
			defer release()
			hook := hooks.Requests[0]
			if !hook.Applies(call) {
				return errors.New("the plugin is not for any of the candidate sets: see its field matching")
			}
			_, err := hook.Request(ctx, call)
			return err
		})
	})
	if e, ok := errors.AsType[*matcher.Error](err); ok && e.Code == matcher.CodeRejected {
		return c.Return(nil, map[string]any{"status": e.Status, "detail": e.Detail})
	}
	if failed := t.takeFailures(before); failed != nil {
		err = failed
	}
	if err != nil {
		return err
	}
	sets := make([]any, len(call.Candidates))
	for i, set := range call.Candidates {
		sets[i] = ns.SetTable(set)
	}
	return c.Return(sets)
}

// trialRowsMax is RowsMax of a MatchCall, as in a server.
const trialRowsMax = 2_000_000

// newMatchCall returns the match that the arguments of match_request describe.
func (t *trial) newMatchCall(c *vm.Call) (*matcher.MatchCall, error) {
	sets, isList := []any{map[string]any{}}, false
	if c.Has(1) {
		value := c.Value(1)
		if sets, isList = value.([]any); !isList {
			sets = []any{c.Map(1)}
		}
	}
	o := &goval.Reader{Map: c.Map(2), Path: "options."}
	o.RefuseUnknown("account_id", "key", "route", "kind", "forwarded", "references")
	call := &matcher.MatchCall{
		Kind: matcher.MatchKind(o.Text("kind", string(matcher.MatchFaces))), Key: o.Text("key", ""), Route: o.Text("route", "POST:/matcher/faces"),
		RequestID: "1767225600,00000000-0000-4000-8000-000000000000", Forwarded: o.Boolean("forwarded", false), RowsMax: trialRowsMax,
	}
	switch call.Kind {
	case matcher.MatchFaces, matcher.MatchCross:
	case matcher.MatchBodies:
		call.Type = matcher.BodyDescriptor
	default:
		o.Fault("kind", "must be one of match_face, match_body, cross_match, got %q", call.Kind)
	}
	for i, v := range o.List("references") {
		r := &goval.Reader{Map: map[string]any{"": v}, Path: fmt.Sprintf("options.references[%d]", i+1)}
		fields := &goval.Reader{Map: r.Table(""), Path: r.Path + "."}
		fields.RefuseUnknown("type", "id")
		call.References = append(call.References, matcher.Reference{Type: matcher.ReferenceType(fields.Text("type", "face")), ID: fields.Text("id", "")})
		o.Faults = append(append(o.Faults, r.Faults...), fields.Faults...)
	}
	var err error
	if call.Account, err = trialAccount(o.Map); err != nil {
		return nil, fmt.Errorf("options.%w", err)
	}
	if err := errors.Join(o.Faults...); err != nil {
		return nil, err
	}
	call.Candidates, err = t.store.memory.candidateSets(sets)
	return call, err
}

// candidateSets reads candidate sets. The default of their origin is faces.
func (m *trialMemory) candidateSets(sets []any) ([]*matcher.Candidates, error) {
	candidates := make([]any, len(sets))
	for i, v := range sets {
		set, ok := goval.Clone(v).(map[string]any)
		if _, empty := v.(vm.Empty); !ok && !empty {
			return nil, fmt.Errorf("candidates[%d]: must be a table", i+1)
		}
		withOrigin(&set, matcher.Faces)
		plain, err := goval.JSONValue(set)
		if err != nil {
			return nil, err
		}
		candidates[i] = plain
	}
	descriptor, err := trialDescriptor(nil, trialVersion)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"references": []any{map[string]any{"type": "raw_descriptor", "id": "probe", "data": descriptor}}, "candidates": candidates,
	})
	if err != nil {
		return nil, err
	}
	d := *m.decoder
	d.Limits.Candidates = max(1, len(sets))
	r, err := d.Match(wire.JSON, body, matcher.FaceDescriptor)
	if err != nil {
		return nil, err
	}
	all := make([]*matcher.Candidates, len(r.Candidates))
	for i, set := range r.Candidates {
		all[i] = &set.Candidates
	}
	return all, nil
}

// trialResults calls the hook results.
func trialResults(c *vm.Call, t *trial, p *lua.Probe) error {
	if !p.Has("results") {
		return errors.New("the plugin has no hook results")
	}
	var probe any
	if c.Has(2) {
		probe = c.List(2)
	}
	var answer []byte
	info := map[string]any{}
	_, err := t.runMatching(c, p, c.List(1), c.Map(3), probe, func(ctx context.Context, sub *matcher.SubRequest) error {
		result, err := t.matchAndCall(ctx, p, sub)
		if err != nil {
			return err
		}
		if result.PluginOrder {
			info["order"] = "plugin"
		}
		if sub.Candidates.Count {
			info["count"] = result.Count
		}
		set := &wire.CandidateSet{Candidates: *sub.Candidates}
		answer = wire.AppendMatches(nil, wire.JSON, &wire.MatchRequest{Candidates: []*wire.CandidateSet{set}},
			[]matcher.Reference{*sub.Reference}, [][]matcher.Result{{*result}}, nil)
		return nil
	})
	if err != nil {
		return err
	}
	decoded, err := goval.DecodeJSON(answer)
	if err != nil {
		return err
	}
	item := decoded.([]any)[0].(map[string]any)["matches"].([]any)[0].(map[string]any)
	return c.Return(item["result"], info)
}

// matchAndCall answers sub with the local matcher and calls the hook results.
func (t *trial) matchAndCall(ctx context.Context, p *lua.Probe, sub *matcher.SubRequest) (*matcher.Result, error) {
	all, wide := *sub, *sub.Candidates
	wide.Targets = nil // scripts can read all fields
	all.Candidates = &wide
	result := t.local.current.Match(ctx, []matcher.SubRequest{all})[0]
	if result.Err != nil {
		return nil, result.Err
	}
	hooks, release := p.Host().AcquireHooks()
	defer release()
	_, err := hooks.Results[0].Results(ctx, sub, &result)
	return &result, err
}
