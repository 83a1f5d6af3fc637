package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func unquote(s string) (string, error) { return strconv.Unquote(`"` + s + `"`) }

// fakeServer answers as docs/api.md says, but stores no objects. With it, tests
// see what the client sends and how it reads the answers.
type fakeServer struct {
	dir string // the folder for its records of requests

	mu       sync.Mutex
	requests int
}

// startFakeServer is the command `fakeserver`.
func startFakeServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: fakeserver")
	}
	f := &fakeServer{dir: ts.MkAbs("server")}
	ts.Check(os.Mkdir(f.dir, 0o777))
	server := httptest.NewServer(f.routes())
	ts.Defer(server.Close)
	ts.Setenv("URL", server.URL)
}

// newHTTPServer serves f until the test ends, and returns its URL.
func newHTTPServer(t *testing.T, f *fakeServer) string {
	server := httptest.NewServer(f.routes())
	t.Cleanup(server.Close)
	return server.URL
}

func (f *fakeServer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /config", f.config)
	f.addObjects(mux)
	mux.HandleFunc("POST /1/import", f.importLines)
	mux.HandleFunc("GET /1/export", f.export)
	mux.HandleFunc("POST /1/matcher/{type}", f.match)
	return mux
}

// record appends text to a file in f.dir.
func (f *fakeServer) record(name, text string) {
	file, err := os.OpenFile(filepath.Join(f.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	fmt.Fprintln(file, text)
}

func (f *fakeServer) config(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `{"descriptors": {"versions": [
		{"number": 3, "type": "face", "encoding": "uint8", "length": 3, "scale": 128, "similarity": {"midpoint": 1, "steepness": 8}},
		{"number": 4, "type": "face", "encoding": "float32", "length": 1, "metric": "l2", "similarity": {"midpoint": 1, "steepness": 8}},
		{"number": 1004, "type": "face", "encoding": "float32", "length": 4, "metric": "l2", "similarity": {"midpoint": 1, "steepness": 8}},
		{"number": 1005, "type": "face", "encoding": "uint8", "length": 4, "scale": 128, "similarity": {"midpoint": 1, "steepness": 8}},
		{"number": 1001, "type": "face", "encoding": "uint8", "length": 256, "scale": 128, "similarity": {"midpoint": 12.6, "steepness": 1}}]},
		"limits": {"references": 2}}`)
}

// importLines rejects lines that contain "bad". At a line with "break" it closes the
// connection, and at one with "full" it answers that the disk is full.
func (f *fakeServer) importLines(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	f.record("requests", r.URL.RawQuery+" "+r.Header.Get("Content-Type"))
	type lineError struct {
		Line   int    `json:"line"`
		Detail string `json:"detail"`
	}
	accepted, rejected, faults := 0, 0, []lineError{}
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 32<<20)
	for number := 1; lines.Scan(); number++ {
		switch line := lines.Text(); {
		case line == "":
		case strings.Contains(line, "break"):
			panic(http.ErrAbortHandler)
		case strings.Contains(line, "full"):
			w.WriteHeader(http.StatusInsufficientStorage)
			fmt.Fprint(w, `{"error_code": 12052, "desc": "Full", "detail": "disk: 5 bytes left", "link": ""}`)
			return
		case strings.Contains(line, "bad"):
			rejected++
			if len(faults) < 100 {
				faults = append(faults, lineError{number, "descriptor: is bad"})
			}
		default:
			accepted++
			f.record("lines", line)
		}
	}
	json.NewEncoder(w).Encode(map[string]any{"accepted": accepted, "rejected": rejected, "errors": faults})
}

func (f *fakeServer) export(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "{\"asked\": %q}\n{\"face\": 2}\n", r.URL.RawQuery)
	if r.URL.Query().Get("list_id") == "00000000-0000-0000-0000-00000000dead" {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// match answers each reference with two matches, and reference "0" with none. It sends
// plans if the request asks for them.
func (f *fakeServer) match(w http.ResponseWriter, r *http.Request) {
	var request struct {
		References []struct {
			Type, ID         string
			Data, References json.RawMessage
			Fuse             string
		}
		Candidates []json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		panic(err)
	}
	f.record("matches", fmt.Sprintf("%s %s", r.URL.RawQuery, request.Candidates[0]))
	if r.PathValue("type") != "faces" {
		f.record("types", r.PathValue("type"))
	}
	var set struct {
		Group any
		Count bool
	}
	if err := json.Unmarshal(request.Candidates[0], &set); err != nil {
		panic(err)
	}
	var items []string
	for _, ref := range request.References {
		if ref.ID == "00000000-0000-0000-0000-000000000404" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error_code": 22004, "desc": "Face not found", "detail": "references[0].id: does not exist", "link": ""}`)
			return
		}
		f.record("references", strings.Join([]string{ref.Type, ref.ID, string(ref.Data) + string(ref.References) + ref.Fuse}, " "))
		rows := `{"face": {"face_id": "00000000-0000-0000-0000-000000000001", "external_id": "p1"}, "similarity": 0.5, "distance": 1.25}, {"face": {"face_id": "00000000-0000-0000-0000-000000000002"}, "similarity": 0.25, "distance": 2}`
		if ref.ID == "0" {
			rows = ""
		}
		if set.Group != nil {
			rows = strings.Replace(rows, `"similarity": 0.5`, `"group": "g\u0031", "similarity": 0.5`, 1)
		}
		plan := ""
		if set.Count {
			plan = `, "count": 1234`
		}
		if r.URL.Query().Get("explain") == "1" {
			explained := fakePlan(ref.ID)
			if set.Count {
				explained = strings.Replace(explained, `"ms": 1234.56`, `"steps": ["count: every\ncompared row counts"], "ms": 1234.56`, 1)
			}
			plan += explained
		}
		items = append(items, fmt.Sprintf(`{"reference": {"type": %q, "id": %q}, "matches": [{"filters": {"origin": "faces"}, "result": [%s]%s}]}`, ref.Type, ref.ID, rows, plan))
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "[%s]", strings.Join(items, ","))
}

// fakePlan returns an empty plan for reference "0", no plan for "2", and a full plan for
// others.
func fakePlan(reference string) string {
	switch reference {
	case "0":
		return `, "plan": {"matchers": [], "prefilters": [], "rows_selected": 0, "rows_other_version": 0, "rows_scanned": 0, "kernel": "", "shared_with": 0, "ms": 0}`
	case "2":
		return ""
	}
	return `, "plan": {"matchers": [{"name": "memory", "cost": 100, "chosen": true, "reason": "lowest cost"}, {"name": "thin_list", "cost": 12.5, "chosen": false, "reason": "failed: no\nanswer"},
		{"name": "far", "cost": 0, "chosen": false, "reason": "cannot"}],
		"prefilters": [{"plugin": "adults_only", "before": 1000000, "after": 412034, "ms": 12.34}, {"plugin": "é", "before": 412034, "after": 7, "ms": 0.0314}],
		"hooks": [{"plugin": "policy", "hook": "request", "changes": ["limit 2, was 4", "order\nx"], "ms": 0.02}, {"plugin": "dress", "hook": "results", "changes": [], "ms": 0.01}], "order": "plugin",
		"rows_selected": 1000000, "rows_other_version": 0, "rows_scanned": 999, "kernel": "avx512-vnni", "shared_with": 3, "ms": 1234.56}`
}
