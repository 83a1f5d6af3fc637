package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"nearside/matcher"
)

// checkPlain checks fillPlain against the parser of bodies: it accepts only what that
// parser accepts, and both make the same nodes. It reports whether fillPlain accepted
// the text.
func checkPlain(t *testing.T, text []byte) bool {
	t.Helper()
	var plain, full tape
	before := bytes.Clone(text)
	ok := plain.fillPlain(text)
	if !bytes.Equal(text, before) {
		t.Fatalf("%q was changed to %q", before, text)
	}
	err := full.parseJSON(text)
	switch {
	case !ok && (len(plain.nodes) > 0 || plain.depth > 0):
		t.Fatalf("%q: the tape is not empty", text)
	case ok && err != nil:
		t.Fatalf("%q: accepted, but the parser of bodies finds: %v", text, err)
	case ok && (plain.depth > 0 || !reflect.DeepEqual(plain.nodes, full.nodes)):
		t.Fatalf("%q:\n%+v\nwant\n%+v", text, plain.nodes, full.nodes)
	case !ok && err == nil && !bytes.ContainsRune(text, '\\') && !bytes.HasPrefix(text, []byte("\uFEFF")) && len(full.nodes) <= plainNodesMax:
		t.Fatalf("%q: not accepted", text)
	}
	return ok
}

// TestPlainJSON checks fillPlain on random documents, on documents with a changed byte,
// and on documents that are cut short.
func TestPlainJSON(t *testing.T) {
	g := generator{seeded(4), newDecoder(t)}
	accepted := 0
	for range 3000 {
		text, err := json.Marshal(map[string]any{"event": g.event(), "junk": g.junk(4), "set": g.set()})
		if err != nil {
			t.Fatal(err)
		}
		if checkPlain(t, text) {
			accepted++
		}
		checkPlain(t, text[:g.IntN(len(text))])
		for range 10 {
			const hostile = "\"\\{}[],: \n\x000-.eEtfn\x80\xc3\xff"
			changed := bytes.Clone(text)
			changed[g.IntN(len(text))] = hostile[g.IntN(len(hostile))]
			checkPlain(t, changed)
			checkPlain(t, slices.Insert(changed, g.IntN(len(text)), hostile[g.IntN(len(hostile))]))
		}
	}
	if accepted < 500 {
		t.Errorf("only %d of 3000 documents were accepted", accepted)
	}
}

func TestPlainJSONLimits(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, " ": false, "5": true, ` {"a" : [ 1 , -2.5e3, true,false , null, "" ] } `: true,
		"[] ]": false, "[1,]": false, "{,}": false, `{"a":1,}`: false, `{"a"}`: false, "[01]": false, "[1.]": false, "[-]": false,
		"[999999999999999999,9999999999999999999,99999999999999999999,-0]": true,
		"[\"\x1f\"]": false, "[\"é\"]": true, "[\"\xc3\"]": false, `["\n"]`: false, `["\ud800"]`: false, "nul": false, "[truefalse]": false,
		strings.Repeat("[", depthMax) + strings.Repeat("]", depthMax):     true,
		strings.Repeat("[", depthMax+1) + strings.Repeat("]", depthMax+1): false,
		"[1" + strings.Repeat(",1", plainNodesMax-2) + "]":                true,
		"[1" + strings.Repeat(",1", plainNodesMax-1) + "]":                false,
	} {
		if got := checkPlain(t, []byte(text)); got != want {
			t.Errorf("%s: accepted: %v", matcher.Shorten(text), got)
		}
	}
}

func FuzzPlainJSON(f *testing.F) {
	f.Add([]byte("{" + faceOfEvent + "}"))
	f.Add([]byte(`[1e999,-0,01,1.,"\"]`))
	f.Add([]byte(`{"a" : [1 ,2.5, true,null],"é":"\u00e9"}`))
	f.Fuzz(func(t *testing.T, text []byte) { checkPlain(t, text) })
}

// TestLineSharesNoMemory checks that objects and errors stay the same when the memory of
// their line gets other contents, and that a line is decoded as a body is.
func TestLineSharesNoMemory(t *testing.T) {
	g := generator{seeded(5), newDecoder(t)}
	lines := g.d.Lines(matcher.Events)
	good, bad := 0, 0
	for range 3000 {
		text, err := json.Marshal(g.event())
		if err != nil {
			t.Fatal(err)
		}
		buffer := bytes.Clone(text)
		got, gotErr := lines.Decode(buffer)
		for i := range buffer {
			buffer[i] = '#'
		}
		want, wantErr := g.d.Object(matcher.Events, JSON, text)
		if wantErr != nil {
			if bad++; gotErr == nil || gotErr.Error() != strings.TrimPrefix(wantErr.Error(), "body: ") || matcher.CodeOf(gotErr) != matcher.CodeOf(wantErr) {
				t.Fatalf("%s: %v\nwant %v", text, gotErr, wantErr)
			}
			continue
		}
		if good++; gotErr != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %v\n%+v\nwant\n%+v", text, gotErr, got, want)
		}
	}
	if good < 300 || bad < 300 {
		t.Errorf("%d good events, %d bad ones", good, bad)
	}
	face := fullFace()
	line := AppendLine(nil, face, map[matcher.ID]matcher.ID{face.Lists[0]: idB}, BinaryDescriptors)
	in, err := g.d.Lines(matcher.Faces).Decode(line)
	if err != nil {
		t.Fatal(err)
	}
	clear(line)
	if again := AppendObject(nil, JSON, &in.Object, nil, BinaryDescriptors); !utf8.Valid(again) || !bytes.Equal(again, AppendObject(nil, JSON, face, nil, BinaryDescriptors)) {
		t.Errorf("%s", again)
	}
}
