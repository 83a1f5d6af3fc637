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

func (s *Server) matchFaces(ctx context.Context, x *exchange) error {
	return s.match(ctx, x, matcher.FaceDescriptor)
}

func (s *Server) matchBodies(ctx context.Context, x *exchange) error {
	return s.match(ctx, x, matcher.BodyDescriptor)
}

// matchAlias is the old name of matchFaces.
func (s *Server) matchAlias(ctx context.Context, x *exchange) error {
	x.Response.Header.Set("Warning", `299 - "POST /1/matcher is deprecated, use POST /1/matcher/faces"`)
	return s.matchFaces(ctx, x)
}

func (s *Server) match(ctx context.Context, x *exchange, t matcher.DescriptorType) error {
	explain, err := x.flag("explain")
	if err != nil {
		return err
	}
	version, err := x.descriptorVersion()
	if err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	req, err := x.limits.Decoder.Match(x.in, body, t)
	if err != nil {
		return err
	}
	sets := make([]*matcher.Candidates, len(req.Candidates))
	for i, c := range req.Candidates {
		if err := x.checkAccount(c.Filter.Account, "candidates["+strconv.Itoa(i)+"].filters."); err != nil {
			return err
		}
		sets[i] = &c.Candidates
	}
	if err := x.reserve(ctx, x.matchBytes(req)); err != nil {
		return err
	}
	answer, err := x.server.Router.Match(ctx, &route.Request{
		References: req.References, Candidates: sets, Type: t, Version: version,
		Account: x.account, RequestID: x.requestID, Explain: explain, Forwarded: x.forwarded(),
		ReferencesMax: x.limits.Decoder.Limits.References, RowsMax: rowsMax,
	})
	if err != nil {
		return err
	}
	echo := 0
	for _, c := range req.Candidates {
		echo += c.Filters.Size() + c.Label.Size()
	}
	if err := checkEcho(echo, len(answer.References)); err != nil {
		return err
	}
	return x.answer(http.StatusCreated, wire.AppendMatches(nil, x.out, req, answer.References, answer.Results, answer.Plans))
}

// forwarded reports whether a proxy asks.
func (x *exchange) forwarded() bool { return len(x.Request.Header.Peek(remote.Forwarded)) > 0 }

// checkAccount refuses an account that contradicts the query's.
func (x *exchange) checkAccount(given *matcher.ID, path string) error {
	if given == nil || x.account == nil || *given == *x.account {
		return nil
	}
	return matcher.Errorf(matcher.CodeAccountConflict, "%saccount_id: %s is another account than the query's %s", path, given, x.account)
}

// descriptorVersion reads ?descriptor_version, 0 when it is absent.
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

// Bounds of an answer: a small request may ask for a very large one.
const (
	rowsMax = 2_000_000 // of a match, pairs of a raw match
	echoMax = 256 << 20 // bytes of what is repeated for each reference
)

// checkEcho refuses to repeat bytes for each reference when that is too much.
func checkEcho(bytes, references int) error {
	if bytes > echoMax/max(references, 1) {
		return matcher.Errorf(matcher.CodeTooMany, "candidates: %d bytes of filters, labels or ids are to be repeated for %d references, together more than %d",
			bytes, references, echoMax)
	}
	return nil
}

// crossMatch matches the objects of one filter against those of another.
func (s *Server) crossMatch(t matcher.DescriptorType) handler {
	return func(ctx context.Context, x *exchange) error {
		explain, err := x.flag("explain")
		if err != nil {
			return err
		}
		body, err := x.body()
		if err != nil {
			return err
		}
		req, err := x.limits.Decoder.Cross(x.in, body)
		if err != nil {
			return err
		}
		if err := x.checkAccount(req.References.Filter.Account, "references.filters."); err != nil {
			return err
		}
		if err := x.checkAccount(req.Candidates.Filter.Account, "candidates.filters."); err != nil {
			return err
		}
		if err := x.reserveCross(ctx, req); err != nil {
			return err
		}
		answer, err := x.server.Router.Cross(ctx, &route.CrossRequest{
			CrossMatch: matcher.CrossMatch{
				References: &req.References, Candidates: &req.Candidates.Candidates, Type: t,
				Account: x.account, RequestID: x.requestID, Explain: explain,
			},
			Forwarded: x.forwarded(), ObjectsMax: x.limits.CrossMatch, RowsMax: rowsMax,
		})
		if err != nil {
			return err
		}
		if err := checkEcho(req.Candidates.Filters.Size(), len(answer.References)); err != nil {
			return err
		}
		match := &wire.MatchRequest{Candidates: []*wire.CandidateSet{req.Candidates}}
		return x.answer(http.StatusCreated, wire.AppendMatches(nil, x.out, match, answer.References, answer.Results, answer.Plans))
	}
}

func (s *Server) matchRaw(ctx context.Context, x *exchange) error {
	explain, err := x.flag("explain")
	if err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	req, err := x.limits.Decoder.Raw(x.in, body)
	if err != nil {
		return err
	}
	if pairs := len(req.References) * len(req.Candidates); pairs > rowsMax {
		return matcher.Errorf(matcher.CodeTooMany, "candidates: %d references and %d candidates make %d pairs, the limit is %d",
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
	distances, err := x.server.Memory.Raw(ctx, v, descriptors(req.References), descriptors(req.Candidates))
	if err != nil {
		return err
	}
	results := make([][]wire.RawResult, len(distances))
	for i, row := range distances {
		results[i] = make([]wire.RawResult, len(row))
		for j, d := range row {
			results[i][j] = wire.RawResult{Similarity: v.SimilarityOf(d), Distance: d}
		}
	}
	var plans []*wire.Plan
	if explain {
		n := len(req.Candidates)
		plan := &wire.Plan{
			Matchers:     []wire.PlanMatcher{{Name: x.server.Memory.Name(), Chosen: true, Reason: "raw descriptors are compared directly"}},
			RowsSelected: n, RowsScanned: n, Kernel: x.server.Memory.Kernel(), SharedWith: len(req.References) - 1,
			Milliseconds: float64(time.Since(start)) / float64(time.Millisecond),
		}
		plans = slices.Repeat([]*wire.Plan{plan}, len(req.References))
	}
	return x.answer(http.StatusCreated, wire.AppendRaw(nil, x.out, req, results, plans))
}

func descriptors(refs []matcher.Reference) [][]byte {
	all := make([][]byte, len(refs))
	for i := range refs {
		all[i] = refs[i].Descriptor.Data
	}
	return all
}
