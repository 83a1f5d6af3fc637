package wire

import "nearside/matcher"

// FilterValues returns the filters of f by name (docs/api.md, Filters), in the types
// that [AppendValue] takes. Decoding them gives the same filter. o is the origin of the
// objects; the result does not contain it. A time that RFC 3339 cannot express becomes
// the nearest time that it can express.
func FilterValues(o matcher.Origin, f *matcher.Filter) map[string]any {
	t := filterValues{}
	if f.IsZero() {
		return t
	}
	id := o.Singular() + "_id"
	t.ids(id+"s", f.IDs)
	t.id(id+"__gte", f.IDRange.GTE)
	t.id(id+"__lt", f.IDRange.LT)
	t.id("account_id", f.Account)
	t.times("create_time", f.CreateTime)
	for i := range f.Fields {
		t.plain(&f.Fields[i])
	}
	t.id("list_id", f.ListID)
	t.ids("lists", f.Lists)
	if !f.Event.IsZero() {
		t.event(&f.Event)
	}
	return t
}

// filterValues are filters by their wire names.
type filterValues map[string]any

// plain adds the filters on a plain field.
func (t filterValues) plain(f *matcher.FieldFilter) {
	if name := f.Field.Any; name != "" {
		t.texts(name, f.Texts)
		t.ids(name, f.UUIDs)
		t.smalls(name, f.Smalls)
	}
	if name := f.Field.Is; name != "" { // the lists have one value
		for _, text := range f.Texts {
			t[name] = text
		}
		for _, id := range f.UUIDs {
			t[name] = id.String()
		}
		for _, n := range f.Smalls {
			t[name] = int(n)
		}
	}
	t.small(f.Field.Range+"__gte", f.Range.GTE)
	t.small(f.Field.Range+"__lt", f.Range.LT)
}

// event adds the filters on fields of events that are not plain.
func (t filterValues) event(f *matcher.EventFilter) {
	t.texts("tags", f.Tags)
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
			t[key+"__"+end] = v.String()
		}
	}
}

func (t filterValues) meta(f *matcher.MetaFilter) {
	values := make([]any, len(f.Values))
	for i, v := range f.Values {
		switch f.Field.Type {
		case matcher.MetaNumber:
			values[i] = v.Number.Any()
		case matcher.MetaString:
			values[i] = v.Text
		case matcher.MetaBoolean:
			values[i] = v.Number.Float != 0
		}
	}
	key := "meta." + f.Field.Path + "__" + f.Op.String()
	if f.Op == matcher.MetaIn {
		t[key] = values
	} else if len(values) > 0 {
		t[key] = values[0]
	}
}
