package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// impostor is a remote that answers matches wrongly, but health checks correctly.
type impostor struct {
	name    string
	answer  http.HandlerFunc
	want    int    // code that the client gets; 0: the row of impostorRow
	detail  string // part of the error
	correct atomic.Bool
}

// impostorRow returns the correct row for a match of probe, with changes.
func impostorRow(changes string) string {
	distance, similarity := distanceAndSimilarity("abcdefghijklmnop", "abcdefghijklmnoo")
	row := map[string]any{"face": map[string]any{"face_id": id(1, 1), "account_id": accountA, "lists": []any{}, "user_data": "right"}, "distance": distance, "similarity": similarity}
	var other map[string]any
	if err := json.Unmarshal([]byte("{"+changes+"}"), &other); err != nil {
		panic(err)
	}
	maps.Copy(row, other)
	text, err := json.Marshal(row)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func impostorAnswer(rows ...string) string {
	return `[{"reference": {"type": "raw_descriptor", "id": "probe"}, "matches": [{"filters": {}, "result": [` + strings.Join(rows, ",") + `]}]}]`
}

// answerWith answers with a status and a JSON body.
func answerWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the client may have gone
	}
}

// sendChunks repeatedly sends a chunk, with pauses, until the client cancels the call.
func sendChunks(contentType, chunk string, pause time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(http.StatusCreated)
		for {
			if _, err := w.Write([]byte(chunk)); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// sendAndClose sends a text over the bare connection and closes it.
func sendAndClose(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = c.Write([]byte(text)) // the connection is closed in any case
			_ = c.Close()
		}
	}
}

func errorBody(code int, detail string) string {
	return fmt.Sprintf(`{"error_code": %d, "desc": "d", "detail": %q, "link": "l"}`, code, detail)
}

// packedAnswer is an impostorAnswer in MessagePack that ends before the 8 bytes of the
// distance.
const packedAnswer = "\x91\x82\xa9reference\x82\xa4type\xaeraw_descriptor\xa2id\xa5probe\xa7matches\x91\x82\xa7filters\x80\xa6result" +
	"\x91\x83\xa4face\x81\xa7face_id\xd9\x2400000001-0000-4000-8000-000000000001\xaasimilarity\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00\xa8distance\xcb"

// impostors returns one impostor for each kind of answer.
func impostors() []*impostor {
	right := impostorAnswer(impostorRow(""))
	packed := func(distance string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/msgpack")
			_, _ = w.Write([]byte(packedAnswer + distance))
		}
	}
	bad := func(name, detail string, answer http.HandlerFunc) *impostor {
		return &impostor{name: name, answer: answer, want: 12050, detail: detail}
	}
	invalid := func(name, body string) *impostor { return bad(name, "its answer is invalid", answerWith(201, body)) }
	row := func(name, detail, changes string) *impostor {
		return bad(name, detail, answerWith(201, impostorAnswer(impostorRow(changes))))
	}
	return []*impostor{
		{name: "right", answer: answerWith(201, right)},
		{name: "right with 200", answer: answerWith(200, right)},
		{name: "right with unknown fields", answer: answerWith(201, impostorAnswer(impostorRow(`"new": [1]`)))},
		bad("silent", "did not answer within", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		bad("drips", "did not answer within", sendChunks("application/json", " ", 20*time.Millisecond)),
		bad("endless", "longer than", sendChunks("application/msgpack", strings.Repeat("\x91", 1<<20), 0)),
		bad("hangs up", "did not answer", sendAndClose("")),
		bad("not HTTP", "did not answer", sendAndClose("SSH-2.0-nearside\r\n\r\n")),
		bad("cut", "did not answer", sendAndClose("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[{")),
		bad("cut chunks", "did not answer", sendAndClose("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{\"re\r\n")),
		bad("500", "answered 500", answerWith(500, "")),
		bad("503", "12050: busy", answerWith(503, errorBody(12050, "busy"))),
		bad("504", "12060: late", answerWith(504, errorBody(12060, "late"))),
		bad("redirect", "answered 302", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/healthcheck", http.StatusFound) }),
		invalid("empty", ""),
		invalid("bytes", "\x00\xff\xfe rubbish"),
		bad("bytes with 200", "its answer is invalid", answerWith(200, "<html>it works</html>")),
		invalid("another shape", `{"matches": []}`),
		invalid("numbers", `[1, 2]`),
		invalid("no items", `[]`),
		invalid("two items", "["+strings.Trim(right, "[]")+"]}]},"+strings.Trim(right, "[]")+"]}]}]"),
		invalid("no sets", `[{"reference": {}, "matches": []}]`),
		invalid("null", `null`),
		invalid("deep", strings.Repeat("[", 1000)+strings.Repeat("]", 1000)),
		row("below the threshold", "below the threshold", `"similarity": 0.05`),
		row("no distance", "", `"distance": null`),
		row("text as distance", "", `"distance": "near"`),
		row("negative distance", "", `"distance": -1`),
		row("wrong origin", "", `"face": null, "event": {"event_id": "00000001-0000-4000-8000-000000000001"}`),
		row("no id", "", `"face": {"user_data": "who"}`),
		row("id of another kind", "", `"face": {"face_id": "me"}`),
		row("another account", "a row belongs to another account", `"face": {"face_id": "00000001-0000-4000-8000-000000000001", "account_id": "`+accountB+`"}`),
		bad("more rows than the limit", "at most 2 rows", answerWith(201, impostorAnswer(impostorRow(""), impostorRow(`"face": {"face_id": "00000001-0000-4000-8000-000000000002"}`),
			impostorRow(`"face": {"face_id": "00000001-0000-4000-8000-000000000003"}`)))),
		bad("a row twice", "twice", answerWith(201, impostorAnswer(impostorRow(""), impostorRow("")))),
		bad("not a number", "its answer is invalid", packed("\x7f\xf8\x00\x00\x00\x00\x00\x00")),
		bad("infinite", "its answer is invalid", packed("\x7f\xf0\x00\x00\x00\x00\x00\x00")),
		bad("404 of an unknown route", "12010: x", answerWith(404, errorBody(12010, "x"))),
		bad("403", "12026: x", answerWith(403, errorBody(12026, "x"))),
		bad("400 without a body", "answered 400", answerWith(400, "")),
		bad("429", "answered 429", answerWith(429, errorBody(12022, "slower"))),
		{name: "400", answer: answerWith(400, errorBody(31001, "version")), want: 31001, detail: "version"},
		{name: "400 with an unknown code", answer: answerWith(400, errorBody(99999, "strange")), want: 12022, detail: "strange"},
	}
}

// ServeHTTP implements http.Handler.
func (f *impostor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the server notices that the client has gone only after reading the body
	switch {
	case r.URL.Path == "/healthcheck":
		answerWith(200, `{"execution_time": 0}`)(w, r)
	case f.correct.Load():
		answerWith(201, impostorAnswer(impostorRow("")))(w, r)
	default:
		f.answer(w, r)
	}
}

// TestRemoteImpostors: for each wrong answer of a remote, the client gets the correct
// answer or the documented error. When the remote answers correctly again, the client
// gets the correct answer. If a replica answers wrongly, another matcher answers.
func TestRemoteImpostors(t *testing.T) {
	t.Parallel()
	all := impostors()
	for _, f := range all {
		f.name = strings.ReplaceAll(f.name, " ", "-")
	}
	var owning, copying strings.Builder
	owning.WriteString("matchers:\n  remote:\n")
	copying.WriteString("matchers:\n  memory: {cost: 1000}\n  remote:\n")
	for i, f := range all {
		server := httptest.NewServer(f)
		t.Cleanup(func() {
			server.CloseClientConnections()
			server.Close()
		})
		timeout := "10s"
		if f.detail == "did not answer within" {
			timeout = "1s"
		}
		remote := fmt.Sprintf(`    - {name: "%s", url: "%s", timeout: %s, cost: %d`, f.name, server.URL, timeout, i)
		fmt.Fprintf(&owning, "%s, lists: [\"%s\"]}\n", remote, id(16, i))
		if f.want == 12050 && f.name != "another-account" {
			fmt.Fprintf(&copying, "%s}\n", remote)
		}
	}
	p := serve(t, writeConfig(t, remotesConfig+owning.String()), t.TempDir())
	p.client.Timeout = 30 * time.Second // far above request_timeout, to detect requests that hang
	before := p.resources(t)
	for i, f := range all {
		t.Run(f.name, func(t *testing.T) {
			for range 2 {
				if err := f.check(p, id(16, i), f.want); err != nil {
					t.Error(err)
				}
			}
			f.correct.Store(true)
			eventually(t, func() error { return f.check(p, id(16, i), 0) })
		})
	}
	p.settles(t, before)

	for _, f := range all {
		f.correct.Store(false)
	}
	w := newWorld(1)
	p = serve(t, writeConfig(t, remotesConfig+copying.String()), t.TempDir())
	w.storeObjects(t, p, "here")
	answer, _, err := w.match(p, &matchRequest{References: []askedReference{probe}, Candidates: []askedSet{faces(), faceList(listHere)}})
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, m := range answer[0].Matches[0].Plan.Matchers {
		if m.Chosen != (m.Name == "memory") {
			t.Errorf("%+v", m)
		}
		if strings.HasPrefix(m.Reason, "failed: ") {
			failed++
		}
	}
	if failed < 20 {
		t.Errorf("only %d replicas failed: %+v", failed, answer[0].Matches[0].Plan.Matchers)
	}
}

// check matches against the list of an impostor.
func (f *impostor) check(p *process, list string, want int) error {
	answer, err := ask(p, "POST", "/1/matcher/faces?account_id="+accountA, map[string]any{
		"references": []any{probe}, "candidates": []any{map[string]any{"filters": map[string]any{"origin": "faces", "list_id": list}, "limit": 2, "threshold": 0.1}},
	})
	if err != nil {
		return err
	}
	code, err := answer.code()
	if err != nil {
		return err
	}
	if code != want {
		return fmt.Errorf("code %d, want %d: %s", code, want, answer.body)
	}
	if text := string(answer.body); code != 0 && (!strings.Contains(text, "remote "+f.name+":") || !strings.Contains(text, f.detail)) {
		return fmt.Errorf("%q is missing in %s", f.detail, answer.body)
	}
	if text := string(answer.body); code == 0 && strings.Count(text, `"user_data":"right"`) != 1 {
		return fmt.Errorf("wrong rows: %s", answer.body)
	}
	return nil
}

// eventually calls attempt until it succeeds. It allows 30 s, so that it does not depend
// on the speed of the machine.
func eventually(t *testing.T, attempt func() error) {
	t.Helper()
	var err error
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		if err = attempt(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// resources returns the numbers of goroutines and open files of a server.
func (p *process) resources(t *testing.T) [2]int {
	t.Helper()
	status, text, err := p.call("GET", "/metrics", nil)
	if err != nil || status != 200 {
		t.Fatal(status, err)
	}
	var used [2]int
	for i, name := range []string{"\ngo_goroutines ", "\nprocess_open_fds "} {
		_, rest, ok := strings.Cut(string(text), name)
		if _, err := fmt.Sscan(rest, &used[i]); err != nil || !ok {
			t.Fatalf("no %s in the metrics: %v", name, err)
		}
	}
	return used
}

// settles waits until a server uses about as many resources as before.
func (p *process) settles(t *testing.T, before [2]int) {
	t.Helper()
	eventually(t, func() error {
		now := p.resources(t)
		for i := range now {
			if now[i] > before[i]+200 {
				return fmt.Errorf("goroutines and files: %v before, now %v", before, now)
			}
		}
		return nil
	})
}
