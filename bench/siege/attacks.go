package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// attack is a kind of hostile connections. run is the behaviour of one connection.
type attack struct {
	name  string
	run   func(ctx context.Context, c net.Conn)
	plain bool // run sends its own bytes of TLS
}

// horde opens hostile connections and counts what happens to them.
type horde struct {
	address               string
	overTLS               bool // whether connections begin with a handshake, unless the attack is plain
	opened, refused, lost atomic.Int64
}

func (h *horde) String() string {
	return fmt.Sprintf("%d opened, %d not accepted, %d closed by the server", h.opened.Load(), h.refused.Load(), h.lost.Load())
}

// attack keeps a number of connections open until ctx ends. It opens them within a
// second. It opens a connection again one second after the server has closed it.
func (h *horde) attack(ctx context.Context, a attack, connections int) {
	var all sync.WaitGroup
	for n := range connections {
		all.Go(func() {
			time.Sleep(time.Second * time.Duration(n) / time.Duration(connections))
			for ctx.Err() == nil {
				h.attackOnce(ctx, a)
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		})
	}
	all.Wait()
}

func (h *horde) attackOnce(ctx context.Context, a attack) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", h.address)
	if err != nil {
		h.refused.Add(1)
		return
	}
	defer func() { _ = c.Close() }()
	h.opened.Add(1)
	deadline, _ := ctx.Deadline() // ctx always has a deadline
	_ = c.SetDeadline(deadline.Add(time.Second))
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if h.overTLS && !a.plain {
		secure := tls.Client(c, anyCertificate)
		if secure.HandshakeContext(ctx) == nil {
			a.run(ctx, secure)
		}
	} else {
		a.run(ctx, c)
	}
	if ctx.Err() == nil {
		h.lost.Add(1)
	}
}

// attacks are the kinds of hostile connections.
var attacks = []attack{
	{name: "idle", run: func(_ context.Context, c net.Conn) { untilClosed(c) }},
	{name: "used-and-idle", run: func(_ context.Context, c net.Conn) {
		sendText(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nA: "+strings.Repeat("a", 60_000)+"\r\n\r\n")
		untilClosed(c)
	}},
	{name: "flood", run: func(_ context.Context, c net.Conn) {
		sendText(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		untilClosed(c)
	}},
	{name: "unfinished-header", run: func(_ context.Context, c net.Conn) {
		sendText(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nA: "+strings.Repeat("a", 65_000))
		untilClosed(c)
	}},
	{name: "huge-header", run: func(_ context.Context, c net.Conn) {
		sendText(c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nA: "+strings.Repeat("a", 1_040_000))
		untilClosed(c)
	}},
	{name: "trickled-header", run: func(ctx context.Context, c net.Conn) {
		trickle(ctx, c, "GET /livez HTTP/1.1\r\nHost: localhost\r\nA: ", "a")
	}},
	{name: "declared-body", run: func(_ context.Context, c net.Conn) { sendText(c, post("/1/lists", 64<<20)+"[ "); untilClosed(c) }},
	{name: "stalled-body", run: func(_ context.Context, c net.Conn) {
		sendText(c, post("/1/lists", 64<<20)+"["+strings.Repeat(" ", 1<<20))
		untilClosed(c)
	}},
	{name: "trickled-body", run: func(ctx context.Context, c net.Conn) {
		trickle(ctx, c, post("/1/lists", 64<<20)+"["+strings.Repeat(" ", 100_000), " ")
	}},
	{name: "stalled-line", run: func(_ context.Context, c net.Conn) {
		sendText(c, post("/1/import", 64<<20)+`{"user_data":"`+strings.Repeat("x", 1_000_000))
		untilClosed(c)
	}},
	{name: "trickled-line", run: func(ctx context.Context, c net.Conn) {
		trickle(ctx, c, post("/1/import", 64<<20)+`{"user_data":"`+strings.Repeat("x", 100_000), "x")
	}},
	{name: "import-lines", run: func(ctx context.Context, c net.Conn) { flood(ctx, c, post("/1/import", 1<<40), smallLines) }},
	{name: "import-chunks", run: func(ctx context.Context, c net.Conn) {
		flood(ctx, c, "POST /1/import HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", tinyChunks)
	}},
	{name: "trickled-lines", run: func(ctx context.Context, c net.Conn) { trickle(ctx, c, post("/1/import", 64<<20), "{}\n") }},
	{name: "bombs", run: func(ctx context.Context, c net.Conn) {
		bomb := window8 + strings.Repeat("\x02\x00\x10 ", 1000) // blocks of 128 KiB spaces
		flood(ctx, c, "", coded("/1/lists", len(bomb))+bomb)
	}},
	{name: "stalled-window", run: func(_ context.Context, c net.Conn) {
		sendText(c, coded("/1/import", 64<<20)+window8+"\x00\x00\x10")
		untilClosed(c)
	}},
	{name: "unread-answer", run: func(ctx context.Context, c net.Conn) { sendText(c, largeMatch(32)); waitUntilDone(ctx) }},
	{name: "unread-page", run: func(ctx context.Context, c net.Conn) {
		sendText(c, strings.Repeat("GET /1/faces?page_size=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n", 20))
		waitUntilDone(ctx)
	}},
	{name: "many-values", run: func(_ context.Context, c net.Conn) { sendText(c, manyValues()); untilClosed(c) }},
	{name: "unread-export", run: func(ctx context.Context, c net.Conn) {
		sendText(c, strings.Repeat("GET /1/export HTTP/1.1\r\nHost: localhost\r\n\r\n", 10))
		waitUntilDone(ctx)
	}},
}

// smallLines are valid lines of an import. Each face is stored again and again.
var smallLines = func() string {
	var lines strings.Builder
	descriptor := inJSON(make([]byte, length))
	for n := range 1000 {
		fmt.Fprintf(&lines, `{"face_id":"%08d-1111-4111-8111-111111111111","descriptor":%s}`+"\n", n, descriptor)
	}
	return lines.String()
}()

// tinyChunks are chunks of one byte with long extensions.
var tinyChunks = strings.Repeat("1;"+strings.Repeat("e", 240)+"\r\nx\r\n", 200) + strings.Repeat("1;"+strings.Repeat("e", 240)+"\r\n\n\r\n", 200)

func post(path string, length int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", path, length)
}

// coded is post for a body in zstd.
func coded(path string, length int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: zstd\r\nContent-Length: %d\r\n\r\n", path, length)
}

// window8 is the beginning of a zstd frame with a window of 8 MiB.
const window8 = "\x28\xb5\x2f\xfd\x00\x68"

// largeMatch returns a match request whose answer has a few megabytes.
func largeMatch(references int) string {
	reference := fmt.Sprintf(`{"type":"raw_descriptor","id":"p","data":%s}`, inJSON(make([]byte, length)))
	body := `{"references":[` + reference + strings.Repeat(","+reference, references-1) + `],"candidates":[{"filters":{"origin":"faces"},"limit":1000}]}`
	return post("/1/matcher/faces", len(body)) + body
}

// manyValues returns a match request of 60 KB with 30,000 values.
func manyValues() string {
	reference := fmt.Sprintf(`{"type":"raw_descriptor","id":"p","data":%s}`, inJSON(make([]byte, length)))
	body := `{"references":[` + reference + `],"candidates":[{"filters":{"origin":"faces"},"limit":1,"label":[0` + strings.Repeat(",0", 30_000) + `]}]}`
	return post("/1/matcher/faces", len(body)) + body
}

func sendText(c net.Conn, text string) { _, _ = io.WriteString(c, text) } // ignores errors, because the server may close the connection

// untilClosed reads until the server closes the connection, or the attack ends.
func untilClosed(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// waitUntilDone keeps a connection open without reading from it. It does not notice if
// the server closes the connection, so such a connection never counts as closed.
func waitUntilDone(ctx context.Context) { <-ctx.Done() }

// flood sends text and then more, as fast as the server takes it.
func flood(ctx context.Context, c net.Conn, text, more string) {
	sendText(c, text)
	for ctx.Err() == nil {
		if _, err := io.WriteString(c, more); err != nil {
			return
		}
	}
}

// trickle sends text, and then more ten times a second.
func trickle(ctx context.Context, c net.Conn, text, more string) {
	sendText(c, text)
	answer := make([]byte, 1)
	for ctx.Err() == nil {
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Read(answer); err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		sendText(c, more)
	}
}
