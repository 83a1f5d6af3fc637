package wire

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

// TestParseAnswer: a client reads the answer that a server writes.
func TestParseAnswer(t *testing.T) {
	d := newDecoder(t)
	req, err := d.Match(JSON, []byte(matchBody(rawRef, faces)), matcher.FaceDescriptor)
	if err != nil {
		t.Fatal(err)
	}
	refs := []matcher.Reference{{Type: matcher.RefFaceExternalID, ID: "e", ObjectID: idB}}
	results := [][]matcher.Result{{{Matches: []matcher.Match{{ID: idA, Distance: 3, Similarity: 0.25, Object: fullFace()}}}}}
	plan := &Plan{
		Matchers:     []PlanMatcher{{Name: "memory", Cost: 100, Chosen: true}, {Name: "far", Cost: 7.5, Reason: "down"}},
		Prefilters:   []PlanPrefilter{{Plugin: "p", Before: 3, After: 2, Milliseconds: 0.5}},
		RowsSelected: 4, RowsOtherVersion: 1, RowsScanned: 3, Kernel: "generic", SharedWith: 2, Milliseconds: 1.25,
	}
	face := *fullFace()
	face.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
	row := AnswerRow{Object: face, Similarity: 0.25, Distance: 3, HasSimilarity: true, HasDistance: true}
	for _, f := range []Format{JSON, MessagePack} {
		for _, plan := range []*Plan{nil, plan} {
			plans := [][]*Plan{{plan}}
			want := Answer{{Reference: refs[0], Matches: []AnswerSet{{Rows: []AnswerRow{row}, Plan: plan}}}}
			got, err := ParseAnswer(f, AppendMatches(nil, f, req, refs, results, plans))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		}
	}
}

func TestParseError(t *testing.T) {
	for _, f := range []Format{JSON, MessagePack} {
		e, err := ParseError(f, AppendError(nil, f, matcher.CodeBadInput, "d", "x", "/l"))
		if diff := cmp.Diff(&ErrorAnswer{Code: matcher.CodeBadInput, Desc: "d", Detail: "x", Link: "/l"}, e); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if _, err := ParseError(f, AppendValue(nil, f, map[string]any{"error_code": nil})); err == nil {
			t.Error("an error without a code is accepted")
		}
	}
}

// rowsBody returns an answer with these rows.
func rowsBody(rows string) string { return `[{"matches":[{"result":[` + rows + `]}]}]` }

// parsed parses doc as an answer and checks that both formats give the same.
func parsed(t *testing.T, doc string) Answer {
	t.Helper()
	var all []Answer
	for _, err := range bothFormats(t, doc, func(f Format, body []byte) error {
		answer, err := ParseAnswer(f, body)
		all = append(all, answer)
		return err
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(all[0], all[1]); diff != "" {
		t.Error(diff)
	}
	return all[0]
}

// TestParseAnswerPresence: a client can tell absent fields from zero, and knows
// the origin of a row.
func TestParseAnswerPresence(t *testing.T) {
	f := func(row string, want AnswerRow) {
		t.Helper()
		if diff := cmp.Diff(want, parsed(t, rowsBody(row))[0].Matches[0].Rows[0]); diff != "" {
			t.Error(diff)
		}
	}
	f(`{"face":{}}`, AnswerRow{})
	f(`{"event":{"face_id":`+textB+`},"distance":0}`, AnswerRow{
		Object: matcher.Object{Origin: matcher.Events, Event: &matcher.Event{FaceID: idB}}, HasDistance: true,
	})
	f(`{"similarity":0,"attribute":{"attribute_id":`+textA+`,"age":null,"descriptor":5,"new":[{}]},"face":null,"distance":null,"new":1}`, AnswerRow{
		Object: matcher.Object{Origin: matcher.Attributes, ID: idA}, HasSimilarity: true,
	})
	plan := parsed(t, `[{"matches":[{"result":[],"plan":{}},{"plan":null,"result":[]},{"result":[]},{"result":[],"plan":{"new":1,"ms":null,"rows_scanned":5.0,"matchers":[{"new":[],"cost":null}],"prefilters":null}}]}]`)
	want := []AnswerSet{{Plan: &Plan{}}, {}, {}, {Plan: &Plan{RowsScanned: 5, Matchers: []PlanMatcher{{}}}}}
	if diff := cmp.Diff(want, plan[0].Matches); diff != "" {
		t.Error(diff)
	}
}

func TestParseAnswerRefuses(t *testing.T) {
	f := func(doc, detail string) {
		t.Helper()
		for _, err := range bothFormats(t, doc, func(f Format, body []byte) error {
			answer, err := ParseAnswer(f, body)
			if answer != nil {
				t.Errorf("%s: a part of the answer is returned", doc)
			}
			return err
		}) {
			refused(t, err, matcher.CodeBadInput, detail)
		}
	}
	const row = "body[0].matches[0].result[0]"
	f(`5`, `body: must be an array, got 5`)
	f(`{"error_code":1}`, `body: must be an array, got an object`)
	f(`[{}]`, `body[0].matches: is missing`)
	f(`[{"matches":null}]`, `body[0].matches: is missing`)
	f(`[{"matches":[{}]}]`, `body[0].matches[0].result: is missing`)
	f(`[{"matches":[{"result":null,"plan":{}}]}]`, `body[0].matches[0].result: is missing`)
	f(`[{"matches":[{"result":5}]}]`, `body[0].matches[0].result: must be an array, got 5`)
	f(`[{"matches":[{"result":{"candidate":{}}}]}]`, `result: must be an array, got an object`)
	f(rowsBody(`{"face":{}},{}`), `result[1]: must have one of face, event and attribute, got 0`)
	f(rowsBody(`null`), row+`: must be an object, got null`)
	f(rowsBody(`{"face":{},"event":{}}`), row+`: must have one of face, event and attribute, got 2`)
	f(rowsBody(`{"face":{"face_id":"x"}}`), row+`.face.face_id: must be a UUID, got "x"`)
	f(rowsBody(`{"face":{"face_id":"00000000-0000-0000-0000-000000000000"}}`), row+`.face.face_id: must not be the nil UUID`)
	f(rowsBody(`{"face":[]}`), row+`.face: must be an object, got an array`)
	f(rowsBody(`{"face":{},"similarity":1.5}`), row+`.similarity: must be a number from 0 to 1, got 1.5`)
	f(rowsBody(`{"face":{},"similarity":"1"}`), row+`.similarity: must be a number from 0 to 1, got "1"`)
	f(rowsBody(`{"face":{},"distance":-1}`), row+`.distance: must be a number from 0`)
	f(`[{"matches":[{"plan":[]}]}]`, `plan: must be an object, got an array`)
	f(`[{"matches":[{"plan":{"rows_scanned":-1}}]}]`, `plan.rows_scanned: must be an integer`)
	f(`[{"matches":[{"plan":{"matchers":[{"chosen":1}]}}]}]`, `plan.matchers[0].chosen: must be true or false, got 1`)

	w := NewWriter(nil, MessagePack) // a NaN, which JSON cannot write
	w.Raw([]byte("\x91\x81\xa7matches\x91\x81\xa6result\x91\x82\xa4face\x80\xa8distance\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"))
	_, err := ParseAnswer(MessagePack, w.Done())
	refused(t, err, matcher.CodeBadInput, row+`.distance: must be a number from 0`)
}

// TestParseObjects: a client reads the objects that a server writes, with their
// descriptors.
func TestParseObjects(t *testing.T) {
	d := newDecoder(t)
	bare := &matcher.Object{Origin: matcher.Events, ID: idB}
	attribute := &matcher.Object{Origin: matcher.Attributes, ID: idB, CreateTime: 7, Age: matcher.SmallOf(9)}
	attribute.Descriptors[matcher.BodyDescriptor] = matcher.Descriptor{Version: 3001, Data: []byte{9, 8, 7, 6}}
	for _, objects := range [][]*matcher.Object{{fullFace()}, {fullEvent(), bare}, {attribute}} {
		o := objects[0].Origin
		var want []matcher.Object
		for _, obj := range objects {
			want = append(want, *obj)
		}
		for _, f := range []Format{JSON, MessagePack} {
			got, count, err := d.ParseObjects(f, o, AppendObjects(nil, f, o, objects, nil, BinaryDescriptors, 1_000_000))
			if diff := cmp.Diff(want, got); err != nil || diff != "" || count != 1_000_000 {
				t.Error(err, count, diff)
			}
			one, err := d.ParseObject(f, o, AppendObject(nil, f, objects[0], nil, BinaryDescriptors))
			if diff := cmp.Diff(want[0], one); err != nil || diff != "" {
				t.Error(err, diff)
			}
			got, count, err = d.ParseObjects(f, o, AppendObjects(nil, f, o, nil, nil, BinaryDescriptors, 0))
			if err != nil || len(got) != 0 || count != 0 {
				t.Error(err, got, count)
			}
		}
	}
}

// TestParseObjectsSkips: a client skips new fields of a newer server, and lists
// may be longer than a request allows.
func TestParseObjectsSkips(t *testing.T) {
	d := newDecoder(t)
	lists := `"lists":[` + textA + strings.Repeat(","+textA, 20)
	doc := `{"new":{"a":[]},"faces":[{"face_id":` + textA + `,"new":[[]],"age":null,` + lists + `],"descriptor":{"version":77,"data":"AQ=="}}],"count":1.0}`
	for _, err := range bothFormats(t, doc, func(f Format, body []byte) error {
		got, count, err := d.ParseObjects(f, matcher.Faces, body)
		if err == nil && (count != 1 || len(got) != 1 || got[0].ID != idA || len(got[0].Lists) != 1 || hasDescriptor(&got[0])) {
			t.Errorf("%d %+v", count, got)
		}
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestParseObjectsRefuses(t *testing.T) {
	d := newDecoder(t)
	f := func(o matcher.Origin, doc, detail string) {
		t.Helper()
		for _, err := range bothFormats(t, doc, func(f Format, body []byte) error {
			got, count, err := d.ParseObjects(f, o, body)
			if got != nil || count != 0 {
				t.Errorf("%s: a part of the page is returned", doc)
			}
			return err
		}) {
			refused(t, err, matcher.CodeBadInput, detail)
		}
	}
	face := func(fields, detail string) {
		t.Helper()
		f(matcher.Faces, `{"faces":[{"face_id":`+textA+`},{"face_id":`+textB+`,`+fields+`}],"count":2}`, "faces[1]."+detail)
	}
	f(matcher.Faces, `[]`, `body: must be an object, got an array`)
	f(matcher.Faces, `{"count":1}`, `faces: is missing`)
	f(matcher.Faces, `{"faces":null,"count":1}`, `faces: is missing`)
	f(matcher.Events, `{"faces":[],"count":1}`, `events: is missing`)
	f(matcher.Faces, `{"faces":[]}`, `count: is missing`)
	f(matcher.Faces, `{"faces":[],"count":-1}`, `count: must be an integer from 0 to `)
	f(matcher.Faces, `{"faces":[{}],"count":1}`, `faces[0].face_id: is missing`)
	f(matcher.Events, `{"events":[{"face_id":`+textA+`}],"count":1}`, `events[0].event_id: is missing`)
	face(`"descriptor":{"version":1001,"data":"AQID"}`, `descriptor.data: version 1001 needs 4 bytes, got 3`)
	face(`"descriptor":{"version":1001,"data":"AQI"}`, `descriptor.data: must be standard base64, got "AQI"`)
	face(`"descriptor":{"version":2001,"data":"`+floats(float32(math.NaN()), 1)+`"}`, `descriptor.data: value 0 must be finite, got NaN`)
	face(`"descriptor":{"version":3001,"data":"AQIDBA=="}`, `descriptor.version: must be a version of type face, got 3001 of type body; a face cannot have a body descriptor`)
	face(`"descriptor":{"data":"AQIDBA=="}`, `descriptor.version: is missing`)
	face(`"descriptor":5`, `descriptor: must be {"version", "data"} or the bytes of an SDK descriptor, got 5`)
	face(`"lists":[5]`, `lists[0]: must be a UUID, got 5`)
	f(matcher.Events, `{"events":[{"event_id":`+textA+`,`+`"body_descriptor":{"version":1001,"data":"AQIDBA=="}}],"count":1}`, `events[0].body_descriptor.version: must be a version of type body, got 1001 of type face`)

	for _, err := range bothFormats(t, `{"age":1}`, func(f Format, body []byte) error {
		obj, err := d.ParseObject(f, matcher.Attributes, body)
		if obj.Age != 0 {
			t.Error("a part of the object is returned")
		}
		return err
	}) {
		refused(t, err, matcher.CodeBadInput, "attribute_id: is missing")
	}
}
