package matcher

import (
	"context"
	"strconv"
	"time"
)

// ReferenceType is the way in which a reference names its descriptor.
type ReferenceType string

// The reference types (docs/api.md, Matching).
const (
	RefFace            ReferenceType = "face"
	RefEvent           ReferenceType = "event"
	RefAttribute       ReferenceType = "attribute"
	RefFaceExternalID  ReferenceType = "face_external_id"
	RefEventExternalID ReferenceType = "event_external_id"
	RefEventTrackID    ReferenceType = "event_track_id"
	RefRaw             ReferenceType = "raw_descriptor"
	RefSDK             ReferenceType = "sdk_descriptor"
	RefTogether        ReferenceType = "together"
)

// Reference is the descriptor to search for, or an object that has it.
type Reference struct {
	Type     ReferenceType
	ID       string // as the client gave it; an object's ID is in lower case
	ObjectID ID     // the object that a key (external ID, track) stands for
	// Descriptor is from the request, or of the object that ID names. Of a RefTogether, it
	// has only the version of the parts; it is zero if there are no parts.
	Descriptor Descriptor
	// Object is the object that the descriptor of a reference of type RefRaw belongs to,
	// according to the client; nil: not given.
	Object *ObjectKey
	// Parts are the references that a RefTogether treats as one, with their descriptors
	// when they are resolved. Fuse says how.
	Parts []Reference
	Fuse  Fuse
	// Place is the position in the client's request, from 1, of the reference
	// that this one was resolved from; 0: it is not from a request, as in a cross
	// match. Part is the position, from 1, within the references of a RefTogether
	// at Place; 0: the reference is not part of one.
	Place, Part int
}

// Path returns the path of a field of a reference in the client's request. For a
// reference that names an object, it is the path of its id, and for a RefTogether that of
// its references, whatever field is. For Place 0, it is "references".
func (r *Reference) Path(field string) string {
	if r.Place == 0 {
		return "references"
	}
	path := "references[" + strconv.Itoa(r.Place-1) + "]"
	if r.Part > 0 {
		path += ".references[" + strconv.Itoa(r.Part-1) + "]"
	}
	switch r.Type {
	case RefRaw, RefSDK:
		return path + field
	case RefTogether:
		return path + ".references"
	}
	return path + ".id"
}

// Candidates is a set of objects to match against, and the size and content of
// the answer.
type Candidates struct {
	Origin    Origin
	Filter    Filter
	Limit     int      // 1 or more
	Threshold float64  // minimum similarity, 0..1
	Targets   []string // the top-level fields to return; nil: all
	Order     Order

	Group       *Grouping // nil: rows are not grouped
	Offset      int       // number of rows, or of groups, to skip
	Count       bool      // also count all rows, or groups, that pass the filter and the threshold
	ExcludeSelf bool      // leave out the objects that the reference stands for
}

// SubRequest is one reference against one candidate set. Sub-requests of one
// request that have the same candidate set have the same Candidates pointer, so
// a matcher can answer them in one pass over the rows.
type SubRequest struct {
	Reference  *Reference
	Candidates *Candidates
	Version    *Version  // of the reference's descriptor, and so of the match
	Account    *ID       // only objects of this account are visible; nil: all
	Selection  Selection // the rows that prefilters left; nil: they removed nothing
	Moment     Moment    // the snapshot of the request; nil: read the current objects
	RequestID  string
	Key        string // the name of the caller's key; empty: there is none
	Route      string // as in metrics: "POST:/matcher/faces"
	Path       string // of the candidate set in the client's request, for errors
	Explain    bool   // whether the client sees Scan; false: a remote need not send it
	// LateObjects allows a matcher to leave out the objects of its matches and to return
	// Result.Fill instead.
	LateObjects bool
}

// CrossMatch asks to match every object of one set against all objects of another.
type CrossMatch struct {
	References *Candidates // only Origin and Filter are used
	Candidates *Candidates
	Type       DescriptorType // of the descriptors to compare
	Account    *ID            // only its objects are visible; nil: all
	Key        string         // the name of the caller's key; empty: there is none
	Route      string         // as in metrics: "POST:/crossmatcher/faces"
	RequestID  string
	Explain    bool
}

// Match is one row of an answer.
type Match struct {
	ID         ID
	CreateTime Time // set if the order is by time, or Object is not nil
	Distance   float64
	Similarity float64
	Group      string  // the value by which the row is grouped; empty: none
	Object     *Object // without descriptors; nil: the targets need only the ID, or it is not filled in yet
}

// Scan explains how an answer was computed (docs/api.md, Explain).
type Scan struct {
	RowsSelected     int      // rows that pass the filters
	RowsOtherVersion int      // selected rows without a descriptor of the match's version
	RowsScanned      int      // selected rows with such a descriptor; these are compared
	Kernel           string   // instruction set and form of the scan
	SharedWith       int      // other sub-requests in the same passes
	Steps            []string // what was done for Group, Offset, Count and ExcludeSelf
	Duration         time.Duration
}

// Result answers one SubRequest: at most Limit matches, or groups of matches, in its
// order, or Err.
type Result struct {
	Matches []Match
	Count   int // if Count is requested: all rows, or groups, that pass the filter and the threshold
	// Fill sets the object and the time of m, a copy of Matches[i]. nil: the matches have
	// their objects, or the targets need only the IDs.
	Fill func(i int, m *Match) error
	Scan Scan
	Err  error

	// The next three fields are set by plugins that have changed the rows (ResultsHook).
	Targets     []string  // the fields that the answer shows; nil: those that the request asks for
	Extra       [][]Extra // by row: the fields that plugins have added; nil: none
	PluginOrder bool      // whether the rows have the order of a plugin
}

// ErrDeclined is the error of a matcher that was chosen for a sub-request but does
// not answer it. The sub-request then goes to the next cheapest matcher.
var ErrDeclined = Errorf(CodeNoMatcher, "declined")

// Matcher answers sub-requests. Implementations are safe for concurrent use.
type Matcher interface {
	Name() string
	// Cost estimates the work of sub; the cheapest matcher is asked first. If ok
	// is false, the matcher cannot answer sub, and reason says why.
	Cost(ctx context.Context, sub *SubRequest) (cost float64, reason string, ok bool)
	// Match answers the sub-requests of one request for which it was chosen, in
	// their order. Each result has its own error; ctx carries the deadline. After
	// CodeInternal, CodeUnavailable, CodeDeadline and ErrDeclined, the next
	// cheapest matcher is asked; the client receives all other errors.
	Match(ctx context.Context, subs []SubRequest) []Result
}

// Remote is another service that stores objects and answers as a matcher. Its
// methods return CodeUnavailable if the service does not answer, or if the
// answer breaks the contract.
type Remote interface {
	Matcher
	// Replica reports whether it has the same objects as the local store. A
	// remote that owns data (see [Owners]) is not a replica.
	Replica() bool
	// Find returns the objects with these IDs that exist there and are visible, with
	// their descriptors.
	Find(ctx context.Context, o Origin, ids []ID, account *ID, requestID string) ([]Object, error)
	// Keys returns, for each key, the IDs of the objects that the key stands for and
	// that have a descriptor of type t. keys must have no duplicates.
	Keys(ctx context.Context, keys []Reference, t DescriptorType, account *ID, requestID string) ([][]ID, error)
	// Cross answers a cross match of its own objects. The references are sorted
	// by ID; results[i] belongs to references[i].
	Cross(ctx context.Context, m *CrossMatch) (references []Reference, results []Result, err error)
}

// Selection is an immutable set of rows of one origin in one snapshot.
type Selection interface {
	Len() int
	// Versions counts the rows that have a descriptor of type t, by version
	// number.
	Versions(t DescriptorType) map[uint32]int
}

// Selector evaluates filters; the local matcher is one.
type Selector interface {
	Select(ctx context.Context, candidates *Candidates, account *ID) (Selection, error)
}

// Prefilter narrows a candidate set before it is scanned.
type Prefilter interface {
	Name() string
	// Applies reports whether Narrow must be called for the candidate set of sub.
	Applies(sub *SubRequest) bool
	// Narrow returns a subset of rows. It runs once per candidate set and version.
	Narrow(ctx context.Context, sub *SubRequest, rows Selection) (Selection, error)
}
