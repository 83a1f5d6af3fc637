package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// benchServer starts a fake server with 1001 faces of two versions. It reports 40
// compared rows for each reference. If failing, every tenth match fails.
func benchServer(t *testing.T, failing bool) string {
	registry, err := matcher.NewRegistry([]matcher.Version{{Number: 7, Length: 2, Scale: 1, Similarity: matcher.Calibration{Steepness: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	decoder := wire.Decoder{Registry: registry, Now: time.Now, Limits: wire.Limits{References: 10, Candidates: 1, Result: 100, FilterValues: 1}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /1/faces", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("list_id") == "00000000-0000-0000-0000-00000000000e" {
			io.WriteString(w, `{"faces": [], "count": 0}`)
			return
		}
		if q.Get("descriptor") != "1" || q.Get("page_size") != "1000" || len(q) > 4 {
			t.Errorf("the query for faces is %v", q)
		}
		first := `{"descriptor": {"version": 7, "data": "AQI="}}`
		if q.Get("page") == "1" {
			first += strings.Repeat(`, {"descriptor": {"version": 8, "data": "AQIDBA=="}}`, 999)
		}
		fmt.Fprintf(w, `{"faces": [%s], "count": 1001}`, first)
	})
	var matches atomic.Int64
	mux.HandleFunc("POST /1/matcher/faces", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		format := wire.JSON
		if r.Header.Get("Content-Type") == wire.MessagePack.MediaType() {
			format = wire.MessagePack
		}
		m, err := decoder.Match(format, body, matcher.FaceDescriptor)
		if err != nil || len(m.References[0].Descriptor.Data) != 2 || m.Candidates[0].Limit != 3 {
			t.Errorf("match of %+v: %v", m, err)
		}
		if matches.Add(1)%10 == 0 && failing {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `[{"matches": [{"plan": {"kernel": "avx9", "rows_scanned": 40}}]}]`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// runBench runs the command with a short duration.
func runBench(args ...string) (code int, stdout, stderr string) {
	var out, fault strings.Builder
	code = runCommand(append([]string{"bench", "--duration", "30ms", "--warm-up", "0s", "--limit", "3"}, args...), nil, &out, &fault)
	return code, out.String(), fault.String()
}

func TestBenchJSON(t *testing.T) {
	code, out, fault := runBench("--url", benchServer(t, false), "--clients", "1,3", "--batch", "2", "--format", "msgpack", "--json")
	var a benchAnswer
	if err := json.Unmarshal([]byte(out), &a); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, fault)
	}
	if a.Version != 7 || a.Kernel != "avx9" || a.Rows != 40 || a.Batch != 2 || a.Format != "msgpack" || len(a.Runs) != 2 {
		t.Errorf("%+v", a)
	}
	for i, clients := range []int{1, 3} {
		r := a.Runs[i]
		if r.Clients != clients || r.Requests == 0 || len(r.Errors) != 0 || r.PairsPerSecond < 79.9*r.PerSecond || r.PairsPerSecond > 80.1*r.PerSecond {
			t.Errorf("%+v", r)
		}
	}
}

func TestBenchTable(t *testing.T) {
	code, out, fault := runBench("--url", benchServer(t, true), "--clients", "2", "--rate", "1000", "--list", "00000000-0000-0000-0000-00000000000a")
	if code != 1 || fault != "" || !strings.HasPrefix(out, "40 rows of version 7, 1 references per request, json, kernel avx9\n") ||
		!strings.Contains(out, "requests failed: HTTP 503") || !strings.Contains(out, " 1000 ") {
		t.Errorf("exit code %d, %q:\n%s", code, fault, out)
	}
}

func TestBenchRefuses(t *testing.T) {
	url := benchServer(t, false)
	check := func(want string, code int, args ...string) {
		t.Helper()
		if got, out, fault := runBench(append(args, "--url", url)...); got != code || out != "" || !strings.Contains(fault, want) {
			t.Errorf("%v: exit code %d, %q, %q", args, got, out, fault)
		}
	}
	check("--clients: must be an integer from 1 to", 2, "--clients", "1,0")
	check("--duration must be above 0 and --warm-up at least 0", 2, "--duration", "0s")
	check("--rate", 2, "--rate", "-1")
	check("--batch and --limit must be above 0", 2, "--batch", "0")
	check("--list", 2, "--list", "x")
	check("no face of version 9 to match with", 1, "--version", "9")
	check("no face in list 00000000-0000-0000-0000-00000000000E to match with", 1, "--list", "00000000-0000-0000-0000-00000000000E")
}
