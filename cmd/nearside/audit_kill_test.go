package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"nearside/internal/audit"
)

// auditKillsDefault is how often TestAuditKill9 kills the server. NEARSIDE_AUDIT_KILLS is
// another number.
const auditKillsDefault = 5

// audited has what clients know of their requests.
type audited struct {
	mu       sync.Mutex
	answered map[string]int    // status by request id
	puts     map[string]string // face by request id, of all puts that were sent
	next     int
}

// send sends a request with an id of its own. It reports whether it was answered.
func (a *audited) send(p *process, kind string, n int) bool {
	id := fmt.Sprintf("1796128954,00000000-0000-4000-8000-%012x", n)
	face := fmt.Sprintf("00000000-0000-4000-8000-%012x", n)
	method, path, body := "PUT", "/1/faces/"+face, `{"descriptor":{"version":1001,"data":"AAAAAAAAAAAAAAAAAAAAAA=="}}`
	switch kind {
	case "match":
		method, path, body = "POST", "/1/matcher/faces", `{"references":[{"type":"raw_descriptor","id":"p","data":{"version":1001,"data":"AAAAAAAAAAAAAAAAAAAAAA=="}}],"candidates":[{"filters":{"origin":"faces"},"limit":3}]}`
	case "import":
		method, path, body = "POST", "/1/import", strings.Repeat(strings.TrimSuffix(importLine(n), "\n")+"\n", 3)
	}
	request, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		return false
	}
	request.Header.Set("Luna-Request-Id", id)
	if kind == "import" {
		request.Header.Set("Content-Type", "application/x-ndjson")
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	a.mu.Lock()
	if kind == "put" {
		a.puts[id] = face
	}
	a.mu.Unlock()
	answer, err := p.client.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err != nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered[id] = answer.StatusCode
	return true
}

// TestAuditKill9 kills the server again and again while clients write and match, and while
// files are rotated. After each start, the chain has no fault, each answered request has one
// line, and a write that was in progress has a line if and only if it is stored.
func TestAuditKill9(t *testing.T) {
	t.Parallel()
	kills := auditKillsDefault
	if text := os.Getenv("NEARSIDE_AUDIT_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	file, keyFile := filepath.Join(dir, "audit.log"), filepath.Join(dir, "audit.key")
	if err := os.WriteFile(keyFile, []byte("the secret of the audit"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := audit.ReadKey(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	config := writeConfig(t, serveConfig+fmt.Sprintf("audit: {file: %s, key_file: %s, max_bytes: 8KiB, keep: 0}\n", file, keyFile))
	a := &audited{answered: map[string]int{}, puts: map[string]string{}}
	rng := rand.New(rand.NewPCG(5, 6))
	data := t.TempDir()
	p := serve(t, config, data)
	torn := 0
	for round := range kills {
		var sent atomic.Int64
		var clients sync.WaitGroup
		limit := int64(5 + rng.IntN(120))
		if round%4 == 3 { // long enough for a checkpoint, which comes every second
			limit = int64(1000 + rng.IntN(2000))
		}
		for c := range 4 {
			kinds := []string{"put", "match", "put", "import"}
			first := a.next + c
			clients.Go(func() {
				for n := 0; a.send(p, kinds[(n+c)%len(kinds)], first+4*n); n++ {
					if sent.Add(1) == limit {
						_ = p.command.Process.Kill()
					}
				}
			})
		}
		clients.Wait()
		p.wait()
		a.next += 4 * int(limit+10)
		p = serve(t, config, data)
		names, _ := filepath.Glob(file + "*")
		r, err := audit.Verify(key, names, nil)
		if err != nil || len(r.Warnings) > 0 {
			t.Fatalf("round %d: %v %v\n%s", round, err, r.Warnings, p.log())
		}
		torn = r.Recoveries
		if strings.Contains(p.log(), `"ERROR"`) {
			t.Fatalf("round %d:\n%s", round, p.log())
		}
		checkAudited(t, p, a, names)
	}
	t.Logf("%d kills, %d answered requests, %d torn lines", kills, len(a.answered), torn)
}

// checkAudited compares the lines of an audit with what clients know.
func checkAudited(t *testing.T, p *process, a *audited, names []string) {
	t.Helper()
	lines := map[string]int{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var l struct {
				RequestID string `json:"request_id"`
				Status    int
			}
			if json.Unmarshal([]byte(line), &l) != nil || l.RequestID == "" {
				continue // torn, or without a request
			}
			if lines[l.RequestID]++; lines[l.RequestID] > 1 {
				t.Errorf("%s has two lines: %s", l.RequestID, line)
			}
			if status, answered := a.answered[l.RequestID]; answered && status != l.Status {
				t.Errorf("the answer was %d: %s", status, line)
			}
		}
	}
	for id := range a.answered {
		if lines[id] != 1 {
			t.Errorf("the answered request %s has %d lines", id, lines[id])
		}
	}
	for id, face := range a.puts {
		if _, answered := a.answered[id]; answered {
			continue
		}
		status, text, err := p.call("GET", "/1/faces/"+face, nil)
		if err != nil || (status == http.StatusOK) != (lines[id] == 1) {
			t.Errorf("the put %s in progress has %d lines, reading its face: %d %s %v", id, lines[id], status, text, err)
		}
		delete(a.puts, id)
	}
}
