package server_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestExpectContinue checks that a client that waits for 100 Continue gets it, or
// gets the final answer if the server does not need the body.
func TestExpectContinue(t *testing.T) {
	x := start(t)
	body := face(1, descriptor(v4, 1, 2, 3, 4))
	expect := func(request string, length int, more ...string) string {
		return request + " HTTP/1.1\r\nHost: localhost\r\nExpect: 100-Continue\r\n" + strings.Join(more, "") + "Content-Length: " + itoa(length) + "\r\n\r\n"
	}
	continued := func(request, body string, status int) {
		t.Helper()
		c := x.dial().write(request)
		head, err := c.in.ReadString('\n')
		if blank, _ := c.in.ReadString('\n'); err != nil || head+blank != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("%s: %q, %v", request, head, err)
		}
		c.write(body).answer(request).status(status)
		c.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("next").status(200)
	}
	continued(expect("POST /1/faces", len(body)), body, 201)
	continued(expect("POST /1/import", len(body)), body, 200)
	continued("POST /1/import HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(body)+"0\r\n\r\n", 200)

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

	// The client need not wait for 100 Continue.
	x.dial().write(expect("PUT /1/faces/"+id(1), len(body)) + body).answer("body at once").status(200)
	old := "POST /1/faces HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
	x.dial().write(old).answer("HTTP/1.0 has no Expect").fault(12022)
}

// TestPipelined checks that pipelined requests are answered in order, also after a
// body, whether or not the handler reads it.
func TestPipelined(t *testing.T) {
	x := start(t)
	get := "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	post := func(path, body string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
	}
	var text strings.Builder
	var want []int
	for n := range 50 {
		text.WriteString(get + post("/1/faces", face(n, descriptor(v4, 1, 2, 3, 4))) + post("/nowhere", "body") + post("/1/faces", wideFace(100+n, 3000*(n%10))))
		text.WriteString("POST /1/import HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(face(200+n, descriptor(v4, 1, 2, 3, 4))) + "0\r\n\r\n")
		want = append(want, 200, 201, 404, 201, 200)
	}
	requests := text.String()
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

// TestSkippedBody checks that a small body that no handler reads is skipped when it
// arrives after the answer. It is never read as a request. After a body of more than
// 64 KiB the connection ends.
func TestSkippedBody(t *testing.T) {
	x := start(t)
	get := "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	post := func(length int) string {
		return "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(length) + "\r\n\r\n"
	}
	c := x.dial()
	for _, size := range []int{1, len(get), 64 << 10} {
		body := strings.Repeat(get, 1+size/len(get))[:size]
		for _, early := range []int{0, size / 2, size - 1} {
			when := fmt.Sprintf("%d of %d bytes before the answer", early, size)
			c.write(post(size) + body[:early]).answer(when).fault(12010)
			c.write(body[early:] + get).answer(when + ", then").status(200)
		}
	}
	c.write(post(64<<10 + 1)).answer("a large body").fault(12010).last()
	c.ended()
}

// TestSkippedChunks is TestSkippedBody for chunked bodies.
func TestSkippedChunks(t *testing.T) {
	x := start(t)
	get := "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	const post, chunked = "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n", "\r\n"
	c := x.dial()
	bodyOf := func(size int) string { // a body of several chunks, with the framing size bytes long
		const end = "0\r\nA: b\r\n\r\n"
		body := chunk(strings.Repeat(get, 300)) + chunk(get) + "5;a=b\r\nGET /\r\n"
		rest := size - len(body) - len(end) - len("xxxx\r\n\r\n")
		return body + chunk(strings.Repeat("x", rest)) + end
	}
	largest := bodyOf(64 << 10)
	if len(largest) != 64<<10 {
		t.Fatalf("%d bytes", len(largest))
	}
	for _, body := range []string{"0\r\n\r\n", chunk(get) + "0\r\n\r\n", strings.Repeat(chunk("x"), 1000) + "0\r\n\r\n", largest} {
		for _, early := range []int{0, 1, len(body) / 2, len(body) - 1, len(body)} {
			when := fmt.Sprintf("%d of %d bytes before the answer", early, len(body))
			c.write(post + chunked + body[:early]).answer(when).fault(12010)
			c.write(body[early:] + get).answer(when + ", then").status(200)
		}
	}
	for request, status := range map[string]int{
		"POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n": 415,
		"DELETE /1/faces/" + id(1) + " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n":             404,
		"GET /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n":                                200,
	} {
		c.write(request + "0\r\n\r\n" + get).answer(request).status(status)
		c.answer("after " + request).status(200)
	}
	for _, body := range []string{
		bodyOf(64<<10 + 1), "10001\r\n" + get, "5\r\nabcd\r\n" + get, "zz\r\n" + get, "0\n\n" + get, "0\r\n" + get + get,
		"1\r\nx" + get, "1\nx\r\n0\r\n\r\n" + get, "1;\x00\r\nx\r\n0\r\n\r\n" + get, "-1\r\n" + get, chunk(strings.Repeat("x", 70_000)) + "0\r\n\r\n" + get,
		strings.Repeat("0", 300) + "\r\n\r\n" + get, "0\r\n" + strings.Repeat("A: b\r\n", 2000) + "\r\n" + get,
	} {
		for _, early := range []int{0, 1, len(body)} {
			c := x.dial().write(post + chunked + body[:early])
			c.answer(fmt.Sprintf("%.40q", body)).fault(12010)
			c.write(body[early:]).closeWrite().ended()
		}
	}
	// A client that waits for 100 Continue may never send the body.
	c = x.dial().write(post + "Expect: 100-continue\r\n" + chunked)
	c.answer("expects").fault(12010).last()
	c.ended()
}

// TestEmptyHost checks that an empty Host is accepted, because HTTP allows it.
func TestEmptyHost(t *testing.T) {
	x := start(t)
	body := face(1, descriptor(v4, 1, 2, 3, 4))
	length := "Content-Length: " + itoa(len(body)) + "\r\n"
	const expect = "Expect: 100-continue\r\n"
	c := x.dial()
	for _, header := range []string{
		"Host:\r\n" + length, length + "Host: \r\n", "\r\nHost: \t\r\n" + length, expect + "host:\r\n" + length + expect,
		"Host:\r\n" + length + "A: " + strings.Repeat("a", 10_000) + "\r\n",
	} {
		start := "PUT /1/faces/" + id(1) + " HTTP/1.1\r\n"
		if rest, ok := strings.CutPrefix(header, "\r\n"); ok {
			start, header = "\r\n"+start, rest
		}
		for range 2 {
			if a := c.write(start + header + "\r\n" + body).answer(header); a.response.StatusCode >= 300 {
				t.Errorf("%.50q: %d %s", header, a.response.StatusCode, a.body)
			}
		}
	}
	x.faces(1)
	x.awaitNoHeads()
}

// TestStrictHTTP checks that requests that are not quite HTTP/1.1, or that two servers
// could read in different ways, are refused with 400. The connection ends, and the
// bytes after them are not read as a request.
func TestStrictHTTP(t *testing.T) {
	x := start(t)
	get := func(lines ...string) string {
		return "GET /livez HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	post := func(lines ...string) string {
		return "POST /1/faces HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	for _, request := range []string{
		get("Host: localhost", "Host: x"), get("Host: localhost", "host: y"), get("Host: a b"), get("Host: a,b"), get("Host: x/y"), get("Host: u@x"), get(),
		"GET /livez HTTP/1.2\r\nHost: localhost\r\n\r\n", "GET /livez HTTP/2.0\r\nHost: localhost\r\n\r\n", "GET /livez HTTP/0.9\r\n\r\n", "GET /livez http/1.1\r\nHost: localhost\r\n\r\n",
		"GET /livez HTTP/1.10\r\nHost: localhost\r\n\r\n", "GET /livez HTTP/1.1 \r\nHost: localhost\r\n\r\n", "GET  /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		" GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", "G(T /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /li\tvez HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /li\x00vez HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /livez HTTP/1.1\nHost: x\n\n", "GET /livez HTTP/1.1\r\nHost: x\n\r\n", get("Host: x\nA: b"), get("Host: localhost", "A: b\rc"), "\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
		get("Host: localhost", "A: \x00"), get("Host: localhost", "A\x00: b"), get("Host: localhost", "A: \x7f"), get("Host: localhost", "A: \x1b"),
		get("Host: localhost", ": b"), get("Host: localhost", "A : b"), get("Host: localhost", "A\t: b"), get("Host: localhost", "A"), get("Host: localhost", "A: b", " c"), get("Host: localhost", "\tc"), get("Host : x"),
		post("Content-Length : 2"), post("Content-Length: -2"), post("Content-Length: +2"), post("Content-Length: 0x2"), post("Content-Length: 2, 2"), post("Content-Length: 2 2"),
		post("Content-Length: "), post("Content-Length: 2.0"), post("Content-Length: 1_0"), post("Content-Length: 18446744073709551618"), post("Content-Length: 9223372036854775808"),
		post("Content-Length: 2", "Content-Length: 2"), post("Content-Length: 2", "Content-Length: 3"), post("Content-Length: 2", "Transfer-Encoding: chunked"),
		post("Transfer-Encoding: chunked", "Content-Length: 2"), post("Transfer-Encoding: identity", "Content-Length: 2"), post("Transfer-Encoding: chunked, chunked"),
		post("Transfer-Encoding: xchunked"), post("Transfer-Encoding: chunked;q=1"), post("Transfer-Encoding:\vchunked"), post("Transfer-Encoding: \"chunked\""),
		"POST /1/faces HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "POST /1/faces HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n",
	} {
		c := x.dial().write(request + "{}" + get("Host: localhost")).closeWrite()
		c.answer(fmt.Sprintf("%q", request)).status(400).part("error_code", "12001").last()
		c.ended()
	}
	for _, request := range []string{
		"\r\n" + get("Host: localhost"), "\r\n\r\n" + get("Host: localhost"), get("Host:localhost"), get("Host: \t localhost \t"), get("host: [::1]:80"), get("Host: localhost", "A:"), get("Host: localhost", "A: \xff\t!"),
		"GET /livez HTTP/1.0\r\n\r\n", "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET http://x/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
		get("Host: localhost", "Content-Length: 0"), get("Host: localhost", "Content-Length: 00"),
	} {
		x.dial().write(request).answer(fmt.Sprintf("%q", request)).status(200)
	}
}

// TestExportToHTTP10 checks that an HTTP/1.0 client gets an export without chunks, and
// that the end of the connection ends it.
func TestExportToHTTP10(t *testing.T) {
	x := start(t)
	x.storeFaces(3)
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

// TestAcceptList checks that several Accept headers form one list.
func TestAcceptList(t *testing.T) {
	x := start(t)
	for lines, want := range map[string]string{
		"Accept: text/html\r\nAccept: application/msgpack\r\n":                      "application/msgpack",
		"Accept: application/msgpack;q=0.1\r\nAccept: application/json;q=0.9\r\n":   "application/json",
		"Accept: application/json;q=0.1\r\naccept: application/msgpack, text/*\r\n": "application/msgpack",
		"Accept: text/html\r\nAccept: */*\r\n":                                      "application/json",
	} {
		x.dial().write("GET /version HTTP/1.1\r\nHost: localhost\r\n"+lines+"\r\n").answer(lines).status(200).header("Content-Type", want)
	}
	x.dial().write("GET /version HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nAccept: image/png\r\n\r\n").answer("neither").fault(12028, "text/html, image/png")
}

// TestJSONEndsWithNewline checks that answers in JSON end with one newline, errors too.
func TestJSONEndsWithNewline(t *testing.T) {
	x := start(t)
	x.storeFaces(1)
	for _, a := range []*answer{
		x.call("GET", "/version", ""), x.call("GET", "/1/faces/"+id(1), ""), x.call("POST", "/1/matcher/faces", matchBody(storedFace(1), allFaces())),
		x.call("GET", "/nowhere", ""), x.call("GET", "/1/export", ""), x.dial().write("x\r\n\r\n").answer("no HTTP"), x.call("GET", "/1/plugins", ""), x.call("GET", "/docs/spec", ""),
	} {
		if text := string(a.body); !strings.HasSuffix(text, "}\n") && !strings.HasSuffix(text, "]\n") {
			t.Errorf("%s ends with %q", a.request, text[max(0, len(text)-10):])
		}
	}
}

// TestHeaderLimit checks that limits.header_bytes applies to the request line and the
// header together, whatever they contain.
func TestHeaderLimit(t *testing.T) {
	const limit = 3000
	x := start(t, func(s *settings) { s.header = limit })
	begin, end := "GET /livez?x=", " HTTP/1.1\r\nHost: localhost\r\nA: b\r\n\r\n"
	fill := func(n int) string { return strings.Repeat("y", n-len(begin)-len(end)) }
	// The handler refuses the query of a request whose header is accepted.
	x.dial().write(begin+fill(limit)+end).answer("just fits").fault(12022, "x: unknown")
	for _, request := range []string{
		begin + fill(limit+1) + end,
		"GET /livez HTTP/1.1\r\nHost: localhost\r\nA: " + strings.Repeat("b", limit) + "\r\n\r\n",
		"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("A: b\r\n", limit/6) + "\r\n",
		strings.Repeat("\r\n", limit/2) + "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		c := x.dial().write(request)
		c.answer(fmt.Sprintf("%.40q", request)).status(431).fault(12022, "header", itoa(limit), "limits.header_bytes").last()
		c.ended()
	}
	x.limits.HeaderBytes = 2 * limit
	x.server.Reload(x.limits)
	x.dial().write(begin+fill(2*limit)+end).answer("just fits").fault(12022, "x: unknown")
}

// TestHeadInPieces checks that a head can arrive in pieces of any size.
func TestHeadInPieces(t *testing.T) {
	x := start(t)
	body := face(1, descriptor(v4, 1, 2, 3, 4))
	request := "\r\nPUT /1/faces/" + id(1) + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(body)) + "\r\nAccept: application/json\r\nA: " + strings.Repeat("b", 20_000) + "\r\n\r\n" + body
	for _, step := range []int{1, 7, 4096, 5000} {
		c := x.dial()
		for rest := request; rest != ""; {
			n := min(step, len(rest))
			if step == 1 && len(rest) > 300 && len(request)-len(rest) > 300 {
				n = len(rest) - 300 // the middle of the long line in one piece
			}
			c.write(rest[:n])
			rest = rest[n:]
		}
		if a := c.answer(fmt.Sprintf("steps of %d", step)); a.response.StatusCode >= 300 {
			t.Errorf("steps of %d: %d %s", step, a.response.StatusCode, a.body)
		}
		c.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("next").status(200)
	}
}
