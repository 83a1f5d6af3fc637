package trial

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// maxTrialRequests is the maximum number of requests that a test can inspect.
const maxTrialRequests = 10_000

// An httpDouble is the HTTP transport of a plugin in a test. It answers requests as the
// test specifies. All other code of the HTTP client, including the check of
// permissions, is the real one.
type httpDouble struct {
	trial *trial

	mu       sync.Mutex
	handler  *vm.Func
	always   bool // without a handler, answer 201 to POST and 200 to other requests
	requests []any
}

// RoundTrip implements [http.RoundTripper].
func (d *httpDouble) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	request := trialRequest(r, string(body))
	d.mu.Lock()
	handler := d.handler
	if len(d.requests) < maxTrialRequests && !d.always {
		d.requests = append(d.requests, request)
	}
	d.mu.Unlock()
	if handler == nil && d.always {
		status := 200.0
		if r.Method == http.MethodPost {
			status = 201
		}
		return trialResponse(r, map[string]any{"status": status})
	}
	if handler == nil {
		return nil, errors.New("connection refused: the test has not called test.http.handle(fn)")
	}
	results, err := handler.State().Call(r.Context(), vm.Limits{}, handler, request)
	if err != nil {
		return nil, fmt.Errorf("the test's handler: %w", err)
	}
	results = append(results, nil, nil)
	if results[0] == nil {
		return nil, fmt.Errorf("%v", results[1])
	}
	return trialResponse(r, results[0])
}

func trialRequest(r *http.Request, body string) map[string]any {
	headers, query := map[string]any{}, map[string]any{}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	for name, values := range r.URL.Query() {
		query[name] = strings.Join(values, ",")
	}
	request := map[string]any{
		"method": r.Method, "url": r.URL.String(), "path": r.URL.Path, "host": r.URL.Host, "query": query, "headers": headers, "body": body,
	}
	if v, err := goval.DecodeJSON([]byte(body)); err == nil {
		request["json"] = v
	}
	return request
}

// trialResponse reads {status, body, json, headers}.
func trialResponse(r *http.Request, v any) (*http.Response, error) {
	m, _ := v.(map[string]any)
	o := &goval.Reader{Map: m, Path: "the test's response: "}
	o.RefuseUnknown("status", "body", "json", "headers")
	status := o.Whole("status", 200, 100, 599)
	body, header := []byte(o.Text("body", "")), http.Header{}
	if value, ok := m["json"]; ok {
		text, err := goval.EncodeJSON(value)
		if err != nil {
			o.Fault("json", "%w", err)
		}
		body = text
		header.Set("Content-Type", "application/json")
	}
	for name, value := range o.Table("headers") {
		values, isList := value.([]any)
		if !isList {
			values = []any{value}
		}
		header.Del(name)
		for _, v := range values {
			text, err := goval.ScalarText(v)
			if err != nil {
				o.Fault("headers."+name, "%w", err)
			}
			header.Add(name, text)
		}
	}
	if r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		body = nil // such responses never have a body
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Request: r,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, errors.Join(o.Faults...)
}

func trialHTTPModule() vm.Module {
	return vm.Module{Name: "http", Doc: "The HTTP servers of the test. ns.http of the plugin connects to them.", Functions: []vm.Function{
		{
			Name:   "handle",
			Params: []string{"fn: fun(request: {method: string, url: string, path: string, host: string, query: table, headers: table<string, string>, body: string, json: any}): {status: integer?, body: string?, json: any, headers: table<string, string|string[]>?}?, string?"},
			Doc:    "Calls fn for each request of the plugin. fn returns the response. If it returns nil and a text, the connection fails with this text. Without a handler, every request fails.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				t.http.mu.Lock()
				defer t.http.mu.Unlock()
				t.http.handler = c.Func(1)
				t.http.handler.State().Keep(t.http.handler)
				return nil
			},
		},
		{
			Name: "requests", Returns: []string{"table[]"}, Doc: "The requests of the plugin so far, in the form that http.handle receives.",
			Run: func(c *vm.Call) error {
				t, err := trialOf(c)
				if err != nil {
					return err
				}
				t.http.mu.Lock()
				defer t.http.mu.Unlock()
				return c.Return(append([]any{}, t.http.requests...))
			},
		},
	}}
}
