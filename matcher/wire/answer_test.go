package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"math/big"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"nearside/matcher"
)

// plainValue reads an answer with independent decoders. Numbers become float64,
// binary data becomes base64 text.
func plainValue(t testing.TB, f Format, answer []byte) any {
	t.Helper()
	var v any
	if f == JSON {
		if err := json.Unmarshal(answer, &v); err != nil {
			t.Fatalf("%v\n%s", err, answer)
		}
		return v
	}
	v, rest, err := msgp.ReadIntfBytes(answer)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d bytes left", err, len(rest))
	}
	return simplify(v)
}

func simplify(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case []any:
		for i := range v {
			v[i] = simplify(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = simplify(v[key])
		}
	}
	return v
}

// golden checks the text of an answer in JSON and its content in MessagePack, and
// that write appends both.
func golden(t *testing.T, write func([]byte, Format) []byte, want string) {
	t.Helper()
	got := write([]byte("before"), JSON)
	if string(got) != "before"+want {
		t.Errorf("got\n%s\nwant\n%s", got[len("before"):], want)
	}
	packed, ok := bytes.CutPrefix(write([]byte("before"), MessagePack), []byte("before"))
	if !ok {
		t.Fatal("not appended")
	}
	if diff := cmp.Diff(plainValue(t, JSON, []byte(want)), plainValue(t, MessagePack, packed)); diff != "" {
		t.Error(diff)
	}
}

func fullFace() *matcher.Object {
	return &matcher.Object{
		ID: idA, Account: idB, EventID: idB, ExternalID: "e", UserData: "<u>\"é\u2028\x01\n", Avatar: "a", CreateTime: 1777593600001,
		Lists: []matcher.ID{idA, idB}, Age: matcher.SmallOf(0), Gender: matcher.SmallOf(1), EthnicGroup: matcher.SmallOf(255),
		Descriptors: [matcher.DescriptorTypes]matcher.Descriptor{{Version: 1001, Data: []byte{1, 2, 3, 4}}},
	}
}

const (
	textA    = `"0a000000-0000-4000-8000-00000000000a"`
	textB    = `"0b000000-0000-4000-8000-00000000000b"`
	fullText = `{"face_id":` + textA + `,"account_id":` + textB + `,"external_id":"e","user_data":"<u>\"é` + "\u2028" + `\u0001\n","event_id":` + textB +
		`,"create_time":"2026-05-01T00:00:00.001Z","avatar":"a","lists":[` + textA + `,` + textB + `],"age":0,"gender":1,"ethnic_group":255`
	emptyText = `{"face_id":` + textB + `,"create_time":"1970-01-01T00:00:00.000Z","lists":[]}`
)

func TestAppendObject(t *testing.T) {
	check := func(obj *matcher.Object, targets []string, form DescriptorForm, want string) {
		t.Helper()
		golden(t, func(dst []byte, f Format) []byte { return AppendObject(dst, f, obj, targets, form) }, want)
	}
	empty := &matcher.Object{ID: idB}
	check(fullFace(), nil, NoDescriptors, fullText+"}")
	check(fullFace(), nil, BinaryDescriptors, fullText+`,"descriptor":{"version":1001,"data":"AQIDBA=="}}`)
	check(empty, nil, BinaryDescriptors, emptyText)
	check(fullFace(), []string{}, NoDescriptors, `{"face_id":`+textA+`}`)
	check(fullFace(), []string{"gender", "age", "distance"}, NoDescriptors, `{"face_id":`+textA+`,"age":0,"gender":1}`)
	check(empty, []string{"lists", "age"}, NoDescriptors, `{"face_id":`+textB+`,"lists":[]}`)

	golden(t, func(dst []byte, f Format) []byte {
		return AppendObjects(dst, f, matcher.Faces, []*matcher.Object{fullFace(), empty}, nil, NoDescriptors, 7)
	}, `{"faces":[`+fullText+`},`+emptyText+`],"count":7}`)
	golden(t, func(dst []byte, f Format) []byte {
		return AppendObjects(dst, f, matcher.Faces, nil, nil, NoDescriptors, 0)
	}, `{"faces":[],"count":0}`)
	list := ListAnswer{List: matcher.List{ID: idA, Account: idB, UserData: "u"}, FaceCount: 3}
	listText := `{"list_id":` + textA + `,"account_id":` + textB + `,"user_data":"u","create_time":"1970-01-01T00:00:00.000Z","face_count":3}`
	golden(t, func(dst []byte, f Format) []byte { return AppendList(dst, f, list) }, listText)
	golden(t, func(dst []byte, f Format) []byte {
		return AppendLists(dst, f, []ListAnswer{list, {List: matcher.List{ID: idB}}}, 2)
	}, `{"lists":[`+listText+`,{"list_id":`+textB+`,"create_time":"1970-01-01T00:00:00.000Z","face_count":0}],"count":2}`)
}

// TestExportImport: an import of an exported line gives the same face.
func TestExportImport(t *testing.T) {
	face := fullFace()
	in, err := newDecoder(t).Lines(matcher.Faces).Decode(AppendObject(nil, JSON, face, nil, BinaryDescriptors))
	if diff := cmp.Diff(&ObjectInput{Object: *face, HasID: true, HasLists: true, HasTime: true, HasAccount: true}, in); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestAppendMatches(t *testing.T) {
	d := newDecoder(t)
	req, err := d.Match(JSON, []byte(`{"references":[`+rawRef+`,{"type":"face_external_id","id":"e"}],"candidates":[
		{"filters":{"origin":"faces","external_ids":["\u00e9"],"age__gte":1.0},"label":{"b":null,"a":[1,18446744073709551615,-1e-7,"x"]}},
		{"label":false,"targets":["distance","age"],"filters":{"origin":"faces"}}]}`), matcher.FaceDescriptor)
	if err != nil {
		t.Fatal(err)
	}
	refs := append([]matcher.Reference(nil), req.References...)
	refs[1].ObjectID = idB
	full := matcher.Match{ID: idA, Distance: 0.4765625, Similarity: 1, Object: fullFace()}
	withoutObject := matcher.Match{ID: idB, Distance: 1e-9, Similarity: 1e21}
	results := [][]matcher.Result{{{Matches: []matcher.Match{full, withoutObject}}, {Matches: []matcher.Match{full}}}, {{}, {}}}
	plan := &Plan{
		Matchers:     []PlanMatcher{{Name: "memory", Cost: 100, Chosen: true}, {Name: "far", Cost: math.Inf(1), Reason: "down"}},
		Prefilters:   []PlanPrefilter{{Plugin: "p", Before: 3, After: 2, Milliseconds: 0.5}},
		RowsSelected: 4, RowsOtherVersion: 1, RowsScanned: 3, Kernel: "generic", SharedWith: 2, Milliseconds: 1.25,
	}
	planText := `,"plan":{"matchers":[{"name":"memory","cost":100,"chosen":true,"reason":""},{"name":"far","cost":null,"chosen":false,"reason":"down"}],` +
		`"prefilters":[{"plugin":"p","before":3,"after":2,"ms":0.5}],"rows_selected":4,"rows_other_version":1,"rows_scanned":3,` +
		`"kernel":"generic","shared_with":2,"ms":1.25}`
	answer := func(plan string) string {
		setA := `{"filters":{"origin":"faces","external_ids":["é"],"age__gte":1},"label":{"b":null,"a":[1,18446744073709551615,-1e-7,"x"]},"result":[`
		setB := `{"filters":{"origin":"faces"},"label":false,"result":[`
		return `[{"reference":{"type":"raw_descriptor","id":"p"},"matches":[` +
			setA + `{"face":` + fullText + `},"similarity":1,"distance":0.4765625},{"face":{"face_id":` + textB + `},"similarity":1e+21,"distance":1e-9}]` + plan + `},` +
			setB + `{"face":{"face_id":` + textA + `,"age":0},"distance":0.4765625}]` + plan + `}]},` +
			`{"reference":{"type":"face_external_id","id":"e","object_id":` + textB + `},"matches":[` + setA + `]` + plan + `},` + setB + `]` + plan + `}]}]`
	}
	golden(t, func(dst []byte, f Format) []byte { return AppendMatches(dst, f, req, refs, results, nil) }, answer(""))
	plans := [][]*Plan{{plan, plan}, {plan, plan}}
	golden(t, func(dst []byte, f Format) []byte { return AppendMatches(dst, f, req, refs, results, plans) }, answer(planText))
}

func TestAppendRaw(t *testing.T) {
	req := &RawRequest{
		References: []matcher.Reference{{Type: matcher.RefRaw}},
		Candidates: []matcher.Reference{{Type: matcher.RefSDK, ID: "a"}, {Type: matcher.RefRaw, ID: "b"}},
	}
	results := [][]RawResult{{{Similarity: 0.5, Distance: 2}, {Similarity: 1, Distance: 0}}}
	row := func(typ, id, sim, dist string) string {
		return `{"result":{"candidate":{"type":"` + typ + `","id":"` + id + `"},"similarity":` + sim + `,"distance":` + dist + `}}`
	}
	want := `[{"reference":{"type":"raw_descriptor","id":""},"matches":[` + row("sdk_descriptor", "a", "0.5", "2") + `,` + row("raw_descriptor", "b", "1", "0") + `]`
	golden(t, func(dst []byte, f Format) []byte { return AppendRaw(dst, f, req, results, nil) }, want+"}]")
	golden(t, func(dst []byte, f Format) []byte { return AppendRaw(dst, f, req, results, []*Plan{{Kernel: "avx2"}}) },
		want+`,"plan":{"matchers":[],"prefilters":[],"rows_selected":0,"rows_other_version":0,"rows_scanned":0,"kernel":"avx2","shared_with":0,"ms":0}}]`)
}

func TestAppendValue(t *testing.T) {
	golden(t, func(dst []byte, f Format) []byte {
		return AppendValue(dst, f, map[string]any{
			"face_id": idA, "time": matcher.Time(0), "n": 5, "list": []any{nil, true, -1.5, "x", []byte{1}}, "ids": []matcher.ID{idB},
			"none": []string{}, "rows": []map[string]any{{"a": uint64(math.MaxUint64)}}, "error": int64(-1), "v": uint32(59),
		})
	}, `{"error":-1,"face_id":`+textA+`,"ids":[`+textB+`],"list":[null,true,-1.5,"x","AQ=="],"n":5,"none":[],"rows":[{"a":18446744073709551615}],`+
		`"time":"1970-01-01T00:00:00.000Z","v":59}`)
	golden(t, func(dst []byte, f Format) []byte {
		return AppendError(dst, f, matcher.CodeBadInput, "d", "x: \"y\"", "/l")
	},
		`{"error_code":12022,"desc":"d","detail":"x: \"y\"","link":"/l"}`)
}

// TestManyKeys: MessagePack objects with any number of keys have the right header,
// also around other objects.
func TestManyKeys(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 300, 66_000} {
		inner := map[string]any{}
		for i := range n {
			inner[matcher.Time(i).String()] = i
		}
		v := map[string]any{"a": []any{inner, "last"}}
		got := plainValue(t, MessagePack, AppendValue(nil, MessagePack, v))
		if diff := cmp.Diff(plainValue(t, JSON, AppendValue(nil, JSON, v)), got); diff != "" {
			t.Error(n, diff)
		}
	}
}

// TestJSONScalars: encoding/json reads the strings and numbers that are written.
func TestJSONScalars(t *testing.T) {
	rng := seeded(1)
	for range 20_000 {
		b := make([]byte, rng.IntN(12))
		for i := range b {
			b[i] = byte(rng.Uint32())
			if rng.IntN(2) == 0 {
				b[i] &= 0x3f
			}
		}
		var s string
		if err := json.Unmarshal(appendJSONString(nil, string(b)), &s); err != nil || s != string([]rune(string(b))) || !utf8.ValidString(s) {
			t.Fatalf("%q: %q, %v", b, s, err)
		}
		f := math.Float64frombits(rng.Uint64())
		if rng.IntN(2) == 0 {
			f = math.Pow(10, float64(rng.IntN(50)-25)) * rng.Float64()
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		want, err := json.Marshal(f)
		if a := math.Abs(f); a >= 1<<53 && a < 1e21 { // all digits, because readers treat it as an exact integer
			want = []byte(big.NewFloat(f).Text('f', 0))
		}
		if got := appendJSONFloat(nil, f); err != nil || string(got) != string(want) {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

// TestValueSize: a value needs at most Size bytes in an answer.
func TestValueSize(t *testing.T) {
	d := newDecoder(t)
	for _, label := range []string{`null`, `"text"`, `-9223372036854775808`, `1.7976931348623157e308`, `[[],{},true,"x",{"key":-1.2345678901234567e-300}]`} {
		req, err := d.Match(JSON, []byte(`{"references":[{"type":"face_external_id","id":"x"}],"candidates":[{"filters":{"origin":"faces"},"label":`+label+`}]}`), matcher.FaceDescriptor)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []Format{JSON, MessagePack} {
			w := NewWriter(nil, f)
			w.Value(req.Candidates[0].Label)
			if n := len(w.Done()); n > req.Candidates[0].Label.Size() {
				t.Errorf("%s needs %d bytes, Size is %d", label, n, req.Candidates[0].Label.Size())
			}
		}
	}
}
