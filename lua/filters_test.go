package lua

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// TestFiltersAreWhole: what a plugin gets of the filters of any origin is what
// the client wrote: decoding it gives the same filter.
func TestFiltersAreWhole(t *testing.T) {
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &wire.Decoder{
		Registry: registry, Now: time.Now, Limits: wire.Limits{References: 10, Candidates: 10, Result: 100, FilterValues: 1000},
		MetaFields: []matcher.MetaField{{Path: "shop.floor", Type: matcher.MetaNumber}, {Path: "kind", Type: matcher.MetaString}, {Path: "on", Type: matcher.MetaBoolean}},
	}
	const id = `"00000000-0000-0000-0000-000000000007"`
	const common = `"account_id":` + id + `,"create_time__gte":"2026-01-01T00:00:00.000Z","create_time__lt":"2026-02-01T00:00:00.000Z","user_data":"u",
		"external_ids":["a","b"],"age__gte":18,"age__lt":60,"gender":1,"ethnic_groups":[1,2]`
	for origin, fields := range map[string]string{
		"faces": `"face_ids":[` + id + `],"face_id__gte":` + id + `,"face_id__lt":` + id + `,"list_id":` + id + `,"lists":[` + id + `],"event_ids":[]`,
		"events": `"event_ids":[` + id + `],"face_ids":[` + id + `],"sources":["s"],"handler_ids":[` + id + `],"stream_ids":[` + id + `],"track_ids":["t"],"tags":["x"],
			"emotions":[1],"masks":[2],"cities":["c"],"areas":["a"],"districts":["d"],"streets":["s"],"house_numbers":["1"],
			"geo_position":{"origin_longitude":1.5,"origin_latitude":2.5,"longitude_delta":0.5,"latitude_delta":0.25},
			"end_time__gte":"2026-01-01T00:00:00.000Z","end_time__lt":"2026-02-01T00:00:00.000Z","top_match_object_ids":[` + id + `],"top_match_external_ids":["e"],
			"top_match_similarity__gte":0.5,"top_match_similarity__lt":0.75,
			"meta.shop.floor__gte":3,"meta.kind__in":["a","b"],"meta.on__eq":true`,
		"attributes": `"attribute_ids":[` + id + `]`,
	} {
		decode := func(text string) *matcher.Filter {
			t.Helper()
			req, err := d.Match(wire.JSON, []byte(`{"references":[{"type":"face","id":`+id+`}],"candidates":[{"filters":`+text+`}]}`), matcher.FaceDescriptor)
			if err != nil {
				t.Fatal(err, text)
			}
			return &req.Candidates[0].Filter
		}
		want := decode(`{"origin":"` + origin + `",` + common + `,` + fields + `}`)
		table := filterTable(want)
		table["origin"] = origin
		text, err := json.Marshal(table)
		if err != nil {
			t.Fatal(err)
		}
		got := decode(string(text))
		for _, f := range []*matcher.Filter{want, got} { // in whatever order
			slices.SortFunc(f.Event.Meta, func(a, b matcher.MetaFilter) int { return int(a.Op) - int(b.Op) })
		}
		a, b := marshal(t, want), marshal(t, got)
		if a != b {
			t.Errorf("%s:\n%s\n%s", origin, a, b)
		}
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
