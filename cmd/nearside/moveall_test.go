package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// compareServers is the script command `sameworld URL URL KEYFILE COUNTS`. It reads all lists
// and objects of both servers, page by page and then one by one, and compares them. COUNTS
// are the numbers of lists, faces, events and attributes that each server must have, such
// as 3,2,1,0. Lines of exports are compared, too, because only they say when attributes
// expire.
func compareServers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: sameworld URL URL KEYFILE COUNTS")
	}
	key, err := os.ReadFile(ts.MkAbs(args[2]))
	ts.Check(err)
	get := func(url string) []byte {
		request, err := http.NewRequest(http.MethodGet, url, nil)
		ts.Check(err)
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
		answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		ts.Check(err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		ts.Check(err)
		if answer.StatusCode != http.StatusOK {
			ts.Fatalf("%s: %s: %s", url, answer.Status, body)
		}
		return body
	}
	counts := strings.Split(args[3], ",")
	for i, name := range []string{"lists", "faces", "events", "attributes"} {
		ids := idsOf(ts, get, args[0], name)
		if other := idsOf(ts, get, args[1], name); !slices.Equal(ids, other) || strconv.Itoa(len(ids)) != counts[i] {
			ts.Fatalf("%s: %v and %v, want %s", name, ids, other, counts[i])
		}
		for _, id := range ids {
			path := "/1/" + name + "/" + id + "?descriptor=1"
			if name == "lists" {
				path = "/1/lists/" + id
			}
			if a, b := get(args[0]+path), get(args[1]+path); !bytes.Equal(a, b) {
				ts.Fatalf("%s:\n%s%s", path, a, b)
			}
		}
		if name == "lists" {
			continue
		}
		path := "/1/export?origin=" + name
		if a, b := sortedLines(string(get(args[0]+path))), sortedLines(string(get(args[1]+path))); a != b || strings.Count(a, "\n") != len(ids) {
			ts.Fatalf("%s:\n%s\n%s", path, a, b)
		}
	}
}

// idsOf returns the ids of all objects, in order.
func idsOf(ts *testscript.TestScript, get func(string) []byte, base, name string) (ids []string) {
	query := "?page_size=2"
	for {
		var page map[string]json.RawMessage
		var objects []map[string]any
		ts.Check(json.Unmarshal(get(base+"/1/"+name+query), &page))
		ts.Check(json.Unmarshal(page[name], &objects))
		if len(objects) == 0 {
			return ids
		}
		for _, o := range objects {
			ids = append(ids, o[strings.TrimSuffix(name, "s")+"_id"].(string))
		}
		query = "?page_size=2&after=" + ids[len(ids)-1]
	}
}

// writeFolder writes a complete export with the given lines of each file.
func writeFolder(t *testing.T, lines map[string]string) (dir string, m *manifest) {
	dir, m = t.TempDir(), &manifest{Format: manifestFormat, CreateTime: time.Unix(0, 0).UTC()}
	for _, name := range movedFiles() {
		sum := newLineSum(name)
		if _, err := io.WriteString(sum, lines[name]); err != nil {
			t.Fatal(err)
		}
		m.Files = append(m.Files, sum.file())
		writeText(t, filepath.Join(dir, name), lines[name])
	}
	writeManifest(t, dir, m)
	return dir, m
}

func writeText(t *testing.T, path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeManifest(t *testing.T, dir string, m *manifest) {
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(dir, manifestName), string(text))
}

// TestImportAllRefuses checks that a folder that is not as in its manifest is refused
// before anything is sent, and that the error names the fault.
func TestImportAllRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(t *testing.T, dir string, m *manifest)
		want   []string
	}{
		"no manifest": {func(t *testing.T, dir string, _ *manifest) {
			if err := os.Remove(filepath.Join(dir, manifestName)); err != nil {
				t.Fatal(err)
			}
		}, []string{"manifest.json", "no such file", "the export was not completed"}},
		"no JSON": {func(t *testing.T, dir string, _ *manifest) { writeText(t, filepath.Join(dir, manifestName), "{") }, []string{"manifest.json: unexpected end"}},
		"newer format": {func(t *testing.T, dir string, _ *manifest) {
			writeText(t, filepath.Join(dir, manifestName), `{"format": 2, "files": "of another type"}`)
		}, []string{"format: must be at most 1, got 2", "newer version"}},
		"no format": {func(t *testing.T, dir string, _ *manifest) { writeText(t, filepath.Join(dir, manifestName), `{}`) }, []string{"format: must be an integer from 1 to 1, got 0"}},
		"missing entries": {func(t *testing.T, dir string, m *manifest) {
			m.Files = m.Files[:2]
			writeManifest(t, dir, m)
		}, []string{"files: events.ndjson is missing", "files: attributes.ndjson is missing"}},
		"foreign entry": {func(t *testing.T, dir string, m *manifest) {
			m.Files = append(m.Files, movedFile{Name: "../faces.ndjson"})
			writeManifest(t, dir, m)
		}, []string{`files[4].name: must be one of ["lists.ndjson" "faces.ndjson" "events.ndjson" "attributes.ndjson"], got "../faces.ndjson"`}},
		"entry twice": {func(t *testing.T, dir string, m *manifest) {
			m.Files = append(m.Files, m.Files[1])
			writeManifest(t, dir, m)
		}, []string{"files[4].name: faces.ndjson is given twice"}},
		"missing file": {func(t *testing.T, dir string, _ *manifest) {
			if err := os.Remove(filepath.Join(dir, "events.ndjson")); err != nil {
				t.Fatal(err)
			}
		}, []string{"events.ndjson: no such file"}},
		"changed and cut": {func(t *testing.T, dir string, _ *manifest) {
			writeText(t, filepath.Join(dir, "faces.ndjson"), "{\"age\":2}\n")
			writeText(t, filepath.Join(dir, "lists.ndjson"), "{}")
		}, []string{"faces.ndjson: the sha256 must be", "lists.ndjson: must have 3 bytes as in manifest.json, got 2"}},
		"other count": {func(t *testing.T, dir string, m *manifest) {
			m.Files[1].Objects = 7
			writeManifest(t, dir, m)
		}, []string{"faces.ndjson: must have 7 objects as in manifest.json, got 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, m := writeFolder(t, map[string]string{"lists.ndjson": "{}\n", "faces.ndjson": "{\"age\":1}\n"})
			f := &fakeServer{dir: t.TempDir()}
			test.damage(t, dir, m)
			var out, errs bytes.Buffer
			code := runCommand([]string{"import", "--all", dir, "--url", newHTTPServer(t, f)}, strings.NewReader(""), &out, &errs)
			if code != 1 || out.Len() > 0 || f.requests > 0 {
				t.Errorf("code %d, %d requests, output %q", code, f.requests, &out)
			}
			for _, want := range test.want {
				if !strings.Contains(errs.String(), want) {
					t.Errorf("%s\nwant %q", &errs, want)
				}
			}
		})
	}
}

// TestExportAllLeavesNothing checks that an export that fails removes what it has written,
// and only that.
func TestExportAllLeavesNothing(t *testing.T) {
	f := &fakeServer{dir: t.TempDir()} // its lists are not those of a server, so the export fails at the end
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config", f.config)
	mux.HandleFunc("GET /1/export", f.export)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	url := server.URL
	given := t.TempDir()
	for _, dir := range []string{filepath.Join(given, "new"), given} {
		var out, errs bytes.Buffer
		if code := runCommand([]string{"export", "--all", dir, "--url", url}, strings.NewReader(""), &out, &errs); code != 1 || !strings.Contains(errs.String(), "/1/lists: 404") {
			t.Errorf("code %d: %s", code, &errs)
		}
		if left, err := os.ReadDir(given); err != nil || len(left) > 0 {
			t.Errorf("%v %v", left, err)
		}
	}
}

// TestExportAllFromOldServer checks that a server that cannot export attributes must have
// none.
func TestExportAllFromOldServer(t *testing.T) {
	for attributes, want := range map[int]int{0: 0, 5: 1} {
		f := &fakeServer{dir: t.TempDir()}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /config", f.config)
		mux.HandleFunc("GET /1/export", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("origin") == "attributes" {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"error_code": 12022, "desc": "Bad input", "detail": "origin: must be one of faces, events", "link": ""}`)
			}
		})
		mux.HandleFunc("GET /1/attributes", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"attributes": [], "count": %d}`, attributes)
		})
		mux.HandleFunc("GET /1/lists", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"lists": [], "count": 0}`) })
		server := httptest.NewServer(mux)
		defer server.Close()
		var out, errs bytes.Buffer
		dir := filepath.Join(t.TempDir(), "moved")
		code := runCommand([]string{"export", "--all", dir, "--url", server.URL}, strings.NewReader(""), &out, &errs)
		if code != want || (want == 1) != strings.Contains(errs.String(), "the server has 5 attributes, and its version cannot export them") {
			t.Errorf("%d attributes: code %d: %s", attributes, code, &errs)
		}
		if _, err := readManifest(dir); (err == nil) != (want == 0) {
			t.Error(err)
		}
	}
}

// TestImportAllNotesExpired checks the note about attributes that have expired since the
// export.
func TestImportAllNotesExpired(t *testing.T) {
	dir, _ := writeFolder(t, map[string]string{"attributes.ndjson": `{"expire_time": "2020-01-01T00:00:00Z"}
{"expire_time": "9999-01-01T00:00:00Z"}
{"expire_time": "2020-01-02T00:00:00Z"}
`})
	f := &fakeServer{dir: t.TempDir()}
	var out, errs bytes.Buffer
	if code := runCommand([]string{"import", "--all", dir, "--url", newHTTPServer(t, f)}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Errorf("code %d", code)
	}
	if want := "nearside: 2 attributes have expired since the export"; !strings.Contains(errs.String(), want) {
		t.Errorf("%s\nwant %s", &errs, want)
	}
}

// TestImportAllStops checks that an error of the server ends the import, is named, and that
// the numbers so far are printed.
func TestImportAllStops(t *testing.T) {
	dir, _ := writeFolder(t, map[string]string{"lists.ndjson": `{"list_id": "00000000-0000-0000-0000-000000000001", "create_time": "2020-01-01T00:00:00.000Z"}` + "\n", "faces.ndjson": "{}\n"})
	f := &fakeServer{dir: t.TempDir()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config", f.config)
	mux.HandleFunc("POST /1/import", f.importLines)
	mux.HandleFunc("POST /1/lists", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInsufficientStorage)
		fmt.Fprint(w, `{"error_code": 12052, "desc": "Full", "detail": "disk: 5 bytes left", "link": ""}`)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	var out, errs bytes.Buffer
	if code := runCommand([]string{"import", "--all", dir, "--url", server.URL}, strings.NewReader(""), &out, &errs); code != 1 {
		t.Errorf("code %d", code)
	}
	if got, want := out.String(), `{"lists":{"accepted":0,"rejected":0}}`+"\n"; got != want || f.requests > 0 {
		t.Errorf("%d requests, output %s, want %s", f.requests, got, want)
	}
	for _, want := range []string{"lists.ndjson: line 1: server: disk: 5 bytes left", "import stopped after 0 lists; it can be repeated"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%s\nwant %s", &errs, want)
		}
	}
}
