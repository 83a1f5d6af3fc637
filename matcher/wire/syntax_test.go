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
			t.Errorf("%q is valid", body)
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
	check("\ufeff{}", "byte 0: invalid character")
	check("[\"a\xff\"]", "byte 3: not UTF-8")
	check("[\"\xed\xa0\x80\"]", "byte 2: not UTF-8") // a surrogate
	check("{\"\xc0\x80\":1}", "byte 2: not UTF-8")   // overlong
	check(strings.Repeat("[", 33)+strings.Repeat("]", 33), "byte 32: nested deeper than 32")
	check(strings.Repeat(`{"a":`, 1e6), "nested deeper than 32")
	check(strings.Repeat("[", 1e6), "byte 32: nested deeper than 32")

	if err := parse(JSON, []byte(strings.Repeat("[", 32)+strings.Repeat("]", 32))); err != nil {
		t.Error(err)
	}
	if err := parse(JSON, []byte(" \t\r\n[\"\\u0000\\n\\\"\\\\\u007f\"]\n")); err != nil {
		t.Error(err)
	}
}

func TestMessagePackSyntax(t *testing.T) {
	check := func(body string, code matcher.Code, detail string) {
		t.Helper()
		refused(t, parse(MessagePack, []byte(body)), code, detail)
	}
	check("", matcher.CodeSyntax, "byte 0: unexpected end of MessagePack input")
	check("\xc1", matcher.CodeSyntax, "byte 0: 0xc1 begins no value")
	check("\x81\xa1a\xc1", matcher.CodeSyntax, "byte 3: 0xc1 begins no value")
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
			t.Errorf("%q: %d bytes allocated", shorten(body), n)
		}
	}
	check("\xdd\xff\xff\xff\xff", matcher.CodeSyntax, "byte 0: 4294967295 elements are declared, but 0 bytes follow")
	check("\xdf\xff\xff\xff\xff", matcher.CodeSyntax, "byte 0: 4294967295 elements are declared, but 0 bytes follow")
	check("\xdc\xff\xff\x01", matcher.CodeSyntax, "byte 0: 65535 elements")
	check("\xdb\xff\xff\xff\xff", matcher.CodeSyntax, "unexpected end")
	check("\xc6\xff\xff\xff\xff", matcher.CodeSyntax, "unexpected end")
	check("\xc9\xff\xff\xff\xff\x05", matcher.CodeBadInput, "extension types are not accepted")
	check(strings.Repeat("\x91", 33)+"\x01", matcher.CodeSyntax, "byte 32: nested deeper than 32")
	check(strings.Repeat("\x91", 1e6)+"\x01", matcher.CodeSyntax, "nested deeper than 32")
	check(strings.Repeat("\x81\xa1a", 1e5)+"\x01", matcher.CodeSyntax, "nested deeper than 32")
	check(strings.Repeat("\xdd\x00\x00\x00\x05", 1e5), matcher.CodeSyntax, "nested deeper than 32")
	check("\x91\xa2a\xff", matcher.CodeSyntax, "byte 3: not UTF-8")
	check("\x81\xa1\xff\x01", matcher.CodeSyntax, "byte 2: not UTF-8")
	check("\x81\x01\x01", matcher.CodeBadInput, "byte 1: a key of type int")
	check("\x81\xc4\x01a\x01", matcher.CodeBadInput, "byte 1: a key of type bin")
	check("\x91\xd6\xff\x00\x00\x00\x00", matcher.CodeBadInput, "byte 1: extension types are not accepted; times are text")

	if err := parse(MessagePack, []byte(strings.Repeat("\x91", 32)+"\x01")); err != nil {
		t.Error(err)
	}
}

// Numbers that no field takes are refused where they stand.
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
			body = append(body, packed[:len(packed)-1]...) // the 1 comes last
			body = append(body, number...)
		}
		_, err := d.Match(f, body, matcher.FaceDescriptor)
		refused(t, err, matcher.CodeBadInput, "candidates[0]."+detail)
	}
	pack := func(f float64) []byte { return msgp.AppendFloat64(nil, f) }
	check(JSON, "threshold", []byte("1e999"), "threshold: 1e999 is not a number of 0..1")
	check(JSON, "threshold", []byte("-"+strings.Repeat("9", 500)), "threshold: -99999999")
	check(JSON, "limit", []byte("1e999"), "limit: 1e999 is not a whole number")
	check(JSON, "label", []byte("1e999"), "label: +Inf is not a finite number")
	check(MessagePack, "threshold", pack(nan()), "threshold: NaN is not a number of 0..1")
	check(MessagePack, "limit", pack(nan()), "limit: NaN is not a whole number")
	check(MessagePack, "label", pack(nan()), "label: NaN is not a finite number")
}

func TestDuplicateKeys(t *testing.T) {
	d := newDecoder(t)
	check := func(doc, detail string) {
		t.Helper()
		_, err := d.Match(JSON, []byte(doc), matcher.FaceDescriptor)
		refused(t, err, matcher.CodeBadInput, detail)
	}
	check(`{"references":[`+rawRef+`],"references":[]}`, "references: given twice")
	check(`{"references":[{"type":"face","type":"face"}]}`, "references[0].type: given twice")
	check(matchBody(rawRef, `{"limit":1,"filters":{"origin":"faces"},"limit":1}`), "candidates[0].limit: given twice")
	check(matchBody(rawRef, `{"filters":{"origin":"faces","origin":"faces"}}`), "candidates[0].filters.origin: given twice")
	check(matchBody(rawRef, `{"filters":{"origin":"faces","orig\u0069n":"faces"}}`), "candidates[0].filters.origin: given twice")
	packed := append([]byte("\x82"), strings.Repeat("\xa7list_id\xd9\x24"+idA.String(), 2)...)
	_, err := d.List(MessagePack, packed)
	refused(t, err, matcher.CodeBadInput, "list_id: given twice")
}

// Every proper prefix of a body is malformed, whatever it is.
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

// What a request keeps does not hold its body in memory.
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
	runtime.GC() // twice: a pool gives up what it holds only then
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > padding {
		t.Errorf("%d requests keep %d bytes", len(kept), n)
	}
	runtime.KeepAlive(kept)
}

// plain is checked against a plain loop at every length and position.
func TestPlain(t *testing.T) {
	for n := range 40 {
		for at := range n {
			for _, c := range []byte{'"', '\\', 0, 9, 31} {
				for _, other := range []byte{' ', '!', '#', '[', ']', 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
					b := []byte(strings.Repeat(string([]byte{other}), n))
					b[at] = c
					if got := plain(b); got != at {
						t.Fatalf("plain(%q) = %d, want %d", b, got, at)
					}
					if got := plain(b[:at]); got != at {
						t.Fatalf("plain(%q) = %d, want %d", b[:at], got, at)
					}
				}
			}
		}
	}
}

// Strings read as encoding/json reads them, escapes and surrogates included.
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
		if (err == nil) != (own == nil) {
			t.Fatalf("%s: %v, encoding/json %v", text, own, err)
		}
		if err == nil && !reflect.DeepEqual(plainValue(t, JSON, inJSON(got)), want) {
			t.Fatalf("%s: %s, want %q", text, inJSON(got), want)
		}
	}
}

// A tape in the pool does not hold the body that it was made of.
func TestReleaseForgets(t *testing.T) {
	tape := newTape()
	if err := tape.parseJSON([]byte(`["body"]`)); err != nil {
		t.Fatal(err)
	}
	nodes := tape.nodes
	tape.release()
	if nodes[1].text != "" {
		t.Errorf("%q is still held", nodes[1].text)
	}
}
