package wire

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

// TestFilterJSON compares the JSON of filters given as texts with hand-written JSON.
func TestFilterJSON(t *testing.T) {
	check := func(o matcher.Origin, want, name string, texts ...string) {
		t.Helper()
		got, err := FilterJSON(o, name, texts)
		if err != nil || string(got) != want {
			t.Errorf("%s=%q: %s, %v, want %s", name, texts, got, err, want)
		}
	}
	check(matcher.Faces, `"b1"`, "list_id", "b1")
	check(matcher.Faces, `"12"`, "user_data", "12")
	check(matcher.Faces, `"[x]"`, "user_data", "[x]")
	check(matcher.Faces, `"a b"`, "user_data", `"a b"`)
	check(matcher.Faces, `"\"a"`, "user_data", `"a`)
	check(matcher.Faces, `"now-5m"`, "create_time__gte", "now-5m")
	check(matcher.Faces, `18`, "age__gte", "18")
	check(matcher.Faces, `"old"`, "age__gte", "old")
	check(matcher.Faces, `["12"]`, "external_ids", "12")
	check(matcher.Faces, `["a","b c","d"]`, "external_ids", "a", `["b c", "d"]`)
	check(matcher.Faces, `["Smith, John"]`, "external_ids", `"Smith, John"`)
	check(matcher.Faces, `[]`, "external_ids", "")
	check(matcher.Faces, `["b1","b2","b3"]`, "face_ids", "b1,b2", "b3")
	check(matcher.Faces, `[1,2]`, "ethnic_groups", "1,2")
	check(matcher.Events, `[1,"x"]`, "emotions", "1", "x")
	check(matcher.Events, `{"origin_longitude":1}`, "geo_position", `{"origin_longitude":1}`)
	check(matcher.Events, `0.5`, "top_similar_object_similarity__gte", "0.5")
	check(matcher.Events, `["b1","b2"]`, "top_similar_object_ids", "b1,b2")

	// Only the server knows the types of these.
	check(matcher.Events, `3`, "meta.floor__eq", "3")
	check(matcher.Events, `"3"`, "meta.floor__eq", `"3"`)
	check(matcher.Events, `"three"`, "meta.floor__eq", "three")
	check(matcher.Events, `[3,"x"]`, "meta.floor__in", "3", "x")
	check(matcher.Faces, `"x"`, "invented_later", "x")

	refuse := func(want, name string, texts ...string) {
		t.Helper()
		got, err := FilterJSON(matcher.Faces, name, texts)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s=%q: %s, %v, want %s", name, texts, got, err, want)
		}
	}
	refuse(`external_ids: "Smith, John" contains a comma; write external_ids=["Smith, John"] for this text, or repeat`, "external_ids", "Smith, John")
	refuse(`external_ids: must be a JSON array when it begins with [, got "[x"`, "external_ids", "[x")
	refuse(`user_data: must be given once, got "a" and "b"`, "user_data", "a", "b")
	refuse(`invented_later: must be given once`, "invented_later", "a", "b")
}

// TestFilterJSONOfEveryFilter gives each filter a value in each of its forms, and checks
// that the JSON means the same as the query.
func TestFilterJSONOfEveryFilter(t *testing.T) {
	d := newDecoder(t)
	for o := range matcher.Origins {
		for name, field := range filterFields[o] {
			text := map[form]string{
				formText: "now-5m", formID: idA.String(), formInteger: "7", formNumber: "0.5",
				formJSON: `{"origin_longitude":1,"origin_latitude":2,"longitude_delta":3,"latitude_delta":4}`,
			}[field.form]
			if strings.Contains(name, "_id") && !field.list && field.form == formText {
				text = idA.String()
			}
			want, err := d.QueryFilter(o, Query{name: {text}})
			if err != nil {
				t.Errorf("%s of %s: %v", name, o, err)
				continue
			}
			value, err := FilterJSON(o, name, []string{text})
			if err != nil {
				t.Errorf("%s of %s: %v", name, o, err)
				continue
			}
			req, err := d.Find(o, JSON, []byte(`{"filters":{"`+name+`":`+string(value)+`}}`))
			if err != nil {
				t.Errorf("%s of %s: %v", name, o, err)
				continue
			}
			if diff := cmp.Diff(want, req.Filter, sameField); diff != "" {
				t.Errorf("%s of %s: %s", name, o, diff)
			}
		}
	}
}
