package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// answer is the answer to a request. Its methods fail the test if the answer is not
// as expected. They return the answer.
type answer struct {
	*service
	request  string // the method and path of the request, for messages
	response *http.Response
	body     []byte
}

var requestID = regexp.MustCompile(`^[0-9]{10},[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// checkHead checks the headers that all answers have.
func (a *answer) checkHead() {
	a.Helper()
	if got := a.response.Header.Get("Luna-Request-Id"); !requestID.MatchString(got) {
		a.Errorf("%s: Luna-Request-Id %q", a.request, got)
	}
	if got := a.response.Header.Get("Server"); got != "nearside" {
		a.Errorf("%s: Server %q", a.request, got)
	}
}

func (a *answer) status(want int) *answer {
	a.Helper()
	if got := a.response.StatusCode; got != want {
		a.Fatalf("%s: %d, want %d: %.500s", a.request, got, want, a.body)
	}
	return a
}

func (a *answer) header(name, want string) *answer {
	a.Helper()
	if got := a.response.Header.Get(name); got != want {
		a.Errorf("%s: %s is %q, want %q", a.request, name, got, want)
	}
	return a
}

// last checks that the answer announces the end of the connection.
func (a *answer) last() *answer {
	a.Helper()
	if !a.response.Close {
		a.Errorf("%s: the answer does not announce the end of the connection", a.request)
	}
	return a
}

// value decodes the body in either format. Binary data becomes base64.
func (a *answer) value() any {
	a.Helper()
	switch media := a.response.Header.Get("Content-Type"); media {
	case "application/json":
		return value(a, string(a.body))
	case "application/msgpack":
		v, rest := unpack(a, a.body)
		if len(rest) > 0 {
			a.Fatalf("%s: %d bytes after the value", a.request, len(rest))
		}
		return v
	default:
		a.Fatalf("%s: a body of type %q: %.300s", a.request, media, a.body)
		return nil
	}
}

// json compares the body with JSON. A value such as {"$": "number"} in the JSON
// stands for any value of a type.
func (a *answer) json(want string) *answer {
	a.Helper()
	if diff := cmp.Diff(value(a, want), a.value()); diff != "" {
		a.Errorf("%s: %.1000s\n%s", a.request, a.body, diff)
	}
	return a
}

// at returns a part of the body: at("0.matches.0.result").
func (a *answer) at(path string) any {
	a.Helper()
	v := a.value()
	for key := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				a.Fatalf("%s: no %s: %.500s", a.request, path, a.body)
			}
			v = in[i]
		default:
			a.Fatalf("%s: no %s: %.500s", a.request, path, a.body)
		}
	}
	return v
}

// part compares a part of the body with JSON.
func (a *answer) part(path, want string) *answer {
	a.Helper()
	if diff := cmp.Diff(value(a, want), a.at(path)); diff != "" {
		a.Errorf("%s: %s: %.1000s\n%s", a.request, path, a.body, diff)
	}
	return a
}

// errorTable is the table of errors of docs/api.md 1. It pins the texts, because they
// must never change.
var errorTable = map[int]struct {
	status int
	desc   string
}{
	1:     {500, "Internal server error"},
	12001: {400, "Body cannot be parsed"},
	12010: {404, "Resource not found"},
	12011: {405, "Method not allowed"},
	12022: {400, "Bad input"},
	12025: {401, "No key or a wrong key"},
	12026: {403, "Forbidden"},
	12027: {415, "Content type of the request is not supported"},
	12028: {406, "Content type of the answer is not supported"},
	12029: {413, "Body or line is too large"},
	12030: {408, "Request body arrives too slowly"},
	12036: {400, "Descriptor version is not registered"},
	12050: {503, "Service is unavailable"},
	12051: {409, "Plugins were not reloaded"},
	12057: {403, "A plugin rejected the request"},
	12052: {507, "Disk or memory limit reached"},
	12053: {429, "Rate or concurrency of the key is exceeded"},
	12054: {409, "A task is running, or the name exists"},
	12055: {404, "Task or snapshot not found"},
	12060: {504, "Deadline of the request passed"},
	22001: {409, "List exists"},
	22002: {404, "List not found"},
	22003: {409, "Face exists"},
	22004: {404, "Face not found"},
	22005: {404, "Attribute not found"},
	22006: {409, "Event exists"},
	22007: {404, "Event not found"},
	22008: {400, "Object has no descriptor of the needed type"},
	31000: {400, "Account of the query contradicts the request"},
	31001: {400, "Reference has another version or type than the match"},
	31002: {400, "Cross match selects too many objects"},
	31005: {400, "Matching between different descriptor versions"},
	31007: {400, "Too many items"},
	31011: {403, "No matcher can do this request"},
}

// fault checks that the answer is an error with this code and that its detail
// contains all of details, such as a path and a value. It also checks the link of the
// error.
func (a *answer) fault(code int, details ...string) *answer {
	a.Helper()
	got, ok := a.value().(map[string]any)
	if !ok || len(got) != 4 {
		a.Fatalf("%s: no error: %.500s", a.request, a.body)
	}
	want, known := errorTable[code]
	if strings.Contains(fmt.Sprint(got["detail"]), "limits.header_bytes") {
		want.status = http.StatusRequestHeaderFieldsTooLarge
	}
	if !known {
		a.Fatalf("the table has no %d", code)
	}
	if a.response.StatusCode != want.status || got["error_code"] != float64(code) || got["desc"] != want.desc {
		a.Errorf("%s: %d %s\nwant %d %d %q", a.request, a.response.StatusCode, a.body, want.status, code, want.desc)
	}
	for _, d := range details {
		if !strings.Contains(fmt.Sprint(got["detail"]), d) {
			a.Errorf("%s: the detail is %q, not with %q", a.request, got["detail"], d)
		}
	}
	if code == 12050 {
		a.header("Retry-After", "1")
	}
	if code == 12025 {
		a.header("WWW-Authenticate", "Bearer")
	}
	a.follow(fmt.Sprint(got["link"]), code)
	return a
}

// lacks checks that the body does not contain text.
func (a *answer) lacks(text string) *answer {
	a.Helper()
	if bytes.Contains(a.body, []byte(text)) {
		a.Errorf("%s: %q is in the answer: %s", a.request, text, a.body)
	}
	return a
}

// follow checks that the link of an error leads to a place on a page.
func (a *answer) follow(link string, code int) {
	a.Helper()
	if want := fmt.Sprintf("/docs/errors#%d", code); link != want {
		a.Errorf("%s: the link is %q, want %q", a.request, link, want)
	}
	if code == 12050 {
		return // the server may have been stopped
	}
	page, err := a.client.Get(a.url(link))
	if err != nil {
		a.Fatal(err)
	}
	page.Body.Close()
	if page.StatusCode != http.StatusOK {
		a.Errorf("%s: the link %s answers %d", a.request, link, page.StatusCode)
	}
}
