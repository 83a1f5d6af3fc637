package memory

import (
	"fmt"
	"slices"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// metaFields are the declared fields in the tests of events.
var metaFields = []matcher.MetaField{
	{Path: "shop.floor", Type: matcher.MetaNumber}, {Path: "name", Type: matcher.MetaString}, {Path: "a.vip", Type: matcher.MetaBoolean},
}

func (w *world) text(prefix string, n int) string {
	if w.IntN(4) == 0 {
		return ""
	}
	return fmt.Sprint(prefix, w.IntN(n))
}

func (w *world) maybeID(from []matcher.ID) (id matcher.ID) {
	if w.IntN(4) > 0 {
		id = testkit.Pick(w.Rand, from...)
	}
	return id
}

// object returns a random object of any origin.
func (w *world) object(o matcher.Origin, now matcher.Time, versions []*matcher.Version, body *matcher.Version) *matcher.Object {
	x := w.face(nil, versions)
	x.Origin, x.Lists = o, nil
	switch o {
	case matcher.Events:
		x.Avatar, x.EventID = "", matcher.ID{}
		x.Event = w.event()
		switch w.IntN(3) {
		case 0:
			x.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
			fallthrough
		case 1:
			x.Descriptors[matcher.BodyDescriptor] = w.descriptor(body)
		}
	case matcher.Attributes:
		x.Avatar, x.EventID, x.ExternalID, x.UserData = "", matcher.ID{}, "", ""
		if w.IntN(3) > 0 {
			x.Expires = now + matcher.Time(w.IntN(20)-4)
		}
	}
	return x
}

func (w *world) event() *matcher.Event {
	small := func() matcher.Small {
		if w.IntN(3) == 0 {
			return 0
		}
		return matcher.SmallOf(uint8(w.IntN(4)))
	}
	e := &matcher.Event{
		Source: w.text("s", 5), HandlerID: w.maybeID(w.events), StreamID: w.maybeID(w.events), TrackID: w.text("t", 9), FaceID: w.maybeID(w.ids[:9]),
		Emotion: small(), Mask: small(), ApparentAge: small(), SourceGroup: w.text("g", 3), SleeveLength: w.smalls(), BackpackState: w.smalls(),
		Location: matcher.Location{City: w.text("c", 4), Area: w.text("a", 4), District: w.text("d", 4), Street: w.text("r", 4), HouseNumber: w.text("", 9)},
		TopMatch: matcher.TopMatch{ObjectID: w.maybeID(w.ids[:9]), ExternalID: w.text("x", 5)},
	}
	names, tagsMax := 3, 4 // with 90 names, not all have their own bit
	if w.IntN(2) == 0 {
		names, tagsMax = 90, 20
	}
	for range w.IntN(tagsMax) {
		e.Tags = append(e.Tags, fmt.Sprint("tag", w.IntN(names)))
	}
	if w.IntN(3) > 0 {
		e.EndTime = new(matcher.Time(w.IntN(20)*1000 - 5000))
	}
	if w.IntN(3) > 0 {
		e.Location.Position = &matcher.Position{Longitude: float64(w.IntN(9)) - 4.5, Latitude: float64(w.IntN(9)) / 8}
		if w.IntN(2) == 0 {
			e.Location.Position.Longitude = testkit.Pick(w.Rand, []float64{-180, -179.9, -179.8, -165, 165, 179.8, 179.9, 180}...)
		}
	}
	if w.IntN(3) > 0 {
		e.TopMatch.Similarity = new(float64(w.IntN(5)) / 4)
	}
	e.Meta = testkit.Pick(w.Rand, []string{
		"", `{}`, `{"shop":{"floor":3},"name":"n1","a":{"vip":true}}`, `{"shop":{"floor":-0.5},"name":"n2","a":{"vip":false}}`,
		`{"shop":{"floor":"3"},"name":3,"a":{"vip":1}}`, `{"shop":3,"name":"","a":[true]}`, `{"shop":{"floor":1e300},"name":"\u00e9"}`,
		`{"shop":{"floor":3.0000000001},"name":null}`, `{"shop":{"floor":` + testkit.Pick(w.Rand, large...) + `}}`, `{"shop":{"floor":` + testkit.Pick(w.Rand, large...) + `}}`,
	}...)
	return e
}

// smalls returns no value, one, or a list of up to three.
func (w *world) smalls() matcher.Smalls {
	list := make([]uint8, w.IntN(4))
	for i := range list {
		list[i] = uint8(w.IntN(4))
	}
	switch w.IntN(3) {
	case 0:
		return ""
	case 1:
		return matcher.OneSmall(uint8(w.IntN(4)))
	}
	return matcher.SmallsOf(list)
}

// large has large integers, and their neighbours that are equal in float64.
var large = []string{
	"9007199254740992", "9007199254740993", "9.007199254740992e15", "-9007199254740993", "-9007199254740992", "18446744073709551615",
	"18446744073709551614", "1.8446744073709552e19", "-9223372036854775808", "-9223372036854775807", "9223372036854775807", "9223372036854775808",
}

// filterOf returns a random filter for an origin.
func (w *world) filterOf(o matcher.Origin) matcher.Filter {
	f := w.filter()
	f.ListID, f.Lists = nil, nil
	if o != matcher.Faces {
		f.IDs = nil
		f.Fields = slices.DeleteFunc(f.Fields, func(f matcher.FieldFilter) bool { return f.Field.Path() == "event_id" })
	}
	if o == matcher.Attributes {
		if w.IntN(3) == 0 {
			f.IDs = subset(w, w.ids)
		}
		return f
	}
	if o != matcher.Events {
		return f
	}
	e := &f.Event
	texts := func(prefix string, n int) (all []string) {
		all = []string{}
		for i := range n {
			if w.IntN(3) == 0 {
				all = append(all, fmt.Sprint(prefix, i))
			}
		}
		if w.IntN(9) == 0 {
			all = append(all, "", "none")
		}
		return all
	}
	for range 1 + w.IntN(2) {
		switch w.IntN(23) {
		case 0:
			f.IDs = subset(w, w.ids)
		case 1:
			on(&f, "face_id").UUIDs = subset(w, w.ids[:9])
		case 2:
			on(&f, "source").Texts = texts("s", 6)
		case 3:
			on(&f, "handler_id").UUIDs = subset(w, w.events)
		case 4:
			on(&f, "stream_id").UUIDs = subset(w, w.events)
		case 5:
			on(&f, "track_id").Texts = texts("t", 10)
		case 6:
			e.Tags = texts("tag", testkit.Pick(w.Rand, []int{4, 100}...))
		case 7:
			on(&f, "emotion").Smalls = subset(w, []uint8{0, 1, 2, 9})
		case 8:
			on(&f, "mask").Smalls = subset(w, []uint8{0, 1, 2, 9})
		case 9:
			on(&f, "location.city").Texts = texts("c", 5)
		case 10:
			on(&f, "location.area").Texts = texts("a", 5)
		case 11:
			on(&f, "location.district").Texts = texts("d", 5)
		case 12:
			on(&f, "location.street").Texts = texts("r", 5)
		case 13:
			on(&f, "location.house_number").Texts = texts("", 30)
		case 14:
			e.Position = &matcher.GeoBox{Longitude: float64(w.IntN(9)) - 4, Latitude: w.Float64(), LongitudeDelta: float64(w.IntN(4)) / 2, LatitudeDelta: w.Float64() / 2}
			if w.IntN(2) == 0 {
				e.Position.Longitude, e.Position.LongitudeDelta = testkit.Pick(w.Rand, []float64{-180, -179.9, -170, 0, 179.9, 180}...), testkit.Pick(w.Rand, []float64{0, 0.1, 0.2, 1, 15, 179.95, 180, 360}...)
			}
		case 15:
			e.EndTime = matcher.Range[matcher.Time]{GTE: new(matcher.Time(w.IntN(20)*1000 - 5000))}
		case 16:
			e.EndTime.LT = new(matcher.Time(w.IntN(20)*1000 - 5000))
		case 17:
			on(&f, "top_match.object_id").UUIDs = subset(w, w.ids[:9])
		case 18:
			on(&f, "top_match.external_id").Texts = texts("x", 6)
		case 19:
			e.TopMatchSimilarity = matcher.Range[float64]{GTE: new(w.Float64()), LT: testkit.Pick(w.Rand, []*float64{nil, new(0.75), new(2.0)}...)}
		case 20:
			on(&f, "sleeve_length").Smalls = subset(w, []uint8{0, 1, 2, 9})
		case 21:
			on(&f, "source_group").Texts = texts("g", 4)
		case 22:
			e.Meta = append(e.Meta, w.metaFilter())
		}
	}
	return f
}

func (w *world) metaFilter() matcher.MetaFilter {
	f := matcher.MetaFilter{Field: testkit.Pick(w.Rand, metaFields...), Op: matcher.MetaOp(w.IntN(4))}
	if f.Field.Type == matcher.MetaBoolean {
		f.Op %= 2
	}
	value := func() matcher.MetaValue {
		switch f.Field.Type {
		case matcher.MetaNumber:
			if w.IntN(3) > 0 {
				n, err := matcher.ParseNumber(testkit.Pick(w.Rand, large...))
				if err != nil {
					panic(err)
				}
				return matcher.MetaValue{Number: n}
			}
			return matcher.MetaValue{Number: matcher.Number{Float: testkit.Pick(w.Rand, []float64{3, -0.5, 1e300, 7, 3.0000000001}...)}}
		case matcher.MetaString:
			return matcher.MetaValue{Text: testkit.Pick(w.Rand, []string{"n1", "n2", "", "é", "z"}...)}
		default:
			return matcher.MetaValue{Number: matcher.IntNumber(int64(w.IntN(2)))}
		}
	}
	if f.Op != matcher.MetaIn {
		f.Values = []matcher.MetaValue{value()}
		return f
	}
	for range w.IntN(4) {
		f.Values = append(f.Values, value())
	}
	return f
}
