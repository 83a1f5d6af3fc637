package main

import (
	"context"
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

// attack is what each hostile connection of one kind does.
type attack struct {
	name string
	run  func(ctx context.Context, c net.Conn)
}

// horde counts what happens to hostile connections.
type horde struct {
	address               string
	opened, refused, lost atomic.Int64
}

func (h *horde) String() string {
	return fmt.Sprintf("%d opened, %d not accepted, %d closed by the server", h.opened.Load(), h.refused.Load(), h.lost.Load())
}

// attack keeps connections open until ctx ends. They are opened within a second,
// and one that the server closes is opened again after a second.
func (h *horde) attack(ctx context.Context, a attack, connections int) {
	var all sync.WaitGroup
	for n := range connections {
		all.Go(func() {
			time.Sleep(time.Second * time.Duration(n) / time.Duration(connections))
			for ctx.Err() == nil {
				h.once(ctx, a)
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		})
	}
	all.Wait()
}

func (h *horde) once(ctx context.Context, a attack) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", h.address)
	if err != nil {
		h.refused.Add(1)
		return
	}
	defer func() { _ = c.Close() }()
	h.opened.Add(1)
	deadline, _ := ctx.Deadline() // it has one
	_ = c.SetDeadline(deadline.Add(time.Second))
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	a.run(ctx, c)
	if ctx.Err() == nil {
		h.lost.Add(1)
	}
}

// attacks are the kinds of hostile connections.
var attacks = []attack{
	{"idle", func(_ context.Context, c net.Conn) { untilClosed(c) }},
	{"used-and-idle", func(_ context.Context, c net.Conn) {
		say(c, "GET /livez HTTP/1.1\r\nHost: x\r\nA: "+strings.Repeat("a", 60_000)+"\r\n\r\n")
		untilClosed(c)
	}},
	{"flood", func(_ context.Context, c net.Conn) {
		say(c, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		untilClosed(c)
	}},
	{"unfinished-header", func(_ context.Context, c net.Conn) {
		say(c, "GET /livez HTTP/1.1\r\nHost: x\r\nA: "+strings.Repeat("a", 65_000))
		untilClosed(c)
	}},
	{"huge-header", func(_ context.Context, c net.Conn) {
		say(c, "GET /livez HTTP/1.1\r\nHost: x\r\nA: "+strings.Repeat("a", 1_040_000))
		untilClosed(c)
	}},
	{"trickled-header", func(ctx context.Context, c net.Conn) { trickle(ctx, c, "GET /livez HTTP/1.1\r\nHost: x\r\nA: ", "a") }},
	{"declared-body", func(_ context.Context, c net.Conn) { say(c, post("/1/lists", 64<<20)+"[ "); untilClosed(c) }},
	{"stalled-body", func(_ context.Context, c net.Conn) {
		say(c, post("/1/lists", 64<<20)+"["+strings.Repeat(" ", 1<<20))
		untilClosed(c)
	}},
	{"trickled-body", func(ctx context.Context, c net.Conn) {
		trickle(ctx, c, post("/1/lists", 64<<20)+"["+strings.Repeat(" ", 100_000), " ")
	}},
	{"stalled-line", func(_ context.Context, c net.Conn) {
		say(c, post("/1/import", 64<<20)+`{"user_data":"`+strings.Repeat("x", 1_000_000))
		untilClosed(c)
	}},
	{"trickled-line", func(ctx context.Context, c net.Conn) {
		trickle(ctx, c, post("/1/import", 64<<20)+`{"user_data":"`+strings.Repeat("x", 100_000), "x")
	}},
	{"trickled-lines", func(ctx context.Context, c net.Conn) { trickle(ctx, c, post("/1/import", 64<<20), "{}\n") }},
	{"unread-answer", func(ctx context.Context, c net.Conn) { say(c, large(32)); wait(ctx) }},
	{"unread-export", func(ctx context.Context, c net.Conn) {
		say(c, strings.Repeat("GET /1/export HTTP/1.1\r\nHost: x\r\n\r\n", 10))
		wait(ctx)
	}},
}

func post(path string, length int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", path, length)
}

// large is a match with an answer of some megabytes.
func large(references int) string {
	one := fmt.Sprintf(`{"type":"raw_descriptor","id":"p","data":%s}`, inJSON(make([]byte, length)))
	body := `{"references":[` + one + strings.Repeat(","+one, references-1) + `],"candidates":[{"filters":{"origin":"faces"},"limit":1000}]}`
	return post("/1/matcher/faces", len(body)) + body
}

func say(c net.Conn, text string) { _, _ = io.WriteString(c, text) } // that the server closes is not an error here

// untilClosed reads until the server closes the connection, or the attack ends.
func untilClosed(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// wait holds a connection without reading. That the server has closed it is not
// seen.
func wait(ctx context.Context) { <-ctx.Done() }

// trickle sends text and then more, ten times a second.
func trickle(ctx context.Context, c net.Conn, text, more string) {
	say(c, text)
	answer := make([]byte, 1)
	for ctx.Err() == nil {
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Read(answer); err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		say(c, more)
	}
}
