package wire

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
)

// together returns a reference of type together.
func together(parts string, more ...string) string {
	return `{"type":"together","id":"mine","references":[` + parts + `]` + strings.Join(more, "") + `}`
}

func TestTogetherRefused(t *testing.T) {
	r := refusals{t, newDecoder(t)}
	r.ref(`{"type":"together"}`, `.references: is missing`)
	r.ref(`{"type":"together","references":null}`, `.references: must be an array, got null`)
	r.ref(together(""), `.references: must not be empty`)
	r.ref(together(`5`), `.references[0]: must be an object, got 5`)
	r.ref(together(rawRef+`,`+together(rawRef)), `.references[1].type: must not be together, because references of type together cannot be nested`)
	r.ref(together(rawRef, `,"fuse":"worst"`), `.fuse: must be one of best, mean, got "worst"`)
	r.ref(together(rawRef, `,"fuse":null`), `.fuse: must be one of best, mean, got null`)
	r.ref(together(rawRef, `,"fuse":1`), `.fuse: must be one of best, mean, got 1`)
	r.ref(together(rawRef, `,"data":{"version":1001,"data":"AQIDBA=="}`), `.data: must not be given for a reference of type together`)
	r.ref(together(rawRef, `,"foo":1`), `.foo: unknown field`)
	r.ref(`{"type":"together","id":7,"references":[`+rawRef+`]}`, `.id: must be text, got 7`)
	r.ref(together(`{"type":"face","id":"x"}`), `.references[0].id: must be a UUID, got "x"`)
	r.ref(together(rawRef+`,{"type":"raw_descriptor","data":{"version":1001,"data":[1,2,3,-4]}}`), `.references[1].data.data[3]: must be an integer from 0 to 255, got -4`)
	r.ref(`{"type":"face","id":`+textA+`,"references":[]}`, `.references: must not be given for a reference of type face`)
	r.ref(`{"type":"raw_descriptor","fuse":"best","data":{"version":1001,"data":"AQIDBA=="}}`, `.fuse: must not be given for a reference of type raw_descriptor`)
	many := strings.Repeat(rawRef+",", matcher.PartsMax) + rawRef
	r.check(matchBody(together(many), faces), matcher.CodeTooMany, "references[0].references: must have at most 32 references, got 33")
	body := `{"type":"raw_descriptor","data":{"version":3001,"data":"AQIDBA=="}}`
	r.check(matchBody(together(rawRef+","+body), faces), matcher.CodeWrongVersion,
		"references[0].references[1].data.version: must be a version of type face in this match, got 3001 of type body")
	for _, err := range bothFormats(t, `{"references":[`+together(rawRef)+`],"candidates":[`+rawRef+`]}`, func(f Format, text []byte) error {
		_, err := r.d.Raw(f, text)
		return err
	}) {
		refused(t, err, matcher.CodeBadInput, `references[0].type: must be one of raw_descriptor, sdk_descriptor, got "together"`)
	}
}

func TestTogetherRead(t *testing.T) {
	d := newDecoder(t)
	given := matcher.Reference{Type: matcher.RefRaw, ID: "p", Descriptor: matcher.Descriptor{Version: 1001, Data: []byte{1, 2, 3, 4}}}
	face := matcher.Reference{Type: matcher.RefFace, ID: idA.String()}
	parts := rawRef + `,{"type":"face","id":` + textA + `}`
	for text, want := range map[string]matcher.Reference{
		together(parts):                                     {Type: matcher.RefTogether, ID: "mine", Parts: []matcher.Reference{given, face}},
		together(parts, `,"fuse":"best"`):                   {Type: matcher.RefTogether, ID: "mine", Parts: []matcher.Reference{given, face}},
		together(rawRef, `,"fuse":"mean"`):                  {Type: matcher.RefTogether, ID: "mine", Parts: []matcher.Reference{given}, Fuse: matcher.FuseMean},
		`{"type":"together","references":[` + rawRef + `]}`: {Type: matcher.RefTogether, Parts: []matcher.Reference{given}},
	} {
		bothFormats(t, matchBody(text, faces), func(f Format, body []byte) error {
			req, err := d.Match(f, body, matcher.FaceDescriptor)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]matcher.Reference{want}, req.References); diff != "" {
				t.Error(diff)
			}
			return nil
		})
	}
}

// TestTogetherForwarded: a server reads the reference that a proxy writes.
func TestTogetherForwarded(t *testing.T) {
	d := newDecoder(t)
	ref := matcher.Reference{Type: matcher.RefTogether, ID: "mine", Fuse: matcher.FuseMean, Descriptor: matcher.Descriptor{Version: 1001}}
	want := matcher.Reference{Type: matcher.RefTogether, ID: "0", Fuse: matcher.FuseMean}
	for i := range 3 {
		data := matcher.Descriptor{Version: 1001, Data: []byte{1, 2, 3, byte(i)}}
		ref.Parts = append(ref.Parts, matcher.Reference{Type: matcher.RefFace, ID: idA.String(), Descriptor: data, Place: 1, Part: i + 1})
		want.Parts = append(want.Parts, matcher.Reference{Type: matcher.RefRaw, ID: strconv.Itoa(i), Descriptor: data})
	}
	for _, f := range []Format{JSON, MessagePack} {
		req, err := d.Match(f, AppendMatchRequest(nil, f, []matcher.Reference{ref}, []*matcher.Candidates{{Limit: 1}}), matcher.FaceDescriptor)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]matcher.Reference{want}, req.References); diff != "" {
			t.Error(diff)
		}
	}
}
