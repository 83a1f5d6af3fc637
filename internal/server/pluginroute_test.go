package server_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"nearside/internal/access"
	"nearside/internal/testkit"
	"nearside/matcher"
)

const streaming = `
local ns = require("nearside")
local M = {api = 1, name = "s", kinds = {"background"}}
function M:start()
  ns.route("GET", "/persons/{id}", function(req) return 200, req.params.id end, {role = "read"})
  ns.route("GET", "/two", function(req)
    req:write("first", {status = 418, headers = {["content-type"] = "text/tea", ["x-tea"] = "green", ["content-length"] = "1"}})
    local answer = ns.kv.get("continue")
    while not answer do ns.sleep(0.001) answer = ns.kv.get("continue") end
    req:write("second")
  end)
  ns.route("POST", "/continue", function() ns.kv.set("continue", true) return 204 end)
  ns.route("GET", "/broken", function(req) req:write("a part") error("cracked") end)
  ns.route("GET", "/endless", function(req)
    local piece, n = ("x"):rep(65536), 0
    repeat n = n + 1 until not req:write(piece)
    ns.kv.set("pieces", n)
  end)
  ns.route("GET", "/pieces", function() return 200, tostring(ns.kv.get("pieces")) end)
end
return M`

// TestPluginParameters checks parameters in the path, and the answers to OPTIONS.
func TestPluginParameters(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"s": streaming}))
	for path, want := range map[string]string{"7": "7", "a%2Fb": "a/b", "%C3%A9%20": "é ", "a+b": "a+b", "../persons/8": "8"} {
		c := x.dial().write("GET /plugins/s/persons/" + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if text := string(testkit.Must(io.ReadAll(c.in))); !strings.HasPrefix(text, "HTTP/1.1 200 ") || !strings.HasSuffix(text, "\r\n\r\n"+want) {
			t.Errorf("%s: %q", path, text)
		}
	}
	x.call("GET", "/plugins/s/persons/a/b", "").fault(12010, `"/persons/a/b"`)
	if a := x.call("OPTIONS", "/plugins/s/continue", ""); a.response.StatusCode != http.StatusNoContent || a.response.Header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("%d %v", a.response.StatusCode, a.response.Header)
	}
	x.call("OPTIONS", "/plugins/s/none", "").fault(12010, `"/none"`)
}

// TestPluginStream checks that a client receives a piece before the plugin has made the next
// one, that HEAD has no body, and that HTTP/1.0 gets the pieces without chunks.
func TestPluginStream(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"s": streaming}))
	request := testkit.Must(http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+x.address+"/plugins/s/two", nil))
	request.Header.Set("Accept-Encoding", "gzip")
	response := testkit.Must(x.client.Do(request)) //nolint:bodyclose // closed in the next line; the linter does not see through Must
	defer response.Body.Close()
	h := response.Header
	if response.StatusCode != http.StatusTeapot || h.Get("Content-Type") != "text/tea" || h.Get("X-Tea") != "green" || h.Get("Content-Encoding") != "" || response.ContentLength != -1 {
		t.Errorf("%d %v", response.StatusCode, h)
	}
	first := make([]byte, 5)
	if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != "first" {
		t.Fatalf("%q %v", first, err)
	}
	x.call("POST", "/plugins/s/continue", "").status(204)
	if rest := testkit.Must(io.ReadAll(response.Body)); string(rest) != "second" {
		t.Errorf("%q", rest)
	}
	c := x.dial().write("HEAD /plugins/s/two HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if text := string(testkit.Must(io.ReadAll(c.in))); !strings.HasPrefix(text, "HTTP/1.1 418 ") || !strings.HasSuffix(text, "\r\n\r\n") {
		t.Errorf("HEAD: %q", text)
	}
	c = x.dial().write("GET /plugins/s/two HTTP/1.0\r\n\r\n")
	if text := string(testkit.Must(io.ReadAll(c.in))); !strings.HasSuffix(text, "\r\n\r\nfirstsecond") {
		t.Errorf("HTTP/1.0: %q", text)
	}
}

// TestBrokenPluginStream checks that a client can tell that an answer is not complete.
func TestBrokenPluginStream(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"s": streaming}))
	response := testkit.Must(x.client.Get("http://" + x.address + "/plugins/s/broken")) //nolint:bodyclose // closed in the next line; the linter does not see through Must
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err == nil || string(text) != "a part" {
		t.Errorf("%q, %v", text, err)
	}
	if !strings.Contains(x.log.String(), "answer was cut") || !strings.Contains(x.log.String(), "cracked") {
		t.Error(x.log)
	}
}

// TestPluginStreamWithoutReader checks that a client that does not read holds the plugin up,
// and that req:write fails when the client leaves.
func TestPluginStreamWithoutReader(t *testing.T) {
	x := start(t, withPlugins(map[string]string{"s": streaming}))
	c := x.dial().write("GET /plugins/s/endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := bufio.NewReader(c.in).ReadString('x'); err != nil {
		t.Fatal(err)
	}
	if got := x.call("GET", "/plugins/s/pieces", "").status(200); string(got.body) != "nil" {
		t.Errorf("the plugin has ended although the client reads nothing: %s", got.body)
	}
	c.Close()
	for {
		got := string(x.call("GET", "/plugins/s/pieces", "").status(200).body)
		if got == "nil" {
			continue
		}
		if len(got) > 4 {
			t.Errorf("%s pieces of 64 KiB were taken from the plugin", got)
		}
		return
	}
}

// TestRoutesOfBoundKeys: the handler of a route knows to what the key of the caller is bound,
// whatever the query says.
func TestRoutesOfBoundKeys(t *testing.T) {
	account, list := matcher.ID{0: 3}, matcher.ID{0: 4}
	r := &keyring{}
	r.add(access.Key{Name: "admin", Roles: []access.Role{access.Admin}})
	r.add(access.Key{Name: "account", Roles: []access.Role{access.Read}, Account: account})
	r.add(access.Key{Name: "lists", Roles: []access.Role{access.Read}, Lists: []matcher.ID{list}})
	x := startWithKeys(t, r, withPlugins(map[string]string{"p": `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"background"}}
function M:start()
  ns.route("GET", "/bound", function(req) return 200, ns.json.encode({req.bound or "free"}) end, {role = "read"})
end
return M`}))
	for key, want := range map[string]string{
		"admin":   `["free"]`,
		"account": `[{"account_id":"` + account.String() + `"}]`,
		"lists":   `[{"lists":["` + list.String() + `"]}]`,
	} {
		x.key = r.secrets[key]
		if got := x.call("GET", "/plugins/p/bound?bound=x", "").status(200); string(got.body) != want {
			t.Errorf("%s: %s, want %s", key, got.body, want)
		}
	}
	checkNamedAccounts(t, x, r, account, "/plugins/p/bound")
	checkNamedAccounts(t, x, r, account, "/metrics")
}

// checkNamedAccounts checks that a key with an account cannot name another one, and that other
// keys and other texts are not refused. It leaves x.key changed.
func checkNamedAccounts(t *testing.T, x *service, r *keyring, account matcher.ID, path string) {
	t.Helper()
	other := matcher.ID{0: 5}.String()
	for _, c := range []struct {
		key, query, header string
		status             int
	}{
		{"account", "account_id=" + other, "", 403},
		{"account", "account_id=" + strings.ToUpper(other), "", 403},
		{"account", "account_id=" + account.String() + "&account_id=" + other, "", 403},
		{"account", "", other, 403},
		{"account", "account_id=" + account.String(), account.String(), 200},
		{"account", "account_id=customer-7&other=" + other, "", 200},
		{"lists", "account_id=" + other, "", 200},
		{"admin", "account_id=" + other, other, 200},
	} {
		x.key = r.secrets[c.key]
		var headers []string
		if c.header != "" {
			headers = append(headers, "Luna-Account-Id", c.header)
		}
		got := x.call("GET", path+"?"+c.query, "", headers...)
		if got.response.StatusCode != c.status {
			t.Errorf("%s: GET %s?%s, account %q in the header: status %d, want %d: %s", c.key, path, c.query, c.header, got.response.StatusCode, c.status, got.body)
		}
	}
}
