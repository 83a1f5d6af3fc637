package wire

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

const commonFilterText = `"account_id":` + textA + `,"create_time__gte":"2026-01-01T00:00:00.001Z","create_time__lt":"2026-02-01T00:00:00.000Z",`

// allFilters returns a filters object with every filter of an origin.
func allFilters(o matcher.Origin) string {
	text := `{"origin":"` + o.String() + `",` + commonFilterText
	switch o {
	case matcher.Faces:
		text += `"face_ids":[` + textA + `],"face_id__gte":` + textA + `,"face_id__lt":` + textB + `,"list_id":` + textA + `,"lists":[` + textB + `]`
	case matcher.Events:
		text += `"event_id__gte":` + textA + `,"event_id__lt":` + textB + `,"event_ids":[` + textA + `],"tags":["x"],
			"geo_position":{"origin_longitude":1.5,"origin_latitude":2.5,"longitude_delta":0.5,"latitude_delta":0.25},
			"end_time__gte":"2026-01-01T00:00:00.000Z","end_time__lt":"2026-02-01T00:00:00.999Z",
			"top_match_similarity__gte":0.5,"top_match_similarity__lt":0.75,
			"meta.shop.floor__gte":3,"meta.shop.floor__lt":9007199254740993,"meta.shop.floor__eq":-9223372036854775807,
			"meta.shop.floor__in":[18446744073709551615,9007199254740992,1.5,1e300,-0.5],"meta.shop.name__in":["a","b"],"meta.vip__eq":true`
	default: // attributes accept the filters of external IDs and user data too
		text += `"attribute_id__gte":` + textA + `,"attribute_id__lt":` + textB + `,"attribute_ids":[` + textB + `],"external_ids":["a","b"],"user_data":"u"`
	}
	all := []string{text}
	filters := fieldFilters(o)
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		all = append(all, `"`+name+`":`+filters[name])
	}
	return strings.Join(all, ",") + `}`
}

// withFilters decodes a match with these filters and returns the filter.
func withFilters(t *testing.T, d *Decoder, f Format, filters []byte) *matcher.Filter {
	t.Helper()
	var err error
	body := []byte(matchBody(rawRef, `{"filters":`+string(filters)+`}`))
	if f == MessagePack {
		w := NewWriter(nil, f)
		w.Object()
		w.Key("references")
		w.anyValue([]any{map[string]any{"type": "face", "id": idA}})
		w.Key("candidates")
		w.Array(1)
		w.Object()
		w.Key("filters")
		w.Raw(filters)
		w.EndObject()
		w.EndObject()
		body = w.Done()
	}
	req, err := d.Match(f, body, matcher.FaceDescriptor)
	if err != nil {
		t.Fatalf("%v\n%q", err, filters)
	}
	return sortFilters(&req.Candidates[0].Filter)
}

// sortFilters sorts the filters that may come in any order.
func sortFilters(f *matcher.Filter) *matcher.Filter {
	slices.SortFunc(f.Fields, func(a, b matcher.FieldFilter) int { return strings.Compare(a.Field.Path(), b.Field.Path()) })
	slices.SortFunc(f.Event.Meta, func(a, b matcher.MetaFilter) int {
		return strings.Compare(a.Field.Path+a.Op.String(), b.Field.Path+b.Op.String())
	})
	return f
}

// TestFilterValues: decoding the result of FilterValues gives the same filter,
// for all filters.
func TestFilterValues(t *testing.T) {
	d := newDecoder(t)
	for o := range matcher.Origins {
		want := withFilters(t, d, JSON, []byte(allFilters(o)))
		values := FilterValues(o, want)
		for name := range filterFields[o] {
			if _, ok := values[name]; !ok {
				t.Errorf("%s: %s is missing", o, name)
			}
		}
		if n := len(filterFields[o]) + len(want.Event.Meta); len(values) != n {
			t.Errorf("%s: %d filters, want %d: %q", o, len(values), n, slices.Sorted(maps.Keys(values)))
		}
		values["origin"] = o.String()
		for _, f := range []Format{JSON, MessagePack} {
			if diff := cmp.Diff(want, withFilters(t, d, f, AppendValue(nil, f, values)), sameField); diff != "" {
				t.Errorf("%s: %s", o, diff)
			}
		}
	}
	if values := FilterValues(matcher.Faces, &matcher.Filter{}); len(values) > 0 {
		t.Errorf("no filters: %v", values)
	}
}

// TestFilterValuesTimes: a time that RFC 3339 cannot express becomes the nearest
// one that it can.
func TestFilterValuesTimes(t *testing.T) {
	d := newDecoder(t)
	f := withFilters(t, d, JSON, []byte(`{"origin":"faces","create_time__gte":"now-9999y"}`))
	want := map[string]any{"create_time__gte": "0000-01-01T00:00:00.000Z"}
	got := FilterValues(matcher.Faces, f)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got["origin"] = "faces"
	withFilters(t, d, JSON, AppendValue(nil, JSON, got))
}
