package load

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// TestManyClients runs more clients than the machine has cores, and compares the number
// of requests that the server counted with the result.
func TestManyClients(t *testing.T) {
	const clients, requests, refused = 16, 400, 25
	var seen, connections atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || string(body) != "question" || r.Header.Get("Content-Type") != "x/y" || r.Header.Get("Accept") != "x/y" {
			t.Errorf("%s %q %v", r.Method, body, r.Header)
		}
		if seen.Add(1) <= refused {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "answer")
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	target := Target{URL: server.URL, ContentType: "x/y", Bodies: [][]byte{[]byte("question")}, Status: http.StatusCreated}
	send, closeAll := target.Connect(clients)
	defer closeAll()
	end := &endAfter{requests: requests}
	r, err := Run(ctx, Plan{Clients: clients, Duration: time.Hour}, end, func(ctx context.Context, i int) (int, error) {
		end.count()
		return send(ctx, i)
	})
	if err != nil {
		t.Fatal(err)
	}
	sent := int(seen.Load())
	if sent < requests || sent > requests+clients {
		t.Errorf("%d requests were sent, want about %d", sent, requests)
	}
	if r.Requests != sent-refused || r.Errors["HTTP 503"] != refused || r.Failed() != refused || r.BytesIn != int64(6*r.Requests) {
		t.Errorf("%d sent; %d good, errors %v, %d bytes", sent, r.Requests, r.Errors, r.BytesIn)
	}
	if n := connections.Load(); n < 1 || n > clients {
		t.Errorf("%d connections for %d clients, want 1 to %[2]d", n, clients)
	}
}

// endAfter is the wall clock until enough requests were sent. Then it jumps forward, so
// that the number of requests ends the plan, not the time.
type endAfter struct {
	Wall
	mu       sync.Mutex
	sent     int
	requests int
}

func (e *endAfter) count() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent++
}

func (e *endAfter) Now() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sent >= e.requests {
		return time.Now().Add(2 * time.Hour)
	}
	return time.Now()
}

func TestMissingAnswers(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	target := Target{URL: server.URL, Bodies: [][]byte{nil}, Timeout: 10 * time.Millisecond}
	send, closeAll := target.Connect(1)
	defer closeAll()
	if _, err := send(t.Context(), 0); err == nil || errorKind(err) != "timeout" {
		t.Errorf("error %v", err)
	}
	server.Listener.Close()
	if _, err := target.PostFirst(t.Context()); err == nil || !strings.Contains(errorKind(err), "refused") {
		t.Errorf("error %v", err)
	}
}

// TestBodies decodes the requests with the server's decoder.
func TestBodies(t *testing.T) {
	registry, err := matcher.NewRegistry([]matcher.Version{{Number: 1, Length: 4, Scale: 1, Similarity: matcher.Calibration{Steepness: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	decoder := wire.Decoder{Registry: registry, Now: time.Now, Limits: wire.Limits{References: 10, Candidates: 1, Result: 100, FilterValues: 1}}
	list := matcher.NewID()
	for _, format := range []wire.Format{wire.JSON, wire.MessagePack} {
		m := Match{
			Format: format, Version: 1, Rows: [][]byte{{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}, {13, 14, 15, 16}, {17, 18, 19, 20}},
			Batch: 2, Origin: "faces", List: &list, Limit: 7,
		}
		target := m.Target("http://host")
		if target.URL != "http://host/1/matcher/faces" || len(target.Bodies) != 2 {
			t.Fatalf("%s with %d bodies", target.URL, len(target.Bodies))
		}
		for i, body := range target.Bodies {
			r, err := decoder.Match(format, body, matcher.FaceDescriptor)
			if err != nil {
				t.Fatal(err)
			}
			for j, ref := range r.References {
				if want := m.Rows[2*i+j]; string(ref.Descriptor.Data) != string(want) || ref.Descriptor.Version != 1 {
					t.Errorf("body %d, reference %d: %v", i, j, ref.Descriptor)
				}
			}
			c := r.Candidates[0]
			if len(r.References) != 2 || len(r.Candidates) != 1 || c.Limit != 7 || *c.Filter.ListID != list || c.Origin != matcher.Faces || len(c.Targets) != 3 {
				t.Errorf("body %d: %+v of %d references", i, c, len(r.References))
			}
		}
	}
}
