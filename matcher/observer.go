package matcher

import "time"

// Observer receives a report of each request, match and write after it is done. Its
// methods must return at once, because requests wait for them.
type Observer interface {
	// Requested reports a request that was answered.
	Requested(RequestPoint)
	// Matched reports the sub-requests that one matcher answered together.
	Matched(MatchPoint)
	// Stored reports an object whose write was made durable.
	Stored(*Object)
}

// RequestPoint describes one answered HTTP request.
type RequestPoint struct {
	Time      time.Time
	Route     string // as in "POST:/matcher/faces"
	Status    int
	Code      Code // 0: no error
	RequestID string
	Duration  time.Duration
}

// MatchKind is a kind of match. Its values are names in monitoring points.
type MatchKind string

// The kinds of matches.
const (
	MatchFaces  MatchKind = "match_face"
	MatchBodies MatchKind = "match_body"
	MatchRaw    MatchKind = "raw"
	MatchCross  MatchKind = "cross_match"
)

// MatchPoint describes what one matcher did for one request.
type MatchPoint struct {
	Time      time.Time
	Kind      MatchKind
	Matcher   string
	Origin    Origin // of the candidates; not for MatchRaw
	RequestID string
	Subs      int // sub-requests answered; for MatchRaw: references
	Rows      int // rows compared, over all of them
	Matches   int // rows returned, over all of them
	// ListRows is the largest number of rows that one sub-request compared within one list;
	// -1: no candidate set is within one list.
	ListRows int
	Loading  time.Duration // time for loading the descriptors of the references; not in Duration
	Duration time.Duration
	Err      error // the first one
	Cause    Cause // of the match
}

// Observers passes every call on to each observer, in order.
type Observers []Observer

// Requested implements [Observer].
func (all Observers) Requested(p RequestPoint) {
	for _, o := range all {
		o.Requested(p)
	}
}

// Matched implements [Observer].
func (all Observers) Matched(p MatchPoint) {
	for _, o := range all {
		o.Matched(p)
	}
}

// Stored implements [Observer].
func (all Observers) Stored(obj *Object) {
	for _, o := range all {
		o.Stored(obj)
	}
}
