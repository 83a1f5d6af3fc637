package wire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

// matchBody returns a match request with one reference and one candidate set.
func matchBody(reference, set string) string {
	return `{"references":[` + reference + `],"candidates":[` + set + `]}`
}

const faces = `{"filters":{"origin":"faces"}}`

var rawRef = `{"type":"raw_descriptor","id":"p","data":{"version":1001,"data":"` + base64Of(1, 2, 3, 4) + `"}}`

// bothFormats calls f with doc as JSON and as MessagePack.
func bothFormats(t *testing.T, doc string, f func(Format, []byte) error) []error {
	t.Helper()
	packed, err := transcode([]byte(doc))
	if err != nil {
		t.Fatalf("the document of the test is invalid: %v\n%s", err, doc)
	}
	return []error{f(JSON, []byte(doc)), f(MessagePack, packed)}
}

// refusals checks that match requests are refused, in both formats.
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
	r.bad(`5`, `body: must be an object, got 5`)
	r.bad(`[]`, `body: must be an object, got an array`)
	r.bad(`null`, `body: must be an object, got null`)
	r.bad(`{}`, `references: is missing`)
	r.bad(`{"references":[`+rawRef+`]}`, `candidates: is missing`)
	r.bad(`{"foo":1}`, `foo: unknown field`)
	r.bad(`{"references":[],"candidates":[`+faces+`]}`, `references: must not be empty`)
	r.bad(`{"references":null,"candidates":[`+faces+`]}`, `references: must be an array, got null`)
	r.bad(`{"references":{},"candidates":[`+faces+`]}`, `references: must be an array, got an object`)
	r.bad(`{"references":[`+rawRef+`],"candidates":[]}`, `candidates: must not be empty`)
	r.bad(`{"references":[`+rawRef+`],"candidates":5}`, `candidates: must be an array, got 5`)
	r.check(matchBody(strings.Repeat(rawRef+",", 3)+rawRef, faces), matcher.CodeTooMany, "references: must have at most 3 items (limits.references), got 4")
	r.check(matchBody(rawRef, faces+","+faces+","+faces), matcher.CodeTooMany, "candidates: must have at most 2 items (limits.candidates), got 3")
}

func TestReferenceRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.ref(`5`, `: must be an object, got 5`)
	r.ref(`{}`, `.type: is missing`)
	r.ref(`{"id":"x"}`, `.type: is missing`)
	r.ref(`{"type":5}`, `.type: must be text, got 5`)
	r.ref(`{"type":"nope"}`, `.type: must be one of face, event, attribute, face_external_id, event_external_id, event_track_id, raw_descriptor, sdk_descriptor, together, got "nope"`)
	r.ref(`{"type":"xpk_file"}`, `.type: "xpk_file" is not supported: its format is not public`)
	r.ref(`{"type":"face"}`, `.id: is missing`)
	r.ref(`{"type":"face","id":"abc"}`, `.id: must be a UUID, got "abc"`)
	r.ref(`{"type":"event","id":7}`, `.id: must be a UUID, got 7`)
	r.ref(`{"type":"attribute","id":null}`, `.id: must be a UUID, got null`)
	r.ref(`{"type":"face","id":"`+strings.Repeat("é", 200)+`"}`, `.id: must be a UUID, got "`+strings.Repeat("é", 30)+`..."`)
	r.ref(`{"type":"face_external_id","id":""}`, `.id: must not be empty`)
	r.ref(`{"type":"event_track_id","id":5}`, `.id: must be text, got 5`)
	r.ref(`{"type":"face","id":"`+idA.String()+`","data":1}`, `.data: must not be given for a reference of type face`)
	r.ref(`{"type":"face","id":"`+idA.String()+`","foo":1}`, `.foo: unknown field`)
	r.ref(`{"type":"raw_descriptor","id":"x"}`, `.data: is missing`)
	r.ref(`{"type":"raw_descriptor","id":5,"data":{"version":1001,"data":"AQIDBA=="}}`, `.id: must be text, got 5`)
}

func TestDescriptorRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.data(`null`, `: must be {"version", "data"} or the bytes of an SDK descriptor, got null`)
	r.data(`{}`, `.version: is missing`)
	r.data(`{"version":1001}`, `.data: is missing`)
	r.data(`{"data":"AQIDBA=="}`, `.version: is missing`)
	r.data(`{"version":0,"data":"AQIDBA=="}`, `.version: must be an integer from 1 to 4294967295, got 0`)
	r.data(`{"version":1.5,"data":"AQIDBA=="}`, `.version: must be an integer`)
	r.data(`{"version":"1001","data":"AQIDBA=="}`, `.version: must be an integer`)
	r.data(`{"version":18446744073709551615,"data":"AQIDBA=="}`, `.version: must be an integer`)
	r.data(`{"version":1001,"data":5}`, `.data: must be base64, binary data or an array of numbers, got 5`)
	r.data(`{"version":1001,"data":""}`, `.data: version 1001 needs 4 bytes, got 0`)
	r.data(`{"version":1001,"data":"AQID"}`, `.data: version 1001 needs 4 bytes, got 3`)
	r.data(`{"version":1001,"data":"AQIDBA"}`, `.data: must be standard base64, got "AQIDBA"`)                     // no padding
	r.data(`{"version":1001,"data":"AQID\nBA=="}`, `.data: must be standard base64, got "AQID\nBA=="`)             // line break
	r.data(`{"version":1001,"data":"AQIDBA\n=\n=\n\n"}`, `.data: must be standard base64, got "AQIDBA\n=\n=\n\n"`) // four line breaks, so that the length is a multiple of four
	r.data(`{"version":1001,"data":"AQIDBB=="}`, `.data: must be standard base64, got "AQIDBB=="`)                 // unused bits are not 0
	r.data(`{"version":1001,"data":"_-IDBA=="}`, `.data: must be standard base64, got "_-IDBA=="`)                 // URL alphabet
	r.data(`{"version":1001,"data":"AQIDBA==","x":1}`, `.x: unknown field`)
	r.data(`{"version":2001,"data":"`+floats(float32(nan()), 1)+`"}`, `.data: value 0 must be finite, got NaN`)
	r.data(`{"version":2001,"data":"`+floats(0, 0)+`"}`, `.data: must not be a zero vector under cosine`)
	r.data(`"AQIDBA=="`, `: must begin with "dp\0\0", as SDK descriptors do`)
	r.data(`"`+base64Of([]byte("dp\x00\x00\x01")...)+`"`, `: must have at least the 8 bytes of an SDK descriptor's header, got 5`)
	r.data(`"`+sdkForm(1001, 1)+`"`, `.data: version 1001 needs 4 bytes, got 1`)
	r.check(matchBody(`{"type":"raw_descriptor","id":"x","data":{"version":77,"data":"AQIDBA=="}}`, faces),
		matcher.CodeUnknownVersion, "references[0].data.version: 77 is not registered")
	r.check(matchBody(rawRef+`,{"type":"raw_descriptor","id":"x","data":{"version":3001,"data":"AQIDBA=="}}`, faces),
		matcher.CodeWrongVersion, "references[1].data.version: must be a version of type face in this match, got 3001 of type body")
}

func TestSetRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.set(`5`, `: must be an object, got 5`)
	r.set(`{}`, `.filters: is missing`)
	r.set(`{"filters":null}`, `.filters: must be an object, got null`)
	r.set(`{"filters":{}}`, `.filters.origin: is missing`)
	r.set(`{"filters":{"origin":5}}`, `.filters.origin: must be text, got 5`)
	r.set(`{"filters":{"origin":"face"}}`, `.filters.origin: must be one of faces, events, attributes, got "face"`)
	r.set(`{"filters":{"origin":"events","lists":[]}}`, `.filters.lists: unknown filter of events`)
	r.set(`{"filters":{"origin":"attributes","tags":[]}}`, `.filters.tags: unknown filter of attributes`)
	r.set(`{"filters":{"origin":"faces"},"foo":1}`, `.foo: unknown field`)
	r.set(`{"filters":{"origin":"faces"},"limit":0}`, `.limit: must be an integer from 1 to 100, got 0`)
	r.set(`{"filters":{"origin":"faces"},"limit":-1}`, `.limit: must be an integer from 1 to 100, got -1`)
	r.set(`{"filters":{"origin":"faces"},"limit":101}`, `.limit: must be an integer from 1 to 100, got 101`)
	r.set(`{"filters":{"origin":"faces"},"limit":1e300}`, `.limit: must be an integer from 1 to 100, got 1e+300`)
	r.set(`{"filters":{"origin":"faces"},"limit":null}`, `.limit: must be an integer from 1 to 100, got null`)
	r.set(`{"filters":{"origin":"faces"},"limit":true}`, `.limit: must be an integer from 1 to 100, got true`)
	r.set(`{"filters":{"origin":"faces"},"threshold":-0.1}`, `.threshold: must be a number from 0 to 1, got -0.1`)
	r.set(`{"filters":{"origin":"faces"},"threshold":1.1}`, `.threshold: must be a number from 0 to 1, got 1.1`)
	r.set(`{"filters":{"origin":"faces"},"threshold":"1"}`, `.threshold: must be a number from 0 to 1, got "1"`)
	r.set(`{"filters":{"origin":"faces"},"order":"random"}`, `.order: must be one of similarity, create_time_asc, create_time_desc, got "random"`)
	r.set(`{"filters":{"origin":"faces"},"order":1}`, `.order: must be text, got 1`)
	r.set(`{"filters":{"origin":"faces"},"targets":"face_id"}`, `.targets: must be an array, got "face_id"`)
	r.set(`{"filters":{"origin":"faces"},"targets":["face_id","source"]}`, `.targets[1]: must be one of face_id, `)
	r.set(`{"filters":{"origin":"faces"},"targets":["descriptor"]}`, `.targets[0]: must be one of face_id, `)
	r.set(`{"filters":{"origin":"faces"},"targets":[1]}`, `.targets[0]: must be text, got 1`)
}

func TestFilterRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.filter(`"sources":["x"]`, `sources: unknown filter of faces`)
	r.filter(`"foo":1`, `foo: unknown filter of faces`)
	for _, name := range []string{"account_id", "face_id__gte", "face_id__lt", "list_id"} {
		r.filter(`"`+name+`":"abc"`, name+`: must be a UUID, got "abc"`)
		r.filter(`"`+name+`":null`, name+`: must not be null`)
		r.filter(`"`+name+`":["`+idA.String()+`"]`, name+`: must be a UUID, got an array`)
	}
	for _, name := range []string{"face_ids", "event_ids", "lists"} {
		r.filter(`"`+name+`":"`+idA.String()+`"`, name+`: must be an array, got "`+idA.String()+`"`)
		r.filter(`"`+name+`":["`+idA.String()+`","abc"]`, name+`[1]: must be a UUID, got "abc"`)
		r.filter(`"`+name+`":[5]`, name+`[0]: must be a UUID, got 5`)
	}
	for _, name := range []string{"create_time__gte", "create_time__lt"} {
		r.filter(`"`+name+`":"yesterday"`, name+`: must be an RFC 3339 time, got "yesterday"; now-`)
		r.filter(`"`+name+`":"now-5"`, name+`: must be an RFC 3339 time, got "now-5"; now-<n><s|m|h|d|w|M|y> is allowed too`)
		r.filter(`"`+name+`":5`, name+`: must be text, got 5`)
	}
	for _, name := range []string{"age__gte", "age__lt", "gender"} {
		r.filter(`"`+name+`":256`, name+`: must be an integer from 0 to 255, got 256`)
		r.filter(`"`+name+`":-1`, name+`: must be an integer from 0 to 255, got -1`)
		r.filter(`"`+name+`":"1"`, name+`: must be an integer from 0 to 255, got "1"`)
		r.filter(`"`+name+`":0.5`, name+`: must be an integer from 0 to 255, got 0.5`)
	}
	r.filter(`"ethnic_groups":1`, `ethnic_groups: must be an array, got 1`)
	r.filter(`"ethnic_groups":[1,300]`, `ethnic_groups[1]: must be an integer from 0 to 255, got 300`)
	r.filter(`"external_ids":"a"`, `external_ids: must be an array, got "a"`)
	r.filter(`"external_ids":[1]`, `external_ids[0]: must be text, got 1`)
	r.filter(`"user_data":1`, `user_data: must be text, got 1`)
	r.filter(`"user_data":null`, `user_data: must not be null`)
	r.check(matchBody(rawRef, `{"filters":{"origin":"faces","external_ids":["1","2","3","4","5","6"]}}`),
		matcher.CodeTooMany, "candidates[0].filters.external_ids: must have at most 5 items (limits.filter_values), got 6")
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestMatchAccepts(t *testing.T) {
	d := newDecoder(t)
	sdk := sdkForm(1001, 5, 6, 7, 8)
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
	one, two := uint8(1), uint8(2)
	want := []matcher.Candidates{{
		Origin: matcher.Faces, Limit: 7, Threshold: 1, Targets: []string{"face_id", "similarity"}, Order: matcher.ByTimeDesc,
		Filter: matcher.Filter{
			Account:    &idA,
			CreateTime: matcher.Range[matcher.Time]{GTE: at("2026-04-30T12:00:00Z"), LT: at("2026-05-31T12:00:00.123Z")},
			Fields: []matcher.FieldFilter{
				matcher.AnyOf("user_data", "u"), matcher.AnyOf("external_id", "x", "y"), matcher.Within("age", matcher.Range[uint8]{GTE: &one, LT: &two}),
				matcher.AnyOf("gender", uint8(0)), matcher.AnyOf("ethnic_group", uint8(3)), matcher.AnyOf("event_id", idB),
			},
			IDs: []matcher.ID{}, IDRange: matcher.Range[matcher.ID]{GTE: &idA, LT: &idB}, ListID: &idB, Lists: []matcher.ID{idA},
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
			body[i] = 'x' // the request must not use the body any more
		}
		if err != nil {
			return err
		}
		got := []matcher.Candidates{req.Candidates[0].Candidates, req.Candidates[1].Candidates}
		sortFilters(&want[0].Filter)
		sortFilters(&got[0].Filter)
		if diff := cmp.Diff(want, got, sameField); diff != "" {
			t.Errorf("%v: %s", f, diff)
		}
		if diff := cmp.Diff(wantRefs, req.References); diff != "" {
			t.Errorf("%v: %s", f, diff)
		}
		if s := string(inJSON(req.Candidates[0].Label)); s != `{"a":[1,null,-2.5,true]}` {
			t.Errorf("%v: label %s", f, s)
		}
		if !req.Candidates[1].Label.IsZero() {
			t.Errorf("%v: the second set has a label", f)
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
	check(other, other, 0, "") // the type may be body
	check(rawRef, rawRef+","+other, matcher.CodeMixedVersions, "candidates[1].data.version: must be 1001 as in references[0], got 3001")
	check(rawRef+","+other, rawRef, matcher.CodeMixedVersions, "references[1].data.version: must be 1001 as in references[0], got 3001")
	check(`{"type":"face","id":"`+idA.String()+`"}`, rawRef, matcher.CodeBadInput, `references[0].type: must be one of raw_descriptor, sdk_descriptor, got "face"`)
	check(rawRef, `{"type":"face_external_id","id":"x"}`, matcher.CodeBadInput, `candidates[0].type: must be one of raw_descriptor, sdk_descriptor, got "face_external_id"`)
	check("", rawRef, matcher.CodeBadInput, "references: must not be empty")
	check(rawRef, "", matcher.CodeBadInput, "candidates: must not be empty")
	check(many, rawRef, matcher.CodeTooMany, "references: must have at most 3 items (limits.references), got 5")
	check(rawRef, many, matcher.CodeTooMany, "candidates: must have at most 4 items (limits.raw_candidates), got 5")
	_, err := d.Raw(JSON, []byte(`{"references":[`+rawRef+`],"candidates":[`+rawRef+`],"x":1}`))
	refused(t, err, matcher.CodeBadInput, "x: unknown field")
	_, err = d.Raw(JSON, []byte(`{"references":[`+rawRef+`]}`))
	refused(t, err, matcher.CodeBadInput, "candidates: is missing")
}

// once returns a query in which each parameter has one value.
func once(parameters map[string]string) Query {
	q := Query{}
	for name, text := range parameters {
		q[name] = []string{text}
	}
	return q
}

func TestQueryFilter(t *testing.T) {
	d := newDecoder(t)
	got, err := d.QueryFilter(matcher.Faces, once(map[string]string{
		"face_ids": idA.String() + "," + strings.ToUpper(idB.String()), "age__lt": "7", "ethnic_groups": "1,2", "external_ids": "",
		"user_data": "a,b", "create_time__gte": "now-1d",
	}))
	day, lt := matcher.TimeOf(now.AddDate(0, 0, -1)), uint8(7)
	want := matcher.Filter{
		IDs: []matcher.ID{idA, idB}, CreateTime: matcher.Range[matcher.Time]{GTE: &day},
		Fields: []matcher.FieldFilter{
			matcher.Within("age", matcher.Range[uint8]{LT: &lt}), matcher.AnyOf("ethnic_group", uint8(1), 2), matcher.AnyOf[string]("external_id"), matcher.AnyOf("user_data", "a,b"),
		},
	}
	if diff := cmp.Diff(sortFilters(&want), sortFilters(&got), sameField); err != nil || diff != "" {
		t.Error(err, diff)
	}
	check := func(key, text string, code matcher.Code, detail string) {
		t.Helper()
		_, err := d.QueryFilter(matcher.Faces, once(map[string]string{key: text}))
		refused(t, err, code, detail)
	}
	check("foo", "1", matcher.CodeBadInput, "foo: unknown filter of faces")
	check("origin", "faces", matcher.CodeBadInput, "origin: unknown filter of faces")
	check("list_id", "x", matcher.CodeBadInput, `list_id: must be a UUID, got "x"`)
	check("face_ids", idA.String()+",", matcher.CodeBadInput, `face_ids[1]: must be a UUID, got ""`)
	check("age__gte", "old", matcher.CodeBadInput, `age__gte: must be an integer from 0 to 255, got "old"`)
	check("age__gte", "1.5", matcher.CodeBadInput, `age__gte: must be an integer from 0 to 255, got 1.5`)
	check("ethnic_groups", "1,999", matcher.CodeBadInput, `ethnic_groups[1]: must be an integer from 0 to 255, got 999`)
	check("create_time__lt", "soon", matcher.CodeBadInput, `create_time__lt: must be an RFC 3339 time, got "soon"; now-<n><s|m|h|d|w|M|y> is allowed too`)
	check("ethnic_groups", "1,2,3,4,5,6", matcher.CodeTooMany, "ethnic_groups: must have at most 5 items (limits.filter_values), got 6")
	_, err = d.QueryFilter(matcher.Faces, once(map[string]string{"b": "1", "a": "1", "c": "1"}))
	refused(t, err, matcher.CodeBadInput, "a: unknown filter of faces") // always the first fault in the order of names
}

// TestMillionIDs: a filter with too many ids is refused because of their number.
func TestMillionIDs(t *testing.T) {
	d := newDecoder(t)
	ids := strings.TrimSuffix(strings.Repeat(`"`+idA.String()+`",`, 1_000_000), ",")
	_, err := d.Match(JSON, []byte(matchBody(rawRef, `{"filters":{"origin":"faces","face_ids":[`+ids+`]}}`)), matcher.FaceDescriptor)
	refused(t, err, matcher.CodeTooMany, "candidates[0].filters.face_ids: must have at most 5 items (limits.filter_values), got 1000000")
	_, err = d.QueryFilter(matcher.Faces, once(map[string]string{"face_ids": strings.Repeat(idA.String()+",", 999_999) + idA.String()}))
	refused(t, err, matcher.CodeTooMany, "face_ids: must have at most 5 items (limits.filter_values), got 1000000")
	_, err = d.Match(JSON, []byte(`{"x":[`+strings.Repeat("0,", nodesMax)+`0]}`), matcher.FaceDescriptor)
	refused(t, err, matcher.CodeTooMany, fmt.Sprintf("body: must have at most %d values", nodesMax))
}
