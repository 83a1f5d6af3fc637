package server

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// undocumented are the routes that are not operations: those of plugins and those for
// browsers.
var undocumented = []string{"/plugins/*path", "/", "/docs/", "/favicon.ico"}

// TestRoutesAreDocumented checks that the OpenAPI document has all routes, so that tests
// of all operations are tests of all routes.
func TestRoutesAreDocumented(t *testing.T) {
	s, err := New(Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.listener.Close()
	text, err := embedded.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	operations := map[string]bool{}
	for path, item := range document.Paths {
		delete(item, "parameters") // of all methods
		for method := range item {
			operations[strings.ToUpper(method)+" "+regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(path, ":id")] = true
		}
	}
	for operation := range operations {
		method, path, _ := strings.Cut(operation, " ")
		if !slices.Contains(s.methods[path], method) {
			t.Errorf("%s is in the document and not served", operation)
		}
	}
	for _, path := range undocumented {
		if s.methods[path] == nil {
			t.Errorf("%s is not served", path)
		}
	}
	for path, methods := range s.methods {
		for _, method := range methods {
			if method != http.MethodHead && !slices.Contains(undocumented, path) && !operations[method+" "+path] {
				t.Errorf("%s %s is not in the document", method, path)
			}
		}
	}
}
