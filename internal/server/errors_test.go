package server_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

// TestErrors has a line for each code and cause that needs no special server. The
// other tests of errors are beside their subjects: references_test.go (12022, 12036,
// 22004, 22005, 22007, 31001, 31007), filters_test.go, account_test.go (12026,
// 31000), faces_test.go, lists_test.go, malformed_test.go.
func TestErrors(t *testing.T) {
	x := start(t)
	x.storeFaces(1)
	x.call("POST", "/1/lists", `{"list_id":"`+id(1)+`"}`).status(201)
	post := func(body string, code int, details ...string) {
		t.Helper()
		x.call("POST", "/1/faces", body).fault(code, details...)
	}
	d := descriptor(v4, 1, 2, 3, 4)

	// 12001: JSON, MessagePack or UTF-8 is invalid, or nested too deeply.
	post(``, 12001, "byte 0")
	post(`  `, 12001)
	post(`{"descriptor"`, 12001, "byte 13")
	post(`{"user_data":x}`, 12001, "byte 13")
	post(`{} {}`, 12001, "byte 3")
	post(`{"user_data":"`+"\xff"+`"}`, 12001, "byte 14", "UTF-8")
	post(`{"user_data":"`+"\n"+`"}`, 12001, "byte 14", "control")
	post(strings.Repeat("[", 33)+strings.Repeat("]", 33), 12001, "byte 32", "32")
	x.call("POST", "/1/faces", "\x81\xa1\xff\xc0", "Content-Type", "application/msgpack").fault(12001, "byte 2", "UTF-8")
	x.call("POST", "/1/faces", "\x81\xa1", "Content-Type", "application/msgpack").fault(12001, "byte 2")
	x.call("POST", "/1/faces", "\xc1", "Content-Type", "application/msgpack").fault(12001, "byte 0")
	x.call("POST", "/1/faces", strings.Repeat("\x91", 33)+"\xc0", "Content-Type", "application/msgpack").fault(12001, "byte 32")

	// 12010, 12011: unknown resource, method not allowed.
	x.call("GET", "/nowhere", "").fault(12010, "/nowhere")
	x.call("GET", "/1/faces/"+id(1)+"/age", "").fault(12010, "/age")
	x.call("GET", "/1/faces/", "").fault(12010, "/1/faces/")
	x.call("GET", "/2/faces", "").fault(12010, "/2/faces")
	x.call("GET", "/1/bodies", "", "Accept", "image/png").fault(12010, "/1/bodies")
	x.call("PUT", "/1/faces", "").fault(12011, "PUT", "/1/faces").header("Allow", "POST, GET, HEAD, DELETE")
	x.call("POST", "/1/faces/"+id(1), "").fault(12011, "POST", id(1)).header("Allow", "PUT, PATCH, GET, HEAD, DELETE")
	x.call("GET", "/1/import", "").fault(12011, "GET").header("Allow", "POST")
	x.call("BREW", "/version", "").fault(12011, "BREW").header("Allow", "GET, HEAD")

	// 12022: wrong values. One line for each kind.
	post(`{"name":1,"descriptor":`+d+`}`, 12022, "name", "unknown field")
	post(`[]`, 12022, "body", "got an array")
	post(`{}`, 12022, "descriptor", "is missing")
	post(`{"descriptor":null}`, 12022, "descriptor", "is missing")
	post(`{"age":1,"age":1,"descriptor":`+d+`}`, 12022, "age", "twice")
	post(`{"age":-1,"descriptor":`+d+`}`, 12022, "age", "-1", "from 0 to 255")
	post(`{"age":1e400,"descriptor":`+d+`}`, 12022, "age", "1e400")
	post(`{"gender":"1","descriptor":`+d+`}`, 12022, "gender", `"1"`)
	post(`{"create_time":"2026-13-01T00:00:00Z","descriptor":`+d+`}`, 12022, "create_time", "2026-13-01T00:00:00Z")
	post(`{"create_time":"now-1d","descriptor":`+d+`}`, 12022, "create_time", "now-1d")
	post(`{"face_id":"1","descriptor":`+d+`}`, 12022, "face_id", `"1"`)
	post(`{"face_id":"00000000-0000-0000-0000-000000000000","descriptor":`+d+`}`, 12022, "face_id", "nil")
	post(`{"lists":["`+id(1)+`",5],"descriptor":`+d+`}`, 12022, "lists[1]", "5")
	post(`{"descriptor":`+descriptor(vBody, 1, 2, 3, 4)+`}`, 12022, "descriptor.version", "body")
	post(`{"user_data":5,"descriptor":`+d+`}`, 12022, "user_data", "5")
	x.call("POST", "/1/lists", `{"user_data":5}`).fault(12022, "user_data", "5")
	x.call("POST", "/1/lists", `{"name":"x"}`).fault(12022, "name")
	x.call("PATCH", "/1/lists/"+id(1), `{"face_count":1}`).fault(12022, "face_count")
	x.call("GET", "/version?x=1", "").fault(12022, "x", "unknown query parameter")
	x.call("GET", "/docs?x=1", "").fault(12022, "x")
	x.call("POST", "/1/faces?descriptor=1", full).fault(12022, "descriptor")
	x.call("GET", "/1/faces/"+id(1)+"?descriptor=1&descriptor=1", "").fault(12022, "descriptor", "must be given once")
	set := func(set string, details ...string) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces()+","+set)).fault(12022, append(details, "candidates[1]")...)
	}
	set(allFaces(`,"limit":0`), "limit", "0", "from 1 to 1000")
	set(allFaces(`,"limit":-1`), "limit", "-1")
	set(allFaces(`,"limit":1001`), "limit", "1001", "from 1 to 1000")
	set(allFaces(`,"limit":9223372036854775808`), "limit", "9223372036854775808")
	set(allFaces(`,"limit":1.5`), "limit", "1.5")
	set(allFaces(`,"limit":null`), "limit", "null")
	set(allFaces(`,"threshold":-0.1`), "threshold", "-0.1")
	set(allFaces(`,"threshold":1.0000001`), "threshold", "1.0000001")
	set(allFaces(`,"threshold":"1"`), "threshold", `"1"`)
	set(allFaces(`,"targets":["descriptor"]`), "targets[0]", "descriptor")
	set(allFaces(`,"targets":"age"`), "targets", "age")
	set(allFaces(`,"order":"age"`), "order", "age")
	set(allFaces(`,"name":1`), "name", "unknown field")
	set(`{"limit":1}`, "filters", "is missing")
	x.call("POST", "/1/matcher/faces", matchBody("", allFaces())).fault(12022, "references", "empty")
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), "")).fault(12022, "candidates", "empty")
	x.call("POST", "/1/matcher/faces", `{"references":[`+storedFace(1)+`]}`).fault(12022, "candidates", "is missing")
	x.call("POST", "/1/matcher/faces", `{"candidates":[`+allFaces()+`]}`).fault(12022, "references", "is missing")

	// 12027, 12028: media types.
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/x-ndjson", "json"} {
		x.call("POST", "/1/faces", full, "Content-Type", media).fault(12027, "Content-Type", strings.Split(media, ";")[0])
	}
	x.call("POST", "/1/faces", full, "Content-Encoding", "br").fault(12027, "Content-Encoding", "br")
	x.call("GET", "/version", "", "Accept", "text/html").fault(12028, "Accept", "text/html")
	x.call("POST", "/1/faces", full, "Accept", "application/json;q=0").fault(12028, "Accept")
	x.faces(1)

	// 12029: by the declared length, or by the bytes that arrive.
	x.call("POST", "/1/faces", strings.Repeat(" ", 1<<20)+"{").fault(12029, "body", "1048576")
	x.send("POST", "/1/faces", unsized(strings.Repeat(" ", 1<<20)+"{")).fault(12029, "body", "1048576")
	x.call("POST", "/1/faces", strings.Repeat(" ", 1<<20-1)+"{").fault(12001)
	x.send("POST", "/1/faces", unsized(strings.Repeat(" ", 1<<20-1)+"{")).fault(12001)

	// 31007: more than a limit allows.
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1)+strings.Repeat(","+storedFace(1), 100), allFaces())).fault(31007, "references", "101", "100")
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces()+strings.Repeat(","+allFaces(), 20))).fault(31007, "candidates", "21", "20")
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1)+strings.Repeat(","+storedFace(1), 99), allFaces()+strings.Repeat(","+allFaces(), 19))).status(201)
}

// unsized is a body without a declared length, which is sent in chunks.
func unsized(s string) *unsizedReader { return &unsizedReader{strings.NewReader(s)} }

type unsizedReader struct{ r *strings.Reader }

func (u *unsizedReader) Read(p []byte) (int, error) { return u.r.Read(p) }

// standIn is a matcher that calls functions before it matches.
type standIn struct {
	matcher.Matcher
	cost  func() bool // whether the matcher can answer
	match func(context.Context)
}

func (s standIn) Cost(ctx context.Context, sub *matcher.SubRequest) (float64, string, bool) {
	cost, reason, ok := s.Matcher.Cost(ctx, sub)
	return cost, reason, ok && (s.cost == nil || s.cost())
}

func (s standIn) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	if s.match != nil {
		s.match(ctx)
	}
	if err := ctx.Err(); err != nil {
		return slices.Repeat([]matcher.Result{{Err: err}}, len(subs))
	}
	return s.Matcher.Match(ctx, subs)
}

// beforeMatch lets match be called before each match. If it ends the context, nothing is
// matched.
func beforeMatch(match func(context.Context)) func(*settings) {
	return func(s *settings) {
		s.matcher = func(m matcher.Matcher) matcher.Matcher { return standIn{Matcher: m, match: match} }
	}
}

// TestNoMatcher checks that 31011 is returned when no matcher can answer.
func TestNoMatcher(t *testing.T) {
	x := start(t, func(s *settings) {
		s.matcher = func(m matcher.Matcher) matcher.Matcher {
			return standIn{Matcher: m, cost: func() bool { return false }}
		}
	})
	x.storeFaces(1)
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces())).fault(31011, "candidates[0]")
}

// TestPanic checks that a panic is a 500 whose request ID is in the log, and that the
// server continues.
func TestPanic(t *testing.T) {
	x := start(t, beforeMatch(func(context.Context) { panic("a test panic") }))
	x.storeFaces(1)
	const request = "1767225600,136df8da-43a1-4d2f-8b6c-3f5f8e0b5a57"
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces()), "Luna-Request-Id", request).fault(1, request)
	for _, text := range []string{request, "a test panic", "route=POST:/matcher/faces"} {
		if !strings.Contains(x.log.String(), text) {
			t.Errorf("no %q in the log: %s", text, x.log)
		}
	}
	x.faces(1)
}

// TestDeadline checks 12060 when matching takes too long.
func TestDeadline(t *testing.T) {
	x := start(t, beforeMatch(func(ctx context.Context) { <-ctx.Done() }), func(s *settings) { s.timeout = time.Second })
	x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), allFaces())).fault(12060, "deadline")
}

// TestSlowClient checks 12060 when the client takes too long to send.
func TestSlowClient(t *testing.T) {
	x := start(t, func(s *settings) { s.timeout = 200 * time.Millisecond })
	slow := func(request string, details ...string) {
		t.Helper()
		c := x.dial().write(request)
		c.answer(request).fault(12060, details...)
		c.ended()
	}
	line := face(1, descriptor(v4, 1, 2, 3, 4)) + "\n"
	x.dial().ended() // no answer: the client would take it for the answer to its next request
	slow("GET / HT", "request")
	slow("GET /livez HTTP/1.1\r\nHost: localhost\r\n", "request")
	slow("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", "body")
	slow("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", "body")
	slow("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n{     ", "body")
	slow("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "body")
	slow("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{", "body")
	slow("POST /1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n"+line+"{", "line 1", "1 lines were accepted")
	slow("POST /1/import HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"+line+"{", "line 1", "1 lines were accepted")
}

// TestFull checks that 12052 refuses new objects, and that everything else works.
func TestFull(t *testing.T) {
	x := start(t, func(s *settings) { s.memory = 2000 })
	stored := 0
	for ; ; stored++ {
		a := x.call("POST", "/1/faces", face(stored, descriptor(v4, 1, 2, 3, 4)))
		if a.response.StatusCode != http.StatusCreated {
			a.fault(12052, "limits.memory", "2000")
			break
		}
	}
	if stored < 2 || stored > 40 {
		t.Errorf("%d faces in 2000 bytes", stored)
	}
	x.faces(stored)
	x.call("PUT", "/1/faces/"+id(99), face(99, descriptor(v4, 1, 2, 3, 4))).fault(12052)
	x.call("POST", "/1/import", "{\n"+face(98, descriptor(v4, 1, 2, 3, 4))+"\n"+face(99, descriptor(v4, 1, 2, 3, 4))+"\n").fault(12052, "line 3", "0 lines were accepted")
	x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), allFaces())).status(201)
	x.call("GET", "/readyz", "").status(200)
	x.call("DELETE", "/1/faces/"+id(0), "").status(204)
	x.call("DELETE", "/1/faces/"+id(1), "").status(204)
	x.call("POST", "/1/faces", face(99, descriptor(v4, 1, 2, 3, 4))).status(201)
}
