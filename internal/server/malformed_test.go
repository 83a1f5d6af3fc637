package server_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestMalformed checks that a request that is not HTTP gets an error of this server, not
// of hertz, and that its connection ends. The server continues, also when hertz panics.
func TestMalformed(t *testing.T) {
	x := start(t)
	refused := func(request string, code int, details ...string) {
		t.Helper()
		c := x.dial().write(request).closeWrite()
		c.answer(fmt.Sprintf("%.60q", request)).fault(code, details...)
		c.ended()
	}
	head := func(lines ...string) string {
		return "POST /1/faces HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	refused("hello\r\n\r\n", 12001, "HTTP/1.1")
	refused("GET\r\n\r\n", 12001)
	refused("GET /livez\r\n\r\n", 12001)
	refused("GET /livez FTP/1.1\r\n\r\n", 12001)
	refused("GET /livez HTTP/1.1\r\n\r\n", 12001) // no Host
	refused("GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 12010, "*")
	refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 12001) // TLS
	refused(strings.Repeat("\x00", 100), 12001)
	refused("GET /livez HTTP/1.1\r\nHost: localhost\r\n", 12001) // incomplete
	refused("GET /livez HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", 12001)
	refused("GET /livez HTTP/1.1\r\nHost: localhost\r\na b: c\r\n\r\n", 12001)
	refused("GET /livez HTTP/1.1\r\nHost: localhost\r\na: b\x00c\r\n\r\n", 12001)
	refused(head("Trailer: ,", "Content-Length: 0"), 12001) // hertz panics
	refused(head("Trailer: Content-Length", "Content-Length: 0"), 12001)
	refused(head("Content-Length: -5"), 12001)
	refused(head("Content-Length: 5x"), 12001)
	refused(head("Content-Length: 99999999999999999999"), 12001)
	refused("GET /livez HTTP/1.1\r\nHost: localhost\r\na: "+strings.Repeat("b", 1<<16)+"\r\n\r\n", 12022, "header", "65536")
	refused("GET /"+strings.Repeat("b", 1<<16)+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 12022, "header")

	// The header must define the length of the body in exactly one way.
	refused(head("Content-Length: 5", "Transfer-Encoding: chunked")+"0\r\n\r\n", 12001, "Transfer-Encoding")
	refused(head("Transfer-Encoding: chunked", "Content-Length: 5")+"0\r\n\r\n", 12001, "Content-Length")
	refused("POST /1/faces HTTP/1.1\r\nContent-Length: 5\r\nHost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 12001, "Transfer-Encoding")
	refused(head("Content-Length: 5", "Content-Length: 5")+"hello", 12001, "Content-Length")
	refused(head("Content-Length: 5", "content-length: 6")+"hello", 12001, "Content-Length")
	refused(head("Transfer-Encoding: gzip")+"0\r\n\r\n", 12001, "gzip")
	refused(head("Transfer-Encoding: gzip, chunked")+"0\r\n\r\n", 12001, "gzip")
	refused(head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")+"0\r\n\r\n", 12001, "only once")
	refused(head("Transfer-Encoding: identity", "Content-Length: 5")+"hello", 12001, "identity")

	// Malformed chunks, and incomplete bodies.
	chunked := head("Transfer-Encoding: chunked")
	for _, body := range []string{
		"", "5", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0", "5\r\nhello\r\n0\r\n",
		"x\r\n", "-5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "\r\n5\r\nhello\r\n0\r\n\r\n",
		"5\r\nhello0\r\n\r\n", "5\r\nhello world\r\n0\r\n\r\n", "ffffffffffffffffff\r\n", "8000000000000000\r\n",
		"5;" + strings.Repeat("x", 300) + "\r\nhello\r\n0\r\n\r\n", "0\r\na: " + strings.Repeat("x", 5000) + "\r\n\r\n",
	} {
		refused(chunked+body, 12001, "body")
	}
	refused(head("Content-Length: 5")+"hell", 12001, "body")
	refused(head("Content-Length: 5"), 12001, "body")
	refused(head("Content-Length: 1"), 12001)
	refused(head("Content-Length: 100000")+strings.Repeat(" ", 50_000), 12001, "body")
	x.faces(0)
	if log := x.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "panic") {
		t.Errorf("the log must have exactly one line, about the panic of hertz: %s", log)
	}
}

// TestMutatedRequests sends requests with changed, removed and repeated bytes. No answer may
// be an internal error.
func TestMutatedRequests(t *testing.T) {
	x := start(t)
	random := rand.New(rand.NewPCG(1, 2))
	body := face(1, descriptor(v4, 1, 2, 3, 4))
	requests := []string{
		"POST /1/faces?account_id=" + id(1) + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(body)) + "\r\nAccept: application/json, */*;q=0.1\r\nConnection: close\r\n\r\n" + body,
		"POST /1/import?list_id=" + id(1) + " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\nConnection: close\r\n\r\n" + chunk(body[:30]) + chunk(body[30:]+"\n") + "0\r\nA: b\r\n\r\n",
		"GET /1/faces?external_ids=a,b%20c&age__gte=3&page=1 HTTP/1.1\r\nHost: localhost\r\nLuna-Request-Id: 1767225600,136df8da-43a1-4d2f-8b6c-3f5f8e0b5a57\r\nA: b\r\n c\r\nConnection: close\r\n\r\n",
	}
	answers := 0
	for i := range 1500 {
		request := []byte(requests[i%len(requests)])
		for range 1 + random.IntN(3) {
			at := random.IntN(len(request))
			switch random.IntN(4) {
			case 0:
				request[at] = byte(random.IntN(256))
			case 1:
				request[at] ^= 1 << random.IntN(8)
			case 2:
				request = append(request[:at], request[at+1:]...)
			default:
				request = append(request[:at], request[at/2:]...)
			}
		}
		c := x.dial().write(string(request)).closeWrite()
		if first, err := c.in.Peek(12); err == nil {
			answers++
			if status := string(first[9:]); status >= "500" {
				t.Errorf("%q: %s", request, status)
			}
		}
		c.Close()
	}
	if answers < 1400 {
		t.Errorf("only %d answers", answers)
	}
	x.call("GET", "/readyz", "").status(200)
}
