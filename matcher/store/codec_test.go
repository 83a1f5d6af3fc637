package store

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"nearside/matcher"
)

// Some of the tags that TestRecordTags pins.
const (
	tagAge    = 5
	tagGender = 6
	tagSource = 65
)

// TestRecordTags pins the tags of plain fields. Existing directories have records with
// these tags, and other tests would not notice a change.
func TestRecordTags(t *testing.T) {
	want := map[string]byte{
		"external_id": 3, "user_data": 4, "age": tagAge, "gender": tagGender, "ethnic_group": 7, "event_id": 16, "avatar": 17,
		"source": tagSource, "handler_id": 66, "stream_id": 67, "track_id": 68, "face_id": 70, "emotion": 71, "mask": 72,
		"location.city": 73, "location.area": 74, "location.district": 75, "location.street": 76, "location.house_number": 77,
		"top_match.object_id": 79, "top_match.external_id": 80,
	}
	got := map[string]byte{}
	for o := range matcher.Origins {
		for _, f := range matcher.Fields(o) {
			got[f.Path()] = f.Record
		}
	}
	for path, tag := range want {
		if got[path] != tag {
			t.Errorf("%s has the tag %d, want %d", path, got[path], tag)
		}
	}
}

func drawID(t *rapid.T, label string) (id matcher.ID) {
	if rapid.Bool().Draw(t, label+"?") {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	}
	return id
}

func drawSmall(t *rapid.T, label string) matcher.Small {
	return matcher.Small(rapid.Uint16Range(0, 256).Draw(t, label))
}

func drawObject(t *rapid.T, table *listTable) *matcher.Object {
	o := &matcher.Object{
		Origin:      matcher.Origin(rapid.IntRange(0, int(matcher.Origins)-1).Draw(t, "origin")),
		ID:          drawID(t, "id"),
		Account:     drawID(t, "account"),
		CreateTime:  matcher.Time(rapid.Int64().Draw(t, "create_time")),
		Age:         drawSmall(t, "age"),
		Gender:      drawSmall(t, "gender"),
		EthnicGroup: drawSmall(t, "ethnic_group"),
	}
	if o.Origin != matcher.Attributes {
		o.ExternalID, o.UserData = rapid.String().Draw(t, "external_id"), rapid.String().Draw(t, "user_data")
	}
	for i := range o.Descriptors {
		if v := rapid.Uint32Range(0, 3).Draw(t, "version"); v > 0 {
			if v == 3 {
				v = math.MaxUint32
			}
			o.Descriptors[i] = matcher.Descriptor{Version: v, Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")}
		}
	}
	switch o.Origin {
	case matcher.Events:
		o.Event = drawEvent(t)
	case matcher.Attributes:
		o.Expires = matcher.Time(rapid.Int64().Draw(t, "expires"))
	default:
		o.EventID, o.Avatar = drawID(t, "event_id"), rapid.String().Draw(t, "avatar")
		for _, id := range table.all() {
			if rapid.Bool().Draw(t, "in list") {
				o.Lists = append(o.Lists, id)
			}
		}
		slices.SortFunc(o.Lists, matcher.ID.Compare)
	}
	return o
}

func drawSmalls(t *rapid.T, label string) matcher.Smalls {
	list := rapid.SliceOfN(rapid.Byte(), 0, matcher.SmallsMax).Draw(t, label)
	switch {
	case rapid.Bool().Draw(t, label+" list?"):
		return matcher.SmallsOf(list)
	case len(list) == 1:
		return matcher.OneSmall(list[0])
	}
	return ""
}

// drawEvent draws the fields of an event. It returns nil if all fields are zero.
func drawEvent(t *rapid.T) *matcher.Event {
	text := func(label string) string { return rapid.StringN(0, 8, -1).Draw(t, label) }
	e := &matcher.Event{
		Source: text("source"), HandlerID: drawID(t, "handler"), StreamID: drawID(t, "stream"), TrackID: text("track"),
		Tags: rapid.SliceOf(rapid.String()).Draw(t, "tags"), FaceID: drawID(t, "face"),
		Emotion: drawSmall(t, "emotion"), Mask: drawSmall(t, "mask"), ApparentAge: drawSmall(t, "apparent age"), SleeveLength: drawSmalls(t, "sleeve"),
		Location: matcher.Location{City: text("city"), Area: text("area"), District: text("district"), Street: text("street"), HouseNumber: text("house")},
		TopMatch: matcher.TopMatch{ObjectID: drawID(t, "top object"), ExternalID: text("top external")},
		Meta:     text("meta"),
	}
	if len(e.Tags) == 0 {
		e.Tags = nil
	}
	if rapid.Bool().Draw(t, "end?") {
		end := matcher.Time(rapid.Int64().Draw(t, "end"))
		e.EndTime = &end
	}
	if rapid.Bool().Draw(t, "position?") {
		e.Location.Position = &matcher.Position{Longitude: rapid.Float64Range(-180, 180).Draw(t, "longitude"), Latitude: rapid.Float64().Draw(t, "latitude")}
	}
	if rapid.Bool().Draw(t, "similarity?") {
		s := rapid.Float64().Draw(t, "similarity")
		e.TopMatch.Similarity = &s
	}
	if reflect.ValueOf(*e).IsZero() {
		return nil
	}
	return e
}

func drawLists(t *rapid.T) *listTable {
	table := newLists()
	for _, number := range rapid.SliceOfNDistinct(rapid.Uint64Range(1, math.MaxUint64), 0, 12, rapid.ID).Draw(t, "numbers") {
		var l matcher.List
		copy(l.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "list"))
		table.set(l.ID, listEntry{list: &l, number: number})
	}
	return table
}

func TestObjectRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawLists(t)
		o := drawObject(t, table)
		rec, err := appendObject([]byte("x"), o, table)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeObject(rec[1:], o.Origin, o.ID, table)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(o, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
		for n := range len(rec) - 1 { // a truncated record must fail, or be a complete record itself
			if short, err := decodeObject(rec[1:1+n], o.Origin, o.ID, table); err == nil {
				again, err := appendObject(nil, short, table)
				if err != nil || !bytes.Equal(again, rec[1:1+n]) {
					t.Fatalf("the first %d of %d bytes were decoded as %+v", n, len(rec)-1, short)
				}
			}
		}
	})
}

func TestListRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &matcher.List{ID: drawID(t, "id"), Account: drawID(t, "account"), UserData: rapid.String().Draw(t, "user_data"), CreateTime: matcher.Time(rapid.Int64().Draw(t, "time"))}
		e := listEntry{list: l, number: rapid.Uint64Range(1, math.MaxUint64).Draw(t, "number")}
		got, err := decodeList(appendList(nil, e), l.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(l, got.list); d != "" || got.number != e.number {
			t.Fatalf("number %d, want %d; (-want +got):\n%s", got.number, e.number, d)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	refuseFace := func(why string, rec ...byte) {
		t.Helper()
		if o, err := decodeObject(rec, matcher.Faces, matcher.ID{}, newLists()); err == nil {
			t.Errorf("%s: %x was decoded as %+v", why, rec, o)
		}
	}
	refuseFace("no version")
	refuseFace("a future version", 2)
	refuseFace("an unknown field", 1, 99)
	refuseFace("a field of lists", 1, tagNumber, 1)
	refuseFace("a repeated field", 1, tagAge, 1, tagAge, 1)
	refuseFace("fields out of order", 1, tagGender, 1, tagAge, 1)
	refuseFace("a truncated number", 1, tagCreateTime, 0x80)
	refuseFace("text longer than the record", 1, tagUserData, 200, 'x')
	refuseFace("a descriptor without version", 1, tagDescriptor0, 0, 0)
	refuseFace("more lists than bytes", 1, tagLists, 200)
	refuseFace("list numbers that do not ascend", 1, tagLists, 2, 1, 0)
	refuseFace("a field of events in a face", 1, tagSource, 1, 'x')
	refuseFace("the record of an event", 2, tagSource, 1, 'x')
	refuseEvent := func(why string, rec ...byte) {
		t.Helper()
		if o, err := decodeObject(rec, matcher.Events, matcher.ID{}, newLists()); err == nil {
			t.Errorf("%s: %x was decoded as %+v", why, rec, o)
		}
	}
	refuseEvent("the record of a face", 1, tagUserData, 1, 'x')
	refuseEvent("an unknown field", 2, tagExpires+1)
	refuseEvent("more tags than bytes", 2, tagTags, 200)
	refuseEvent("a truncated position", 2, tagPosition, 1, 2, 3, 4, 5, 6, 7, 8, 9)
}

// FuzzDecode checks that no input panics, and that an object or a list that can be
// decoded is the same after encoding and decoding it again.
func FuzzDecode(f *testing.F) {
	table := newLists()
	table.set(id(1), listEntry{list: &matcher.List{ID: id(1)}, number: 7})
	rec, err := appendObject(nil, face(seeded(), id(2), id(1)), table)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rec)
	end := matcher.Time(0)
	event, err := appendObject(nil, &matcher.Object{Origin: matcher.Events, Event: &matcher.Event{EndTime: &end, Tags: []string{"a", ""}, Meta: "{}"}}, table)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(event)
	f.Add([]byte{recordVersions[matcher.Events], tagTags, 0}) // no tags
	f.Add(appendList(nil, listEntry{list: &matcher.List{UserData: "x", CreateTime: -1}, number: 3}))
	f.Fuzz(func(t *testing.T, rec []byte) {
		if e, err := decodeList(rec, id(3)); err == nil {
			again, err := decodeList(appendList(nil, e), id(3))
			if err != nil || *again.list != *e.list || again.number != e.number {
				t.Fatalf("%x: %+v became %+v: %v", rec, e, again, err)
			}
		}
		origin := matcher.Faces
		if len(rec) > 0 && rec[0] == recordVersions[matcher.Events] {
			origin = matcher.Events
		}
		o, err := decodeObject(rec, origin, id(3), table)
		if err != nil {
			return
		}
		if o.Event != nil && reflect.ValueOf(*o.Event).IsZero() {
			o.Event = nil
		}
		again, err := appendObject(nil, o, table)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeObject(again, origin, id(3), table)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(o, got, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	})
}

// TestListPartSize checks that a part of the table of lists wastes little of its 8 KiB.
func TestListPartSize(t *testing.T) {
	const list = 16 + 8 + 8 + 4
	if n := unsafe.Sizeof(listPart{}); n > 8192 || n+list <= 8192 {
		t.Errorf("a part has %d bytes, want as many lists as 8 KiB can hold", n)
	}
}
