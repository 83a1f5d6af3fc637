package server

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"nearside/matcher"
	"nearside/matcher/remote"
	"nearside/matcher/route"
	"nearside/matcher/wire"
)

// matchAlias answers the old path of matches of faces.
func (s *Server) matchAlias(ctx context.Context, x *exchange) error {
	x.Response.Header.Set("Warning", `299 - "POST /1/matcher is deprecated, use POST /1/matcher/faces"`)
	return s.match(ctx, x)
}

// match compares references with candidate sets. A request that resembles one
// that was refused a moment ago is refused before its body is decoded.
func (s *Server) match(ctx context.Context, x *exchange) error {
	version, err := x.descriptorVersion()
	if err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	if err := x.enterTurn(ctx); err != nil {
		return err
	}
	key, ok := s.refusals.key(x, body)
	if ok {
		if err := s.refusals.check(key); err != nil {
			return err
		}
	}
	err = x.answerMatch(ctx, body, version)
	if deadline, limited := ctx.Deadline(); err != nil && ok && limited {
		s.refusals.remember(key, err, deadline)
	}
	return err
}

// answerMatch decodes the body of a match and answers it.
func (x *exchange) answerMatch(ctx context.Context, body []byte, version uint32) error {
	t := x.operation.matched
	req, err := x.decoder().Match(x.in, body, t)
	if err != nil {
		return err
	}
	x.noteMatch(req)
	sets := make([]*matcher.Candidates, len(req.Candidates))
	for i, c := range req.Candidates {
		if err := x.checkAccount(c.Filter.Account, "candidates["+strconv.Itoa(i)+"].filters."); err != nil {
			return err
		}
		if err := x.checkSet(&c.Candidates, "candidates["+strconv.Itoa(i)+"]."); err != nil {
			return err
		}
		sets[i] = &c.Candidates
	}
	if err := x.checkLines(req); err != nil {
		return err
	}
	if err := x.reserve(ctx, x.matchBytes(req)); err != nil {
		return err
	}
	answer, err := x.options.Router.Match(x.withTexts(ctx, x.options.RefuseMatch), &route.Request{
		References: req.References, Candidates: sets, Type: t, Version: version,
		Account: x.account, Lists: x.lists(), Key: x.keyName(), Route: x.route, RequestID: x.requestID, Explain: x.explain, Forwarded: x.forwarded(), Lines: x.outLines,
		ReferencesMax: x.limits.Decoder.Limits.References, RowsMax: rowsMax,
		Reserve: func(ctx context.Context) error { return x.reserveUpTo(ctx, x.matchBytes(req)) },
	})
	if err != nil {
		return err
	}
	x.leaveTurn()
	x.markOrder(answer)
	x.audit.references = answer.References
	if x.outLines {
		return x.sendLines(req.Candidates[0], answer)
	}
	return x.sendMatches(req, answer)
}

// sendMatches sends the result of a match or a cross match.
func (x *exchange) sendMatches(req *wire.MatchRequest, answer *route.Answer) error {
	x.noteResults(answer.Results)
	for i := range answer.Results {
		for j := range answer.Results[i] {
			x.hideLists(&answer.Results[i][j])
		}
	}
	echo := 0
	for _, c := range req.Candidates {
		echo += c.Filters.Size() + c.Label.Size()
	}
	if err := checkEcho(echo, len(answer.References)); err != nil {
		return err
	}
	return x.sendBody(http.StatusCreated, wire.AppendMatches(nil, x.out, req, answer.References, answer.Results, answer.Plans))
}

// orderHeader says that rows of a match are not in the order of the request, but in that
// of a plugin.
const orderHeader = "Nearside-Order"

// markOrder sets orderHeader if rows have the order of a plugin.
func (x *exchange) markOrder(answer *route.Answer) {
	if answer.PluginOrder {
		x.Response.Header.Set(orderHeader, "plugin")
	}
}

// forwarded reports whether another nearside server sent the request.
func (x *exchange) forwarded() bool { return len(x.Request.Header.Peek(remote.Forwarded)) > 0 }

// checkAccount refuses an account that differs from that of the request. path is the prefix
// of account_id in the request.
func (x *exchange) checkAccount(given *matcher.ID, path string) error {
	if given == nil || x.account == nil || *given == *x.account {
		return nil
	}
	if x.bound() {
		return x.otherAccount(path+"account_id", *given)
	}
	return matcher.Errorf(matcher.CodeAccountConflict, "%saccount_id: %s is another account than the request's %s", path, given, x.account)
}

// descriptorVersion returns ?descriptor_version, or 0 if it is absent.
func (x *exchange) descriptorVersion() (uint32, error) {
	n, err := x.number("descriptor_version", 0, 1, math.MaxUint32)
	if err != nil || n == 0 {
		return 0, err
	}
	if x.limits.Decoder.Registry.Version(uint32(n)) == nil {
		return 0, matcher.Errorf(matcher.CodeUnknownVersion, "descriptor_version: %d is not registered", n)
	}
	return uint32(n), nil
}

// Bounds of an answer. Without them a small request could have a very large answer.
const (
	rowsMax = 2_000_000 // rows of a match, or pairs of a raw match
	echoMax = 256 << 20 // bytes of filters, labels and IDs, which are repeated for each reference
)

// checkEcho refuses an answer with more than echoMax repeated bytes.
func checkEcho(bytes, references int) error {
	if bytes > echoMax/max(references, 1) {
		return matcher.Errorf(matcher.CodeTooMany, "candidates: %d bytes of filters, labels or ids, repeated for %d references, exceed %d bytes",
			bytes, references, echoMax)
	}
	return nil
}

// crossMatch matches the objects of one filter against those of another.
func (s *Server) crossMatch(ctx context.Context, x *exchange) error {
	req, err := decodeBody(x, (*wire.Decoder).Cross)
	if err != nil {
		return err
	}
	if x.audit.wanted {
		x.noteFilters(req.ReferenceFilters.JSON())
		x.noteFilters(req.Candidates.Filters.JSON())
	}
	if err := x.checkAccount(req.References.Filter.Account, "references.filters."); err != nil {
		return err
	}
	if err := x.checkAccount(req.Candidates.Filter.Account, "candidates.filters."); err != nil {
		return err
	}
	if err := x.checkSet(&req.References, "references."); err != nil {
		return err
	}
	if err := x.checkSet(&req.Candidates.Candidates, "candidates."); err != nil {
		return err
	}
	if err := x.enterTurn(ctx); err != nil {
		return err
	}
	if err := x.reserveCross(ctx, req); err != nil {
		return err
	}
	answer, err := x.options.Router.Cross(x.withTexts(ctx, x.options.RefuseMatch), &route.CrossRequest{
		CrossMatch: matcher.CrossMatch{
			References: &req.References, Candidates: &req.Candidates.Candidates, Type: x.operation.matched,
			Account: x.account, Route: x.route, RequestID: x.requestID, Explain: x.explain,
		},
		Forwarded: x.forwarded(), ObjectsMax: x.limits.CrossMatch, RowsMax: rowsMax,
		Reserve: func(ctx context.Context) error { return x.reserveCross(ctx, req) },
	})
	if err != nil {
		return err
	}
	x.markOrder(answer)
	return x.sendMatches(&wire.MatchRequest{Candidates: []*wire.CandidateSet{req.Candidates}}, answer)
}

// matchRaw compares the descriptors of the request with each other.
func (s *Server) matchRaw(ctx context.Context, x *exchange) error {
	req, err := decodeBody(x, (*wire.Decoder).Raw)
	if err != nil {
		return err
	}
	x.audit.references = req.References
	if err := x.enterTurn(ctx); err != nil {
		return err
	}
	if pairs := len(req.References) * len(req.Candidates); pairs > rowsMax {
		return matcher.Errorf(matcher.CodeTooMany, "candidates: %d references and %d candidates make %d pairs, at most %d are allowed",
			len(req.References), len(req.Candidates), pairs, rowsMax)
	}
	echo := 0
	for i := range req.Candidates {
		echo += len(req.Candidates[i].ID)
	}
	if err := checkEcho(echo, len(req.References)); err != nil {
		return err
	}
	if err := x.reserve(ctx, len(req.References)*(len(req.Candidates)*pairBytes+echo)); err != nil {
		return err
	}
	v := x.limits.Decoder.Registry.Version(req.References[0].Descriptor.Version)
	start := time.Now()
	distances, err := x.options.Memory.Raw(ctx, v, descriptors(req.References), descriptors(req.Candidates))
	x.observeRaw(req, start, err)
	if err != nil {
		return err
	}
	results, similarity := make([][]wire.RawResult, len(distances)), v.SimilarityFunc()
	for i, row := range distances {
		results[i] = make([]wire.RawResult, len(row))
		for j, d := range row {
			results[i][j] = wire.RawResult{Similarity: similarity(d), Distance: d}
		}
	}
	if x.audit.wanted {
		x.audit.entry.Count = len(req.References) * len(req.Candidates)
	}
	var plans []*wire.Plan
	if x.explain {
		plans = slices.Repeat([]*wire.Plan{x.rawPlan(req, time.Since(start))}, len(req.References))
	}
	return x.sendBody(http.StatusCreated, wire.AppendRaw(nil, x.out, req, results, plans))
}

// observeRaw reports a raw match that began at start.
func (x *exchange) observeRaw(req *wire.RawRequest, start time.Time, err error) {
	p := matcher.MatchPoint{
		Time: start, Kind: matcher.MatchRaw, Matcher: x.options.Memory.Name(), RequestID: x.requestID, Subs: len(req.References),
		ListRows: -1, Duration: time.Since(start), Err: err,
	}
	if err == nil {
		p.Rows = len(req.References) * len(req.Candidates)
		p.Matches = p.Rows
	}
	x.options.Observer.Matched(p)
}

// rawPlan explains a raw match. All its references have the same plan.
func (x *exchange) rawPlan(req *wire.RawRequest, took time.Duration) *wire.Plan {
	n := len(req.Candidates)
	return &wire.Plan{
		Matchers:     []wire.PlanMatcher{{Name: x.options.Memory.Name(), Chosen: true, Reason: "raw descriptors are compared directly"}},
		RowsSelected: n, RowsScanned: n, Kernel: x.options.Memory.Kernel(), SharedWith: len(req.References) - 1,
		Milliseconds: float64(took) / float64(time.Millisecond),
	}
}

// descriptors returns the data of the descriptors of refs.
func descriptors(refs []matcher.Reference) [][]byte {
	all := make([][]byte, len(refs))
	for i := range refs {
		all[i] = refs[i].Descriptor.Data
	}
	return all
}
