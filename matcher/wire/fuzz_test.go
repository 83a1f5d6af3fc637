package wire

import (
	"encoding/json"
	"reflect"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"nearside/matcher"
)

// seeds adds documents to the corpus, in both formats, complete and cut off.
func seeds(f *testing.F, docs ...string) {
	f.Helper()
	for _, doc := range docs {
		f.Add(false, []byte(doc))
		f.Add(false, []byte(doc[:len(doc)-1]))
		if packed, err := transcode([]byte(doc)); err == nil {
			f.Add(true, packed)
			f.Add(true, packed[:len(packed)/2])
		}
	}
	f.Add(false, []byte("{\"a\":\"\\ud800\xff\n\"}"))
	f.Add(false, []byte(`[1e999,-0,01,1.,"\"]`))
	f.Add(true, []byte("\xdf\xff\xff\xff\xff\xdd\x00\x01"))
}

// checkFault checks an error of a decoder against other parsers, which decide
// whether it must be CodeSyntax.
func checkFault(t *testing.T, format Format, body []byte, err error) {
	t.Helper()
	code := matcher.CodeOf(err)
	if err != nil && code == matcher.CodeInternal {
		t.Fatalf("an internal error: %v", err)
	}
	if err != nil && (len(err.Error()) > 400 || !utf8.ValidString(err.Error())) {
		t.Fatalf("the detail is too long or not UTF-8: %q", err)
	}
	if format == MessagePack {
		rest, skip := msgp.Skip(body)
		if bad := skip != nil || len(rest) > 0; bad && code != matcher.CodeSyntax && code != matcher.CodeBadInput {
			t.Fatalf("%v, but msgp returns %v with %d bytes left", err, skip, len(rest))
		}
		return
	}
	valid := utf8.Valid(body) && json.Valid(body) && depth(body) <= depthMax
	if valid && surrogateEscape.Match(body) {
		return // encoding/json accepts halves of surrogate pairs (TestSurrogates)
	}
	if valid == (err != nil && code == matcher.CodeSyntax) {
		t.Fatalf("%q: %v, but encoding/json finds valid = %v", body, err, valid)
	}
}

var surrogateEscape = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

// depth returns how deep a valid document is nested.
func depth(body []byte) int {
	deepest, open, inText := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			open++
			deepest = max(deepest, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return deepest
}

func formatOf(packed bool) Format {
	if packed {
		return MessagePack
	}
	return JSON
}

func FuzzMatch(f *testing.F) {
	d := newDecoder(f)
	seeds(f, matchBody(rawRef, faces), matchBody(rawRef, `{"filters":{"origin":"faces","age__lt":1,"lists":[]},"label":[{},1e3,"x"],"limit":3}`), `{}`, `5`)
	f.Fuzz(func(t *testing.T, packed bool, body []byte) {
		format := formatOf(packed)
		req, err := d.Match(format, body, matcher.FaceDescriptor)
		checkFault(t, format, body, err)
		if err != nil {
			return
		}
		if format == JSON {
			var want struct {
				Candidates []struct{ Filters, Label any }
			}
			if err := json.Unmarshal(body, &want); err != nil {
				t.Fatal(err)
			}
			for i, c := range req.Candidates {
				if got := plainValue(t, JSON, inJSON(c.Filters)); !reflect.DeepEqual(got, want.Candidates[i].Filters) {
					t.Fatalf("filters %v, given %v", got, want.Candidates[i].Filters)
				}
				if c.Label.IsZero() {
					continue
				}
				if got := plainValue(t, JSON, inJSON(c.Label)); !reflect.DeepEqual(got, want.Candidates[i].Label) {
					t.Fatalf("label %v, given %v", got, want.Candidates[i].Label)
				}
			}
		}
		sets := make([]*matcher.Candidates, len(req.Candidates))
		for i, c := range req.Candidates {
			sets[i] = &c.Candidates
		}
		checkRequest(t, d, sets)
		results := make([][]matcher.Result, len(req.References))
		for i := range results {
			results[i] = make([]matcher.Result, len(req.Candidates))
		}
		a := plainValue(t, JSON, AppendMatches(nil, JSON, req, req.References, results, nil))
		b := plainValue(t, MessagePack, AppendMatches(nil, MessagePack, req, req.References, results, nil))
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%v\n%v", a, b)
		}
	})
}

func FuzzRaw(f *testing.F) {
	d := newDecoder(f)
	seeds(f, `{"references":[`+rawRef+`],"candidates":[`+rawRef+`]}`)
	f.Fuzz(func(t *testing.T, packed bool, body []byte) {
		req, err := d.Raw(formatOf(packed), body)
		checkFault(t, formatOf(packed), body, err)
		if err == nil && (len(req.References) == 0 || len(req.Candidates) == 0) {
			t.Fatal("an empty list is accepted")
		}
	})
}

// FuzzFace: writing an accepted face and reading it gives the same face.
func FuzzFace(f *testing.F) {
	d := newDecoder(f)
	seeds(f, "{"+faceData+"}", string(AppendObject(nil, JSON, fullFace(), nil, BinaryDescriptors)), `{"age":null,"lists":["`+idA.String()+`"],`+faceData+"}")
	f.Fuzz(func(t *testing.T, packed bool, body []byte) {
		in, err := d.Object(matcher.Faces, formatOf(packed), body)
		checkFault(t, formatOf(packed), body, err)
		if err != nil {
			return
		}
		if !in.HasID {
			in.Object.ID = idA
		}
		again, err := d.Lines(matcher.Faces).Decode(AppendObject(nil, JSON, &in.Object, nil, BinaryDescriptors))
		if err != nil {
			t.Fatal(err)
		}
		if len(in.Object.Lists) == 0 {
			in.Object.Lists = []matcher.ID{}
		}
		if !reflect.DeepEqual(in.Object, again.Object) {
			t.Fatalf("%+v\n%+v", in.Object, again.Object)
		}
	})
}

// FuzzEvent: writing an accepted event and reading it gives the same event.
func FuzzEvent(f *testing.F) {
	d := newDecoder(f)
	seeds(f, "{"+faceOfEvent+"}", "["+eventText+","+bodyOfEvent+"}]", `{"meta":{"a":[{},null,1e-7]},"location":{"geo_position":null},`+faceOfEvent+"}")
	f.Fuzz(func(t *testing.T, packed bool, body []byte) {
		all, _, err := d.Events(formatOf(packed), body)
		checkFault(t, formatOf(packed), body, err)
		for _, in := range all {
			checkAgain(t, d, &in.Object)
		}
	})
}

// FuzzListsAndPatches covers the bodies for lists, links and patches.
func FuzzListsAndPatches(f *testing.F) {
	d := newDecoder(f)
	seeds(f, `{"list_id":"`+idA.String()+`","user_data":null}`, `{"action":"attach","list_id":"`+idA.String()+`","face_ids":["`+idB.String()+`"]}`)
	f.Fuzz(func(t *testing.T, packed bool, body []byte) {
		format := formatOf(packed)
		_, err := d.List(format, body)
		checkFault(t, format, body, err)
		if patch, err := d.ListPatch(format, body); err == nil {
			_ = patch(&matcher.List{ID: idA})
		}
		if patch, err := d.FacePatch(format, body); err == nil {
			_ = patch(fullFace())
		}
		if link, err := d.Linker(format, body); err == nil && (link.ListID.IsZero() || len(link.FaceIDs) == 0) {
			t.Fatalf("%+v", link)
		}
	})
}

// FuzzClient reads answers of a broken or hostile server. Accepted answers hold
// only values that the client may rely on.
func FuzzClient(f *testing.F) {
	d := newDecoder(f)
	face := string(AppendObject(nil, JSON, fullFace(), nil, BinaryDescriptors))
	event := string(AppendObject(nil, JSON, fullEvent(), nil, BinaryDescriptors))
	seeds(f, `{"error_code":5,"desc":""}`, `{"faces":[`+face+`],"count":3}`, `{"events":[`+event+`],"x":{},"count":1}`, event,
		`{"attribute_id":`+textA+`,"age":null,"descriptor":{"version":77,"data":""}}`,
		`[{"reference":{"id":"x"},"matches":[{"result":[{"face":{"age":1},"distance":1}],"plan":{"matchers":[{"cost":null,"chosen":true}],"prefilters":[{"ms":0.5}],"shared_with":7}}]}]`)
	f.Fuzz(func(t *testing.T, packed bool, body []byte) {
		format := formatOf(packed)
		answer, err := ParseAnswer(format, body)
		checkFault(t, format, body, err)
		for _, item := range answer {
			for _, set := range item.Matches {
				for _, row := range set.Rows {
					if !(row.Similarity >= 0 && row.Similarity <= 1 && row.Distance >= 0) || row.Object.Origin >= matcher.Origins || hasDescriptor(&row.Object) {
						t.Fatalf("%+v", row)
					}
				}
			}
		}
		_, err = ParseError(format, body)
		if err == nil && answer != nil {
			t.Fatal("the body is accepted as an answer and as an error")
		}
		for o := range matcher.Origins {
			objects, _, err := d.ParseObjects(format, o, body)
			checkFault(t, format, body, err)
			for i := range objects {
				checkStored(t, d, o, &objects[i])
			}
			obj, err := d.ParseObject(format, o, body)
			checkFault(t, format, body, err)
			if err == nil {
				checkStored(t, d, o, &obj)
			}
		}
	})
}

// checkStored checks an object of a server: it has an ID and valid descriptors,
// and writing and reading it gives the same object.
func checkStored(t *testing.T, d *Decoder, o matcher.Origin, obj *matcher.Object) {
	t.Helper()
	if obj.Origin != o || obj.ID.IsZero() {
		t.Fatalf("%+v", obj)
	}
	for kind, descriptor := range obj.Descriptors {
		if descriptor.IsZero() {
			continue
		}
		if v, err := d.Registry.Check(descriptor); err != nil || v.Type != matcher.DescriptorType(kind) {
			t.Fatal(err, v)
		}
	}
	line := AppendObject(nil, JSON, obj, nil, BinaryDescriptors)
	for _, f := range []Format{JSON, MessagePack} {
		again, err := d.ParseObject(f, o, AppendObject(nil, f, obj, nil, BinaryDescriptors))
		if second := AppendObject(nil, JSON, &again, nil, BinaryDescriptors); err != nil || string(second) != string(line) {
			t.Fatalf("%v\n%s\n%s", err, line, second)
		}
	}
}
