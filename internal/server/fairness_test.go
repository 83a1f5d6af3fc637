package server_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// until waits until condition returns true.
func (x *service) until(condition func() bool) {
	x.Helper()
	for !condition() {
		if x.Context().Err() != nil {
			x.Fatal("the test has ended")
		}
		runtime.Gosched()
	}
}

// await waits until that many requests hold room of one kind: bodies, lines, heads,
// answers.
func (x *service) await(kind string, n int) {
	x.Helper()
	x.until(func() bool {
		bodies, lines, heads, answers := x.server.Holders()
		return map[string]int{"bodies": bodies, "lines": lines, "heads": heads, "answers": answers}[kind] >= n
	})
}

// awaitNoHeads waits until no connection holds room for a head.
func (x *service) awaitNoHeads() {
	x.Helper()
	x.until(func() bool {
		_, _, heads, _ := x.server.Holders()
		return heads == 0
	})
}

// firstEnded waits until the server has ended one of the slow requests because it is slow,
// and returns its connection. Slow requests that wait for room themselves may be refused
// with 503 before that.
func (x *service) firstEnded(slow []*raw) *raw {
	x.Helper()
	ended := make(chan *raw, len(slow))
	for _, c := range slow {
		go func() { // ends with the connection
			if head, err := c.in.Peek(len("HTTP/1.1 408")); err == nil && string(head) != "HTTP/1.1 503" {
				ended <- c
			}
		}()
	}
	select {
	case c := <-ended:
		return c
	case <-time.After(time.Minute):
		x.Fatal("no slow request was ended")
		return nil
	}
}

// sending is the head of a request with a large body.
const sending = "POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"

// TestDeclaredBodies checks that a body that is declared but not sent takes no room.
func TestDeclaredBodies(t *testing.T) {
	x := start(t)
	x.server.SetPatience(time.Hour)
	for range 50 {
		x.dial().write(sending + "[ ")
	}
	for n := range 8 {
		x.call("POST", "/1/faces", wideFace(n, 500_000)).status(201)
	}
	if bodies, _, _, _ := x.server.Holders(); bodies != 0 {
		t.Errorf("%d bodies hold room", bodies)
	}
}

// TestSlowBodies checks that bodies that have stopped arriving keep their room while
// no other request needs it. When others wait for it, they end with 12030, and the others are
// served.
func TestSlowBodies(t *testing.T) {
	x := start(t)
	x.server.SetPatience(time.Hour)
	var slow []*raw
	for range 4 { // 900 kB each; the budget has 4 MiB
		c := x.dial().write(sending + "[" + strings.Repeat(" ", 900_000))
		slow = append(slow, c)
	}
	x.await("bodies", 4)
	x.call("POST", "/1/faces", wideFace(1, 60_000)).status(201) // a small body needs no reservation
	x.server.SetPatience(time.Second)
	for n := range 4 {
		x.call("POST", "/1/faces", wideFace(2+n, 1_000_000)).status(201)
	}
	c := x.firstEnded(slow) // the bodies got room only because some of the slow requests were ended
	c.answer("slow").fault(12030, "body").last()
	c.ended()
	x.faces(5)
}

// TestSlowLines is TestSlowBodies for imports with lines that do not end.
func TestSlowLines(t *testing.T) {
	x := start(t, func(s *settings) { s.line = 8 << 20 })
	x.server.SetPatience(time.Hour)
	const importing = "POST /1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
	line := face(1, descriptor(v4, 1, 2, 3, 4)) + "\n"
	var slow []*raw
	for range 12 { // they need 8 MiB each, and the budget has 40 MiB
		c := x.dial()
		slow = append(slow, c)
		go c.write(importing + line + `{"user_data":"` + strings.Repeat("x", 7<<20)) // waits until the connection ends
	}
	x.await("lines", 2)
	// An import with short lines needs no room for them.
	x.call("POST", "/1/import", strings.Repeat(line, 3000)).status(200).part("accepted", "3000")
	x.server.SetPatience(time.Second)
	var long strings.Builder
	for n := range 3 {
		long.WriteString(wideFace(10+n, 4<<20) + "\n")
	}
	x.call("POST", "/1/import", long.String()).status(200).part("accepted", "3")
	x.firstEnded(slow).answer("slow").fault(12030, "line 1", "1 lines were accepted")
	for _, c := range slow {
		c.Close()
	}
}

// TestSlowHeads checks that unfinished headers end with 12030 when others wait for
// their room. Small headers do not wait.
func TestSlowHeads(t *testing.T) {
	x := start(t, func(s *settings) { s.header = 1 << 20 })
	x.server.SetPatience(time.Hour)
	unfinished := "GET /livez HTTP/1.1\r\nHost: localhost\r\nA: " + strings.Repeat("a", 1_000_000)
	var slow []*raw
	for range 66 { // the budget has 65 MiB
		c := x.dial()
		slow = append(slow, c)
		go c.write(unfinished)
	}
	x.await("heads", 60)
	x.call("GET", "/livez", "").status(200)
	x.server.SetPatience(time.Second)
	for range 4 {
		x.dial().write(unfinished + "\r\n\r\n").answer("large header").status(200)
	}
	// The four requests got room only because some of the slow requests were ended.
	x.firstEnded(slow).answer("slow").fault(12030, "header")
	for _, c := range slow {
		c.Close()
	}
	x.awaitNoHeads()
}

// TestUnreadAnswers checks that a large answer that the client does not read keeps
// its room until others wait for it. Then the client is disconnected.
func TestUnreadAnswers(t *testing.T) {
	x := start(t)
	x.server.SetPatience(time.Hour)
	probe := givenDescriptor(descriptor(v4, 0, 0, 0, 0))
	body := matchBody(probe+strings.Repeat(","+probe, 99), probe+strings.Repeat(","+probe, 999)) // about 15 MB in 100,000 pairs
	request := "POST /1/matcher/raw HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
	var unread []*raw
	for range 8 { // more than the budget of answers
		c := x.dial()
		check(t, c.tcp().SetReadBuffer(4096))
		unread = append(unread, c.write(request))
	}
	x.await("answers", 3)
	x.call("POST", "/1/matcher/raw", matchBody(probe, probe)).status(201) // a small answer needs no room
	x.server.SetPatience(time.Second)
	for range 3 {
		x.call("POST", "/1/matcher/raw", body).status(201)
	}
	cut := 0
	for _, c := range unread {
		check(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond))) // for the clients that read
		if _, err := io.Copy(io.Discard, c.in); errors.Is(err, syscall.ECONNRESET) {
			cut++
		}
		c.Close()
	}
	if cut == 0 {
		t.Error("no client was disconnected")
	}
}

// TestAborted checks that imports and exports whose client leaves are not counted as
// errors. They have a status of their own and a line in the log.
func TestAborted(t *testing.T) {
	x := start(t)
	for n := range 4 { // so that an export is larger than all buffers between server and client
		var lines strings.Builder
		for i := range 200 {
			lines.WriteString(wideFace(200*n+i, 15_000) + "\n")
		}
		x.call("POST", "/1/import", lines.String()).status(200)
	}
	exporting := x.dial()
	check(t, exporting.tcp().SetReadBuffer(4096))
	exporting.write("GET /1/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := exporting.in.Peek(1000); err != nil {
		t.Fatal(err)
	}
	check(t, exporting.Close())
	importing := x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + face(1, descriptor(v4, 1, 2, 3, 4)) + "\n{")
	check(t, importing.Close())
	cut := x.dial().write("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{")
	check(t, cut.Close())

	metrics := func() string { return string(x.call("GET", "/metrics", "").status(200).body) }
	for _, route := range []string{"GET:/export", "POST:/import", "POST:/faces"} {
		x.until(func() bool {
			return strings.Contains(metrics(), `nearside_requests_total{route="`+route+`",status="499"} 1`+"\n")
		})
	}
	if text := metrics(); strings.Contains(text, "nearside_errors_total{") {
		t.Errorf("aborted requests are errors in\n%s", text)
	}
	for _, route := range []string{"GET:/export", "POST:/import"} {
		if n := strings.Count(x.log.String(), "route="+route); n != 1 {
			t.Errorf("%d lines of the log are about %s:\n%s", n, route, x.log)
		}
	}
	if strings.Contains(x.log.String(), "level=ERROR") {
		t.Errorf("the log has errors:\n%s", x.log)
	}
}
