package matcher

// Event holds the fields that only events have. A field is absent if it is nil,
// empty or the zero ID. [Field] explains the tags.
type Event struct {
	EndTime   *Time
	Source    string   `field:"source" record:"65" any:"sources" values:"few"`
	HandlerID ID       `field:"handler_id" record:"66" any:"handler_ids" values:"few"`
	StreamID  ID       `field:"stream_id" record:"67" any:"stream_ids" values:"few"`
	TrackID   string   `field:"track_id" record:"68" any:"track_ids"`
	Tags      []string // as given
	FaceID    ID       `field:"face_id" record:"70" any:"face_ids"`
	Emotion   Small    `field:"emotion" record:"71" any:"emotions"`
	Mask      Small    `field:"mask" record:"72" any:"masks"`
	Location  Location `group:"location"`
	TopMatch  TopMatch `group:"top_match"`
	Meta      string   // a JSON object

	SourceGroup           string `field:"source_group" record:"84" any:"source_groups" values:"few"`
	ApparentAge           Small  `field:"apparent_age" record:"85" range:"apparent_age"`
	ApparentGender        Small  `field:"apparent_gender" record:"86" is:"apparent_gender"`
	HeadwearState         Smalls `field:"headwear_state" record:"87" any:"headwear_states" values:"few"`
	SleeveLength          Smalls `field:"sleeve_length" record:"88" any:"sleeve_lengths" values:"few"`
	UpperClothingColor    Smalls `field:"upper_clothing_color" record:"89" any:"upper_clothing_colors" values:"few"`
	BackpackState         Smalls `field:"backpack_state" record:"90" any:"backpack_states" values:"few"`
	LowerGarmentType      Smalls `field:"lower_garment_type" record:"91" any:"lower_garment_types" values:"few"`
	LowerGarmentColor     Smalls `field:"lower_garment_color" record:"92" any:"lower_garment_colors" values:"few"`
	ShoesApparentColor    Smalls `field:"shoes_apparent_color" record:"93" any:"shoes_apparent_colors" values:"few"`
	HeadwearApparentColor Smalls `field:"headwear_apparent_color" record:"94" any:"headwear_apparent_colors" values:"few"`
}

// Location is where an event happened.
type Location struct {
	City        string `field:"city" record:"73" any:"cities" values:"few"`
	Area        string `field:"area" record:"74" any:"areas" values:"few"`
	District    string `field:"district" record:"75" any:"districts" values:"few"`
	Street      string `field:"street" record:"76" any:"streets" values:"few"`
	HouseNumber string `field:"house_number" record:"77" any:"house_numbers" values:"few"`
	Position    *Position
}

// Position is a place on the earth, in degrees.
type Position struct{ Longitude, Latitude float64 }

// TopMatch is the object that an event was most similar to when it was created.
type TopMatch struct {
	ObjectID   ID       `field:"object_id" record:"79" any:"top_match_object_ids"`
	ExternalID string   `field:"external_id" record:"80" any:"top_match_external_ids"`
	Similarity *float64 // 0..1
}

// EventFilter holds the filters on those fields of events that are not plain (see
// [Field]).
type EventFilter struct {
	Tags               []string
	Position           *GeoBox
	EndTime            Range[Time]
	TopMatchSimilarity Range[float64]
	Meta               []MetaFilter
}

// IsZero reports whether f lets every row pass.
func (f *EventFilter) IsZero() bool {
	return f.Tags == nil && f.Position == nil && f.EndTime.IsZero() && f.TopMatchSimilarity.IsZero() && f.Meta == nil
}

// GeoBox is a rectangle in degrees. A position is inside if each coordinate
// differs from the origin by at most its delta. Longitudes wrap around: 179 and
// -179 are 2 degrees apart.
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

// MetaField declares a path in the meta object of events, so that filters can
// use it. A value of another type than Type counts as absent.
type MetaField struct {
	Path string // names joined by dots
	Type MetaType
}

// MetaOp is a comparison of a meta field.
type MetaOp uint8

// The comparisons. MetaGTE and MetaLT are for numbers and texts. Texts compare
// by their bytes.
const (
	MetaEQ MetaOp = iota
	MetaIn
	MetaGTE
	MetaLT
)

// String returns the suffix of the filter's name.
func (op MetaOp) String() string { return [...]string{"eq", "in", "gte", "lt"}[op] }

// MetaValue is a value of a meta field: a number or a text. A boolean is the
// number 0 or 1.
type MetaValue struct {
	Number Number
	Text   string
}

// MetaFilter compares a declared field with its Values. MetaIn passes if one of
// them is equal; the other comparisons have exactly one value.
type MetaFilter struct {
	Field  MetaField
	Op     MetaOp
	Values []MetaValue
}
