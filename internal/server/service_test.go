package server_test

import (
	"net/http"
	"strings"
	"testing"

	"nearside/internal/oracle"
)

func TestService(t *testing.T) {
	x := start(t)
	x.call("GET", "/version", "").status(200).json(`{"Version":{"api":1,"major":1,"minor":2,"patch":3}}`)
	x.call("GET", "/livez", "").status(200).json(`{"status":"ok"}`)
	x.call("GET", "/readyz", "").status(200).json(`{"status":"ok"}`)
	x.call("GET", "/config", "").status(200).json(`{"listen":"127.0.0.1:0","limits":{"references":100}}`)
	for _, query := range []string{"", "?include_luna_services=0", "?include_luna_services=1"} {
		if took := x.call("GET", "/healthcheck"+query, "").status(200).at("execution_time").(float64); took < 0 {
			t.Errorf("execution_time is %v", took)
		}
	}
	x.call("GET", "/healthcheck?include_luna_services=yes", "").fault(12022, "include_luna_services", "yes")
	x.call("GET", "/", "").status(302).header("Location", "/docs")
}

func TestDocs(t *testing.T) {
	x := start(t)
	contains := func(path, accept, media string, texts ...string) {
		t.Helper()
		a := x.call("GET", path, "", "Accept", accept).status(200).header("Content-Type", media)
		for _, text := range texts {
			if !strings.Contains(string(a.body), text) {
				t.Errorf("%s does not contain %q", path, text)
			}
		}
	}
	for _, accept := range []string{"*/*", "text/html", "image/png"} {
		contains("/docs", accept, "text/html; charset=utf-8", "/1/matcher/faces")
		contains("/docs/", accept, "text/html; charset=utf-8", "/1/matcher/faces")
		contains("/favicon.ico", accept, "image/x-icon", "PNG")
		contains("/docs/errors", accept, "text/html; charset=utf-8", `id="12022"`, `id="1"`)
	}
	contains("/docs/spec", "*/*", "application/json", `"openapi": "3.0.3"`)
	contains("/docs/spec", "application/json", "application/json", `"openapi": "3.0.3"`)
	contains("/docs/spec", "application/x-yaml", "application/x-yaml", "openapi: 3.0.3")
}

func TestMetrics(t *testing.T) {
	x := start(t)
	x.storeFaces(2)
	x.call("GET", "/1/faces/"+id(1), "").status(200)
	x.call("GET", "/1/faces/"+id(7), "").status(404)
	x.call("GET", "/1/nothing/at/all", "").status(404)
	x.call("POST", "/1/matcher/faces", matchBody(storedFace(1)+","+storedFace(2), allFaces())).status(201)
	a := x.call("GET", "/metrics?any=key", "").status(200)
	if media := a.response.Header.Get("Content-Type"); !strings.HasPrefix(media, "text/plain") {
		t.Errorf("metrics of type %s", media)
	}
	for _, line := range []string{
		`nearside_requests_total{route="POST:/faces",status="201"} 2`,
		`nearside_requests_total{route="GET:/faces/{id}",status="200"} 1`,
		`nearside_requests_total{route="GET:/faces/{id}",status="404"} 1`,
		`nearside_requests_total{route="unknown",status="404"} 1`,
		`nearside_errors_total{code="22004"} 1`,
		`nearside_errors_total{code="12010"} 1`,
		`nearside_match_rows_scanned_total{matcher="memory"} 4`,
		`nearside_request_duration_seconds_count{route="POST:/matcher/faces"} 1`,
	} {
		if !strings.Contains(string(a.body), line+"\n") {
			t.Errorf("no %s in\n%s", line, a.body)
		}
	}
}

func TestRequestID(t *testing.T) {
	x := start(t)
	const good = "1767225600,136df8da-43a1-4d2f-8b6c-3f5f8e0b5a57"
	for _, path := range []string{"/version", "/1/faces/x", "/nowhere", "/1/matcher/faces", "/docs", "/1/export"} {
		x.call("GET", path, "", "Luna-Request-Id", good).header("Luna-Request-Id", good)
	}
	for _, bad := range []string{"", "x", "176722560,136df8da-43a1-4d2f-8b6c-3f5f8e0b5a57", good + "0", good + " x", "1767225600"} {
		if got := x.call("GET", "/version", "", "Luna-Request-Id", bad).response.Header.Get("Luna-Request-Id"); got == bad {
			t.Errorf("%q was not replaced", bad)
		}
	}
}

// TestFormats sends every kind of body in both formats and reads each answer in both.
// All combinations must give the same content.
func TestFormats(t *testing.T) {
	x := start(t)
	both := func(method, path, body string, status int) {
		t.Helper()
		var first any
		for _, in := range []string{"application/json", "application/msgpack", "application/x-msgpack; v=1", ""} {
			for _, out := range []string{"application/json", "application/msgpack", "text/html, application/x-msgpack;q=0.3, application/json;q=0.2", "*/*"} {
				text := body
				if strings.Contains(in, "msgpack") && body != "" {
					text = packed(t, body)
				}
				a := x.call(method, path, text, "Content-Type", in, "Accept", out).status(status)
				want := "application/json"
				if strings.Contains(out, "msgpack") {
					want = "application/msgpack"
				}
				a.header("Content-Type", want)
				if first == nil {
					first = a.value()
				} else {
					a.json(oracle.JSON(first))
				}
			}
		}
	}
	x.call("POST", "/1/faces", full).status(201)
	x.call("POST", "/1/faces", face(2, descriptor(v4, 1, 2, 3, 4))).status(201)
	both("PUT", "/1/faces/"+id(1), full, 200)
	both("PUT", "/1/faces/"+id(2), face(2, floats(vL2, 1, 2, 3, 4)), 200)
	both("PATCH", "/1/faces/"+id(1), `{"age":null,"user_data":"\u00e9\u2028 \"x\""}`, 200)
	both("GET", "/1/faces/"+id(1)+"?descriptor=1", "", 200)
	both("GET", "/1/faces", "", 200)
	both("POST", "/1/matcher/faces", matchBody(storedFace(1)+","+givenDescriptor(floats(vL2, 0, 0, 0, 0.1)), allFaces(`,"label":{"a":[1,-1,1.5,1e300,true,null,"x"]}`)), 201)
	both("POST", "/1/matcher/raw", matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), givenDescriptor(descriptor(v4, 1, 2, 3, 9))), 201)
	both("GET", "/1/lists", "", 200)
	both("GET", "/version", "", 200)
	both("GET", "/config", "", 200)
	both("GET", "/1/faces/"+id(9), "", 404)
	both("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces(`,"limit":0`)), 400)
	both("POST", "/1/faces", `{"descriptor":{"version":4,"data":"AAAA"}}`, 400)
	both("DELETE", "/1/faces?face_ids="+id(9), "", 200)
	// msgpack may carry base64 text, too.
	x.call("POST", "/1/faces", string(pack(nil, value(t, face(3, descriptor(v4, 1, 2, 3, 4))))), "Content-Type", "application/msgpack").status(201)
	x.call("GET", "/1/faces/"+id(3)+"?descriptor=1", "").status(200).part("descriptor", descriptor(v4, 1, 2, 3, 4))
}

// TestKeptConnection checks that one connection serves many requests, with bodies
// that handlers read and bodies that they do not read.
func TestKeptConnection(t *testing.T) {
	x := start(t)
	c := x.dial()
	for range 3 {
		c.write("GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("version").status(200)
		c.write("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello").answer("nowhere").fault(12010)
		c.write("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello").answer("junk").fault(12001)
		c.write("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2 \r\nlo\r\n0\r\nA: b\r\n\r\n").answer("chunks").fault(12001)
	}
	// Two pipelined requests are answered in order.
	c.write("GET /version HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
	c.answer("first").status(200).json(`{"Version":{"api":1,"major":1,"minor":2,"patch":3}}`)
	c.answer("second").status(200).json(`{"status":"ok"}`)
	c.write("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").answer("last").status(200)
	c.ended()
}

// TestHTTP10 checks that an HTTP/1.0 client gets an answer and the end of the
// connection.
func TestHTTP10(t *testing.T) {
	x := start(t)
	c := x.dial().write("GET /livez HTTP/1.0\r\n\r\n")
	c.answer("HTTP/1.0").status(200).json(`{"status":"ok"}`)
	c.ended()
}

// TestHead checks that HEAD is GET without the body, for answers and errors.
func TestHead(t *testing.T) {
	x := start(t)
	x.storeFaces(1)
	x.call("POST", "/1/lists", `{"list_id":"`+id(1)+`"}`).status(201)
	for _, path := range []string{
		"/version", "/healthcheck", "/livez", "/readyz", "/config", "/metrics", "/docs", "/docs/", "/docs/errors", "/docs/spec", "/favicon.ico", "/",
		"/1/faces", "/1/faces/" + id(1), "/1/faces/" + id(9), "/1/events", "/1/events/" + id(1), "/1/attributes/" + id(1), "/1/lists", "/1/lists/" + id(1),
		"/1/export", "/1/export?origin=bodies", "/1/plugins", "/nowhere", "/1/faces?page=0",
	} {
		c := x.dial()
		c.write("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		get := c.answer("GET " + path)
		c.write("HEAD " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		for range 2 { // a body would be read as the second answer
			response, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodHead})
			if err != nil {
				t.Fatalf("HEAD %s: %v", path, err)
			}
			response.Body.Close()
			if response.StatusCode != get.response.StatusCode || response.Header.Get("Content-Type") != get.response.Header.Get("Content-Type") {
				t.Errorf("HEAD %s: %s, but GET: %s", path, response.Status, get.response.Status)
			}
			if want := get.response.ContentLength; want >= 0 && path != "/healthcheck" && path != "/metrics" && path != "/" && response.ContentLength != want {
				t.Errorf("HEAD %s: Content-Length %d, but GET: %d", path, response.ContentLength, want)
			}
		}
		c.ended()
	}
	x.call("HEAD", "/1/import", "").status(405)
}

// TestReload checks that new limits apply to requests that begin after Reload.
func TestReload(t *testing.T) {
	x := start(t)
	x.storeFaces(1)
	two := matchBody(storedFace(1)+","+storedFace(1), allFaces())
	x.call("POST", "/1/matcher/faces", two).status(201)
	x.limits.Decoder.Limits.References = 1
	x.limits.BodyBytes = int64(len(two))
	x.limits.Config = map[string]any{"listen": "elsewhere"}
	x.server.Reload(x.limits)
	x.call("POST", "/1/matcher/faces", two).fault(31007, "references", "2", "1")
	x.call("POST", "/1/matcher/faces", two+" ").fault(12029, "body", itoa(len(two)))
	x.call("GET", "/config", "").status(200).json(`{"listen":"elsewhere"}`)
}
