package lua

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"nearside/lua/luatest"
	httpclient "nearside/lua/ns/http"
)

// script returns a background plugin with permissions whose initialize hook is body.
func script(permissions, body string) string {
	return luatest.BackgroundPlugin("M.permissions = {" + permissions + "}\nfunction M:initialize()\n" + body + "\nend")
}

// eval runs body in a plugin and returns what it logged.
func eval(t testing.TB, permissions, body string) string {
	t.Helper()
	_, log := startHost(t, script(permissions, body))
	return log.All()
}

func TestHTTPRequest(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Add("X-Twice", "1")
		w.Header().Add("X-Twice", "2")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, `{"method": %q, "query": %q, "body": %q, "type": %q, "own": %q, "host": %q}`,
			r.Method, r.URL.RawQuery, body, r.Header.Get("Content-Type"), r.Header.Get("X-Own"), r.Host)
	}))
	defer s.Close()
	all := eval(t, `"http:`+s.Listener.Addr().String()+`"`, `
local url = "`+s.URL+`/a?x=1"
local r = assert(ns.http.get(url, {query = {b = "& ", n = 2, t = true}, headers = {["x-own"] = "o", Host = "other"}}))
local j = r.json()
print(r.status, r.headers["x-twice"], j.method, j.query, j.own, j.host)
j = assert(ns.http.post(url, {json = {list = ns.json.array({})}})):json()
print(j.method, j.body, j.type)
j = assert(ns.http.request("delete", url, {body = "raw", headers = {["content-type"] = "text/x"}})).json()
print(j.method, j.body, j.type)
`)
	luatest.WantLines(t, all, "409", "1, 2", "GET", "b=%26+&n=2&t=true&x=1", "o", "other",
		"POST", `{\"list\":[]}`, "application/json", "DELETE", "raw", "text/x")
}

func TestHTTPMistakesRaise(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		all := eval(t, `"http:127.0.0.1:1"`, `local ok, err = pcall(function() return `+call+` end) print(tostring(ok) .. " " .. tostring(err))`)
		luatest.WantLines(t, all, "false", want)
	}
	f(`ns.http.get("127.0.0.1:1")`, "not of the form")
	f(`ns.http.get("ftp://127.0.0.1:1")`, "not of the form")
	f(`ns.http.get("http://127.0.0.1:2")`, `add \"http:127.0.0.1:2\"`)
	f(`ns.http.get("https://127.0.0.1")`, `add \"http:127.0.0.1:443\"`)
	f(`ns.http.get("http://127.0.0.1:1", {timeout_ms = 0})`, "timeout_ms")
	f(`ns.http.get("http://127.0.0.1:1", {timeout = 1})`, "unknown")
	f(`ns.http.get("http://127.0.0.1:1", {headers = {["a b"] = "x"}})`, "header")
	f(`ns.http.get("http://127.0.0.1:1", {headers = {a = "x\r\ny: z"}})`, "header")
	f(`ns.http.get("http://127.0.0.1:1", {headers = {a = {}}})`, `the value of \"a\": must be a string, number or boolean`)
	f(`ns.http.get("http://127.0.0.1:1", {json = 1, body = "1"})`, "either json or body")
	f(`ns.http.get("http://127.0.0.1:1", {json = print})`, "cannot be encoded as JSON")
	f(`ns.http.request("GE T", "http://127.0.0.1:1")`, "method")
	f(`ns.http.get("http://127.0.0.1:1", {headers = {Accept = "a", accept = "b"}})`, `accept\" is given twice`)
	f(`ns.http.get("http://127.0.0.1:1/?a=1;b=2", {query = {c = 3}})`, "query that cannot be extended")
	f(`ns.http.get("http://127.0.0.1:1/", {query = {["a%d"] = {}}})`, "query.a%d: must be a string, number or boolean")
}

func TestHTTPRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "there") }))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		default:
			http.Redirect(w, r, other.URL, http.StatusFound)
		}
	}))
	defer s.Close()
	body := `
for _, path in ipairs({"/", "/loop", "/file"}) do
  local r, err = ns.http.get("` + s.URL + `" .. path)
  print(path .. " " .. tostring(r and r.body) .. " " .. tostring(err))
end`
	own, others := s.Listener.Addr().String(), other.Listener.Addr().String()
	luatest.WantLines(t, eval(t, `"http:`+own+`"`, body), "/ nil", "not permitted", "http:"+others, "/loop nil", "more than 5 redirects", "/file nil", "not http")
	luatest.WantLines(t, eval(t, `"http:`+own+`", "http:`+others+`"`, body), "/ there nil")
}

func TestHTTPHostileServers(t *testing.T) {
	var sent atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-r.Context().Done()
		case "/endless":
			fmt.Fprint(w, "a")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/headers":
			for i := range httpclient.MaxHeaders {
				w.Header().Set(fmt.Sprint("X-", i), "v")
			}
		case "/long":
			w.Header().Set("X", strings.Repeat("v", httpclient.MaxHeaderBytes))
		case "/huge":
			w.Header().Set("Content-Length", strconv.Itoa(1<<30))
			chunk := make([]byte, 1<<20)
			for range 1 << 10 {
				n, err := w.Write(chunk)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		case "/broken":
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		}
	}))
	defer s.Close()
	_, log := startHost(t, script(`"http:*"`, `
for _, path in ipairs({"slow", "endless", "headers", "long", "huge", "broken"}) do
  local timeout = (path == "slow" or path == "endless") and 300 or 60000
  local r, err = ns.http.get("`+strings.Replace(s.URL, "//", "//u:s3cret@", 1)+`/" .. path .. "?token=t0ken", {timeout_ms = timeout})
  print(tostring(r) .. " " .. tostring(err))
end`))
	all := log.All()
	luatest.WantLines(t, all, "nil", "/slow: timeout", "nil", "/endless: timeout", "/headers: the response has more than 128", "/long: ", "/huge: the response is larger", "/broken: EOF")
	log.WantNoSecret(t, "s3cret", "t0ken")
	if n := sent.Load(); n > 256<<20 {
		t.Errorf("%d bytes of a response were read", n)
	}
}

func TestHTTPConnectionRefused(t *testing.T) {
	port := luatest.FreePort(t)
	luatest.WantLines(t, eval(t, `"http:*"`, `local r, err = ns.http.get("http://127.0.0.1:`+port+`/") print(tostring(r) .. " " .. err)`), "nil", "refused")
}

// https, rediss and amqps use the certificates that the system trusts, and check names.
// TestMain makes the system trust the certificate of httptest.
func TestTLS(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SSL_CERT_FILE is read on Linux")
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	body := func(kind, scheme, address, use string) string {
		call := "" // a call on the client, because connect itself does not fail
		switch kind {
		case "redis.connect":
			call = `if r then r, err = r:call("PING") end`
		case "amqp.connect":
			call = `if r then r, err = r:publish("", "nobody", "x") end`
		}
		return `
local c = assert(ns.` + kind + `("` + scheme + `://` + address + `"))
` + use + `
local r, err = ns.` + kind + `("` + scheme + `://` + strings.Replace(address, "127.0.0.1", "localhost", 1) + `")
` + call + `
print("again " .. tostring(r) .. " " .. err)`
	}
	luatest.WantLines(t, eval(t, `"http:*"`, body("http.get", "https", s.Listener.Addr().String(), `print(c.body)`)), "hello", " nil ", "certificate")
	secure := &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}
	redis, err := miniredis.RunTLS(secure)
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	luatest.WantLines(t, eval(t, `"redis:*"`, body("redis.connect", "rediss", redis.Addr(), `for i = 1, 3 do print("n" .. assert(c:call("INCR", "n"))) end`)),
		"n1", "n2", "n3", " nil ", "certificate")
	rabbit := luatest.NewProxy(t, luatest.RabbitAddr(t), secure)
	use := `print("sent", c:publish("", "nobody", "x"))`
	luatest.WantLines(t, eval(t, `"amqp:*"`, body("amqp.connect", "amqps", "nearside:"+luatest.Password+"@"+rabbit.Addr(), use)), `sent\ttrue`, " nil ", "certificate")
}

// The plugin makes twice as many requests as the limit allows. The server never sees more
// than the limit at once.
func TestHTTPCallsAreBounded(t *testing.T) {
	var mu sync.Mutex
	now, peak := 0, 0
	full, fill := make(chan struct{}), new(sync.Once)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		now++
		if peak = max(peak, now); now == httpclient.MaxCalls {
			fill.Do(func() { close(full) })
		}
		mu.Unlock()
		<-full
		mu.Lock()
		now--
		mu.Unlock()
	}))
	defer s.Close()
	_, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions = {"http:*"}
function M:start()
  local left = `+strconv.Itoa(2*httpclient.MaxCalls)+`
  for i = 1, left do
    ns.spawn(function()
      assert(ns.http.get("`+s.URL+`", {timeout_ms = 60000}))
      left = left - 1
      if left == 0 then print("all") end
    end)
  end
end`))
	log.Wait(t, "all")
	mu.Lock()
	defer mu.Unlock()
	if peak != httpclient.MaxCalls {
		t.Errorf("at most %d requests were in progress, want %d", peak, httpclient.MaxCalls)
	}
}

func TestHTTPEndsWithItsGeneration(t *testing.T) {
	arrived, left := make(chan struct{}, 2), make(chan struct{}, 2)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	}))
	defer s.Close()
	h, _ := startHost(t, luatest.BackgroundPlugin(`
M.permissions = {"http:*"}
function M:start() ns.spawn(function() while true do pcall(ns.http.get, "`+s.URL+`", {timeout_ms = 300000}) end end) end`))
	<-arrived
	if err := h.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	<-left
	<-arrived // the request of the new generation
	closeHost(t, h)
	<-left
}
