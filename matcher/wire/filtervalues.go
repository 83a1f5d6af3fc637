package wire

import (
	"time"

	"nearside/matcher"
)

// FilterValues gives the filters of f by their wire names (API.md 3), as
// [AppendValue] takes them; decoding them gives the same filter. The origin is
// not among them. A time that RFC 3339 cannot say becomes the nearest that it
// can.
func FilterValues(f *matcher.Filter) map[string]any {
	t := filterValues{}
	if f.IsZero() {
		return t
	}
	t.id("account_id", f.Account)
	t.times("create_time", f.CreateTime)
	if f.UserData != nil {
		t["user_data"] = *f.UserData
	}
	t.texts("external_ids", f.ExternalIDs)
	t.small("age__gte", f.Age.GTE)
	t.small("age__lt", f.Age.LT)
	t.small("gender", f.Gender)
	t.smalls("ethnic_groups", f.EthnicGroups)
	t.ids("event_ids", f.EventIDs)
	t.ids("face_ids", f.FaceIDs)
	t.ids("attribute_ids", f.AttributeIDs)
	t.id("face_id__gte", f.FaceID.GTE)
	t.id("face_id__lt", f.FaceID.LT)
	t.id("list_id", f.ListID)
	t.ids("lists", f.Lists)
	if !f.Event.IsZero() {
		t.event(&f.Event)
	}
	return t
}

// filterValues are filters by their wire names.
type filterValues map[string]any

// event adds the filters that only events have.
func (t filterValues) event(f *matcher.EventFilter) {
	for name, list := range map[string][]string{
		"sources": f.Sources, "track_ids": f.TrackIDs, "tags": f.Tags, "cities": f.Cities, "areas": f.Areas, "districts": f.Districts,
		"streets": f.Streets, "house_numbers": f.HouseNumbers, "top_match_external_ids": f.TopMatchExternalIDs,
	} {
		t.texts(name, list)
	}
	t.ids("handler_ids", f.HandlerIDs)
	t.ids("stream_ids", f.StreamIDs)
	t.ids("top_match_object_ids", f.TopMatchObjectIDs)
	t.smalls("emotions", f.Emotions)
	t.smalls("masks", f.Masks)
	if p := f.Position; p != nil {
		t["geo_position"] = map[string]any{
			"origin_longitude": p.Longitude, "origin_latitude": p.Latitude, "longitude_delta": p.LongitudeDelta, "latitude_delta": p.LatitudeDelta,
		}
	}
	t.times("end_time", f.EndTime)
	for end, v := range map[string]*float64{"gte": f.TopMatchSimilarity.GTE, "lt": f.TopMatchSimilarity.LT} {
		if v != nil {
			t["top_match_similarity__"+end] = *v
		}
	}
	for i := range f.Meta {
		t.meta(&f.Meta[i])
	}
}

func (t filterValues) id(key string, v *matcher.ID) {
	if v != nil {
		t[key] = v.String()
	}
}

func (t filterValues) ids(key string, list []matcher.ID) {
	if list != nil {
		texts := make([]string, len(list))
		for i := range list {
			texts[i] = list[i].String()
		}
		t[key] = texts
	}
}

func (t filterValues) texts(key string, list []string) {
	if list != nil {
		t[key] = list
	}
}

func (t filterValues) small(key string, v *uint8) {
	if v != nil {
		t[key] = int(*v)
	}
}

func (t filterValues) smalls(key string, list []uint8) {
	if list != nil {
		numbers := make([]any, len(list))
		for i, n := range list {
			numbers[i] = int(n)
		}
		t[key] = numbers
	}
}

func (t filterValues) times(key string, r matcher.Range[matcher.Time]) {
	for end, v := range map[string]*matcher.Time{"gte": r.GTE, "lt": r.LT} {
		if v != nil {
			t[key+"__"+end] = min(max(*v, timeFirst), timeLast).String()
		}
	}
}

// The first and the last time that RFC 3339 can say. Those beyond are of
// filters relative to now (now-9999y) and of zones at either end.
var (
	timeFirst = matcher.TimeOf(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))
	timeLast  = matcher.TimeOf(time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
)

func (t filterValues) meta(f *matcher.MetaFilter) {
	values := make([]any, len(f.Values))
	for i, v := range f.Values {
		switch f.Field.Type {
		case matcher.MetaNumber:
			values[i] = v.Number
		case matcher.MetaString:
			values[i] = v.Text
		case matcher.MetaBoolean:
			values[i] = v.Number != 0
		}
	}
	key := "meta." + f.Field.Path + "__" + f.Op.String()
	if f.Op == matcher.MetaIn {
		t[key] = values
	} else if len(values) > 0 {
		t[key] = values[0]
	}
}
