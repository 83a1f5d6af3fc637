package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// commandLine runs commands against a real server.
type commandLine struct {
	*testing.T
	server *process
}

// run runs a command that must succeed, and returns the lines of its output.
func (c commandLine) run(stdin string, args ...string) []string {
	c.Helper()
	var stdout, stderr bytes.Buffer
	if code := runCommand(append(args, "--url", c.server.url), strings.NewReader(stdin), &stdout, &stderr); code != 0 {
		c.Fatalf("%q: exit code %d: %s%s", args, code, &stdout, &stderr)
	}
	return strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
}

// get returns the fields of an object, which it asks the server for without the command
// line, or nil if there is none.
func (c commandLine) get(path string) map[string]any {
	c.Helper()
	status, text, err := c.server.call(http.MethodGet, path, nil)
	if err != nil || status != http.StatusOK && status != http.StatusNotFound {
		c.Fatal(status, text, err)
	}
	if status == http.StatusNotFound {
		return nil
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		c.Fatal(err)
	}
	return fields
}

// want compares the output of a command, without what the server adds to objects.
func (c commandLine) want(got []string, want ...string) {
	c.Helper()
	if d := cmp.Diff(want, got); d != "" {
		c.Error(d)
	}
}

// TestObjectCommands writes objects of a real server with the command line and reads them
// without it, and the other way round.
func TestObjectCommands(t *testing.T) {
	c := commandLine{t, serve(t, writeConfig(t, serveConfig), t.TempDir())}
	const descriptor = `{"version": 1001, "data": "AAECAwQFBgcICQoLDA0ODw=="}`
	faceLine := func(n, age int) string {
		return fmt.Sprintf(`{"face_id": %q, "age": %d, "external_id": "f%d", "descriptor": %s}`+"\n", fakeID(n), age, n, descriptor)
	}
	id := func(kind string, n int) string { return fmt.Sprintf(`{"%s_id":%q}`, kind, fakeID(n)) }

	c.want(c.run("", "list", "create", "--id", fakeID(100), "--user-data", "staff"), id("list", 100))
	c.want(c.run(faceLine(1, 10)+faceLine(2, 20)+faceLine(3, 30), "face", "put", "-"), id("face", 1), id("face", 2), id("face", 3))
	c.want(c.run("["+faceLine(2, 21)+"]", "face", "put", "-"), id("face", 2)) // replaces
	if age := c.get("/1/faces/" + fakeID(2))["age"]; age != 21.0 {
		t.Errorf("age %v", age)
	}
	find := func(args ...string) []string {
		return c.run("", append([]string{"face", "find", "--targets", "face_id"}, args...)...)
	}
	c.want(find("--filter", "age__gte=20"), id("face", 2), id("face", 3))
	c.want(find("--filter", "external_ids=f3", "--filter", "external_ids=f1"), id("face", 1), id("face", 3))
	c.want(find("--all", "--page-size", "1"), id("face", 1), id("face", 2), id("face", 3))
	c.want(find("--after", fakeID(1), "--page-size", "1"), id("face", 2))

	c.want(c.run("", "list", "attach", fakeID(100), fakeID(1), fakeID(3)), `{"attached":2}`)
	c.want(find("--filter", "list_id="+fakeID(100)), id("face", 1), id("face", 3))
	c.want(c.run("", "list", "detach", fakeID(100), fakeID(3)), `{"detached":1}`)
	if count := c.get("/1/lists/" + fakeID(100))["face_count"]; count != 1.0 {
		t.Errorf("%v faces", count)
	}
	c.want(c.run(fmt.Sprintf(`{"list_id": %q}`, fakeID(100)), "list", "put", "-"), id("list", 100))
	if list := c.get("/1/lists/" + fakeID(100)); list["user_data"] != nil || list["face_count"] != 1.0 {
		t.Error(list)
	}
	if found := strings.Join(c.run("", "list", "find"), ""); !strings.Contains(found, fakeID(100)) {
		t.Error(found)
	}

	for _, source := range []string{"cam-1", "cam-2"} { // the second one replaces the first
		c.want(c.run(fmt.Sprintf(`{"event_id": %q, "source": %q, "face_descriptor": %s}`, fakeID(5), source, descriptor), "event", "put", "-"), id("event", 5))
		if got := c.get("/1/events/" + fakeID(5))["source"]; got != source {
			t.Errorf("source %v", got)
		}
	}
	c.want(c.run(fmt.Sprintf(`{"attribute_id": %q, "age": 7, "descriptor": %s}`, fakeID(6), descriptor), "attribute", "put", "-"), id("attribute", 6))
	if got := c.run("", "attribute", "get", fakeID(6), "--descriptor"); !strings.Contains(got[0], `"age":7`) || !strings.Contains(got[0], `"AAECAwQFBgcICQoLDA0ODw=="`) {
		t.Error(got)
	}
	c.want(c.run("", "attribute", "delete", fakeID(6)), `{"deleted":1}`)

	c.want(c.run("", "face", "delete", "--filter", "age__gte=30", "--yes"), `{"deleted":1}`)
	c.want(c.run("", "face", "delete", fakeID(2)), `{"deleted":1}`)
	c.want(c.run("", "list", "delete", fakeID(100), "--with-faces", "--yes"), `{"deleted":1}`)
	for _, gone := range []string{"/1/faces/" + fakeID(1), "/1/faces/" + fakeID(2), "/1/faces/" + fakeID(3), "/1/lists/" + fakeID(100), "/1/attributes/" + fakeID(6)} {
		if object := c.get(gone); object != nil {
			t.Errorf("%s still exists: %v", gone, object)
		}
	}
}
