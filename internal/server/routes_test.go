package server

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nearside/internal/access"
	"nearside/matcher"
)

// undocumented are the routes that are not operations: those of plugins and those for
// browsers.
var undocumented = []string{"/plugins/*path", "/", "/docs/", "/favicon.ico"}

// TestRoles walks the OpenAPI document. Each operation must have a role in the table, the
// same as in the document, or be open to everybody. Routes without an entry need the role
// admin.
func TestRoles(t *testing.T) {
	text, err := embedded.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	used, n := map[string]bool{}, 0
	for path, item := range document.Paths {
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			n++
			var op struct {
				Role     string `json:"x-role"`
				Security *[]any
			}
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatal(err)
			}
			route := strings.ToUpper(method) + " " + regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(path, ":id")
			used[route] = true
			role, known := roles[route]
			public := openOperations[route] == alwaysOpen
			switch {
			case known == public:
				t.Errorf("%s: needs an entry in roles, or in openOperations if everybody may use it", route)
			case public && (op.Security == nil || len(*op.Security) > 0 || op.Role != ""):
				t.Errorf("%s: the document does not say that it is open", route)
			case known && op.Role != role.String():
				t.Errorf("%s: the role is %s, and %q in the document", route, role, op.Role)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d operations were found", n)
	}
	for route := range roles {
		if !used[route] && !strings.HasSuffix(route, pluginRoutes) {
			t.Errorf("%s is in roles, and not in the document", route)
		}
	}
	for _, c := range []struct {
		method, path string
		role         access.Role
		open         string
	}{
		{"GET", "/new", access.Admin, ""},
		{"HEAD", "/new", access.Admin, ""},
		{"HEAD", "/1/faces", access.Read, ""},
		{"HEAD", "/livez", access.Match, "livez"},
		{"HEAD", "/docs", access.NoRole, alwaysOpen},
		{"HEAD", pluginRoutes, access.NoRole, ""},
		{"POST", "/livez", access.Admin, ""},
	} {
		if role, open := accessOf(c.method, c.path); role != c.role || open != c.open {
			t.Errorf("%s %s: %s %q, want %s %q", c.method, c.path, role, open, c.role, c.open)
		}
	}
}

// TestLoopback checks who is answered by a server that requires no key.
func TestLoopback(t *testing.T) {
	check := func(address string, insecure, want bool) {
		t.Helper()
		c := &connection{loopback: isLoopback(fakeConn{address: address})}
		x := &exchange{requestContext: &requestContext{}, conn: c, client: peerOf(fakeConn{address: address}), limits: &limits{}, options: available{Options: &Options{Insecure: insecure}}}
		if err := x.admit(); (err == nil) != want || err != nil && matcher.CodeOf(err) != matcher.CodeUnauthorized {
			t.Errorf("%s, insecure %v: %v", address, insecure, err)
		}
	}
	check("127.0.0.1:9", false, true)
	check("127.8.9.1:9", false, true)
	check("[::1]:9", false, true)
	check("[::ffff:127.0.0.1]:9", false, true)
	check("10.0.0.1:9", false, false)
	check("[fe80::1]:9", false, false)
	check("10.0.0.1:9", true, true)
}

// fakeConn is a connection of which only the address of the client is known.
type fakeConn struct {
	net.Conn
	address string
}

func (c fakeConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.address))
}

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
