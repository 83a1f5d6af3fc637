package wire

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"nearside/matcher"
)

func parse(f Format, body []byte) error {
	d := Decoder{}
	return d.decode(f, body, func(value) error { return nil })
}

func TestJSONSyntax(t *testing.T) {
	check := func(body, detail string) {
		t.Helper()
		if json.Valid([]byte(body)) && strings.ToValidUTF8(body, "") == body && !strings.Contains(detail, "deeper") {
			t.Errorf("encoding/json accepts %q", body)
		}
		refused(t, parse(JSON, []byte(body)), matcher.CodeSyntax, detail)
	}
	check("", "body: byte 0: unexpected end")
	check("  ", "byte 2: unexpected end")
	check("{", "byte 1: unexpected end")
	check(`{"a":1} x`, "byte 8: more bytes after the outermost value")
	check(`{"a":1}{`, "byte 7: more bytes after")
	check(`5 6`, "byte 2: invalid character '6'")
	check(`{"a":1,}`, "byte 7: invalid character '}'")
	check(`[1,]`, "byte 3: invalid character ']'")
	check(`[01]`, "byte 2: invalid character '1'")
	check(`[1.]`, "byte 3: invalid character ']'")
	check(`[.5]`, "byte 1: invalid character '.'")
	check(`[+1]`, "byte 1: invalid character '+'")
	check(`[NaN]`, "byte 1: invalid character 'N'")
	check(`{'a':1}`, `byte 1: invalid character '\''`)
	check(`{a:1}`, "byte 1: invalid character 'a'")
	check(`{"a" 1}`, "byte 5: invalid character '1'")
	check(`{"a":tru}`, "byte 8: invalid character '}'")
	check(`["\x"]`, "byte 3: invalid character 'x'")
	check(`["\u12"]`, "byte 6: invalid character '\"'")
	check("[\"a\nb\"]", "byte 3: control character 0x0a in a string")
	check("[\"a\\\nb\"]", "byte 4: control character 0x0a in a string")
	check("[\"0123456789\x1f\"]", "byte 12: control character 0x1f in a string")
	check("[1\x00]", "byte 2: invalid character")
	check("[]]", "byte 2: more bytes")
	check("]", "byte 0: invalid character ']'")
	check("[}", "byte 1: invalid character '}'")
	check("\ufeff{]", "byte 4: invalid character") // offsets count the byte order mark
	check("{\ufeff}", "byte 1: invalid character")
	check("[\"a\xff\"]", "byte 3: not UTF-8")
	check("[\"\xed\xa0\x80\"]", "byte 2: not UTF-8") // a surrogate
	check("{\"\xc0\x80\":1}", "byte 2: not UTF-8")   // overlong
	check(strings.Repeat("[", 33)+strings.Repeat("]", 33), "byte 32: nested deeper than 32 levels")
	check(strings.Repeat(`{"a":`, 1e6), "nested deeper than 32 levels")
	check(strings.Repeat("[", 1e6), "byte 32: nested deeper than 32 levels")

	if err := parse(JSON, []byte(strings.Repeat("[", 32)+strings.Repeat("]", 32))); err != nil {
		t.Error(err)
	}
	if err := parse(JSON, []byte(" \t\r\n[\"\\u0000\\n\\\"\\\\\u007f\"]\n")); err != nil {
		t.Error(err)
	}
}

// TestJSONSyntaxPath: the error for malformed JSON has the path of the value, or
// of the object if its key is wrong.
func TestJSONSyntaxPath(t *testing.T) {
	for body, detail := range map[string]string{
		`{"a":{"b":["x","\q"]}}`:                         `a.b[1]: byte 17: invalid character 'q' in string escape code`,
		`{"a":1,"b":{"c":[1,{"d":"\ud800"}]}}`:           `b.c[1].d: byte 25: \ud800 is half of a surrogate pair`,
		`{"a":1,"b":{"c":[1,{"\ud800":1}]}}`:             `b.c[1]: byte 21: \ud800 is half`,
		"{\"a\":[[],{},\"]\\\"[,{\",\"\xff\"]}":          "a[3]: byte 22: not UTF-8: ",
		"{\"a\":{\"b\":{},\"\xff\":1}}":                  "a: byte 14: not UTF-8: ",
		"[{\"a\":\"x\ty\"}]":                             "body[0].a: byte 8: control character 0x09",
		`{"a":[1,2 3]}`:                                  `a[1]: byte 10: invalid character '3'`,
		`{"a" 1}`:                                        `a: byte 5: invalid character '1'`,
		`{"a":{"b":1 "c"}}`:                              `a.b: byte 12: invalid character '"'`,
		`{"a":{"b":1,}}`:                                 `a: byte 12: invalid character '}'`,
		`{"a":[tru]}`:                                    `a[0]: byte 9: invalid character ']'`,
		`{"a":[0,1`:                                      `a[1]: byte 9: unexpected end`,
		`{"orig\u0069n":[{"\"":-}]}`:                     `origin[0].": byte 23: invalid character '}'`,
		`{"a":` + strings.Repeat("[", 40):                `a` + strings.Repeat("[0]", 31) + `: byte 36: nested deeper than 32 levels`,
		strings.Repeat("[", 40) + "\"\xff\"":             `body` + strings.Repeat("[0]", 32) + `: byte 41: not UTF-8`,
		`{"a":[{"` + strings.Repeat("k", 100) + `":x}]}`: `a[0].` + strings.Repeat("k", 61) + `...: byte 110: invalid`,
		`{"a":1} x`:                                      "body: byte 8: more bytes",
	} {
		err := parse(JSON, []byte(body))
		refused(t, err, matcher.CodeSyntax, detail)
		if !strings.HasPrefix(err.Error(), detail) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestMessagePackSyntax(t *testing.T) {
	check := func(body string, code matcher.Code, detail string) {
		t.Helper()
		refused(t, parse(MessagePack, []byte(body)), code, detail)
	}
	check("", matcher.CodeSyntax, "byte 0: unexpected end of MessagePack input")
	check("\xc1", matcher.CodeSyntax, "byte 0: no value begins with 0xc1")
	check("\x81\xa1a\xc1", matcher.CodeSyntax, "byte 3: no value begins with 0xc1")
	check("\x80\x80", matcher.CodeSyntax, "byte 1: more bytes after the outermost value")
	check("\x81\xa1a", matcher.CodeSyntax, "byte 3: unexpected end of MessagePack input")
}

func TestMessagePackBounds(t *testing.T) {
	check := func(body string, code matcher.Code, detail string) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := parse(MessagePack, []byte(body))
		runtime.ReadMemStats(&after)
		refused(t, err, code, detail)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20+8*uint64(len(body)) {
			t.Errorf("%q: %d bytes allocated", matcher.Shorten(body), n)
		}
	}
	check("\xdd\xff\xff\xff\xff", matcher.CodeSyntax, "byte 0: 4294967295 elements are declared, but 0 bytes follow")
	check("\xdf\xff\xff\xff\xff", matcher.CodeSyntax, "byte 0: 4294967295 elements are declared, but 0 bytes follow")
	check("\xdc\xff\xff\x01", matcher.CodeSyntax, "byte 0: 65535 elements")
	check("\xdb\xff\xff\xff\xff", matcher.CodeSyntax, "unexpected end")
	check("\xc6\xff\xff\xff\xff", matcher.CodeSyntax, "unexpected end")
	check("\xc9\xff\xff\xff\xff\x05", matcher.CodeBadInput, "body: byte 0: a value of an extension type is not accepted; times are text")
	check(strings.Repeat("\x91", 33)+"\x01", matcher.CodeSyntax, "byte 32: nested deeper than 32 levels")
	check(strings.Repeat("\x91", 1e6)+"\x01", matcher.CodeSyntax, "nested deeper than 32 levels")
	check(strings.Repeat("\x81\xa1a", 1e5)+"\x01", matcher.CodeSyntax, "nested deeper than 32 levels")
	check(strings.Repeat("\xdd\x00\x00\x00\x05", 1e5), matcher.CodeSyntax, "nested deeper than 32 levels")
	check("\x91\xa2a\xff", matcher.CodeSyntax, "byte 3: not UTF-8")
	check("\x81\xa1\xff\x01", matcher.CodeSyntax, "byte 2: not UTF-8")
	check("\x81\x01\x01", matcher.CodeBadInput, "byte 1: a key of type int")
	check("\x81\xc4\x01a\x01", matcher.CodeBadInput, "byte 1: a key of type bin")
	check("\x91\xd6\xff\x00\x00\x00\x00", matcher.CodeBadInput, "body[0]: byte 1: a value of an extension type is not accepted; times are text")
	check("\x81\xa1a\x92\x01\xc1", matcher.CodeSyntax, "a[1]: byte 5: no value begins with 0xc1")
	check("\x81\xa1a\x92\x01", matcher.CodeSyntax, "a: byte 3: 2 elements are declared")
	check("\x81\xa1a\x92\x01\xa5b", matcher.CodeSyntax, "a[1]: byte 7: unexpected end")
	check("\x81\xa1a"+strings.Repeat("\x91", 40), matcher.CodeSyntax, "a"+strings.Repeat("[0]", 31)+": byte 34: nested deeper than 32 levels")
	check("\x81\xa1a\x93\x01\x81\xa1b\x92\x02\xd4\x05\x00\x00", matcher.CodeBadInput, "a[1].b[1]: byte 10: a value of an extension type is not accepted")
	check("\x82\xa1a\x01\xa1b\x81\x01\x01", matcher.CodeBadInput, "b: byte 7: a key of type int is not accepted; keys are text")
	check("\x81\xa1a\x92\x01\xa3x\xffy", matcher.CodeSyntax, `a[1]: byte 7: not UTF-8: "x\xffy"`)
	check("\x81\xa1a\x81\xa2b\xed\x01", matcher.CodeSyntax, `a: byte 6: not UTF-8: "b\xed"`)

	if err := parse(MessagePack, []byte(strings.Repeat("\x91", 32)+"\x01")); err != nil {
		t.Error(err)
	}
}

// TestNotFinite: numbers that are not finite are refused with their path.
func TestNotFinite(t *testing.T) {
	d := newDecoder(t)
	check := func(f Format, field string, number []byte, detail string) {
		t.Helper()
		doc := `{"candidates":[{"filters":{"origin":"faces"},"` + field + `":1}]}`
		var body []byte
		if f == JSON {
			body = []byte(strings.Replace(doc, ":1}", ":"+string(number)+"}", 1))
		} else {
			packed, err := transcode([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			body = append(body, packed[:len(packed)-1]...) // without the 1, the last byte
			body = append(body, number...)
		}
		_, err := d.Match(f, body, matcher.FaceDescriptor)
		refused(t, err, matcher.CodeBadInput, "candidates[0]."+detail)
	}
	pack := func(f float64) []byte { return msgp.AppendFloat64(nil, f) }
	check(JSON, "threshold", []byte("1e999"), "threshold: must be a number from 0 to 1, got 1e999")
	check(JSON, "threshold", []byte("-"+strings.Repeat("9", 500)), "threshold: must be a number from 0 to 1, got -999999999999999999999999999999999999999999999999999999999999...")
	check(JSON, "limit", []byte("1e999"), "limit: must be an integer")
	check(JSON, "label", []byte("1e999"), "label: must be a finite number, got 1e999")
	check(MessagePack, "threshold", pack(nan()), "threshold: must be a number from 0 to 1, got NaN")
	check(MessagePack, "limit", pack(nan()), "limit: must be an integer")
	check(MessagePack, "label", pack(nan()), "label: must be a finite number, got NaN")
}

func TestDuplicateKeys(t *testing.T) {
	d := newDecoder(t)
	check := func(doc, detail string) {
		t.Helper()
		_, err := d.Match(JSON, []byte(doc), matcher.FaceDescriptor)
		refused(t, err, matcher.CodeBadInput, detail)
	}
	check(`{"references":[`+rawRef+`],"references":[]}`, "references: is given twice")
	check(`{"references":[{"type":"face","type":"face"}]}`, "references[0].type: is given twice")
	check(matchBody(rawRef, `{"limit":1,"filters":{"origin":"faces"},"limit":1}`), "candidates[0].limit: is given twice")
	check(matchBody(rawRef, `{"filters":{"origin":"faces","origin":"faces"}}`), "candidates[0].filters.origin: is given twice")
	check(matchBody(rawRef, `{"filters":{"origin":"faces","orig\u0069n":"faces"}}`), "candidates[0].filters.origin: is given twice")
	packed := append([]byte("\x82"), strings.Repeat("\xa7list_id\xd9\x24"+idA.String(), 2)...)
	_, err := d.List(MessagePack, packed)
	refused(t, err, matcher.CodeBadInput, "list_id: is given twice")

	upper := strings.ToUpper(idA.String()) // the same list
	_, err = d.Lines(matcher.Faces).Decode([]byte(`{"lists":[` + textA + `],"list_accounts":{` + textA + `:null,"` + upper + `":` + textB + `},` + faceData + `}`))
	refused(t, err, matcher.CodeBadInput, "list_accounts."+upper+": is given twice")
}

// TestTruncated: every proper prefix of a body is malformed.
func TestTruncated(t *testing.T) {
	d := newDecoder(t)
	doc := matchBody(rawRef, `{"filters":{"origin":"faces","age__lt":7},"label":[null,true,1.5,"\u00e9é"],"targets":["age"]}`)
	packed, err := transcode([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	for f, body := range [][]byte{[]byte(doc), packed} {
		if _, err := d.Match(Format(f), body, matcher.FaceDescriptor); err != nil {
			t.Fatal(err)
		}
		for i := range body {
			_, err := d.Match(Format(f), body[:i], matcher.FaceDescriptor)
			refused(t, err, matcher.CodeSyntax, "byte ")
		}
	}
}

// TestBodyIsNotKept: a decoded request does not keep its body in memory.
func TestBodyIsNotKept(t *testing.T) {
	d := newDecoder(t)
	const padding = 4 << 20
	doc := matchBody(rawRef+`,{"type":"face_external_id","id":"kept"}`,
		`{"filters":{"origin":"faces","user_data":"kept","external_ids":["kept"]},"label":{"kept":"kept"},"targets":["age"]}`)
	packed, err := transcode([]byte(doc[:len(doc)-1] + `,"zz":"` + strings.Repeat(" ", padding) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Match(MessagePack, packed, matcher.FaceDescriptor)
	refused(t, err, matcher.CodeBadInput, "zz: unknown field")

	body := []byte(doc + strings.Repeat(" ", padding))
	var kept []any
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 16 {
		req, err := d.Match(JSON, body, matcher.FaceDescriptor)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, req)
	}
	runtime.GC()
	runtime.GC() // a sync.Pool is empty only after two collections
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > padding {
		t.Errorf("%d requests keep %d bytes", len(kept), n)
	}
	runtime.KeepAlive(kept)
}

// TestPlainLength checks every length and position.
func TestPlainLength(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for _, c := range []byte{'"', '\\', 0, 9, 31} {
				for _, other := range []byte{' ', '!', '#', '[', ']', 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
					b := []byte(strings.Repeat(string([]byte{other}), n))
					b[at] = c
					if got := plainLength(b); got != at {
						t.Fatalf("plainLength(%q) = %d, want %d", b, got, at)
					}
					if got := plainLength(b[:at]); got != at {
						t.Fatalf("plainLength(%q) = %d, want %d", b[:at], got, at)
					}
				}
			}
		}
	}
}

// TestSurrogates: half of a surrogate pair is refused. It is allowed by the JSON
// grammar, but it is not Unicode text.
func TestSurrogates(t *testing.T) {
	check := func(body, detail string) {
		t.Helper()
		refused(t, parse(JSON, []byte(body)), matcher.CodeSyntax, detail)
		if err := CheckSurrogates([]byte(body)); err == nil {
			t.Errorf("%s: CheckSurrogates accepts it", body)
		}
	}
	check(`{"a":"\ud800"}`, `byte 6: \ud800 is half of a surrogate pair`)
	check(`{"\uDFFF":1}`, `byte 2: \uDFFF is half of a surrogate pair`)
	check(`["\ud83dx\ude00"]`, `byte 2: \ud83d is half of a surrogate pair`)
	check(`["\ud83d\ud83d\ude00"]`, `byte 2: \ud83d is half of a surrogate pair`)
	check(`"\udc00"`, `byte 1: \udc00 is half of a surrogate pair`)
	for _, good := range []string{`["\ud83d\ude00"]`, `["\\ud800"]`, `["\u00e9\uffff"]`, `{}`} {
		if err := CheckSurrogates([]byte(good)); err != nil {
			t.Error(good, err)
		}
	}
}

// TestJSONStrings: strings with escapes and surrogate pairs are read as
// encoding/json reads them. Where encoding/json replaces half of a surrogate pair
// by U+FFFD, the decoder refuses it.
func TestJSONStrings(t *testing.T) {
	pieces := []string{
		`a`, `é`, `\n`, `\"`, `\\`, `\/`, `\u0000`, `\u00e9`, `\ud83d`, `\ude00`, `\uD83D\uDE00`, `\ud800`, `\uffff`,
		`\u`, `\x`, `\u12`, `"`, "\n", "\x7f", "\U0001f600", `01234567`, `\b\f`,
	}
	rng := seeded(4)
	for range 20_000 {
		var b strings.Builder
		for range rng.IntN(6) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		text := `"` + b.String() + `"`
		var want any
		err := json.Unmarshal([]byte("["+text+"]"), &want)
		var got Value
		d := Decoder{}
		own := d.decode(JSON, []byte("["+text+"]"), func(v value) (err error) { got, err = v.echo(); return err })
		if err == nil && strings.Contains(want.([]any)[0].(string), "\uFFFD") {
			refused(t, own, matcher.CodeSyntax, "is half of a surrogate pair")
			continue
		}
		if (err == nil) != (own == nil) {
			t.Fatalf("%s: %v, encoding/json %v", text, own, err)
		}
		if err == nil && !reflect.DeepEqual(plainValue(t, JSON, inJSON(got)), want) {
			t.Fatalf("%s: %s, want %q", text, inJSON(got), want)
		}
	}
}

// TestReleaseForgets: a tape in the pool does not keep its body in memory.
func TestReleaseForgets(t *testing.T) {
	tape := newTape()
	if err := tape.parseJSON([]byte(`["body"]`)); err != nil {
		t.Fatal(err)
	}
	nodes := tape.nodes
	tape.release()
	if nodes[1].text != "" {
		t.Errorf("the tape still has %q", nodes[1].text)
	}
}
