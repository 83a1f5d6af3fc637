package matcher

import "context"

// Hooks are the plugins that take part in one request. Each list has the order in which
// its hooks run. Matchers compete by cost instead.
type Hooks struct {
	Requests   []RequestHook
	Matchers   []Matcher
	Prefilters []Prefilter
	Results    []ResultsHook
}

// MatchCall is a match, or a cross match, before its references are resolved. A RequestHook
// may change the candidate sets, except for their origin and filter.
type MatchCall struct {
	Kind       MatchKind
	Type       DescriptorType // of the descriptors to compare
	Version    uint32         // required of all references; 0: any
	References []Reference    // as the client gave them; none in a cross match
	// ReferenceSet selects the references of a cross match. It is nil in a match.
	ReferenceSet *Candidates
	Candidates   []*Candidates
	Account      *ID    // only its objects are visible; nil: all
	Key          string // the name of the caller's key; empty: there is none
	Route        string // as in metrics: "POST:/matcher/faces"
	RequestID    string
	Forwarded    bool // the client is a proxy
	RowsMax      int  // bound for the rows of the answer, over all references and sets
}

// RequestHook is a plugin that sees each match before its references are resolved. It can
// change the candidate sets, or reject the request.
type RequestHook interface {
	Name() string
	// Applies reports whether Request must be called.
	Applies(call *MatchCall) bool
	// Request may change the candidate sets of call. It either makes all of its changes or
	// none. If the hook failed and the request goes on without it, skipped says so. An error
	// ends the request.
	Request(ctx context.Context, call *MatchCall) (skipped string, err error)
}

// ResultsHook is a plugin that sees the rows of an answer before the answer is written.
type ResultsHook interface {
	Name() string
	// Applies reports whether Results must be called for the answer to sub.
	Applies(sub *SubRequest) bool
	// Results may change the matches of result, and the fields about plugins in it. It runs
	// once per reference and candidate set, after the total order was made. It does not
	// change the count. skipped and err are those of RequestHook.
	Results(ctx context.Context, sub *SubRequest, result *Result) (skipped string, err error)
}

// Extra is a field that a plugin has added to a row.
type Extra struct {
	Name string
	JSON string // the value
}

// Bytes returns the length of the field in JSON, with its comma.
func (e *Extra) Bytes() int { return len(e.Name) + len(e.JSON) + len(`"":,`) }
