package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/internal/coding"
	"nearside/matcher"
)

// failing is a matcher that fails with an error.
type failing struct {
	matcher.Matcher
	err error
}

func (f failing) Match(_ context.Context, subs []matcher.SubRequest) []matcher.Result {
	return slices.Repeat([]matcher.Result{{Err: f.err}}, len(subs))
}

// TestRetryAfter checks that clients get the time of the matcher in whole seconds.
func TestRetryAfter(t *testing.T) {
	for after, want := range map[time.Duration]string{
		0: "1", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2", time.Minute: "60", time.Hour: "60",
	} {
		err := matcher.At("candidates[0]", fmt.Errorf("wrapped: %w", matcher.Overloaded(after, "too much")))
		x := start(t, func(s *settings) {
			s.matcher = func(m matcher.Matcher) matcher.Matcher { return failing{m, err} }
		})
		x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(descriptor(v4, 1, 2, 3, 4)), allFaces())).status(503).header("Retry-After", want).part("error_code", "12050")
	}
}

// wideFace is face n with a text of that many bytes.
func wideFace(n, bytes int) string {
	return face(n, descriptor(v4, 1, 2, 3, 4), `,"user_data":"`+strings.Repeat("x", bytes)+`"`)
}

// TestBodiesWaitForRoom checks that large bodies wait for room until their deadline, and
// that small ones do not.
func TestBodiesWaitForRoom(t *testing.T) {
	x := start(t, func(s *settings) { s.timeout = 100 * time.Millisecond })
	release := x.server.HoldBodies()
	x.call("POST", "/1/faces", wideFace(1, 100_000)).fault(12050, "bodies", itoa(3<<20+2<<20+coding.StateMax))
	x.send("POST", "/1/faces", unsized(wideFace(1, 100_000))).fault(12050, "bodies", itoa(3<<20+2<<20+coding.StateMax))
	x.call("POST", "/1/faces", wideFace(1, 60_000)).status(201)
	x.send("POST", "/1/faces", unsized(wideFace(2, 60_000))).status(201)
	release()
	x.call("POST", "/1/faces", wideFace(3, 100_000)).status(201)
	x.send("POST", "/1/faces", unsized(wideFace(4, 100_000))).status(201)
	x.send("POST", "/1/faces", unsized(wideFace(4, 1<<20))).fault(12029)
	x.faces(4)
}

// TestBodyWaits checks that a large body that waits is read when there is room again.
func TestBodyWaits(t *testing.T) {
	x := start(t)
	release := x.server.HoldBodies()
	var done sync.WaitGroup
	for n := range 3 {
		done.Go(func() { x.call("POST", "/1/faces", wideFace(n, 100_000)).status(201) })
	}
	x.call("GET", "/readyz", "").status(200)
	release()
	done.Wait()
	x.faces(3)
}

// TestAnswersWaitForRoom is TestBodiesWaitForRoom for answers.
func TestAnswersWaitForRoom(t *testing.T) {
	x := start(t, func(s *settings) { s.timeout = 100 * time.Millisecond })
	x.storeFaces(2)
	probe := givenDescriptor(descriptor(v4, 1, 2, 3, 4))
	large := map[string]string{
		"/1/matcher/faces":      matchBody(storedFace(1), allFaces(`,"limit":1000`)),
		"/1/matcher":            matchBody(`{"type":"face_external_id","id":"x"}`, allFaces(`,"limit":50`)), // a key can match many objects
		"/1/matcher/raw":        matchBody(probe+strings.Repeat(","+probe, 19), probe+strings.Repeat(","+probe, 19)),
		"/1/crossmatcher/faces": `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},"limit":1000}`,
	}
	small := map[string]string{
		"/1/matcher/faces":      matchBody(storedFace(1), allFaces(`,"limit":100`)),
		"/1/matcher/raw":        matchBody(probe, probe),
		"/1/crossmatcher/faces": `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},"limit":50}`,
	}
	release := x.server.HoldAnswers()
	for path, body := range large {
		x.call("POST", path, body).fault(12050, "answers")
	}
	for path, body := range small {
		x.call("POST", path, body).status(201)
	}
	release()
	for path, body := range large {
		x.call("POST", path, body).status(201)
	}
}

// TestRefusedAnswersNeedNoRoom checks that a request whose answer would be too large
// is refused without waiting for room, so that no request waits behind it.
func TestRefusedAnswersNeedNoRoom(t *testing.T) {
	x := start(t, func(s *settings) { s.cross, s.limits.Result = 10, 3_000_000 })
	x.storeFaces(11)
	defer x.server.HoldAnswers()()
	probe := givenDescriptor(descriptor(v4, 1, 2, 3, 4))
	x.call("POST", "/1/matcher/faces", matchBody(probe, allFaces(`,"limit":2000001`))).fault(31007)
	x.call("POST", "/1/matcher/faces", matchBody(`{"type":"face_external_id","id":"x"}`, allFaces(`,"limit":2000001`))).fault(31007)
	x.call("POST", "/1/matcher/faces", matchBody(probe+","+probe, allFaces(`,"limit":1000001`))).fault(31007)
	const sides = `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},"limit":`
	x.call("POST", "/1/crossmatcher/faces", sides+`1000}`).fault(31002)
	x.call("POST", "/1/crossmatcher/faces", sides+`2000000}`).fault(31002)
}

// TestCrossOfRemotesNeedsRoom checks that a cross match of an owner reserves room for
// as many objects as the limit allows, because their number is not known.
func TestCrossOfRemotesNeedsRoom(t *testing.T) {
	x := start(t, func(s *settings) { s.timeout = 100 * time.Millisecond })
	owners := &matcher.Owners{}
	owners.Origins[matcher.Faces] = []string{"east"}
	x.store.SetOwners(owners)
	defer x.server.HoldAnswers()()
	x.call("POST", "/1/crossmatcher/faces", `{"references":{"filters":{"origin":"faces"}},"candidates":{"filters":{"origin":"faces"}},"limit":10}`).fault(12050, "answers")
}

// TestAnswerIsHeldUntilSent checks that an answer keeps its room until the client has
// read it.
func TestAnswerIsHeldUntilSent(t *testing.T) {
	x := start(t)
	probe := givenDescriptor(descriptor(v4, 0, 0, 0, 0))
	body := matchBody(probe+strings.Repeat(","+probe, 99), probe+strings.Repeat(","+probe, 999))
	slow := x.dial().write("POST /1/matcher/raw HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body)
	if _, err := slow.in.Peek(1); err != nil { // the answer is larger than all buffers between server and client
		t.Fatal(err)
	}
	if x.server.HoldAnswers() != nil {
		t.Error("the answer is not sent yet, but its room was given back")
	}
	slow.answer("slowly read").status(201)
	slow.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("next").status(200)
	release := x.server.HoldAnswers()
	if release == nil {
		t.Fatal("the answer was sent, but its room was not given back")
	}
	release()
}

// occupy begins a request that lasts until its connection is closed.
func (x *service) occupy() *raw {
	x.Helper()
	c := x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
	if line, err := c.in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		x.Fatalf("%q, %v", line, err)
	}
	_, err := c.in.Discard(len("\r\n"))
	check(x, err)
	return c
}

// TestConnections checks that a connection beyond the limit gets an error and is
// closed, and that a new connection is accepted after another one has ended.
func TestConnections(t *testing.T) {
	x := start(t)
	x.server.SetConnectionsMax(2)
	const request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	_, second := x.occupy(), x.occupy()
	for range 3 {
		c := x.dial().write(request)
		c.answer("third").fault(12050, "2 connections are open").last()
		c.ended()
	}
	sending := x.dial().write("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n" + strings.Repeat("x", 3_000_000))
	sending.answer("still sending").fault(12050)
	x.dial().answer("nothing sent").fault(12050) // the server waits a moment for a request
	check(t, second.Close())
	x.untilServed(request)
	x.server.SetConnectionsMax(100)
	if text := string(x.call("GET", "/metrics", "").status(200).body); !strings.Contains(text, `nearside_errors_total{code="12050"}`) {
		t.Error("the refused connections are not in the metrics")
	}
}

// untilServed sends a request on new connections until one succeeds, because the
// server notices a closed connection late.
func (x *service) untilServed(request string) {
	x.Helper()
	for {
		r := x.dial()
		a := r.write(request).answer("a new connection")
		check(x, r.Close())
		if a.response.StatusCode == http.StatusOK {
			return
		}
	}
}

// awaitIdle waits until exactly these connections are idle, in this order. The
// server notices the end of a request a little later than the client has its answer.
func (x *service) awaitIdle(order ...*raw) {
	x.Helper()
	var want []string
	for _, c := range order {
		want = append(want, c.LocalAddr().String())
	}
	x.until(func() bool { return slices.Equal(x.server.Idle(), want) })
}

// TestIdleConnectionIsClosed checks that the connection that has been idle longest is closed
// when there are too many. Requests that are being answered continue.
func TestIdleConnectionIsClosed(t *testing.T) {
	x := start(t)
	const request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	busy := x.occupy()
	var idle []*raw
	for range 4 {
		c := x.dial()
		c.write(request).answer("idle").status(200)
		idle = append(idle, c)
		x.awaitIdle(idle...)
	}
	idle[0].write(request).answer("used again").status(200)
	idle = append(idle[1:], idle[0])
	x.awaitIdle(idle...)
	x.server.SetConnectionsMax(5)
	for range 4 {
		c := x.dial()
		c.write(request).answer("new").status(200)
		idle[0].ended()
		idle = append(idle[1:], c)
		x.awaitIdle(idle...)
	}
	busy.write(strings.Repeat(" ", 1000)).answer("busy").status(200)
}

// TestUnfinishedHeaderIsClosed checks that a connection with an unfinished header may be
// closed like an idle connection, and that it counts as idle since the header began.
func TestUnfinishedHeaderIsClosed(t *testing.T) {
	x := start(t)
	const request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	unfinished := x.dial()
	x.awaitIdle(unfinished)
	silent := x.dial()
	x.awaitIdle(unfinished, silent)
	unfinished.write("GET /livez HTTP/1.1\r\nHost:")
	x.awaitIdle(silent, unfinished)
	x.server.SetConnectionsMax(2)
	first := x.dial()
	first.write(request).answer("first").status(200)
	silent.closedWithoutAnswer()
	x.awaitIdle(unfinished, first)
	x.dial().write(request).answer("second").status(200)
	unfinished.closedWithoutAnswer()
}

// closedWithoutAnswer checks that the server closes or resets the connection and sends no
// answer.
func (r *raw) closedWithoutAnswer() {
	r.Helper()
	if rest, _ := io.ReadAll(r.in); len(rest) > 0 { // the error is not checked: the connection may be reset
		r.Errorf("an answer without a request: %q", rest)
	}
}

// TestConnectionsPerAddress checks the limit of connections of one address, idle or
// not, and that other addresses are not affected.
func TestConnectionsPerAddress(t *testing.T) {
	x := start(t, func(s *settings) { s.address = 3 })
	const request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
	var all []*raw
	for range 3 {
		c := x.dial()
		c.write(request).answer("one of three").status(200)
		all = append(all, c)
	}
	c := x.dial().write(request)
	c.answer("the fourth").fault(12050, "3 connections of 127.0.0.1", "limits.connections_per_address").last()
	c.ended()
	other := x.dialFrom(&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}})
	other.write(request).answer("another address").status(200)
	check(t, all[0].Close())
	x.untilServed(request)
	x.limits.ConnectionsPerAddress = 100
	x.server.Reload(x.limits)
	for range 10 {
		x.dial().write(request).answer("after a reload").status(200)
	}
}

// TestConnectionsFarBeyondLimit checks that connections far beyond the limit get a 503
// and are closed, although they send nothing.
func TestConnectionsFarBeyondLimit(t *testing.T) {
	x := start(t)
	x.server.SetConnectionsMax(1)
	defer x.occupy().Close()
	var all []net.Conn
	for range 300 {
		c, err := net.Dial("tcp", x.address)
		check(t, err)
		defer c.Close()
		all = append(all, c)
	}
	for i, c := range all {
		check(t, c.SetDeadline(time.Now().Add(time.Minute)))
		if text, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 503 ") {
			t.Fatalf("connection %d: %.100q, %v", i, text, err)
		}
	}
}

// gate is a context that calls wait in the n-th call of Done, with n.
type gate struct {
	context.Context
	calls int
	wait  func(n int)
}

func (g *gate) Done() <-chan struct{} {
	g.calls++
	g.wait(g.calls)
	return g.Context.Done()
}

// gated is a matcher that gets the context of large requests as a gate.
type gated struct {
	matcher.Matcher
	wait func(n int)
}

func (g gated) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	if len(subs) > 1 {
		ctx = &gate{Context: ctx, wait: g.wait}
	}
	return g.Matcher.Match(ctx, subs)
}

// TestSmallRequestsDuringCrossMatch checks that small requests are answered before a cross match
// that was sent earlier.
func TestSmallRequestsDuringCrossMatch(t *testing.T) {
	underway, answered := make(chan struct{}), make(chan struct{})
	x := start(t, func(s *settings) {
		s.matcher = func(m matcher.Matcher) matcher.Matcher {
			return gated{m, func(n int) {
				if n == 2 { // the cross match has at least two waves, each of which waits at least once
					close(underway)
					<-answered
				}
			}}
		}
	})
	var lines strings.Builder
	const faces = 500
	for n := range faces {
		lines.WriteString(face(n, descriptor(v4, byte(n), byte(n>>8), 0, 0)) + "\n")
	}
	x.call("POST", "/1/import", lines.String()).status(200)
	crossed := make(chan *answer)
	go func() {
		const side = `{"filters":{"origin":"faces"}}`
		crossed <- x.call("POST", "/1/crossmatcher/faces", `{"references":`+side+`,"candidates":`+side+`,"limit":3}`)
	}()
	select {
	case <-underway:
	case a := <-crossed:
		t.Fatalf("the cross match did not wait: %.300s", a.body)
	}
	probe := givenDescriptor(descriptor(v4, 7, 0, 0, 0))
	for range 20 {
		x.call("POST", "/1/matcher/faces", matchBody(probe, allFaces(`,"limit":1`, figures))).status(201).part("0.matches.0.result", `[`+row(7, v4, 0)+`]`)
		x.call("POST", "/1/matcher/raw", matchBody(probe, probe)).status(201)
	}
	select {
	case <-crossed:
		t.Fatal("the cross match did not wait")
	default:
	}
	close(answered)
	(<-crossed).status(201).part(itoa(faces-1)+".matches.0.result.0.face.face_id", `"`+id(faces-1)+`"`)
}
