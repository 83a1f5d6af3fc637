package matcher

// Event is what only events have. A nil pointer, an empty text, list or ID is
// an absent field.
type Event struct {
	EndTime   *Time
	Source    string
	HandlerID ID
	StreamID  ID
	TrackID   string
	Tags      []string // as given
	FaceID    ID
	Emotion   Small
	Mask      Small
	Location  Location
	TopMatch  TopMatch
	Meta      string // a JSON object
}

// Location is where an event happened.
type Location struct {
	City, Area, District, Street, HouseNumber string
	Position                                  *Position
}

// Position is a place on the earth, in degrees.
type Position struct{ Longitude, Latitude float64 }

// TopMatch is what an event was found most similar to when it was made.
type TopMatch struct {
	ObjectID   ID
	ExternalID string
	Similarity *float64 // 0..1
}

// EventFilter has the filters that only events have, as of [Filter].
type EventFilter struct {
	Sources, TrackIDs, Tags                         []string
	HandlerIDs, StreamIDs                           []ID
	Emotions, Masks                                 []uint8
	Cities, Areas, Districts, Streets, HouseNumbers []string
	Position                                        *GeoBox
	EndTime                                         Range[Time]
	TopMatchObjectIDs                               []ID
	TopMatchExternalIDs                             []string
	TopMatchSimilarity                              Range[float64]
	Meta                                            []MetaFilter
}

// IsZero reports whether f lets every row pass.
func (f *EventFilter) IsZero() bool {
	for _, texts := range [][]string{
		f.Sources, f.TrackIDs, f.Tags, f.Cities, f.Areas, f.Districts, f.Streets, f.HouseNumbers, f.TopMatchExternalIDs,
	} {
		if texts != nil {
			return false
		}
	}
	return f.HandlerIDs == nil && f.StreamIDs == nil && f.TopMatchObjectIDs == nil && f.Emotions == nil && f.Masks == nil &&
		f.Position == nil && f.EndTime.IsZero() && f.TopMatchSimilarity.IsZero() && f.Meta == nil
}

// GeoBox is a rectangle of degrees: a position is in it when neither coordinate
// is farther from the origin than its delta.
type GeoBox struct{ Longitude, Latitude, LongitudeDelta, LatitudeDelta float64 }

// MetaType is the type of a declared field of meta.
type MetaType uint8

// The types of meta fields.
const (
	MetaNumber MetaType = iota
	MetaString
	MetaBoolean
)

// String returns the name in the configuration.
func (t MetaType) String() string { return [...]string{"number", "string", "boolean"}[t] }

// MetaField is a path into the meta object of events that can be filtered on.
// A value of another type than Type counts as absent.
type MetaField struct {
	Path string // names joined by dots
	Type MetaType
}

// MetaOp is a comparison of a meta field.
type MetaOp uint8

// The comparisons. MetaGTE and MetaLT are of numbers and of texts, which
// compare by their bytes.
const (
	MetaEQ MetaOp = iota
	MetaIn
	MetaGTE
	MetaLT
)

// String returns how the name of the filter ends.
func (op MetaOp) String() string { return [...]string{"eq", "in", "gte", "lt"}[op] }

// MetaValue is a value of a meta field: a number, a text, or for a boolean the
// number 0 or 1.
type MetaValue struct {
	Number float64
	Text   string
}

// MetaFilter compares a declared field: with any of Values for MetaIn, with the
// only one otherwise.
type MetaFilter struct {
	Field  MetaField
	Op     MetaOp
	Values []MetaValue
}
