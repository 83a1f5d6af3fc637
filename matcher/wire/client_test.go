package wire

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

// A client reads what a server writes.
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
			t.Error("an error without a code")
		}
	}
}

// rowsBody is an answer with these rows.
func rowsBody(rows string) string { return `[{"matches":[{"result":[` + rows + `]}]}]` }

// parsed returns the answer that doc is, the same in both formats.
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

// TestParseAnswerPresence: what a row lacks shows, and so does its origin.
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
				t.Errorf("%s: a part of it is returned", doc)
			}
			return err
		}) {
			refused(t, err, matcher.CodeBadInput, detail)
		}
	}
	const row = "body[0].matches[0].result[0]"
	f(`5`, `body: 5 is not a list`)
	f(`{"error_code":1}`, `body: an object of 1 fields is not a list`)
	f(`[{}]`, `body[0].matches: required`)
	f(`[{"matches":null}]`, `body[0].matches: required`)
	f(`[{"matches":[{}]}]`, `body[0].matches[0].result: required`)
	f(`[{"matches":[{"result":null,"plan":{}}]}]`, `body[0].matches[0].result: required`)
	f(`[{"matches":[{"result":5}]}]`, `body[0].matches[0].result: 5 is not a list`)
	f(`[{"matches":[{"result":{"candidate":{}}}]}]`, `result: an object of 1 fields is not a list`)
	f(rowsBody(`{"face":{}},{}`), `result[1]: 0 of face, event and attribute; a row has one`)
	f(rowsBody(`null`), row+`: null is not an object`)
	f(rowsBody(`{"face":{},"event":{}}`), row+`: 2 of face, event and attribute; a row has one`)
	f(rowsBody(`{"face":{"face_id":"x"}}`), row+`.face.face_id: "x" is not a UUID`)
	f(rowsBody(`{"face":{"face_id":"00000000-0000-0000-0000-000000000000"}}`), row+`.face.face_id: the nil UUID names nothing`)
	f(rowsBody(`{"face":[]}`), row+`.face: a list of 0 is not an object`)
	f(rowsBody(`{"face":{},"similarity":1.5}`), row+`.similarity: 1.5 is not a number of 0..1`)
	f(rowsBody(`{"face":{},"similarity":"1"}`), row+`.similarity: "1" is not a number of 0..1`)
	f(rowsBody(`{"face":{},"distance":-1}`), row+`.distance: -1 is not a number of 0`)
	f(`[{"matches":[{"plan":[]}]}]`, `plan: a list of 0 is not an object`)
	f(`[{"matches":[{"plan":{"rows_scanned":-1}}]}]`, `plan.rows_scanned: -1 is not a whole number`)
	f(`[{"matches":[{"plan":{"matchers":[{"chosen":1}]}}]}]`, `plan.matchers[0].chosen: 1 is not true or false`)

	w := NewWriter(nil, MessagePack) // what JSON cannot say
	w.Raw([]byte("\x91\x81\xa7matches\x91\x81\xa6result\x91\x82\xa4face\x80\xa8distance\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"))
	_, err := ParseAnswer(MessagePack, w.Done())
	refused(t, err, matcher.CodeBadInput, row+`.distance: NaN is not a number of 0`)
}

// A client reads the objects that a server writes, with their descriptors.
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
			got, count, err := d.ParseObjects(f, o, AppendObjects(nil, f, o, objects, nil, true, 1_000_000))
			if diff := cmp.Diff(want, got); err != nil || diff != "" || count != 1_000_000 {
				t.Error(err, count, diff)
			}
			one, err := d.ParseObject(f, o, AppendObject(nil, f, objects[0], nil, true))
			if diff := cmp.Diff(want[0], one); err != nil || diff != "" {
				t.Error(err, diff)
			}
			got, count, err = d.ParseObjects(f, o, AppendObjects(nil, f, o, nil, nil, true, 0))
			if err != nil || len(got) != 0 || count != 0 {
				t.Error(err, got, count)
			}
		}
	}
}

// TestParseObjectsSkips: what a newer server says more does not matter, and
// objects may have more values than a request of ours.
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
				t.Errorf("%s: a part of it is returned", doc)
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
	f(matcher.Faces, `[]`, `body: a list of 0 is not an object`)
	f(matcher.Faces, `{"count":1}`, `faces: required`)
	f(matcher.Faces, `{"faces":null,"count":1}`, `faces: required`)
	f(matcher.Events, `{"faces":[],"count":1}`, `events: required`)
	f(matcher.Faces, `{"faces":[]}`, `count: required`)
	f(matcher.Faces, `{"faces":[],"count":-1}`, `count: -1 is not a whole number of 0..`)
	f(matcher.Faces, `{"faces":[{}],"count":1}`, `faces[0].face_id: required`)
	f(matcher.Events, `{"events":[{"face_id":`+textA+`}],"count":1}`, `events[0].event_id: required`)
	face(`"descriptor":{"version":1001,"data":"AQID"}`, `descriptor.data: 3 bytes are no descriptor of version 1001, which has 4`)
	face(`"descriptor":{"version":1001,"data":"AQI"}`, `descriptor.data: "AQI" is not standard base64`)
	face(`"descriptor":{"version":2001,"data":"`+floats(float32(math.NaN()), 1)+`"}`, `descriptor.data: value 0 is NaN`)
	face(`"descriptor":{"version":3001,"data":"AQIDBA=="}`, `descriptor.version: 3001 is of type body; a face has a face descriptor`)
	face(`"descriptor":{"data":"AQIDBA=="}`, `descriptor.version: required`)
	face(`"descriptor":5`, `descriptor: 5 is not {"version", "data"}`)
	face(`"lists":[5]`, `lists[0]: 5 is not a UUID`)
	f(matcher.Events, `{"events":[{"event_id":`+textA+`,`+`"body_descriptor":{"version":1001,"data":"AQIDBA=="}}],"count":1}`, `events[0].body_descriptor.version: 1001 is of type face`)

	for _, err := range bothFormats(t, `{"age":1}`, func(f Format, body []byte) error {
		obj, err := d.ParseObject(f, matcher.Attributes, body)
		if obj.Age != 0 {
			t.Error("a part of it is returned")
		}
		return err
	}) {
		refused(t, err, matcher.CodeBadInput, "attribute_id: required")
	}
}
