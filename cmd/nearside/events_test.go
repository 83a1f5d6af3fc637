package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// eventBody returns the body of event n, with a descriptor of 16 bytes.
func eventBody(n int) string {
	return fmt.Sprintf(`{"event_id":"00000000-0000-4000-8000-%012x","create_time":"2026-05-01T00:00:00.000Z","source":"cam-%d","tags":["a","b"],"meta":{"shop":{"floor":%d}},"face_descriptor":{"version":1001,"data":"%s"}}`,
		n, n%3, n, base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%016d", n))))
}

// TestEventsSurviveKill: acknowledged events and attributes survive kill -9. An attribute
// still expires in time, and events that are too old are deleted at the next start.
func TestEventsSurviveKill(t *testing.T) {
	data := t.TempDir()
	meta := "events: {meta_fields: [{path: shop.floor, type: number}]}\n"
	p := serve(t, writeConfig(t, serveConfig+meta), data)
	var bodies []string
	for n := range 50 {
		bodies = append(bodies, eventBody(n))
	}
	var stored struct {
		IDs []string `json:"event_ids"`
	}
	postJSON(t, p, "/1/events", "["+strings.Join(bodies, ",")+"]", &stored)
	descriptor := map[string]any{"descriptor": map[string]any{"version": 1001, "data": make([]byte, 16)}}
	putAttribute := func(id string, ttl int) {
		t.Helper()
		if status, text, err := p.call("PUT", fmt.Sprintf("/1/attributes/%s?ttl=%d", id, ttl), descriptor); status != 201 || err != nil {
			t.Fatalf("%d %s %v", status, text, err)
		}
	}
	const short, long = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
	putAttribute(short, 1)
	putAttribute(long, 1000)
	if err := p.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()

	p = serve(t, writeConfig(t, serveConfig+meta), data)
	var page struct {
		Count int `json:"count"`
	}
	p.mustCall(t, "GET", "/1/events?meta.shop.floor__gte=40&tags=b", nil, &page)
	if page.Count != 10 || len(stored.IDs) != 50 {
		t.Errorf("%d events, want 10", page.Count)
	}
	status := func(id string) int {
		t.Helper()
		status, text, err := p.call("GET", "/1/attributes/"+id, nil)
		if err != nil {
			t.Fatal(err, string(text))
		}
		return status
	}
	for until := time.Now().Add(20 * time.Second); status(short) != 404; {
		if time.Now().After(until) {
			t.Fatal("the attribute has not expired")
		}
	}
	if got := status(long); got != 200 {
		t.Errorf("the other attribute: %d", got)
	}
	p.stop(t)

	p = serve(t, writeConfig(t, serveConfig+"events: {retention: 1d}\n"), data)
	for until := time.Now().Add(20 * time.Second); ; {
		p.mustCall(t, "GET", "/1/events", nil, &page)
		if page.Count == 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%d old events were not deleted", page.Count)
		}
	}
}

// postJSON sends JSON text and reads the answer.
func postJSON(t *testing.T, p *process, path, body string, answer any) {
	t.Helper()
	p.mustCall(t, "POST", path, rawJSON(body), answer)
}

// rawJSON is text that is sent as JSON without encoding.
type rawJSON string

// MarshalJSON implements json.Marshaler.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// stop ends a server by SIGINT, which must succeed.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.log())
	}
}

// TestEventsImportExport exports events from one server and imports them into another
// by the command line.
func TestEventsImportExport(t *testing.T) {
	p, q := serve(t, writeConfig(t, serveConfig), t.TempDir()), serve(t, writeConfig(t, serveConfig), t.TempDir())
	file := filepath.Join(t.TempDir(), "events.ndjson")
	var lines []string
	for n := range 100 {
		lines = append(lines, eventBody(n))
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runNearside := func(want string, args ...string) string {
		t.Helper()
		out, err := exec.Command("nearside", args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	runNearside(`"accepted":100`, "import", file, "--origin", "events", "--url", p.url)
	first := filepath.Join(t.TempDir(), "out.ndjson")
	runNearside("", "export", "--origin", "events", "-o", first, "--url", p.url)
	runNearside(`"accepted":100`, "import", first, "--origin", "events", "--url", q.url)
	if a, b := runNearside("", "export", "--origin", "events", "--url", p.url), runNearside("", "export", "--origin", "events", "--url", q.url); a != b || strings.Count(a, "\n") != 100 {
		t.Errorf("%d bytes and %d bytes:\n%.300s\n%.300s", len(a), len(b), a, b)
	}
}
