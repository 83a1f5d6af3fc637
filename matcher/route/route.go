// Package route distributes match requests to matchers.
//
// A [Router] resolves each reference to a descriptor. It makes a sub-request for
// each pair of a reference and a candidate set, and lets prefilters narrow the
// sets. Then it asks the matchers for their costs. Each matcher gets all
// sub-requests for which it is the cheapest, in one call. If a matcher fails,
// declines or takes too long, the next cheapest matcher answers.
package route

import (
	"context"
	"errors"
	"strconv"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// Moments takes snapshots of the local objects; the local matcher implements it.
type Moments interface {
	// Moment returns a snapshot for the lookups of one request.
	Moment(account *matcher.ID, references []matcher.Reference, sets []*matcher.Candidates) matcher.Moment
}

// Plugins are the plugins that take part in matching. They can change while requests are
// in progress.
type Plugins interface {
	// AcquireHooks returns the current hooks of plugins. They can be used until release is
	// called. The caller calls release once.
	AcquireHooks() (hooks matcher.Hooks, release func())
}

// Remotes are other services. They can change while requests are in progress.
type Remotes interface {
	// Current returns the current remotes and the data that they own. Ties go to the
	// first remote.
	Current() ([]matcher.Remote, *matcher.Owners)
}

// Options configure a Router.
type Options struct {
	Registry *matcher.Registry
	Moments  Moments         // of the objects that Local matches
	Local    matcher.Matcher // returns complete rows, in order, and stops with its context
	Remotes  Remotes         // may be nil
	Plugins  Plugins         // may be nil
	Observer matcher.Observer
}

// Router answers match requests. It is safe for concurrent use.
type Router struct {
	options Options
	calls   callCounts
}

// New returns a Router.
func New(o Options) *Router { return &Router{options: o} }

// Request is a decoded match request.
type Request struct {
	References []matcher.Reference
	Candidates []*matcher.Candidates
	Type       matcher.DescriptorType // of the descriptors to compare
	Version    uint32                 // required of all references; 0: any
	Account    *matcher.ID            // only its objects are visible; nil: all
	Lists      matcher.Lists          // only faces in these lists are visible; nil: all objects
	Key        string                 // the name of the caller's key; empty: there is none
	Route      string                 // as in metrics: "POST:/matcher/faces"
	RequestID  string
	Explain    bool
	Forwarded  bool // the client is a proxy, so no remotes are asked
	// Lines asks for an answer that is sent in lines. It requires one reference after keys are
	// resolved. matcher.Result.Fill may fill in the objects of the matches.
	Lines bool
	// ReferencesMax bounds the references after each key was replaced by its
	// objects. RowsMax bounds the rows of the answer if every limit is reached, with
	// the rows that offsets skip.
	ReferencesMax, RowsMax int
	// Plugins are the plugins that take part; nil: those of the router.
	Plugins Plugins
	// Reserve is called after plugins have changed the candidate sets. It may wait until
	// there is memory for the changed answer. nil: it is not called.
	Reserve func(ctx context.Context) error

	hooked *hooked // what plugins did
	// referenceSet selects the references of a cross match.
	referenceSet *matcher.Candidates
	cross        bool // a cross match: the path of its only candidate set has no index
	// loading is the time in which the descriptors of the references were loaded.
	loading time.Duration
}

// kind returns the kind of the match in monitoring points.
func (req *Request) kind() matcher.MatchKind {
	switch {
	case req.cross:
		return matcher.MatchCross
	case req.Type == matcher.BodyDescriptor:
		return matcher.MatchBodies
	default:
		return matcher.MatchFaces
	}
}

// path returns the path of a candidate set in the client's request.
func (req *Request) path(set int) string {
	if req.cross {
		return "candidates"
	}
	return "candidates[" + strconv.Itoa(set) + "]"
}

// Answer is the answer to a Request.
type Answer struct {
	References []matcher.Reference // resolved; a key is repeated for each of its objects
	Results    [][]matcher.Result  // by reference, by candidate set
	Plans      [][]*wire.Plan      // by reference, by candidate set; nil unless Explain
	// PluginOrder reports whether rows have the order of a plugin.
	PluginOrder bool
}

// Match answers a request or returns the first error in request order. It reads
// the local objects from one snapshot. Plugins may change the candidate sets of the
// request, except for their origin and filter.
func (r *Router) Match(ctx context.Context, asked *Request) (*Answer, error) {
	plugins := asked.Plugins
	if plugins == nil {
		plugins = r.options.Plugins
	}
	c := r.newContest(asked.Forwarded, plugins)
	defer c.release()
	changed := *asked
	req := &changed
	if err := c.callRequestHooks(ctx, req); err != nil {
		return nil, err
	}
	start := time.Now()
	flat := *req
	flat.References = withParts(req.References)
	moment := r.options.Moments.Moment(req.Account, flat.References, req.Candidates)
	refs, err := r.resolve(ctx, req, &flat, moment)
	if err != nil {
		return nil, err
	}
	req.loading = time.Since(start)
	if req.Lines && len(refs) != 1 {
		return nil, matcher.Errorf(matcher.CodeNotAcceptable, "references[0]: stands for %d objects; an answer of application/x-ndjson needs one reference", len(refs))
	}
	if err := checkRows(req, countOf(refs)); err != nil {
		return nil, err
	}
	return r.match(ctx, req, refs, moment)
}

// match answers a request whose references have their descriptors, and for which the
// request hooks were called.
func (r *Router) match(ctx context.Context, req *Request, refs []matcher.Reference, moment matcher.Moment) (*Answer, error) {
	subs, places, err := r.split(req, refs, moment)
	if err != nil {
		return nil, err
	}
	c := req.hooked.contest
	owners, err := ownersOf(c.owners, req)
	if err != nil {
		return nil, err
	}
	narrowed, err := r.narrow(ctx, c.hooks.Prefilters, subs)
	if err != nil {
		return nil, deadlineError(ctx, err)
	}
	w := &work{Router: r, kind: req.kind(), loading: req.loading, matchers: c.matchers, subs: subs, choices: make([]choice, len(subs)), results: make([]matcher.Result, len(subs))}
	for i := range subs {
		if w.choices[i], err = r.choose(ctx, c, &subs[i], owners[places[i].set]); err != nil {
			return nil, matcher.Errorf(matcher.CodeNoMatcher, "%s: %w", subs[i].Path, err)
		}
	}
	w.askAll(ctx)
	return r.finish(ctx, req, refs, places, w, narrowed)
}

// finish lets results hooks change the results, and returns the answer.
func (r *Router) finish(ctx context.Context, req *Request, refs []matcher.Reference, places []place, w *work, left []*narrowed) (*Answer, error) {
	a := &Answer{References: refs, Results: make([][]matcher.Result, len(refs))}
	for i := range a.Results {
		a.Results[i] = make([]matcher.Result, len(req.Candidates))
	}
	results := make([]*matcher.Result, len(places))
	for i, p := range places {
		if err := w.results[i].Err; err != nil {
			return nil, deadlineError(ctx, located(w.subs[i].Path, err))
		}
		results[i] = &a.Results[p.reference][p.set]
		*results[i] = w.results[i]
		w.subs[i].Candidates = req.hooked.shown[p.set]
	}
	hooks, err := req.hooked.contest.callResultsHooks(ctx, w.subs, results)
	if err != nil {
		return nil, err
	}
	for _, result := range results {
		a.PluginOrder = a.PluginOrder || result.PluginOrder
	}
	if req.Explain {
		a.Plans = plansOf(len(refs), req, places, w, left)
		for i, p := range places {
			req.hooked.addTo(a.Plans[p.reference][p.set], p.set, hooks, i, results[i])
		}
	}
	return a, nil
}

// ownersOf returns the owners of each candidate set.
func ownersOf(all *matcher.Owners, req *Request) ([][]string, error) {
	owners := make([][]string, len(req.Candidates))
	for i, set := range req.Candidates {
		var err error
		if owners[i], err = all.Of(set.Origin, &set.Filter); err != nil {
			return nil, matcher.At(req.path(i), err)
		}
	}
	return owners, nil
}

// located returns err with the path of a candidate set before it, unless err has a
// path already or is the rejection of a plugin.
func located(path string, err error) error {
	e, ok := errors.AsType[*matcher.Error](err)
	if !ok || e.Path != "" || e.Code == matcher.CodeRejected {
		return err
	}
	return matcher.Errorf(e.Code, "%s: %w", path, err)
}

// checkRows refuses requests whose answer could have too many rows.
func checkRows(req *Request, references int) error {
	rows := 0
	for _, c := range req.Candidates {
		rows += c.RowsMax()
	}
	if rows > req.RowsMax/max(references, 1) {
		return matcher.Errorf(matcher.CodeTooMany, "candidates: their limits, group sizes and offsets allow %d rows for each of %d references, in all more than the maximum of %d",
			rows, references, req.RowsMax)
	}
	return nil
}

// place has the indexes of a sub-request's reference and candidate set.
type place struct{ reference, set int }

// split returns the sub-requests in request order. A key without objects gets no
// sub-request.
func (r *Router) split(req *Request, refs []matcher.Reference, moment matcher.Moment) ([]matcher.SubRequest, []place, error) {
	var (
		subs   []matcher.SubRequest
		places []place
	)
	late := req.Lines && !req.hooked.wantsObjects(req.Candidates)
	paths := make([]string, len(req.Candidates))
	for j := range paths {
		paths[j] = req.path(j)
	}
	for i := range refs {
		if refs[i].Descriptor.IsZero() {
			continue
		}
		v := r.options.Registry.Version(refs[i].Descriptor.Version)
		if v == nil {
			return nil, nil, matcher.Errorf(matcher.CodeUnknownVersion, "%s: version %d is not registered", refs[i].Path(".data.version"), refs[i].Descriptor.Version)
		}
		for j, c := range req.Candidates {
			subs = append(subs, matcher.SubRequest{
				Reference: &refs[i], Candidates: c, Version: v, Account: req.Account, Moment: moment, RequestID: req.RequestID,
				Key: req.Key, Route: req.Route, Path: paths[j], Explain: req.Explain, LateObjects: late,
			})
			places = append(places, place{i, j})
		}
	}
	return subs, places, nil
}

// deadlineError returns CodeDeadline if the request's deadline passed, because the
// deadline is then the cause of err. Otherwise it returns err.
func deadlineError(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return matcher.Errorf(matcher.CodeDeadline, "the request's deadline passed before it was answered")
	}
	return err
}
