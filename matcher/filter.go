package matcher

import "cmp"

// Range is a half-open interval [GTE, LT); a nil end is open.
type Range[T any] struct{ GTE, LT *T }

// IsZero reports whether r lets every value pass.
func (r Range[T]) IsZero() bool { return r.GTE == nil && r.LT == nil }

// InRange reports whether v lies in r.
func InRange[T cmp.Ordered](r Range[T], v T) bool {
	return (r.GTE == nil || v >= *r.GTE) && (r.LT == nil || v < *r.LT)
}

// Filter selects candidates (API.md 3): fields are joined by AND, the values
// of a list by OR. A nil pointer or slice does not filter; an empty slice that
// is not nil selects nothing. A row without a field does not pass a filter on
// it. A Filter is read-only once a request was decoded.
type Filter struct {
	Account      *ID
	CreateTime   Range[Time]
	UserData     *string
	ExternalIDs  []string
	Age          Range[uint8]
	Gender       *uint8
	EthnicGroups []uint8
	EventIDs     []ID // faces: of the event that they come from; events: of themselves
	FaceIDs      []ID // faces: of themselves; events: of the face that they show
	AttributeIDs []ID

	// Faces.
	FaceID Range[ID]
	ListID *ID
	Lists  []ID

	Event EventFilter
}

// IsZero reports whether f lets every row pass.
func (f *Filter) IsZero() bool {
	return f.Account == nil && f.CreateTime.IsZero() && f.UserData == nil && f.ExternalIDs == nil &&
		f.Age.IsZero() && f.Gender == nil && f.EthnicGroups == nil && f.EventIDs == nil &&
		f.FaceIDs == nil && f.AttributeIDs == nil && f.FaceID.IsZero() && f.ListID == nil && f.Lists == nil &&
		f.Event.IsZero()
}
