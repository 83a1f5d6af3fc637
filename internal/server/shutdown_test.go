package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/internal/testkit"
)

// beginShutdown calls Shutdown in the background and returns when the server accepts no
// connections any more. The channel receives the result of Shutdown.
func (x *service) beginShutdown(ctx context.Context) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- x.stop(ctx) }()
	for {
		c, err := net.Dial("tcp", x.address)
		if err != nil {
			return ended
		}
		c.Close()
	}
}

// TestShutdown checks that running requests are answered, new ones are refused, and
// idle connections are closed.
func TestShutdown(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	x := start(t, beforeMatch(func(context.Context) { begun <- struct{}{}; <-proceed }))
	x.storeFaces(1)
	match := matchBody(storedFace(1), allFaces())
	idle, kept, late, busy := x.dial(), x.dial(), x.dial(), x.dial()
	for _, c := range []*raw{idle, kept, late} {
		c.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("before").status(200)
	}
	busy.write("POST /1/matcher/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(match)) + "\r\n\r\n" + match)
	var lines strings.Builder
	for n := range 2001 {
		lines.WriteString(face(n, descriptor(v4, 0, 0, 0, byte(n))) + "\n")
	}
	importing := x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(lines.String()))
	<-begun
	for x.memory.Stats().Rows[0] < 1000 { // until lines are stored
		runtime.Gosched()
	}

	ended := x.beginShutdown(context.Background())
	for range 2 { // the second request finds the connection closed
		kept.write("GET /livez HTTP/1.1\r\nHost: localhost\r\nAccept: application/msgpack\r\n\r\n")
	}
	kept.answer("while shutting down").fault(12050, "shutting down").last().header("Content-Type", "application/msgpack")
	kept.ended()
	late.write("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n{}").answer("while shutting down").fault(12050)
	importing.write(chunk(face(2001, descriptor(v4, 1, 2, 3, 4))) + "0\r\n\r\n").answer("import").status(200).last().
		json(`{"accepted":2002,"rejected":0,"errors":[]}`)
	close(proceed)
	busy.answer("match").status(201).last().part("0.reference", storedFace(1))
	check(t, <-ended)
	idle.ended()
	if rows := x.memory.Stats().Rows[0]; rows != 2002 {
		t.Errorf("%d faces are stored", rows)
	}
}

// TestShutdownCut checks that running requests are cut at the end of the grace
// period, and that their handlers have returned when Shutdown returns.
func TestShutdownCut(t *testing.T) {
	begun, returned := make(chan struct{}), false
	x := start(t, beforeMatch(func(ctx context.Context) { close(begun); <-ctx.Done(); returned = true }), func(s *settings) { s.timeout = time.Hour })
	x.storeFaces(1)
	match := matchBody(storedFace(1), allFaces())
	busy := x.dial().write("POST /1/matcher/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(match)) + "\r\n\r\n" + match)
	slow := x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{}")
	<-begun
	grace, cancel := context.WithCancelCause(context.Background())
	ended := x.beginShutdown(grace)
	cause := errors.New("the grace period is over")
	cancel(cause)
	if err := <-ended; !errors.Is(err, cause) || !returned {
		t.Errorf("%v, the handler has returned: %v", err, returned)
	}
	for _, c := range []*raw{busy, slow} {
		if _, err := c.in.Peek(1); err == nil { // the request ended before the cut
			c.answer("cut").fault(12050, "shutting down")
		}
	}
}

// TestShutdownSlowReader checks that Shutdown waits until an answer was sent, not
// only until its handler has returned.
func TestShutdownSlowReader(t *testing.T) {
	x := start(t)
	refs, candidates := givenDescriptor(descriptor(v4, 0, 0, 0, 0))+strings.Repeat(","+givenDescriptor(descriptor(v4, 0, 0, 0, 0)), 99), givenDescriptor(descriptor(v4, 1, 0, 0, 0))+strings.Repeat(","+givenDescriptor(descriptor(v4, 1, 0, 0, 0)), 999)
	body := matchBody(refs, candidates)
	slow := x.dial().write("POST /1/matcher/raw HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body)
	if _, err := slow.in.Peek(1); err != nil { // the answer is larger than all buffers between server and client
		t.Fatal(err)
	}
	ended := x.beginShutdown(context.Background())
	slow.answer("slowly read").status(201).part("99.matches.999.result.distance", "1")
	check(t, <-ended)
}

// TestShutdownLosesNothing checks that everything that was acknowledged is stored
// after a shutdown under load.
func TestShutdownLosesNothing(t *testing.T) {
	for range 5 {
		x := start(t)
		const clients = 8
		acknowledged := make([]int, clients) // number of faces, by client
		var enough, done sync.WaitGroup
		enough.Add(clients)
		for client := range clients {
			done.Go(func() {
				transport := &http.Transport{TLSClientConfig: x.secure}
				defer transport.CloseIdleConnections()
				first := sync.OnceFunc(enough.Done)
				defer first()
				for n := 0; ; n++ {
					body := face(1000*client+n, descriptor(v4, 1, 2, 3, 4))
					request := testkit.Must(http.NewRequest(http.MethodPost, x.url("/1/faces"), onlyOnce{strings.NewReader(body)}))
					request.ContentLength = int64(len(body))
					response, err := transport.RoundTrip(request)
					if err != nil {
						return
					}
					_, err = io.Copy(io.Discard, response.Body)
					response.Body.Close()
					if response.StatusCode == http.StatusCreated {
						acknowledged[client]++
					} else if response.StatusCode != http.StatusServiceUnavailable {
						t.Errorf("%d", response.StatusCode)
					}
					if err != nil || response.StatusCode != http.StatusCreated {
						return
					}
					if n == 20 {
						first()
					}
				}
			})
		}
		enough.Wait()
		check(t, x.stop(context.Background()))
		done.Wait()
		sum := 0
		for _, n := range acknowledged {
			sum += n
		}
		if rows := x.memory.Stats().Rows[0]; rows != sum {
			t.Errorf("%d faces are stored, but %d writes were acknowledged", rows, sum)
		}
	}
}

// onlyOnce is a body that net/http cannot send a second time.
type onlyOnce struct{ io.Reader }

// TestConcurrentClients runs clients that create, match, link, import, export, change and
// delete faces at the same time. Each client has its own faces and knows their state. The
// clients share a list.
func TestConcurrentClients(t *testing.T) {
	x := start(t)
	x.call("POST", "/1/lists", `{"list_id":"`+id(9)+`"}`).status(201)
	const clients, rounds = 6, 15
	var done sync.WaitGroup
	for client := range clients {
		done.Go(func() {
			var lines bytes.Buffer
			for round := range rounds {
				n := 1000 * (client + 1)
				data := descriptor(v4, byte(client), byte(round), 7, 7)
				x.call("POST", "/1/faces", face(n, data)).status(201)
				x.call("POST", "/1/matcher/faces", matchBody(storedFace(n), allFaces(`,"limit":1`, figures))).status(201).part("0.matches.0.result", `[`+row(n, v4, 0)+`]`)
				x.call("PATCH", "/1/linker", `{"action":"attach","list_id":"`+id(9)+`","face_ids":["`+id(n)+`"]}`).status(204)
				lines.Reset()
				for i := range 20 {
					lines.WriteString(face(n+i, data) + "\n")
				}
				x.call("POST", "/1/import?list_id="+id(9), lines.String()).status(200).part("accepted", "20")
				filter := "face_id__gte=" + id(n) + "&face_id__lt=" + id(n+1000)
				export := x.call("GET", "/1/export?list_id="+id(9)+"&"+filter, "").status(200).body
				if got := bytes.Count(export, []byte("\n")); got != 20 {
					t.Errorf("client %d exported %d", client, got)
				}
				all := x.call("GET", "/1/export", "").status(200).body
				for line := range bytes.Lines(all) {
					value(t, string(line))
				}
				x.call("PATCH", "/1/faces/"+id(n), `{"age":`+itoa(round)+`}`).status(200)
				x.call("GET", "/1/faces/"+id(n), "").status(200).part("age", itoa(round))
				x.call("DELETE", "/1/faces?"+filter, "").status(200).json(`{"deleted":20}`)
				x.call("POST", "/1/matcher/faces", matchBody(givenDescriptor(data), `{"filters":{"origin":"faces","face_ids":["`+id(n)+`"]}}`)).status(201).part("0.matches.0.result", `[]`)
			}
		})
	}
	done.Wait()
	x.faces(0)
	x.call("GET", "/1/lists/"+id(9), "").status(200).part("face_count", "0")
	if log := x.log.String(); log != "" {
		t.Error(log)
	}
}

// TestAnswersAreWhole checks that large answers to several clients at once do not
// mix, although hertz reuses its buffers.
func TestAnswersAreWhole(t *testing.T) {
	x := start(t)
	var lines strings.Builder
	for n := range 300 {
		lines.WriteString(face(n, descriptor(v4, byte(n), byte(n>>8), 0, 0), fmt.Sprintf(`,"user_data":"%s"`, strings.Repeat(string(rune('a'+n%26)), 100*(n%7)))) + "\n")
	}
	x.call("POST", "/1/import", lines.String()).status(200).part("accepted", "300")
	var done sync.WaitGroup
	for client := range 6 {
		done.Go(func() {
			for n := client; n < 60; n += 6 {
				want := x.call("POST", "/1/matcher/faces", matchBody(storedFace(n), allFaces(`,"limit":300`))).status(201)
				x.call("POST", "/1/matcher/faces", matchBody(storedFace(n), allFaces(`,"limit":300`)), "Accept", "application/msgpack").status(201).json(string(want.body))
			}
		})
	}
	done.Wait()
}
