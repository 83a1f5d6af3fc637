package server_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"nearside/internal/testkit"
)

// faces checks how many faces are stored.
func (x *service) faces(want int) {
	x.Helper()
	x.call("GET", "/1/faces", "").status(200).part("count", itoa(want))
}

func TestImport(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/import?list_id=00000000-0000-0000-0000-000000000000", "").fault(12022, "list_id: must not be the nil UUID")
	x.call("PUT", "/1/faces/00000000-0000-0000-0000-000000000000", face(0, descriptor(v4, 1, 2, 3, 4))).fault(12022, "face_id: must not be the nil UUID")
	x.call("POST", "/1/import", "").status(200).json(`{"accepted":0,"rejected":0,"errors":[]}`)
	x.call("POST", "/1/import", "\n\r\n  \n").status(200).json(`{"accepted":0,"rejected":0,"errors":[]}`)

	// Blank lines are counted, a line may end with CRLF, and the last line needs no line end.
	good := descriptor(v4, 1, 2, 3, 4)
	x.call("POST", "/1/import", "\n"+face(1, good)+"\r\n\r\n{\n"+face(2, good)+"\n\n"+face(3, descriptor(v4, 1))+"\r\n"+face(4, good)).status(200).
		json(`{"accepted":3,"rejected":2,"errors":[
			{"line":4,"detail":"byte 1: unexpected end of JSON input"},
			{"line":7,"detail":"descriptor.data: version 4 needs 4 bytes, got 1"}]}`)
	x.faces(3)

	// A line replaces the object. Missing IDs and times are created.
	x.call("POST", "/1/import?origin=faces", face(1, descriptor(v4, 9, 9, 9, 9), `,"age":3`)+"\n").status(200).part("accepted", "1")
	x.call("GET", "/1/faces/"+id(1)+"?descriptor=1", "").status(200).part("age", "3").part("descriptor", descriptor(v4, 9, 9, 9, 9))
	x.call("POST", "/1/import", `{"descriptor":`+good+`}`).status(200).part("accepted", "1")
	x.faces(4)
	// Of two lines with the same ID, the last one is stored.
	x.call("POST", "/1/import", face(1, descriptor(v4, 1, 1, 1, 1))+"\n"+face(1, descriptor(v4, 2, 2, 2, 2))).status(200).part("accepted", "2")
	x.call("GET", "/1/faces/"+id(1)+"?descriptor=1", "").status(200).part("descriptor", descriptor(v4, 2, 2, 2, 2))

	x.call("POST", "/1/import?origin=bodies", "").fault(12022, "origin", "bodies")
	x.call("POST", "/1/import?origin=attributes&list_id="+id(1), "").fault(12022, "list_id", "attributes")
	x.call("POST", "/1/import?origin=events&list_id="+id(1), "").fault(12022, "list_id", "events")
	x.call("POST", "/1/import?list_id=x", "").fault(12022, "list_id", "x")
	x.call("POST", "/1/import?list_id="+id(1)+"&list_id="+id(1), "").fault(12022, "list_id", "must be given once")
	x.call("POST", "/1/import?lists="+id(1), "").fault(12022, "lists")
	x.call("POST", "/1/import", "", "Content-Type", "application/msgpack").fault(12027, "application/msgpack")
	x.call("POST", "/1/import", "", "Content-Encoding", "br").fault(12027, `"br"`)
	for _, lines := range []string{"identity\r\nContent-Encoding: br", "identity, gzip, br", "gzip\r\nContent-Encoding: identity\r\nContent-Encoding: gzip"} {
		x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Encoding: "+lines+"\r\n\r\n").answer(lines).fault(12027, "Content-Encoding", "gzip, zstd and identity")
	}
	x.call("POST", "/1/import", "", "Content-Encoding", "identity, Identity").status(200)
}

func TestImportLists(t *testing.T) {
	x := start(t)
	lists := func(n int, want string) {
		t.Helper()
		x.call("GET", "/1/faces/"+id(n), "").status(200).part("lists", want)
	}
	in := func(n int) string { return `,"lists":["` + id(n) + `"]` }
	d := descriptor(v4, 1, 2, 3, 4)
	x.call("POST", "/1/import?list_id="+id(90), face(1, d)+"\n"+face(2, d, in(91))+"\n").status(200).part("accepted", "2")
	lists(1, `["`+id(90)+`"]`)
	lists(2, `["`+id(90)+`","`+id(91)+`"]`)
	x.call("GET", "/1/lists/"+id(91), "").status(200).part("face_count", "1") // created by the import
	x.call("POST", "/1/import", face(2, d)+"\n").status(200).part("accepted", "1")
	lists(2, `["`+id(90)+`","`+id(91)+`"]`) // a line without lists keeps the old ones
	x.call("POST", "/1/import?list_id="+id(92), face(2, d)+"\n").status(200).part("accepted", "1")
	lists(2, `["`+id(90)+`","`+id(91)+`","`+id(92)+`"]`)
	x.call("POST", "/1/import?list_id="+id(92), face(2, d, in(93))+"\n").status(200).part("accepted", "1")
	lists(2, `["`+id(92)+`","`+id(93)+`"]`) // the lists of the line and list_id
	x.call("POST", "/1/import", face(2, d, `,"lists":[]`)+"\n").status(200).part("accepted", "1")
	lists(2, `[]`)
}

// TestImportErrors checks that the first hundred errors are shown in the order of
// lines, that all errors are counted, and that a line over the limit is an error.
func TestImportErrors(t *testing.T) {
	const lineMax = 2000
	x := start(t, func(s *settings) { s.line, s.body = lineMax, 100 })
	var lines strings.Builder
	for n := range 250 {
		switch n % 2 {
		case 0:
			lines.WriteString("not json\n")
		default:
			lines.WriteString(face(n, descriptor(v4, 1, 2, 3, 4)) + "\n")
		}
	}
	a := x.call("POST", "/1/import", lines.String()).status(200).part("accepted", "125").part("rejected", "125")
	errors := a.at("errors").([]any)
	if len(errors) != 100 {
		t.Fatalf("%d errors", len(errors))
	}
	for i, e := range errors {
		if line := e.(map[string]any)["line"]; line != float64(2*i+1) {
			t.Errorf("error %d is of line %v", i, line)
		}
	}

	// Lines of exactly the limit and of one byte more, with each line end.
	fit := func(n, size int) string {
		short := face(n, descriptor(v4, 1, 2, 3, 4), `,"lists":[],"user_data":""`)
		return strings.Replace(short, `""`, `"`+strings.Repeat("u", size-len(short))+`"`, 1)
	}
	for _, end := range []string{"\n", "\r\n", ""} {
		x.call("POST", "/1/import", fit(1, lineMax)+end).status(200).json(`{"accepted":1,"rejected":0,"errors":[]}`)
		x.call("POST", "/1/import", fit(1, lineMax+1)+end).status(200).
			json(`{"accepted":0,"rejected":1,"errors":[{"line":1,"detail":"the line must have at most 2000 bytes"}]}`)
		huge := strings.Repeat("x", 300_000) + end
		if end == "" {
			huge += "\n"
		}
		x.call("POST", "/1/import", huge+fit(1, lineMax)+"\n").status(200).
			json(`{"accepted":1,"rejected":1,"errors":[{"line":1,"detail":"the line must have at most 2000 bytes"}]}`)
	}
}

// TestImportOfBrokenConnection checks that an import whose connection breaks stores all complete
// lines and drops the incomplete one, with and without chunks.
func TestImportOfBrokenConnection(t *testing.T) {
	cut := func(name, head, body string, want int) {
		t.Helper()
		x := start(t)
		c := x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\n" + head + "\r\n\r\n" + body).closeWrite()
		c.answer(name).fault(12001, "line", fmt.Sprintf("%d lines were accepted", want))
		c.ended()
		x.faces(want)
	}
	line := func(n int) string { return face(n, descriptor(v4, 1, 2, 3, 4)) + "\n" }
	whole := line(1) + line(2)
	half := line(3)[:50]
	cut("length", "Content-Length: 100000", whole+half, 2)
	cut("length, whole line", "Content-Length: 100000", whole, 2)
	cut("one chunk", "Transfer-Encoding: chunked", "ffff\r\n"+whole+half, 2)
	cut("chunk of each line", "Transfer-Encoding: chunked", chunk(line(1))+chunk(line(2))+"ff\r\n"+half, 2)
	cut("in the size", "Transfer-Encoding: chunked", chunk(whole+half)+"f", 2)
	cut("before the last chunk", "Transfer-Encoding: chunked", chunk(whole+half), 2)
	cut("wrong size", "Transfer-Encoding: chunked", chunk(whole)+"zz\r\n", 2)
	cut("one byte", "Content-Length: 2", "{", 0)
	x := start(t)
	a := x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").answer("no line")
	a.fault(12001).part("detail", `"body: malformed chunks; 0 lines were accepted"`)
	// A line that the end of the body ends is complete.
	x = start(t)
	x.call("POST", "/1/import", whole+half).status(200).part("accepted", "2").part("rejected", "1")

	var many strings.Builder
	for n := range 3000 {
		many.WriteString(line(n))
	}
	cut("many, length", "Content-Length: 100000000", many.String()+half, 3000)
	cut("many, one chunk", "Transfer-Encoding: chunked", "7fffffff\r\n"+many.String()+half, 3000)
}

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }

// TestRoundTrip checks that importing an export and exporting it again gives the same
// bytes.
func TestRoundTrip(t *testing.T) {
	x := start(t)
	faces := testkit.Must(os.ReadFile("../../bench/data/faces.ndjson"))
	x.call("POST", "/1/import?list_id="+id(1), string(faces)).status(200).json(`{"accepted":88,"rejected":0,"errors":[]}`)
	x.call("POST", "/1/faces", full).status(201)
	x.call("POST", "/1/faces", face(2, floats(vL2, 1, 2, 3, float32(0.1)), `,"user_data":"\u0000\ud83d\ude00\"\\"`, `,"age":0,"gender":0`)).status(201)
	x.call("PATCH", "/1/faces/5dc73618-3df8-563e-bc95-4cff773c93ec", `{"age":7}`).status(200)
	x.call("DELETE", "/1/faces/8c14c21b-455d-57b8-b9b2-358fcce71f68", "").status(204)

	first := x.call("GET", "/1/export?origin=faces", "").status(200).header("Content-Type", "application/x-ndjson").body
	if lines := bytes.Count(first, []byte("\n")); lines != 89 {
		t.Fatalf("%d lines", lines)
	}
	y := start(t)
	y.call("POST", "/1/import", string(first)).status(200).json(`{"accepted":89,"rejected":0,"errors":[]}`)
	if second := y.call("GET", "/1/export", "").status(200).body; !bytes.Equal(first, second) {
		t.Errorf("%d bytes became %d:\n%.500s\n%.500s", len(first), len(second), first, second)
	}
	y.call("GET", "/1/lists/"+id(1), "").status(200).part("face_count", "87")
	want := x.call("POST", "/1/matcher/faces", matchBody(key("person-01"), allFaces(`,"limit":1000`))).status(201)
	y.call("POST", "/1/matcher/faces", matchBody(key("person-01"), allFaces(`,"limit":1000`))).status(201).json(string(want.body))

	x.call("GET", "/1/export?origin=bodies", "").fault(12022, "origin", "bodies", "faces, events, attributes")
	x.call("GET", "/1/export?origin=events&list_id="+id(7), "").fault(12022, "list_id", "unknown filter of events")
	if body := x.call("GET", "/1/export?list_id="+id(7), "").status(200).body; len(body) > 0 {
		t.Errorf("the export of an unknown list has %s", body)
	}
}

// TestImportStreams checks that lines are stored while the client is still sending.
func TestImportStreams(t *testing.T) {
	x := start(t)
	in, out := io.Pipe()
	done := make(chan *answer)
	go func() { done <- x.send("POST", "/1/import", in) }()
	write := func(text string) {
		_, err := io.WriteString(out, text)
		check(t, err)
	}
	for n := range 2001 {
		write(face(n, descriptor(v4, 1, 2, 3, 4)) + "\n")
	}
	write(strings.Repeat("\n", 128<<10)) // so that no bytes wait in a buffer
	for x.memory.Stats().Rows[0] < 1000 {
		runtime.Gosched()
	}
	check(t, out.Close())
	(<-done).status(200).part("accepted", "2001")
}
