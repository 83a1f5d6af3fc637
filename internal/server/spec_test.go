package server_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// spec holds every exchange of the tests against the OpenAPI document.
type spec struct {
	router routers.Router
	doc    *openapi3.T
}

func newSpec(t testing.TB) *spec {
	t.Helper()
	doc := loadSpec(t)
	doc.Servers = nil // the port is another each time
	return &spec{must(legacy.NewRouter(doc)), doc}
}

// check checks that a request that was answered with success, and every answer
// in JSON, is as the document has it.
func (s *spec) check(a *answer, request *http.Request, body io.Reader) {
	a.Helper()
	if a.response.StatusCode == http.StatusMethodNotAllowed || request.Method == http.MethodHead ||
		slices.Contains([]string{"/", "/docs/", "/favicon.ico"}, request.URL.Path) || strings.HasPrefix(request.URL.Path, "/plugins/") {
		return // of no operation of the document
	}
	place, parameters, err := s.router.FindRoute(request)
	if a.response.StatusCode == http.StatusNotFound && (err != nil || place.Operation.Responses.Status(http.StatusNotFound) == nil) {
		return // the document's router is more generous
	}
	if err != nil {
		a.Errorf("%s: not in the document: %v", a.what, err)
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: place,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	text, readable := body.(*strings.Reader)
	if readable && a.response.StatusCode < 300 && !unread(request.Header.Get("Content-Type")) {
		must(text.Seek(0, io.SeekStart))
		request.Body = io.NopCloser(text)
		if place.Operation.RequestBody != nil && request.Header.Get("Content-Type") == "" {
			request.Header.Set("Content-Type", "application/json")
		}
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			a.Errorf("%s: the server takes what the document does not: %v", a.what, err)
		}
	}
	media, _, _ := strings.Cut(a.response.Header.Get("Content-Type"), ";")
	if unread(media) {
		return
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: a.response.StatusCode, Header: a.response.Header,
		Body: io.NopCloser(bytes.NewReader(a.body)), Options: in.Options,
	}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		a.Errorf("%s: the document has no such answer: %v", a.what, err)
	}
}

// unread reports whether the filter cannot read a media type.
func unread(media string) bool { return strings.Contains(media, "msgpack") }
