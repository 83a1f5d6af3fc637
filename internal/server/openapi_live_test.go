package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"nearside/internal/task"
)

// documented is a running server with the document that describes it.
type documented struct {
	*service
	doc  *openapi3.T
	seen map[string]bool // operations with an answer that was checked
}

func serveDocumented(t *testing.T) *documented {
	t.Helper()
	quick := task.Kind{Name: "snapshot", Run: func(context.Context, *task.Task) (any, error) { return map[string]any{"bytes": 1}, nil }}
	slow := task.Kind{Name: "erase", Cancels: true, Run: func(ctx context.Context, _ *task.Task) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	return &documented{start(t, withAudit(), func(s *settings) { s.tasks = []task.Kind{quick, slow} }), readSpec(), map[string]bool{}}
}

// call sends a request and checks the answer: the status is want, the document has
// this status for the operation at path, and the body fits the schema. A JSON body
// that the server accepts must fit the schema too.
func (d *documented) call(t *testing.T, want int, method, path, url, body string) {
	t.Helper()
	op := d.doc.Paths.Value(path).GetOperation(method)
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+d.address+url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(url, "/1/import") {
		request.Header.Set("Content-Type", "application/x-ndjson")
	}
	answer, err := d.client.Do(request) // no redirects
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
			t.Errorf("%s %s %.300s: the status is %d, but checking the body against the document returns %v", method, url, body, want, err)
		}
	}
	described := op.Responses.Value(strconv.Itoa(want))
	if described == nil {
		t.Errorf("%s %s: %d is not in the document", method, path, want)
		return
	}
	for name, header := range described.Value.Headers {
		if header.Value.Required && answer.Header.Get(name) == "" {
			t.Errorf("%s %s: the answer %d lacks the header %s", method, path, want, name)
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

// fits returns an error if body does not fit the schema that content has for media.
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
