package matcher

import (
	"context"
	"time"
)

// ReferenceType says how a reference names its descriptor.
type ReferenceType string

// The reference types (API.md 3).
const (
	RefFace            ReferenceType = "face"
	RefEvent           ReferenceType = "event"
	RefAttribute       ReferenceType = "attribute"
	RefFaceExternalID  ReferenceType = "face_external_id"
	RefEventExternalID ReferenceType = "event_external_id"
	RefEventTrackID    ReferenceType = "event_track_id"
	RefRaw             ReferenceType = "raw_descriptor"
	RefSDK             ReferenceType = "sdk_descriptor"
)

// Reference is what is looked for: a descriptor, or an object that has one.
type Reference struct {
	Type       ReferenceType
	ID         string     // as the client gave it; an object's ID in lower case
	ObjectID   ID         // of the object that a key (external ID, track) found
	Descriptor Descriptor // given, or found by resolving ID
}

// Candidates is a set of objects to match against, and how much of the answer
// is wanted.
type Candidates struct {
	Origin    Origin
	Filter    Filter
	Limit     int      // 1 or more
	Threshold float64  // least similarity, 0..1
	Targets   []string // top-level fields wanted; nil: all
	Order     Order
}

// SubRequest is one reference against one candidate set. Sub-requests of one
// request share Candidates by pointer, which is how a matcher sees that they
// can share a pass.
type SubRequest struct {
	Reference  *Reference
	Candidates *Candidates
	Version    *Version  // of the reference's descriptor, and so of the match
	Account    *ID       // only objects of this account are visible; nil: all
	Selection  Selection // what prefilters left of the set; nil: they took nothing
	RequestID  string
	Explain    bool // whether Scan is shown: who has to ask for it does so only then
}

// CrossMatch is every object of one set against all objects of another.
type CrossMatch struct {
	References *Candidates // of which Origin and Filter count
	Candidates *Candidates
	Type       DescriptorType // of the descriptors that are compared
	Account    *ID            // only its objects are visible; nil: all
	RequestID  string
	Explain    bool
}

// Match is one row of an answer.
type Match struct {
	ID         ID
	CreateTime Time
	Distance   float64
	Similarity float64
	Object     *Object // its fields without descriptors; nil: still to be filled in
}

// Scan tells how an answer came about (API.md 3, explain).
type Scan struct {
	RowsSelected     int    // rows that pass the filters
	RowsOtherVersion int    // of them, without a descriptor of the match's version
	RowsScanned      int    // the rest
	Kernel           string // instruction set and form of the scan
	SharedWith       int    // other sub-requests in the same passes
	Duration         time.Duration
}

// Result answers one SubRequest: at most Limit matches in its order, or Err.
type Result struct {
	Matches []Match
	Scan    Scan
	Err     error
}

// ErrDeclined is the error of a sub-request that a matcher does not want to
// answer after all: somebody else is to be asked.
var ErrDeclined = Errorf(CodeNoMatcher, "declined")

// Matcher answers sub-requests. Implementations are safe for concurrent use.
type Matcher interface {
	Name() string
	// Cost estimates the work of sub; the cheapest matcher that can do it is
	// asked first. When it cannot, reason says why.
	Cost(ctx context.Context, sub *SubRequest) (cost float64, reason string, ok bool)
	// Match answers all sub-requests of a request that it was chosen for, in
	// their order. Each result has its own error; ctx carries the deadline.
	// Internal errors, CodeUnavailable, CodeDeadline and ErrDeclined let the
	// next cheapest matcher answer; all others are the client's.
	Match(ctx context.Context, subs []SubRequest) []Result
}

// Remote is a matcher that is another service, with objects of its own. What
// its methods return is CodeUnavailable when it does not answer, or not what
// the contract says.
type Remote interface {
	Matcher
	// Replica reports whether it has the same objects as the local store; one
	// that owns data (see [Owners]) is none.
	Replica() bool
	// Find returns the visible objects of ids that it has, with descriptors.
	Find(ctx context.Context, o Origin, ids []ID, account *ID, requestID string) ([]Object, error)
	// Keys returns the IDs of the objects with a descriptor of type t that keys
	// (each once) stand for, by key.
	Keys(ctx context.Context, keys []Reference, t DescriptorType, account *ID, requestID string) ([][]ID, error)
	// Cross answers a cross match of its own objects, by the IDs of the
	// references.
	Cross(ctx context.Context, m *CrossMatch) ([]Reference, []Result, error)
}

// Selection is an immutable set of rows of one origin, as of one moment.
type Selection interface {
	Len() int
}

// Selector evaluates filters; the local matcher is one.
type Selector interface {
	Select(ctx context.Context, candidates *Candidates, account *ID) (Selection, error)
}

// Prefilter narrows a candidate set before it is scanned.
type Prefilter interface {
	Name() string
	// Applies reports whether sub's set is to be narrowed.
	Applies(sub *SubRequest) bool
	// Narrow returns a part of rows. It runs once per candidate set and version.
	Narrow(ctx context.Context, sub *SubRequest, rows Selection) (Selection, error)
}
