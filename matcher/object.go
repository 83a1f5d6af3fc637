package matcher

import "fmt"

// Origin says which kind of object a candidate set is made of.
type Origin uint8

// The origins. Origins is their number, for arrays by origin.
const (
	Faces Origin = iota
	Events
	Attributes
	Origins
)

// String returns "faces", "events" or "attributes".
func (o Origin) String() string { return [...]string{"faces", "events", "attributes"}[o] }

// Singular returns "face", "event" or "attribute", as in wire names.
func (o Origin) Singular() string { return [...]string{"face", "event", "attribute"}[o] }

// ParseOrigin reads what String returns.
func ParseOrigin(s string) (Origin, error) {
	for o := range Origins {
		if o.String() == s {
			return o, nil
		}
	}
	return 0, fmt.Errorf("%q is not one of faces, events, attributes", shorten(s))
}

// NotFound returns the error of an object that is not there, or not visible.
func (o Origin) NotFound(id ID) *Error {
	code := [...]Code{CodeFaceNotFound, CodeEventNotFound, CodeAttrNotFound}[o]
	return Errorf(code, "%s_id: %s does not exist", o.Singular(), id)
}

// Exists returns the error of an object that is there already.
func (o Origin) Exists(id ID) *Error {
	code := [...]Code{CodeFaceExists, CodeEventExists, CodeBadInput}[o]
	return Errorf(code, "%s_id: %s exists already", o.Singular(), id)
}

// Small is an optional number of 0..255 (an age, an enumeration). The zero
// value is "absent".
type Small uint16

// SmallOf returns v as a present Small.
func SmallOf(v uint8) Small { return Small(v) + 1 }

// Get returns the value and whether there is one.
func (s Small) Get() (v uint8, ok bool) { return uint8(s - 1), s != 0 }

// Object is a stored face, event or attribute. Objects are values: who hands
// one on does not change it, nor what its slices hold.
type Object struct {
	Origin      Origin
	ID          ID
	Account     ID // zero: belongs to no account
	CreateTime  Time
	ExternalID  string
	UserData    string
	Age         Small
	Gender      Small
	EthnicGroup Small
	Descriptors [DescriptorTypes]Descriptor // by type; "none" where it has no such

	// Faces.
	EventID ID // zero: none
	Avatar  string
	Lists   []ID // in the order of IDs, each once

	Event   *Event // of an event, and of nothing else; nil: it has none of the fields
	Expires Time   // attributes: from then on it is not there; zero: never
}

// Expired reports whether o is an object that is gone at now.
func (o *Object) Expired(now Time) bool { return o.Expires != 0 && o.Expires <= now }

// Descriptor returns the descriptor of type t, which may be "none".
func (o *Object) Descriptor(t DescriptorType) Descriptor { return o.Descriptors[t] }

// List is a named set of faces.
type List struct {
	ID         ID
	Account    ID // zero: belongs to no account
	UserData   string
	CreateTime Time
}

// ListNotFound returns the error of a list that is not there, or not visible.
func ListNotFound(id ID) *Error { return Errorf(CodeListNotFound, "list_id: %s does not exist", id) }
