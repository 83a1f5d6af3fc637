// Package route takes whole match requests apart and gets them answered.
//
// A [Router] resolves each reference to a descriptor, makes a sub-request of
// every reference and candidate set, lets prefilters narrow the sets, asks the
// matchers for their cost and hands each the sub-requests that it does
// cheapest, all at once. What a matcher fails, declines or takes too long for
// goes to the next cheapest.
package route

import (
	"context"
	"errors"
	"fmt"

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
	// Each calls f with every visible object of a filter, with descriptors, as
	// of one moment and in no order, until it returns an error.
	Each(ctx context.Context, o matcher.Origin, filter *matcher.Filter, account *matcher.ID, f func(*matcher.Object) error) error
}

// Plugins are the matchers and prefilters that can change while requests are
// under way.
type Plugins interface {
	// Acquire returns those of now, prefilters in the order in which they run.
	// They can be used until release is called, which must be done once.
	Acquire() (matchers []matcher.Matcher, prefilters []matcher.Prefilter, release func())
}

// Remotes are other services, which can change while requests are under way.
type Remotes interface {
	// Now returns them in the order that settles ties, and what they own.
	Now() ([]matcher.Remote, *matcher.Owners)
}

// Options are what a Router is made with.
type Options struct {
	Registry *matcher.Registry
	Objects  Objects
	Selector matcher.Selector // evaluates the filters of sets that prefilters narrow
	Local    matcher.Matcher  // gives whole rows, in order, and ends with its context
	Remotes  Remotes          // nil: none
	Plugins  Plugins          // nil: none
	Observer matcher.Observer
}

// Router answers match requests. It is safe for concurrent use.
type Router struct {
	options Options
	busy    busy
}

// New returns a Router.
func New(o Options) *Router { return &Router{options: o} }

// Request is a decoded match request.
type Request struct {
	References []matcher.Reference
	Candidates []*matcher.Candidates
	Type       matcher.DescriptorType // of the descriptors that are compared
	Version    uint32                 // that references must have; 0: any
	Account    *matcher.ID            // only its objects are visible; nil: all
	RequestID  string
	Explain    bool
	Forwarded  bool // a proxy asks: no remotes are asked in turn
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
	return r.match(ctx, req, refs)
}

// match answers a request whose references have their descriptors.
func (r *Router) match(ctx context.Context, req *Request, refs []matcher.Reference) (*Answer, error) {
	subs, places, err := r.split(req, refs)
	if err != nil {
		return nil, err
	}
	c := r.contest(req.Forwarded)
	defer c.release()
	owners, err := ownersOf(c.owners, req.Candidates)
	if err != nil {
		return nil, err
	}
	narrowed, err := r.narrow(ctx, c.prefilters, subs, places)
	if err != nil {
		return nil, deadline(ctx, err)
	}
	w := &work{Router: r, matchers: c.matchers, subs: subs, choices: make([]choice, len(subs)), results: make([]matcher.Result, len(subs))}
	for i := range subs {
		if w.choices[i], err = r.choose(ctx, c, &subs[i], owners[places[i].set]); err != nil {
			return nil, matcher.Errorf(matcher.CodeNoMatcher, "candidates[%d]: %w", places[i].set, err)
		}
	}
	w.run(ctx)
	a := &Answer{References: refs, Results: make([][]matcher.Result, len(refs))}
	for i := range a.Results {
		a.Results[i] = make([]matcher.Result, len(req.Candidates))
	}
	for i, p := range places {
		if err := w.results[i].Err; err != nil {
			return nil, deadline(ctx, located(p, err))
		}
		a.Results[p.reference][p.set] = w.results[i]
	}
	if req.Explain {
		a.Plans = plans(len(refs), req, places, w, narrowed)
	}
	return a, nil
}

// ownersOf returns whose each set is.
func ownersOf(all *matcher.Owners, sets []*matcher.Candidates) ([][]string, error) {
	owners := make([][]string, len(sets))
	for i, set := range sets {
		var err error
		if owners[i], err = all.Of(set.Origin, &set.Filter); err != nil {
			return nil, matcher.At(fmt.Sprintf("candidates[%d]", i), err)
		}
	}
	return owners, nil
}

// located says which set an error of a matcher is about.
func located(p place, err error) error {
	e, ok := errors.AsType[*matcher.Error](err)
	if !ok {
		return err
	}
	return matcher.Errorf(e.Code, "candidates[%d]: %w", p.set, err)
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
			subs = append(subs, matcher.SubRequest{Reference: &refs[i], Candidates: c, Version: v, Account: req.Account, RequestID: req.RequestID, Explain: req.Explain})
			places = append(places, place{i, j})
		}
	}
	return subs, places, nil
}

// deadline names the cause of an error that the request's own end made.
func deadline(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return matcher.Errorf(matcher.CodeDeadline, "the request's deadline passed before it was answered")
	}
	return err
}
