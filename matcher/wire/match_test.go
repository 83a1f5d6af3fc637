package wire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

// A match request is a reference and a candidate set; each test changes one.
func matchBody(reference, set string) string {
	return `{"references":[` + reference + `],"candidates":[` + set + `]}`
}

const faces = `{"filters":{"origin":"faces"}}`

var rawRef = `{"type":"raw_descriptor","id":"p","data":{"version":1001,"data":"` + base(1, 2, 3, 4) + `"}}`

// bothFormats calls f with doc as JSON and as MessagePack.
func bothFormats(t *testing.T, doc string, f func(Format, []byte) error) []error {
	t.Helper()
	packed, err := transcode([]byte(doc))
	if err != nil {
		t.Fatalf("the test's document: %v\n%s", err, doc)
	}
	return []error{f(JSON, []byte(doc)), f(MessagePack, packed)}
}

// refusals checks faults of match requests, each in both formats.
type refusals struct {
	*testing.T
	d *Decoder
}

func (r refusals) check(doc string, code matcher.Code, detail string) {
	r.Helper()
	for _, err := range bothFormats(r.T, doc, func(f Format, body []byte) error {
		_, err := r.d.Match(f, body, matcher.FaceDescriptor)
		return err
	}) {
		refused(r.T, err, code, detail)
	}
}

func (r refusals) bad(doc, detail string) { r.Helper(); r.check(doc, matcher.CodeBadInput, detail) }

func (r refusals) ref(s, detail string) {
	r.Helper()
	r.bad(matchBody(s, faces), "references[0]"+detail)
}

func (r refusals) data(s, detail string) {
	r.Helper()
	r.ref(`{"type":"raw_descriptor","id":"x","data":`+s+`}`, ".data"+detail)
}

func (r refusals) set(s, detail string) {
	r.Helper()
	r.bad(matchBody(rawRef, s), "candidates[0]"+detail)
}

func (r refusals) filter(s, detail string) {
	r.Helper()
	r.set(`{"filters":{"origin":"faces",`+s+`}}`, ".filters."+detail)
}

func TestMatchRefuses(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.bad(`5`, `body: 5 is not an object`)
	r.bad(`[]`, `body: a list of 0 is not an object`)
	r.bad(`null`, `body: null is not an object`)
	r.bad(`{}`, `references: required`)
	r.bad(`{"references":[`+rawRef+`]}`, `candidates: required`)
	r.bad(`{"foo":1}`, `foo: unknown field`)
	r.bad(`{"references":[],"candidates":[`+faces+`]}`, `references: must not be empty`)
	r.bad(`{"references":null,"candidates":[`+faces+`]}`, `references: null is not a list`)
	r.bad(`{"references":{},"candidates":[`+faces+`]}`, `references: an object of 0 fields is not a list`)
	r.bad(`{"references":[`+rawRef+`],"candidates":[]}`, `candidates: must not be empty`)
	r.bad(`{"references":[`+rawRef+`],"candidates":5}`, `candidates: 5 is not a list`)
	r.check(matchBody(strings.Repeat(rawRef+",", 3)+rawRef, faces), matcher.CodeTooMany, "references: 4 are more than limits.references, which is 3")
	r.check(matchBody(rawRef, faces+","+faces+","+faces), matcher.CodeTooMany, "candidates: 3 are more than limits.candidates, which is 2")
}

func TestReferenceRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.ref(`5`, `: 5 is not an object`)
	r.ref(`{}`, `.type: required`)
	r.ref(`{"id":"x"}`, `.type: required`)
	r.ref(`{"type":5}`, `.type: 5 is not text`)
	r.ref(`{"type":"nope"}`, `.type: "nope" is not a type of reference`)
	r.ref(`{"type":"xpk_file"}`, `.type: "xpk_file" is not supported: its format is not public`)
	r.ref(`{"type":"face"}`, `.id: required`)
	r.ref(`{"type":"face","id":"abc"}`, `.id: "abc" is not a UUID`)
	r.ref(`{"type":"event","id":7}`, `.id: 7 is not a UUID`)
	r.ref(`{"type":"attribute","id":null}`, `.id: null is not a UUID`)
	r.ref(`{"type":"face","id":"`+strings.Repeat("é", 200)+`"}`, `.id: "`+strings.Repeat("é", 30)+`..." is not a UUID`)
	r.ref(`{"type":"face_external_id","id":""}`, `.id: must not be empty`)
	r.ref(`{"type":"event_track_id","id":5}`, `.id: 5 is not text`)
	r.ref(`{"type":"face","id":"`+idA.String()+`","data":1}`, `.data: a reference of type face has none`)
	r.ref(`{"type":"face","id":"`+idA.String()+`","foo":1}`, `.foo: unknown field`)
	r.ref(`{"type":"raw_descriptor","id":"x"}`, `.data: required`)
	r.ref(`{"type":"raw_descriptor","id":5,"data":{"version":1001,"data":"AQIDBA=="}}`, `.id: 5 is not text`)
}

func TestDescriptorRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.data(`null`, `: null is not {"version", "data"} or the bytes of an SDK descriptor`)
	r.data(`{}`, `.version: required`)
	r.data(`{"version":1001}`, `.data: required`)
	r.data(`{"data":"AQIDBA=="}`, `.version: required`)
	r.data(`{"version":0,"data":"AQIDBA=="}`, `.version: 0 is not a whole number of 1..4294967295`)
	r.data(`{"version":1.5,"data":"AQIDBA=="}`, `.version: 1.5 is not a whole number`)
	r.data(`{"version":"1001","data":"AQIDBA=="}`, `.version: "1001" is not a whole number`)
	r.data(`{"version":18446744073709551615,"data":"AQIDBA=="}`, `.version: 18446744073709551615 is not a whole number`)
	r.data(`{"version":1001,"data":5}`, `.data: 5 is not binary data`)
	r.data(`{"version":1001,"data":""}`, `.data: 0 bytes are no descriptor of version 1001, which has 4`)
	r.data(`{"version":1001,"data":"AQID"}`, `.data: 3 bytes are no descriptor of version 1001, which has 4`)
	r.data(`{"version":1001,"data":"AQIDBA"}`, `.data: "AQIDBA" is not standard base64`)                     // no padding
	r.data(`{"version":1001,"data":"AQID\nBA=="}`, `.data: "AQID\nBA==" is not standard base`)               // line break
	r.data(`{"version":1001,"data":"AQIDBA\n=\n=\n\n"}`, `.data: "AQIDBA\n=\n=\n\n" is not standard base64`) // a whole quantum of them
	r.data(`{"version":1001,"data":"AQIDBB=="}`, `.data: "AQIDBB==" is not standard base64`)                 // loose bits
	r.data(`{"version":1001,"data":"_-IDBA=="}`, `.data: "_-IDBA==" is not standard base64`)                 // URL alphabet
	r.data(`{"version":1001,"data":"AQIDBA==","x":1}`, `.x: unknown field`)
	r.data(`{"version":2001,"data":"`+floats(float32(nan()), 1)+`"}`, `.data: value 0 is NaN`)
	r.data(`{"version":2001,"data":"`+floats(0, 0)+`"}`, `.data: a zero vector`)
	r.data(`"AQIDBA=="`, `: no SDK descriptor: it does not begin`)
	r.data(`"`+base([]byte("dp\x00\x00\x01")...)+`"`, `: no SDK descriptor: 5 bytes are shorter`)
	r.data(`"`+base(matcher.Descriptor{Version: 1001, Data: []byte{1}}.AppendSDK(nil)...)+`"`, `.data: 1 bytes are no descriptor`)
	r.check(matchBody(`{"type":"raw_descriptor","id":"x","data":{"version":77,"data":"AQIDBA=="}}`, faces),
		matcher.CodeUnknownVersion, "references[0].data.version: 77 is not registered")
	r.check(matchBody(rawRef+`,{"type":"raw_descriptor","id":"x","data":{"version":3001,"data":"AQIDBA=="}}`, faces),
		matcher.CodeWrongVersion, "references[1].data.version: version 3001 is of type body, this match is of type face")
}

func TestSetRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.set(`5`, `: 5 is not an object`)
	r.set(`{}`, `.filters: required`)
	r.set(`{"filters":null}`, `.filters: null is not an object`)
	r.set(`{"filters":{}}`, `.filters.origin: required`)
	r.set(`{"filters":{"origin":5}}`, `.filters.origin: 5 is not text`)
	r.set(`{"filters":{"origin":"face"}}`, `.filters.origin: "face" is not one of faces, events, attributes`)
	r.set(`{"filters":{"origin":"events","lists":[]}}`, `.filters.lists: unknown filter of events`)
	r.set(`{"filters":{"origin":"attributes","tags":[]}}`, `.filters.tags: unknown filter of attributes`)
	r.set(`{"filters":{"origin":"faces"},"foo":1}`, `.foo: unknown field`)
	r.set(`{"filters":{"origin":"faces"},"limit":0}`, `.limit: 0 is not a whole number of 1..100`)
	r.set(`{"filters":{"origin":"faces"},"limit":-1}`, `.limit: -1 is not a whole number of 1..100`)
	r.set(`{"filters":{"origin":"faces"},"limit":101}`, `.limit: 101 is not a whole number of 1..100`)
	r.set(`{"filters":{"origin":"faces"},"limit":1e300}`, `.limit: 1e+300 is not a whole number of 1..100`)
	r.set(`{"filters":{"origin":"faces"},"limit":null}`, `.limit: null is not a whole number of 1..100`)
	r.set(`{"filters":{"origin":"faces"},"limit":true}`, `.limit: true is not a whole number of 1..100`)
	r.set(`{"filters":{"origin":"faces"},"threshold":-0.1}`, `.threshold: -0.1 is not a number of 0..1`)
	r.set(`{"filters":{"origin":"faces"},"threshold":1.1}`, `.threshold: 1.1 is not a number of 0..1`)
	r.set(`{"filters":{"origin":"faces"},"threshold":"1"}`, `.threshold: "1" is not a number of 0..1`)
	r.set(`{"filters":{"origin":"faces"},"order":"random"}`, `.order: "random" is not one of similarity, create_time_asc, create_time_desc`)
	r.set(`{"filters":{"origin":"faces"},"order":1}`, `.order: 1 is not text`)
	r.set(`{"filters":{"origin":"faces"},"targets":"face_id"}`, `.targets: "face_id" is not a list`)
	r.set(`{"filters":{"origin":"faces"},"targets":["face_id","source"]}`, `.targets[1]: "source" is not a target of faces`)
	r.set(`{"filters":{"origin":"faces"},"targets":["descriptor"]}`, `.targets[0]: "descriptor" is not a target of faces`)
	r.set(`{"filters":{"origin":"faces"},"targets":[1]}`, `.targets[0]: 1 is not text`)
}

func TestFilterRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.filter(`"sources":["x"]`, `sources: unknown filter of faces`)
	r.filter(`"foo":1`, `foo: unknown filter of faces`)
	for _, name := range []string{"account_id", "face_id__gte", "face_id__lt", "list_id"} {
		r.filter(`"`+name+`":"abc"`, name+`: "abc" is not a UUID`)
		r.filter(`"`+name+`":null`, name+`: null is not a UUID`)
		r.filter(`"`+name+`":["`+idA.String()+`"]`, name+`: a list of 1 is not a UUID`)
	}
	for _, name := range []string{"face_ids", "event_ids", "lists"} {
		r.filter(`"`+name+`":"`+idA.String()+`"`, name+`: "`+idA.String()+`" is not a list`)
		r.filter(`"`+name+`":["`+idA.String()+`","abc"]`, name+`[1]: "abc" is not a UUID`)
		r.filter(`"`+name+`":[5]`, name+`[0]: 5 is not a UUID`)
	}
	for _, name := range []string{"create_time__gte", "create_time__lt"} {
		r.filter(`"`+name+`":"yesterday"`, name+`: "yesterday" is not an RFC 3339 time or now-`)
		r.filter(`"`+name+`":"now-5"`, name+`: "now-5" is not`)
		r.filter(`"`+name+`":5`, name+`: 5 is not text`)
	}
	for _, name := range []string{"age__gte", "age__lt", "gender"} {
		r.filter(`"`+name+`":256`, name+`: 256 is not a whole number of 0..255`)
		r.filter(`"`+name+`":-1`, name+`: -1 is not a whole number of 0..255`)
		r.filter(`"`+name+`":"1"`, name+`: "1" is not a whole number of 0..255`)
		r.filter(`"`+name+`":0.5`, name+`: 0.5 is not a whole number of 0..255`)
	}
	r.filter(`"ethnic_groups":1`, `ethnic_groups: 1 is not a list`)
	r.filter(`"ethnic_groups":[1,300]`, `ethnic_groups[1]: 300 is not a whole number of 0..255`)
	r.filter(`"external_ids":"a"`, `external_ids: "a" is not a list`)
	r.filter(`"external_ids":[1]`, `external_ids[0]: 1 is not text`)
	r.filter(`"user_data":1`, `user_data: 1 is not text`)
	r.filter(`"user_data":null`, `user_data: null is not text`)
	r.check(matchBody(rawRef, `{"filters":{"origin":"faces","external_ids":["1","2","3","4","5","6"]}}`),
		matcher.CodeTooMany, "candidates[0].filters.external_ids: 6 are more than limits.filter_values, which is 5")
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestMatchAccepts(t *testing.T) {
	d := newDecoder(t)
	sdk := base(matcher.Descriptor{Version: 1001, Data: []byte{5, 6, 7, 8}}.AppendSDK(nil)...)
	doc := `{"references":[
		{"type":"face","id":"` + strings.ToUpper(idA.String()) + `"},
		{"type":"raw_descriptor","data":{"version":1001,"data":"AQIDBA=="}},
		{"id":"s","type":"sdk_descriptor","data":"` + sdk + `"}],
	"candidates":[
		{"label":{"a":[1,null,-2.5,true]},"filters":{"list_id":"` + idB.String() + `","origin":"faces","account_id":"` + idA.String() + `",
			"create_time__gte":"now-1M","create_time__lt":"2026-05-31T14:00:00.123999+02:00","user_data":"u","external_ids":["x","y"],
			"age__gte":1,"age__lt":2,"gender":0,"ethnic_groups":[3],"event_ids":["` + idB.String() + `"],"face_ids":[],
			"face_id__gte":"` + idA.String() + `","face_id__lt":"` + idB.String() + `","lists":["` + idA.String() + `"]},
		 "limit":7.0,"threshold":1,"targets":["face_id","similarity"],"order":"create_time_desc"},
		{"filters":{"origin":"faces"}}]}`
	at := func(s string) *matcher.Time {
		x, err := matcher.ParseTime(s)
		if err != nil {
			t.Fatal(err)
		}
		return &x
	}
	text, one, two, zero := "u", uint8(1), uint8(2), uint8(0)
	want := []matcher.Candidates{{
		Origin: matcher.Faces, Limit: 7, Threshold: 1, Targets: []string{"face_id", "similarity"}, Order: matcher.ByTimeDesc,
		Filter: matcher.Filter{
			Account:    &idA,
			CreateTime: matcher.Range[matcher.Time]{GTE: at("2026-04-30T12:00:00Z"), LT: at("2026-05-31T12:00:00.123Z")},
			UserData:   &text, ExternalIDs: []string{"x", "y"}, Age: matcher.Range[uint8]{GTE: &one, LT: &two}, Gender: &zero,
			EthnicGroups: []uint8{3}, EventIDs: []matcher.ID{idB}, FaceIDs: []matcher.ID{},
			FaceID: matcher.Range[matcher.ID]{GTE: &idA, LT: &idB}, ListID: &idB, Lists: []matcher.ID{idA},
		},
	}, {Origin: matcher.Faces, Limit: 5}}
	wantRefs := []matcher.Reference{
		{Type: matcher.RefFace, ID: idA.String()},
		{Type: matcher.RefRaw, Descriptor: matcher.Descriptor{Version: 1001, Data: []byte{1, 2, 3, 4}}},
		{Type: matcher.RefSDK, ID: "s", Descriptor: matcher.Descriptor{Version: 1001, Data: []byte{5, 6, 7, 8}}},
	}
	for _, err := range bothFormats(t, doc, func(f Format, body []byte) error {
		req, err := d.Match(f, body, matcher.FaceDescriptor)
		for i := range body {
			body[i] = 'x' // nothing of it may be in use any more
		}
		if err != nil {
			return err
		}
		got := []matcher.Candidates{req.Candidates[0].Candidates, req.Candidates[1].Candidates}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", f, diff)
		}
		if diff := cmp.Diff(wantRefs, req.References); diff != "" {
			t.Errorf("%v: %s", f, diff)
		}
		if s := string(inJSON(req.Candidates[0].Label)); s != `{"a":[1,null,-2.5,true]}` {
			t.Errorf("%v: label %s", f, s)
		}
		if !req.Candidates[1].Label.IsZero() {
			t.Errorf("%v: a label that was not given", f)
		}
		return nil
	}) {
		if err != nil {
			t.Error(err)
		}
	}
}

// inJSON returns v in JSON.
func inJSON(v Value) []byte {
	w := NewWriter(nil, JSON)
	w.Value(v)
	return w.Done()
}

func TestRaw(t *testing.T) {
	d := newDecoder(t)
	check := func(references, candidates string, code matcher.Code, detail string) {
		t.Helper()
		doc := `{"references":[` + references + `],"candidates":[` + candidates + `]}`
		for _, err := range bothFormats(t, doc, func(f Format, body []byte) error { _, err := d.Raw(f, body); return err }) {
			if code == 0 {
				if err != nil {
					t.Error(err)
				}
				continue
			}
			refused(t, err, code, detail)
		}
	}
	other := `{"type":"raw_descriptor","data":{"version":3001,"data":"AQIDBA=="}}`
	many := strings.TrimSuffix(strings.Repeat(rawRef+",", 5), ",")
	check(rawRef, rawRef, 0, "")
	check(other, other, 0, "") // any type, as long as it is one
	check(rawRef, rawRef+","+other, matcher.CodeMixedVersions, "candidates[1].data.version: 3001, but references[0] has 1001")
	check(rawRef+","+other, rawRef, matcher.CodeMixedVersions, "references[1].data.version: 3001, but references[0] has 1001")
	check(`{"type":"face","id":"`+idA.String()+`"}`, rawRef, matcher.CodeBadInput, `references[0].type: "face" is not one of raw_descriptor`)
	check(rawRef, `{"type":"face_external_id","id":"x"}`, matcher.CodeBadInput, `candidates[0].type: "face_external_id" is not one of`)
	check("", rawRef, matcher.CodeBadInput, "references: must not be empty")
	check(rawRef, "", matcher.CodeBadInput, "candidates: must not be empty")
	check(many, rawRef, matcher.CodeTooMany, "references: 5 are more than limits.references, which is 3")
	check(rawRef, many, matcher.CodeTooMany, "candidates: 5 are more than limits.raw_candidates, which is 4")
	_, err := d.Raw(JSON, []byte(`{"references":[`+rawRef+`],"candidates":[`+rawRef+`],"x":1}`))
	refused(t, err, matcher.CodeBadInput, "x: unknown field")
	_, err = d.Raw(JSON, []byte(`{"references":[`+rawRef+`]}`))
	refused(t, err, matcher.CodeBadInput, "candidates: required")
}

func TestQueryFilter(t *testing.T) {
	d := newDecoder(t)
	got, err := d.QueryFilter(matcher.Faces, map[string]string{
		"face_ids": idA.String() + "," + strings.ToUpper(idB.String()), "age__lt": "7", "ethnic_groups": "1,2", "external_ids": "",
		"user_data": "a,b", "create_time__gte": "now-1d",
	})
	day, lt, text := matcher.TimeOf(now.AddDate(0, 0, -1)), uint8(7), "a,b"
	want := matcher.Filter{
		FaceIDs: []matcher.ID{idA, idB}, Age: matcher.Range[uint8]{LT: &lt}, EthnicGroups: []uint8{1, 2}, ExternalIDs: []string{},
		UserData: &text, CreateTime: matcher.Range[matcher.Time]{GTE: &day},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	check := func(key, text string, code matcher.Code, detail string) {
		t.Helper()
		_, err := d.QueryFilter(matcher.Faces, map[string]string{key: text})
		refused(t, err, code, detail)
	}
	check("foo", "1", matcher.CodeBadInput, "foo: unknown filter of faces")
	check("origin", "faces", matcher.CodeBadInput, "origin: unknown filter of faces")
	check("list_id", "x", matcher.CodeBadInput, `list_id: "x" is not a UUID`)
	check("face_ids", idA.String()+",", matcher.CodeBadInput, `face_ids[1]: "" is not a UUID`)
	check("age__gte", "old", matcher.CodeBadInput, `age__gte: "old" is not a whole number of 0..255`)
	check("age__gte", "1.0", matcher.CodeBadInput, `age__gte: "1.0" is not a whole number of 0..255`)
	check("ethnic_groups", "1,999", matcher.CodeBadInput, `ethnic_groups[1]: 999 is not a whole number of 0..255`)
	check("create_time__lt", "soon", matcher.CodeBadInput, `create_time__lt: "soon" is not`)
	check("external_ids", "1,2,3,4,5,6", matcher.CodeTooMany, "external_ids: 6 are more than limits.filter_values, which is 5")
	_, err = d.QueryFilter(matcher.Faces, map[string]string{"b": "1", "a": "1", "c": "1"})
	refused(t, err, matcher.CodeBadInput, "a: unknown filter of faces") // always the first by name
}

// A million ids in one filter are refused by their count.
func TestMillionIDs(t *testing.T) {
	d := newDecoder(t)
	ids := strings.TrimSuffix(strings.Repeat(`"`+idA.String()+`",`, 1_000_000), ",")
	_, err := d.Match(JSON, []byte(matchBody(rawRef, `{"filters":{"origin":"faces","face_ids":[`+ids+`]}}`)), matcher.FaceDescriptor)
	refused(t, err, matcher.CodeTooMany, "candidates[0].filters.face_ids: 1000000 are more than limits.filter_values, which is 5")
	_, err = d.QueryFilter(matcher.Faces, map[string]string{"face_ids": strings.Repeat(idA.String()+",", 999_999) + idA.String()})
	refused(t, err, matcher.CodeTooMany, "face_ids: 1000000 are more than")
	_, err = d.Match(JSON, []byte(`{"x":[`+strings.Repeat("0,", nodesMax)+`0]}`), matcher.FaceDescriptor)
	refused(t, err, matcher.CodeTooMany, fmt.Sprintf("body: more than %d values", nodesMax))
}
