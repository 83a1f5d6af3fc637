package server_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestExpectContinue: a client that waits before it sends the body is told to
// send it, or gets the final answer when that is known without the body.
func TestExpectContinue(t *testing.T) {
	x := start(t)
	body := face(1, of(v4, 1, 2, 3, 4))
	expect := func(request string, length int, more ...string) string {
		return request + " HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\n" + strings.Join(more, "") + "Content-Length: " + itoa(length) + "\r\n\r\n"
	}
	invited := func(request, body string, status int) {
		t.Helper()
		c := x.dial().write(request)
		head, err := c.in.ReadString('\n')
		if blank, _ := c.in.ReadString('\n'); err != nil || head+blank != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("%s: %q, %v", request, head, err)
		}
		c.write(body).answer(request).status(status)
		c.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").answer("next").status(200)
	}
	invited(expect("POST /1/faces", len(body)), body, 201)
	invited(expect("POST /1/import", len(body)), body, 200)
	invited("POST /1/import HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(body)+"0\r\n\r\n", 200)

	refused := func(request string, code int) {
		t.Helper()
		c := x.dial().write(request)
		c.answer(request).fault(code).last()
		c.ended()
	}
	refused(expect("POST /1/faces", 1<<30), 12029)
	refused(expect("POST /nowhere", 10), 12010)
	refused(expect("PUT /1/import", 10), 12011)
	refused(expect("POST /1/faces?x=1", 10), 12022)
	refused(expect("POST /1/faces", 10, "Content-Type: text/plain\r\n"), 12027)
	refused(expect("POST /1/import?origin=bodies", 10), 12022)

	// Nobody has to wait.
	x.dial().write(expect("PUT /1/faces/"+id(1), len(body)) + body).answer("body at once").status(200)
	old := "POST /1/faces HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
	x.dial().write(old).answer("HTTP/1.0 has no Expect").fault(12022)
}

// TestPipelined: requests that come behind others are answered in order, also
// behind a body, whether or not the handler reads it.
func TestPipelined(t *testing.T) {
	x := start(t)
	get := "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
	post := func(path, body string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
	}
	requests, want := "", []int(nil)
	var requestsSb60 strings.Builder
	for n := range 50 {
		requestsSb60.WriteString(get + post("/1/faces", face(n, of(v4, 1, 2, 3, 4))) + post("/nowhere", "body") + post("/1/faces", wide(100+n, 3000*(n%10))))
		requestsSb60.WriteString("POST /1/import HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(face(200+n, of(v4, 1, 2, 3, 4))) + "0\r\n\r\n")
		want = append(want, 200, 201, 404, 201, 200)
	}
	requests += requestsSb60.String()
	for _, step := range []int{len(requests), 1 << 16, 997} {
		if step != len(requests) {
			for n := range 300 {
				x.call("DELETE", "/1/faces/"+id(n), "")
			}
		}
		c := x.dial()
		go func() {
			for rest := requests; rest != ""; {
				n := min(step, len(rest))
				c.write(rest[:n])
				rest = rest[n:]
			}
		}()
		for i, status := range want {
			c.answer(fmt.Sprintf("steps of %d, request %d", step, i)).status(status)
		}
	}
	x.faces(150)
}

// TestStrict: requests that are not quite HTTP/1.1, or that two readers could
// understand in different ways, are refused with 400 and the connection ends.
// What follows them is not taken for a request.
func TestStrict(t *testing.T) {
	x := start(t)
	get := func(lines ...string) string {
		return "GET /livez HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	post := func(lines ...string) string {
		return "POST /1/faces HTTP/1.1\r\nHost: x\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	for _, request := range []string{
		get("Host: x", "Host: x"), get("Host: x", "host: y"), get("Host: a b"), get("Host: a,b"), get("Host: x/y"), get("Host: u@x"), get(),
		"GET /livez HTTP/1.2\r\nHost: x\r\n\r\n", "GET /livez HTTP/2.0\r\nHost: x\r\n\r\n", "GET /livez HTTP/0.9\r\n\r\n", "GET /livez http/1.1\r\nHost: x\r\n\r\n",
		"GET /livez HTTP/1.10\r\nHost: x\r\n\r\n", "GET /livez HTTP/1.1 \r\nHost: x\r\n\r\n", "GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		" GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", "G(T /livez HTTP/1.1\r\nHost: x\r\n\r\n", "GET /li\tvez HTTP/1.1\r\nHost: x\r\n\r\n", "GET /li\x00vez HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /livez HTTP/1.1\nHost: x\n\n", "GET /livez HTTP/1.1\r\nHost: x\n\r\n", get("Host: x\nA: b"), get("Host: x", "A: b\rc"), "\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
		get("Host: x", "A: \x00"), get("Host: x", "A\x00: b"), get("Host: x", "A: \x7f"), get("Host: x", "A: \x1b"),
		get("Host: x", ": b"), get("Host: x", "A : b"), get("Host: x", "A\t: b"), get("Host: x", "A"), get("Host: x", "A: b", " c"), get("Host: x", "\tc"), get("Host : x"),
		post("Content-Length : 2"), post("Content-Length: -2"), post("Content-Length: +2"), post("Content-Length: 0x2"), post("Content-Length: 2, 2"), post("Content-Length: 2 2"),
		post("Content-Length: "), post("Content-Length: 2.0"), post("Content-Length: 1_0"), post("Content-Length: 18446744073709551618"), post("Content-Length: 9223372036854775808"),
		post("Content-Length: 2", "Content-Length: 2"), post("Content-Length: 2", "Content-Length: 3"), post("Content-Length: 2", "Transfer-Encoding: chunked"),
		post("Transfer-Encoding: chunked", "Content-Length: 2"), post("Transfer-Encoding: identity", "Content-Length: 2"), post("Transfer-Encoding: chunked, chunked"),
		post("Transfer-Encoding: xchunked"), post("Transfer-Encoding: chunked;q=1"), post("Transfer-Encoding:\vchunked"), post("Transfer-Encoding: \"chunked\""),
		"POST /1/faces HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "POST /1/faces HTTP/1.0\r\nHost: x\r\nHost: x\r\nContent-Length: 2\r\n\r\n",
	} {
		c := x.dial().write(request + "{}" + get("Host: x")).half()
		c.answer(fmt.Sprintf("%q", request)).status(400).part("error_code", "12001").last()
		c.ended()
	}
	for _, request := range []string{
		"\r\n" + get("Host: x"), "\r\n\r\n" + get("Host: x"), get("Host:x"), get("Host: \t x \t"), get("host: [::1]:80"), get("Host: x", "A:"), get("Host: x", "A: \xff\t!"),
		"GET /livez HTTP/1.0\r\n\r\n", "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET http://x/livez HTTP/1.1\r\nHost: x\r\n\r\n",
		get("Host: x", "Content-Length: 0"), get("Host: x", "Content-Length: 00"),
	} {
		x.dial().write(request).answer(fmt.Sprintf("%q", request)).status(200)
	}
}

// TestOldExport: to HTTP/1.0 an export is sent without chunks, and ends with the
// connection.
func TestOldExport(t *testing.T) {
	x := start(t)
	x.line(3)
	want := string(x.call("GET", "/1/export", "").status(200).body)
	for _, keep := range []string{"", "Connection: keep-alive\r\n"} {
		c := x.dial().write("GET /1/export HTTP/1.0\r\n" + keep + "\r\n")
		text, err := io.ReadAll(c.in)
		head, body, _ := strings.Cut(string(text), "\r\n\r\n")
		if err != nil || body != want || strings.Contains(head, "chunked") || !strings.Contains(head, "\r\nConnection: close") {
			t.Errorf("%v: %s\n\n%.300q\nwant %.300q", err, head, body, want)
		}
	}
}

// TestAcceptList: several Accept headers are one list.
func TestAcceptList(t *testing.T) {
	x := start(t)
	for lines, want := range map[string]string{
		"Accept: text/html\r\nAccept: application/msgpack\r\n":                      "application/msgpack",
		"Accept: application/msgpack;q=0.1\r\nAccept: application/json;q=0.9\r\n":   "application/json",
		"Accept: application/json;q=0.1\r\naccept: application/msgpack, text/*\r\n": "application/msgpack",
		"Accept: text/html\r\nAccept: */*\r\n":                                      "application/json",
	} {
		x.dial().write("GET /version HTTP/1.1\r\nHost: x\r\n"+lines+"\r\n").answer(lines).status(200).header("Content-Type", want)
	}
	x.dial().write("GET /version HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nAccept: image/png\r\n\r\n").answer("neither").fault(12028, "text/html, image/png")
}

// TestNewline: answers in JSON end with one newline, errors too.
func TestNewline(t *testing.T) {
	x := start(t)
	x.line(1)
	for _, a := range []*answer{
		x.call("GET", "/version", ""), x.call("GET", "/1/faces/"+id(1), ""), x.call("POST", "/1/matcher/faces", ask(stored(1), all())),
		x.call("GET", "/nowhere", ""), x.call("GET", "/1/export", ""), x.dial().write("x\r\n\r\n").answer("no HTTP"), x.call("GET", "/1/plugins", ""), x.call("GET", "/docs/spec", ""),
	} {
		if text := string(a.body); !strings.HasSuffix(text, "}\n") && !strings.HasSuffix(text, "]\n") {
			t.Errorf("%s ends with %q", a.what, text[max(0, len(text)-10):])
		}
	}
}

// TestHeaderLimit: the request line and the header may have limits.header_bytes
// together, whatever they consist of.
func TestHeaderLimit(t *testing.T) {
	const most = 3000
	x := start(t, func(s *settings) { s.header = most })
	begin, end := "GET /livez?x=", " HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n"
	fill := func(n int) string { return strings.Repeat("y", n-len(begin)-len(end)) }
	// Of a request that is let in, the handler refuses the query.
	x.dial().write(begin+fill(most)+end).answer("just fits").fault(12022, "x: unknown")
	for _, request := range []string{
		begin + fill(most+1) + end,
		"GET /livez HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", most) + "\r\n\r\n",
		"GET /livez HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", most/6) + "\r\n",
		strings.Repeat("\r\n", most/2) + "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c := x.dial().write(request)
		c.answer(fmt.Sprintf("%.40q", request)).status(431).fault(12022, "header", itoa(most), "limits.header_bytes").last()
		c.ended()
	}
	x.limits.HeaderBytes = 2 * most
	x.server.Reload(x.limits)
	x.dial().write(begin+fill(2*most)+end).answer("just fits").fault(12022, "x: unknown")
}

// TestHeadInPieces: a head may come in any pieces.
func TestHeadInPieces(t *testing.T) {
	x := start(t)
	body := face(1, of(v4, 1, 2, 3, 4))
	request := "\r\nPUT /1/faces/" + id(1) + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + itoa(len(body)) + "\r\nAccept: application/json\r\nA: " + strings.Repeat("b", 20_000) + "\r\n\r\n" + body
	for _, step := range []int{1, 7, 4096, 5000} {
		c := x.dial()
		for rest := request; rest != ""; {
			n := min(step, len(rest))
			if step == 1 && len(rest) > 300 && len(request)-len(rest) > 300 {
				n = len(rest) - 300 // the middle of the long line at once
			}
			c.write(rest[:n])
			rest = rest[n:]
		}
		if a := c.answer(fmt.Sprintf("steps of %d", step)); a.response.StatusCode >= 300 {
			t.Errorf("steps of %d: %d %s", step, a.response.StatusCode, a.body)
		}
		c.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").answer("next").status(200)
	}
}
