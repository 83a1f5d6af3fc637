package matcher

import "fmt"

// Origin is the kind of an object. All objects of a candidate set have the same origin.
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

// ParseOrigin parses a text that String returns.
func ParseOrigin(s string) (Origin, error) {
	for o := range Origins {
		if o.String() == s {
			return o, nil
		}
	}
	return 0, fmt.Errorf("must be one of faces, events, attributes, got %q", Shorten(s))
}

// NotFound returns the error for an object that does not exist or is not visible.
func (o Origin) NotFound(id ID) *Error {
	code := [...]Code{CodeFaceNotFound, CodeEventNotFound, CodeAttrNotFound}[o]
	return Errorf(code, "%s_id: %s does not exist", o.Singular(), id)
}

// Exists returns the error for an object that already exists.
func (o Origin) Exists(id ID) *Error {
	code := [...]Code{CodeFaceExists, CodeEventExists, CodeBadInput}[o]
	return Errorf(code, "%s_id: %s exists already", o.Singular(), id)
}

// Small is an optional number from 0 to 255 (an age, an enumeration). The zero
// value means that there is no number.
type Small uint16

// SmallOf returns v as a present Small.
func SmallOf(v uint8) Small { return Small(v) + 1 }

// Get returns the value and whether it is present.
func (s Small) Get() (v uint8, ok bool) { return uint8(s - 1), s != 0 }

// Object is a stored face, event or attribute. Once an object was passed on, neither
// the object nor the contents of its slices may be changed. [Field] explains the tags.
type Object struct {
	Origin      Origin
	ID          ID
	Account     ID // zero: belongs to no account
	CreateTime  Time
	ExternalID  string                      `field:"external_id" record:"3" origins:"faces,events" any:"external_ids"`
	UserData    string                      `field:"user_data" record:"4" origins:"faces,events" is:"user_data"`
	Age         Small                       `field:"age" record:"5" range:"age"`
	Gender      Small                       `field:"gender" record:"6" is:"gender"`
	EthnicGroup Small                       `field:"ethnic_group" record:"7" any:"ethnic_groups"`
	Descriptors [DescriptorTypes]Descriptor // by type; IsZero where the object has none
	EventID     ID                          `field:"event_id" record:"16" origins:"faces" any:"event_ids"`
	Avatar      string                      `field:"avatar" record:"17" origins:"faces"`
	Lists       []ID                        // of faces: sorted, without duplicates; in a request: as given, until the store sorts them
	Event       *Event                      // of events; nil: the event has none of these fields
	Expires     Time                        // of attributes: from then on the attribute does not exist; zero: never
}

// Expired reports whether o has expired at now.
func (o *Object) Expired(now Time) bool { return o.Expires != 0 && o.Expires <= now }

// Descriptor returns the descriptor of type t, which may be absent.
func (o *Object) Descriptor(t DescriptorType) Descriptor { return o.Descriptors[t] }

// List is a named set of faces.
type List struct {
	ID         ID
	Account    ID // zero: belongs to no account
	UserData   string
	CreateTime Time
}

// ListNotFound returns the error for a list that does not exist or is not
// visible.
func ListNotFound(id ID) *Error { return Errorf(CodeListNotFound, "list_id: %s does not exist", id) }
