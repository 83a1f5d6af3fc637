package wire

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

// ofOrigin returns a candidate set of an origin with further fields.
func ofOrigin(origin, more string) string {
	return `{"filters":{"origin":"` + origin + `"},` + more + `}`
}

func TestRankingFields(t *testing.T) {
	d := newDecoder(t)
	field := func(o matcher.Origin, name string) matcher.GroupField {
		for _, f := range matcher.Fields(o) {
			if f.Path() == name {
				return f
			}
		}
		t.Fatal(name)
		return nil
	}
	f := func(set string, want matcher.Candidates) {
		t.Helper()
		want.Limit = 5
		for _, err := range bothFormats(t, matchBody(rawRef, set), func(f Format, body []byte) error {
			req, err := d.Match(f, body, matcher.FaceDescriptor)
			if err == nil {
				if diff := cmp.Diff(want, req.Candidates[0].Candidates, sameField); diff != "" {
					t.Error(set, diff)
				}
			}
			return err
		}) {
			if err != nil {
				t.Error(set, err)
			}
		}
	}
	f(ofOrigin("faces", `"offset":0,"count":false,"exclude_self":false`), matcher.Candidates{})
	f(ofOrigin("faces", `"offset":50,"count":true,"exclude_self":true`), matcher.Candidates{Offset: 50, Count: true, ExcludeSelf: true})
	f(`{"group":{"size":10.0,"by":"user_data"},"filters":{"origin":"faces"}}`, matcher.Candidates{Group: &matcher.Grouping{By: field(matcher.Faces, "user_data"), Size: 10}})
	for _, name := range []string{"external_id", "user_data", "face_id", "track_id", "source"} {
		f(ofOrigin("events", `"group":{"by":"`+name+`"}`), matcher.Candidates{Origin: matcher.Events, Group: &matcher.Grouping{By: field(matcher.Events, name), Size: 1}})
	}
}

func TestRankingFieldsRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	f := func(more, detail string) { r.Helper(); r.set(ofOrigin("faces", more), detail) }
	f(`"offset":-1`, `.offset: must be an integer from 0 to 50, got -1`)
	f(`"offset":51`, `.offset: must be an integer from 0 to 50, got 51`)
	f(`"offset":null`, `.offset: must be an integer from 0 to 50, got null`)
	f(`"count":1`, `.count: must be true or false, got 1`)
	f(`"exclude_self":"true"`, `.exclude_self: must be true or false, got "true"`)
	f(`"group":null`, `.group: must be an object, got null`)
	f(`"group":"external_id"`, `.group: must be an object, got "external_id"`)
	f(`"group":{}`, `.group.by: is missing`)
	f(`"group":{"size":2}`, `.group.by: is missing`)
	f(`"group":{"by":"external_id","limit":2}`, `.group.limit: unknown field`)
	f(`"group":{"by":"external_id","size":0}`, `.group.size: must be an integer from 1 to 10, got 0`)
	f(`"group":{"by":"external_id","size":11}`, `.group.size: must be an integer from 1 to 10, got 11`)
	f(`"group":{"by":7}`, `.group.by: must be text, got 7`)
	for _, name := range []string{"source", "face_id", "track_id", "age", "event_id", "lists", "External_id", ""} {
		f(`"group":{"by":"`+name+`"}`, `.group.by: must be one of external_id, user_data for faces, got "`+name+`"`)
	}
	r.set(ofOrigin("events", `"group":{"by":"top_match.external_id"}`),
		`.group.by: must be one of external_id, user_data, face_id, track_id, source for events, got "top_match.external_id"`)
	r.set(ofOrigin("attributes", `"group":{"by":"external_id"}`), `.group.by: attributes cannot be grouped, got "external_id"`)

	d := newDecoder(t)
	for _, more := range []string{`"group":{"by":"external_id"}`, `"offset":1`, `"count":true`, `"exclude_self":true`} {
		name, _, _ := strings.Cut(more[1:], `"`)
		for _, err := range bothFormats(t, `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},`+more+`}`, func(f Format, body []byte) error {
			_, err := d.Cross(f, body)
			return err
		}) {
			refused(t, err, matcher.CodeBadInput, name+": unknown field")
		}
		for _, err := range bothFormats(t, `{"references":[`+rawRef+`],"candidates":[`+rawRef+`],`+more+`}`, func(f Format, body []byte) error {
			_, err := d.Raw(f, body)
			return err
		}) {
			refused(t, err, matcher.CodeBadInput, name+": unknown field")
		}
	}
}

func TestReferenceObject(t *testing.T) {
	given := func(kind, object string) string {
		return `{"type":"` + kind + `","data":{"version":1001,"data":"AQIDBA=="},"object":` + object + `}`
	}
	d := newDecoder(t)
	for _, err := range bothFormats(t, matchBody(given("raw_descriptor", `{"type":"event","id":`+textA+`}`), faces), func(f Format, body []byte) error {
		req, err := d.Match(f, body, matcher.FaceDescriptor)
		if err == nil && *req.References[0].Object != (matcher.ObjectKey{Origin: matcher.Events, ID: idA}) {
			t.Error(req.References[0].Object)
		}
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	r := refusals{t, d}
	r.ref(given("sdk_descriptor", `{"type":"event","id":`+textA+`}`), `.object: must not be given for a reference of type sdk_descriptor`)
	r.ref(`{"type":"face","id":`+textA+`,"object":{"type":"face","id":`+textA+`}}`, `.object: must not be given for a reference of type face`)
	r.ref(given("raw_descriptor", `null`), `.object: must be an object, got null`)
	r.ref(given("raw_descriptor", `{"type":"face"}`), `.object.id: is missing`)
	r.ref(given("raw_descriptor", `{"id":`+textA+`}`), `.object.type: is missing`)
	r.ref(given("raw_descriptor", `{"type":"faces","id":`+textA+`}`), `.object.type: must be one of face, event, attribute, got "faces"`)
	r.ref(given("raw_descriptor", `{"type":"face","id":"x"}`), `.object.id: must be a UUID, got "x"`)
}

// TestAppendGroups: the group of a row does not depend on the targets, and the count
// follows the rows.
func TestAppendGroups(t *testing.T) {
	d := newDecoder(t)
	req, err := d.Match(JSON, []byte(matchBody(rawRef, ofOrigin("faces", `"targets":[],"count":true`)+`,`+ofOrigin("faces", `"targets":["distance"]`))), matcher.FaceDescriptor)
	if err != nil {
		t.Fatal(err)
	}
	results := [][]matcher.Result{{
		{Count: 7, Matches: []matcher.Match{{ID: idA, Group: "é\n"}, {ID: idB}}},
		{Count: 8, Matches: []matcher.Match{{ID: idA, Group: "x", Distance: 2}}},
	}}
	want := `[{"reference":{"type":"raw_descriptor","id":"p"},"matches":[` +
		`{"filters":{"origin":"faces"},"result":[{"face":{"face_id":` + textA + `},"group":"é\n"},{"face":{"face_id":` + textB + `}}],"count":7},` +
		`{"filters":{"origin":"faces"},"result":[{"face":{"face_id":` + textA + `},"group":"x","distance":2}]}]}]`
	golden(t, func(dst []byte, f Format) []byte { return AppendMatches(dst, f, req, req.References, results, nil) }, want)
	for _, f := range []Format{JSON, MessagePack} {
		answer, err := ParseAnswer(f, AppendMatches(nil, f, req, req.References, results, nil))
		if err != nil {
			t.Fatal(err)
		}
		first, second := answer[0].Matches[0], answer[0].Matches[1]
		if first.Count != 7 || !first.HasCount || second.HasCount || first.Rows[0].Group != "é\n" || first.Rows[1].Group != "" || second.Rows[0].Group != "x" {
			t.Errorf("%+v", answer[0])
		}
	}
}

// TestPlanSteps: a plan has steps only if there are some.
func TestPlanSteps(t *testing.T) {
	for _, steps := range [][]string{nil, {"one", "two"}} {
		for _, f := range []Format{JSON, MessagePack} {
			w := NewWriter(nil, f)
			w.Array(1)
			w.Object()
			w.Key("matches")
			w.Array(1)
			w.Object()
			w.Key("result")
			w.Array(0)
			w.EndArray()
			w.plan(&Plan{Steps: steps})
			w.EndObject()
			w.EndArray()
			w.EndObject()
			w.EndArray()
			body := w.Done()
			answer, err := ParseAnswer(f, body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(steps, answer[0].Matches[0].Plan.Steps); diff != "" || steps == nil && strings.Contains(string(body), "steps") {
				t.Errorf("%q %s", body, diff)
			}
		}
	}
}
