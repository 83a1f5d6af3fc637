package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"nearside/internal/server"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/route"
	"nearside/matcher/store"
	"nearside/matcher/wire"
	"nearside/simd"
)

// documented is a running server beside the document that describes it.
type documented struct {
	url  string
	doc  *openapi3.T
	seen map[string]bool // operations with an answer that was checked
}

func serveDocumented(t *testing.T) *documented {
	t.Helper()
	registry, err := matcher.NewRegistry([]matcher.Version{{
		Number: 1001, Length: 256, Scale: 128, Similarity: matcher.Calibration{Midpoint: 12.6, Steepness: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := simd.Select("auto")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := memory.New(memory.Options{Registry: registry, Kernel: kernel, Workers: 2, Cost: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mem.Close)
	unobserved := matcher.Observers{}
	log := slog.New(slog.DiscardHandler)
	objects, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), Applier: mem, Observer: unobserved, Warn: log.Warn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := server.New(server.Options{
		Listen: "127.0.0.1:0", Memory: mem, Store: objects, Observer: unobserved, Log: log,
		Router: route.New(route.Options{Registry: registry, Objects: mem, Matchers: []matcher.Matcher{mem}, Observer: unobserved}),
		Metrics: func(w io.Writer, _ string) (string, error) {
			_, err := io.WriteString(w, "rows 0\n")
			return "text/plain", err
		},
		Limits: server.Limits{
			Decoder: &wire.Decoder{Registry: registry, Now: time.Now, Limits: wire.Limits{
				References: 1000, Candidates: 100, RawCandidates: 10000, Result: 1000, FilterValues: 100000,
			}},
			BodyBytes: 1 << 20, LineBytes: 1 << 16, RequestTimeout: time.Minute, Config: map[string]any{"listen": "here"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Run() }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil { // the test's own context is over by now
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &documented{"http://" + s.Addr().String(), loadSpec(t), map[string]bool{}}
}

// call sends a request and checks the answer: its status is want, the document
// has it for the operation at path, and its body fits the schema there. What
// the server takes of a JSON body, the document must take, too.
func (d *documented) call(t *testing.T, want int, method, path, url, body string) {
	t.Helper()
	op := d.doc.Paths.Value(path).GetOperation(method)
	request, err := http.NewRequestWithContext(t.Context(), method, d.url+url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(url, "/1/import") {
		request.Header.Set("Content-Type", "application/x-ndjson")
	}
	answer, err := http.DefaultTransport.RoundTrip(request) // no redirects
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != want {
		t.Errorf("%s %s %.300s: %d, want %d: %.300s", method, url, body, answer.StatusCode, want, text)
		return
	}
	if op.RequestBody != nil && op.RequestBody.Value.Content["application/json"] != nil {
		err := fits(op.RequestBody.Value.Content, "application/json", []byte(body))
		if (err == nil) == (want == http.StatusBadRequest) {
			t.Errorf("%s %s %.300s: answered %d, but to the document it has the fault %v", method, url, body, want, err)
		}
	}
	described := op.Responses.Value(strconv.Itoa(want))
	if described == nil {
		t.Errorf("%s %s: %d is not in the document", method, path, want)
		return
	}
	for name, header := range described.Value.Headers {
		if header.Value.Required && answer.Header.Get(name) == "" {
			t.Errorf("%s %s: %d without the header %s", method, path, want, name)
		}
	}
	media, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	if err := fits(described.Value.Content, media, text); err != nil {
		t.Errorf("%s %s: %d %s: %v\n%.300s", method, url, want, media, err, text)
	}
	if want < 300 {
		d.seen[op.OperationID] = true
	}
}

// fits says what is wrong with a body as one of content.
func fits(content openapi3.Content, media string, body []byte) error {
	described := content[media]
	if described == nil {
		if len(content) == 0 && len(body) == 0 {
			return nil
		}
		return &openapi3.SchemaError{Reason: "the media type " + strconv.Quote(media) + " is not described"}
	}
	if media != "application/json" {
		return nil
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return described.Schema.Value.VisitJSON(v)
}
