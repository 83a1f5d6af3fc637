// Package route takes whole match requests apart and gets them answered.
//
// A [Router] resolves each reference to a descriptor, makes a sub-request of
// every reference and candidate set, asks the matchers for their cost and
// hands each the sub-requests that it does cheapest, all at once.
package route

import (
	"context"
	"errors"
	"slices"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Objects is where references are looked up; the local memory is one.
type Objects interface {
	// Get returns a visible object with its descriptors.
	Get(o matcher.Origin, id matcher.ID, account *matcher.ID, descriptors bool) (matcher.Object, bool)
	// Page returns the visible objects of a filter that stand at offset and
	// after it, at most size, in the order of IDs, and how many there are.
	Page(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID, offset, size int, descriptors bool) ([]matcher.Object, int, error)
}

// Options are what a Router is made with.
type Options struct {
	Registry *matcher.Registry
	Objects  Objects
	Matchers []matcher.Matcher // in the order that settles ties of cost
	Observer matcher.Observer
}

// Router answers match requests. It is safe for concurrent use.
type Router struct{ options Options }

// New returns a Router.
func New(o Options) *Router { return &Router{o} }

// Request is a decoded match request.
type Request struct {
	References []matcher.Reference
	Candidates []*matcher.Candidates
	Type       matcher.DescriptorType // of the descriptors that are compared
	Version    uint32                 // that references must have; 0: any
	Account    *matcher.ID            // only its objects are visible; nil: all
	RequestID  string
	Explain    bool
	// ReferencesMax bounds the references once keys stand for what they found;
	// RowsMax the rows of the answer, were every limit used up.
	ReferencesMax, RowsMax int
}

// Answer is the answer to a Request.
type Answer struct {
	References []matcher.Reference // resolved; a key stands for each object it found
	Results    [][]matcher.Result  // by reference, by candidate set
	Plans      [][]*wire.Plan      // the same; nil unless asked for
}

// Match answers a request or returns the first error in request order.
func (r *Router) Match(ctx context.Context, req *Request) (*Answer, error) {
	refs, err := r.resolve(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := checkRows(req, len(refs)); err != nil {
		return nil, err
	}
	subs, places, err := r.split(req, refs)
	if err != nil {
		return nil, err
	}
	a := &Answer{References: refs, Results: make([][]matcher.Result, len(refs))}
	for i := range a.Results {
		a.Results[i] = make([]matcher.Result, len(req.Candidates))
	}
	choices := make([]choice, len(subs))
	byMatcher := make([][]int, len(r.options.Matchers))
	for i := range subs {
		if choices[i], err = r.choose(ctx, &subs[i]); err != nil {
			return nil, matcher.Errorf(matcher.CodeNoMatcher, "candidates[%d]: %w", places[i].set, err)
		}
		byMatcher[choices[i].best] = append(byMatcher[choices[i].best], i)
	}
	results := make([]matcher.Result, len(subs))
	for m, mine := range byMatcher {
		if len(mine) > 0 {
			r.ask(ctx, r.options.Matchers[m], subs, mine, results)
		}
	}
	for i, p := range places {
		if err := results[i].Err; err != nil {
			return nil, deadline(ctx, err)
		}
		a.Results[p.reference][p.set] = results[i]
	}
	if req.Explain {
		a.Plans = plans(refs, req, places, choices, results)
	}
	return a, nil
}

// checkRows refuses requests whose answer could be larger than memory.
func checkRows(req *Request, references int) error {
	rows := 0
	for _, c := range req.Candidates {
		rows += c.Limit
	}
	if rows > req.RowsMax/max(references, 1) {
		return matcher.Errorf(matcher.CodeTooMany, "candidates: their limits allow %d rows for each of %d references, together more than %d",
			rows, references, req.RowsMax)
	}
	return nil
}

// place says which reference and set a sub-request belongs to.
type place struct{ reference, set int }

// split makes the sub-requests in request order. A key that found nothing has
// none.
func (r *Router) split(req *Request, refs []matcher.Reference) ([]matcher.SubRequest, []place, error) {
	var (
		subs   []matcher.SubRequest
		places []place
	)
	for i := range refs {
		if refs[i].Descriptor.IsZero() {
			continue
		}
		v := r.options.Registry.Version(refs[i].Descriptor.Version)
		if v == nil {
			return nil, nil, matcher.Errorf(matcher.CodeUnknownVersion, "references: version: %d is not registered", refs[i].Descriptor.Version)
		}
		for j, c := range req.Candidates {
			subs = append(subs, matcher.SubRequest{Reference: &refs[i], Candidates: c, Version: v, Account: req.Account, RequestID: req.RequestID})
			places = append(places, place{i, j})
		}
	}
	return subs, places, nil
}

// choice is what the matchers said about a sub-request.
type choice struct {
	best    int
	offered []wire.PlanMatcher
}

// choose finds the cheapest matcher that can do sub.
func (r *Router) choose(ctx context.Context, sub *matcher.SubRequest) (choice, error) {
	c := choice{best: -1}
	for i, m := range r.options.Matchers {
		cost, reason, ok := m.Cost(ctx, sub)
		c.offered = append(c.offered, wire.PlanMatcher{Name: m.Name(), Cost: cost, Reason: reason})
		if ok && (c.best < 0 || cost < c.offered[c.best].Cost) {
			c.best = i
		}
	}
	if c.best < 0 {
		return c, errors.New("no matcher can do it")
	}
	c.offered[c.best].Chosen = true
	if c.offered[c.best].Reason == "" {
		c.offered[c.best].Reason = "lowest cost"
	}
	return c, nil
}

// ask lets m answer its sub-requests together.
func (r *Router) ask(ctx context.Context, m matcher.Matcher, subs []matcher.SubRequest, mine []int, results []matcher.Result) {
	start := time.Now()
	batch := make([]matcher.SubRequest, len(mine))
	for i, n := range mine {
		batch[i] = subs[n]
	}
	point := matcher.MatchPoint{Time: start, Matcher: m.Name(), Origin: batch[0].Candidates.Origin, RequestID: batch[0].RequestID, Subs: len(mine)}
	answered := m.Match(ctx, batch)
	if len(answered) != len(batch) { // a plugin or a remote may be wrong; nobody takes that for an empty answer
		err := matcher.Errorf(matcher.CodeInternal, "matcher %s gave %d results for %d sub-requests", m.Name(), len(answered), len(batch))
		answered = slices.Repeat([]matcher.Result{{Err: err}}, len(batch))
	}
	for i, result := range answered {
		results[mine[i]] = result
		point.Rows += result.Scan.RowsScanned
		point.Matches += len(result.Matches)
		if point.Err == nil {
			point.Err = result.Err
		}
	}
	point.Duration = time.Since(start)
	if r.options.Observer != nil {
		r.options.Observer.Matched(point)
	}
}

// deadline names the cause of an error that the request's own end made.
func deadline(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return matcher.Errorf(matcher.CodeDeadline, "the request's deadline passed before it was answered")
	}
	return err
}

func plans(refs []matcher.Reference, req *Request, places []place, choices []choice, results []matcher.Result) [][]*wire.Plan {
	all := make([][]*wire.Plan, len(refs))
	for i := range all {
		all[i] = make([]*wire.Plan, len(req.Candidates))
		for j := range all[i] {
			all[i][j] = &wire.Plan{} // a key that found nothing was not matched
		}
	}
	for i, p := range places {
		s := results[i].Scan
		*all[p.reference][p.set] = wire.Plan{
			Matchers: choices[i].offered, RowsSelected: s.RowsSelected, RowsOtherVersion: s.RowsOtherVersion,
			RowsScanned: s.RowsScanned, Kernel: s.Kernel, SharedWith: s.SharedWith, Milliseconds: float64(s.Duration) / float64(time.Millisecond),
		}
	}
	return all
}
