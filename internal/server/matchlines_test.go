package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

const lines = "application/x-ndjson"

// TestLinesOfMatch checks the lines of a match, and what refuses them. TestOracle compares
// the lines of many matches.
func TestLinesOfMatch(t *testing.T) {
	x := start(t)
	x.storeFaces(3)
	probe := givenDescriptor(descriptor(v4, 0, 0, 0, 0))
	body := matchBody(probe, allFaces(figures+`,"limit":2`))
	want := row(1, v4, 1) + "\n" + row(2, v4, 4) + "\n" + `{"end":{"count":2}}` + "\n"
	for _, accept := range []string{lines, "*/*;q=0.5, application/x-ndjson", "application/json, application/x-ndjson", "APPLICATION/X-NDJSON;q=0.1"} {
		for _, path := range []string{"/1/matcher/faces", "/1/matcher"} {
			x.call("POST", path, body, "Accept", accept).status(201).header("Content-Type", lines).header("Vary", "Accept-Encoding").isText(want)
		}
	}
	x.call("POST", "/1/matcher/faces", body, "Accept", "application/json, application/x-ndjson;q=0.5").status(201).header("Content-Type", "application/json")
	x.call("POST", "/1/matcher/faces", packed(t, body), "Content-Type", "application/msgpack", "Accept", lines).status(201).isText(want)
	old := x.dial().write("POST /1/matcher/faces HTTP/1.0\r\nAccept: " + lines + "\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body)
	if text, err := readRest(old); err != nil || !strings.HasSuffix(text, "\r\n\r\n"+want) {
		t.Errorf("HTTP/1.0: %v, %q", err, text)
	}
	x.call("POST", "/1/matcher/faces", matchBody(`{"type":"face_external_id","id":"none"}`, allFaces()), "Accept", lines).status(201).isText(`{"end":{"count":0}}` + "\n")
	plan := x.call("POST", "/1/matcher/faces?explain=1", body, "Accept", lines).status(201)
	all := strings.Split(string(plan.body), "\n")
	if end, ok := value(t, all[2]).(map[string]any)["end"].(map[string]any); !ok || end["plan"].(map[string]any)["rows_scanned"] != 3.0 || end["count"] != 2.0 {
		t.Errorf("the last line is %s", all[2])
	}

	for n := 4; n <= 5; n++ {
		x.call("POST", "/1/faces", face(n, descriptor(v4, byte(n), 0, 0, 0), `,"external_id":"twins"`)).status(201)
	}
	refused := func(references, sets string, details ...string) {
		t.Helper()
		x.call("POST", "/1/matcher/faces", matchBody(references, sets), "Accept", lines).fault(12028, append(details, lines)...)
	}
	refused(probe+","+probe, allFaces(), "2 and 1")
	refused(probe, allFaces()+","+allFaces(), "1 and 2")
	refused(`{"type":"face_external_id","id":"twins"}`, allFaces(), "references[0]", "2 objects")
	x.call("POST", "/1/matcher/raw", matchBody(probe, probe), "Accept", lines).fault(12028, lines)
	x.call("POST", "/1/crossmatcher/faces", `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}}}`, "Accept", lines).fault(12028, lines)
	x.call("GET", "/1/faces", "", "Accept", lines).fault(12028, lines)
	x.call("POST", "/1/matcher/faces", "{", "Accept", lines).fault(12001)
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(9), allFaces()), "Accept", lines).fault(22004)
}

// readRest reads until the server closes the connection.
func readRest(c *raw) (string, error) {
	var all strings.Builder
	_, err := c.in.WriteTo(&all)
	return all.String(), err
}

// TestLinesAreBuiltInPieces matches objects whose texts are too large for one answer, and
// gets all of them in lines.
func TestLinesAreBuiltInPieces(t *testing.T) {
	x := start(t)
	text := strings.Repeat("x", 1_000_000)
	var faces strings.Builder
	for n := 1; n <= 70; n++ { // 70 MB
		faces.WriteString(face(n, descriptor(v4, byte(n), 0, 0, 0), `,"user_data":"`+text+`"`) + "\n")
	}
	x.send("POST", "/1/import", opaque(faces.String())).status(200).part("accepted", "70")
	body := matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), allFaces(`,"limit":100`))
	x.call("POST", "/1/matcher/faces", body).fault(31007, "texts")
	got := strings.Split(x.call("POST", "/1/matcher/faces", body, "Accept", lines, "Accept-Encoding", "zstd").status(201).plain("zstd"), "\n")
	if len(got) != 72 || got[70] != `{"end":{"count":70}}` {
		t.Fatalf("%d lines", len(got))
	}
	for i, line := range got[:70] {
		if !strings.Contains(line, id(i+1)) || !strings.Contains(line, text) {
			t.Errorf("line %d: %.100s", i, line)
		}
	}
}

// unfilled is a matcher that cannot fill in the objects after the first ones.
type unfilled struct {
	matcher.Matcher
	filled int
	err    error
}

func (u unfilled) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	results := u.Matcher.Match(ctx, subs)
	for n := range results {
		if fill := results[n].Fill; fill != nil {
			results[n].Fill = func(i int, m *matcher.Match) error {
				if i >= u.filled {
					return u.err
				}
				return fill(i, m)
			}
		}
	}
	return results
}

// TestLinesEndWithError checks the last line after an error, and that an internal error does
// not show its reason.
func TestLinesEndWithError(t *testing.T) {
	for want, err := range map[string]error{
		`{"error":{"error_code":12050,"desc":"Service is unavailable","detail":"gone","link":"/docs/errors#12050"}}`: matcher.Errorf(matcher.CodeUnavailable, "gone"),
		`{"error":{"error_code":1,"desc":"Internal server error","detail":"look for request `:                        errors.New("secret"),
	} {
		x := start(t, func(s *settings) {
			s.matcher = func(m matcher.Matcher) matcher.Matcher { return unfilled{m, 2, err} }
		})
		x.storeFaces(5)
		a := x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces()), "Accept", lines).status(201)
		got := strings.Split(string(a.body), "\n")
		if len(got) != 4 || !strings.HasPrefix(got[2], want) || got[3] != "" || strings.Contains(string(a.body), "secret") {
			t.Errorf("%s", a.body)
		}
		if logged := strings.Contains(x.log.String(), "secret"); logged != strings.HasPrefix(want, `{"error":{"error_code":1,`) {
			t.Errorf("the log has the reason: %t", logged)
		}
	}
}

// interrupting calls a function when the first object is filled in.
type interrupting struct {
	matcher.Matcher
	first func()
}

func (u interrupting) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	results := u.Matcher.Match(ctx, subs)
	if fill := results[0].Fill; fill != nil {
		results[0].Fill = func(i int, m *matcher.Match) error {
			if i == 0 {
				u.first()
			}
			return fill(i, m)
		}
	}
	return results
}

// TestLinesShowOneMoment changes and deletes the objects of a match while its lines are made.
func TestLinesShowOneMoment(t *testing.T) {
	var x *service
	x = start(t, func(s *settings) {
		s.matcher = func(m matcher.Matcher) matcher.Matcher {
			return interrupting{m, func() {
				x.call("PATCH", "/1/faces/"+id(2), `{"age":50}`).status(200)
				x.call("DELETE", "/1/faces?face_ids="+id(1)+","+id(3), "").status(200).part("deleted", "2")
			}}
		}
	})
	x.storeFaces(3)
	body := matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), allFaces())
	want := x.call("POST", "/1/matcher/faces", body).status(201)
	got := strings.Split(string(x.call("POST", "/1/matcher/faces", body, "Accept", lines).status(201).body), "\n")
	for i := range 3 {
		want.part("0.matches.0.result."+itoa(i), got[i])
	}
	x.faces(1)
}

// TestUnreadLines checks that a client that does not read its lines is disconnected, that
// the last line is missing then, and that the memory is given back.
func TestUnreadLines(t *testing.T) {
	x := start(t, func(s *settings) { s.timeout, s.limits.Result = 500*time.Millisecond, 1_000_000 })
	var faces strings.Builder
	text := strings.Repeat("x", 1000)
	for n := range 20_000 { // 22 MB, more than all buffers between server and client
		faces.WriteString(face(n, descriptor(v4, byte(n), byte(n>>8), 0, 0), `,"user_data":"`+text+`"`) + "\n")
	}
	x.call("POST", "/1/import", faces.String()).status(200).part("accepted", "20000")
	body := matchBody(givenDescriptor(descriptor(v4, 0, 0, 0, 0)), allFaces(`,"limit":1000000`))
	a := x.call("POST", "/1/matcher/faces", body, "Accept", lines).status(201)
	if !strings.HasSuffix(string(a.body), "\n"+`{"end":{"count":20000}}`+"\n") || strings.Count(string(a.body), "\n") != 20_001 {
		t.Errorf("%d bytes end with %q", len(a.body), a.body[len(a.body)-100:])
	}
	c := x.dial().write("POST /1/matcher/faces HTTP/1.1\r\nHost: localhost\r\nAccept: " + lines + "\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body)
	if _, err := c.in.Peek(1); err != nil { // the answer has begun
		t.Fatal(err)
	}
	for { // until the server gives up
		if release := x.server.HoldAnswers(); release != nil {
			release()
			break
		}
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); err == nil || strings.Contains(string(got), `"end"`) {
		t.Errorf("%v, %d bytes", err, len(got))
	}
}

// TestUnacceptableMatch checks that the error of Accept names the formats of the operation.
func TestUnacceptableMatch(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/matcher/faces", "{}", "Accept", "text/html").status(406).fault(12028, "application/json, application/msgpack or application/x-ndjson", "text/html")
	x.call("POST", "/1/matcher/raw", "{}", "Accept", "text/html").status(406).fault(12028, "application/json or application/msgpack").lacks("ndjson")
}
