package server_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"nearside/internal/testkit"
)

// spec compares all requests and answers of the tests with the OpenAPI document.
type spec struct {
	router routers.Router
	doc    *openapi3.T
}

// sharedSpec returns the spec of all servers. Reading the document takes longer than starting
// a server.
var sharedSpec = sync.OnceValue(func() *spec {
	allDateTimes()
	doc := readSpec()
	doc.Servers = nil // each server has another port
	return &spec{testkit.Must(legacy.NewRouter(doc)), doc}
})

// allDateTimes makes the check of date-time follow RFC 3339, which allows lower case
// letters.
func allDateTimes() {
	openapi3.DefineStringFormatValidator("date-time", openapi3.NewRegexpFormatValidator(
		`^[0-9]{4}-(0[1-9]|1[012])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$`))
}

// check compares an answer in JSON with the document, and also the request if it
// succeeded.
func (s *spec) check(a *answer, request *http.Request, body io.Reader) {
	a.Helper()
	if a.response.StatusCode == http.StatusMethodNotAllowed || request.Method == http.MethodHead ||
		slices.Contains([]string{"/", "/docs/", "/favicon.ico"}, request.URL.Path) || strings.HasPrefix(request.URL.Path, "/plugins/") {
		return // not an operation of the document
	}
	request.URL.RawQuery = wholeNumber.ReplaceAllString(request.URL.RawQuery, "=$1") // 33.0 is an integer, but openapi3filter refuses it
	place, parameters, err := s.router.FindRoute(request)
	if a.response.StatusCode == http.StatusNotFound && (err != nil || place.Operation.Responses.Status(http.StatusNotFound) == nil) {
		return // the router of the library accepts more
	}
	if err != nil && (a.response.StatusCode == http.StatusUnauthorized || bytes.Contains(a.body, []byte("the URL must not have a key"))) {
		return // what is there is said only to those who have a key
	}
	if err != nil {
		a.Errorf("%s: not in the document: %v", a.request, err)
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: place,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	text, readable := body.(*strings.Reader)
	if readable && a.response.StatusCode < 300 && !unread(request.Header.Get("Content-Type")) {
		testkit.Must(text.Seek(0, io.SeekStart))
		request.Body = io.NopCloser(bytes.NewReader(bytes.TrimPrefix(testkit.Must(io.ReadAll(text)), []byte("\uFEFF"))))
		request.GetBody = nil // openapi3filter would read the body with the mark again
		if place.Operation.RequestBody != nil && request.Header.Get("Content-Type") == "" {
			request.Header.Set("Content-Type", "application/json")
		}
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			a.Errorf("%s: the server accepts the request, but the document does not allow it: %v", a.request, err)
		}
	}
	media, _, _ := strings.Cut(a.response.Header.Get("Content-Type"), ";")
	if unread(media) {
		return
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: a.response.StatusCode, Header: a.response.Header,
		Body: io.NopCloser(strings.NewReader(decompressed(a, a.response.Header.Get("Content-Encoding"), a.body))), Options: in.Options,
	}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		a.Errorf("%s: the document does not allow the answer: %v", a.request, err)
	}
}

var wholeNumber = regexp.MustCompile(`=(\d+)\.0\b`)

// unread reports whether openapi3filter cannot read a media type.
func unread(media string) bool { return strings.Contains(media, "msgpack") }
