package server_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/internal/server"
	"nearside/matcher"
	"nearside/matcher/remote"
)

func starting(s *settings) { s.starting = true }

// TestStarting checks all operations of a server that is starting. It is alive, shows its
// progress, and refuses all other requests at once. After the start it answers them, on the
// same connections.
func TestStarting(t *testing.T) {
	x := start(t, starting)
	ready := func(detail string) {
		t.Helper()
		a := x.call("GET", "/readyz", "").fault(12050, detail).header("Retry-After", "1")
		if got := a.at("detail"); got != detail {
			t.Errorf("%q, want %q", got, detail)
		}
	}
	ready("the server is starting: opening the data directory")
	for _, done := range []uint64{0, 10, 999} {
		x.server.SetProgress(server.Progress{Phase: "loading", Done: done, Total: 1000})
		ready("the server is starting: loading, " + itoa(int(done)) + " of 1000 records (" + itoa(int(done+1)/10) + " %)")
	}
	account := x.call("GET", "/readyz?account_id="+id(1), "").fault(12050).at("detail")
	if account != "the server is starting: loading" {
		t.Errorf("an account sees %q", account)
	}
	x.call("GET", "/readyz?a=1", "").fault(12022)

	kept := x.dial()
	for path, item := range x.spec.doc.Paths.Map() {
		for method := range item.Operations() {
			url := strings.NewReplacer("{face_id}", id(1), "{event_id}", id(1), "{attribute_id}", id(1), "{list_id}", id(1)).Replace(path)
			if path == "/livez" || path == "/readyz" || path == "/docs/errors" {
				continue
			}
			x.call(method, url, `{}`).fault(12050, "the server is starting").header("Retry-After", "1")
			kept.write(method+" "+url+" HTTP/1.1\r\nHost: localhost\r\nAccept: application/msgpack\r\nContent-Length: 2\r\n\r\n{}").
				answer(method+" "+url).fault(12050, "the server is starting").header("Content-Type", "application/msgpack")
		}
	}
	for _, request := range []string{"GET /nowhere", "PUT /version", "GET /plugins/a/b", "GET /", "GET /1/faces?a=b"} {
		kept.write(request+" HTTP/1.1\r\nHost: localhost\r\n\r\n").answer(request).fault(12050, "the server is starting")
	}
	x.call("GET", "/livez", "").status(200)
	x.call("GET", "/docs/errors", "").status(200) // the place to which the link of an error leads
	x.call("HEAD", "/readyz", "").status(503)
	x.call("HEAD", "/livez", "").status(200)

	x.open()
	kept.write("GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("after the start").status(200)
	x.call("GET", "/readyz", "").status(200)
	x.call("POST", "/1/faces", face(1, descriptor(v4, 1, 2, 3, 4))).status(201)
	x.server.SetProgress(server.Progress{Phase: "late"})
	x.call("GET", "/readyz", "").status(200)
}

// TestRequestsBeforeAndAfterStart checks requests that begin before the end of a start and
// end after it.
func TestRequestsBeforeAndAfterStart(t *testing.T) {
	x := start(t, starting)
	body := face(1, descriptor(v4, 1, 2, 3, 4))
	post := "POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n"
	half := x.dial().write(post[:20])
	refused := x.dial().write(post + body[:10])
	refused.answer("its header arrived during the start").fault(12050, "the server is starting")
	expects := x.dial().write(strings.Replace(post, "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1))
	expects.answer("it waits for 100 Continue").fault(12050, "the server is starting").last()
	expects.ended()
	large := x.dial().write("POST /1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n" + body)
	large.answer("a large body").fault(12050, "the server is starting").last()

	x.open()
	half.write(post[20:] + body).answer("its header is complete after the start").status(201)
	refused.write(body[10:]+"GET /1/faces/"+id(1)+" HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("the next request").status(200).part("face_id", `"`+id(1)+`"`)
	x.faces(1)
}

// TestSwitchFromStarting checks that many clients see one switch: when a request was
// answered, none that begins later is refused.
func TestSwitchFromStarting(t *testing.T) {
	x := start(t, starting)
	const clients = 8
	var begun, done sync.WaitGroup
	begun.Add(clients)
	for range clients {
		done.Go(func() {
			first := sync.OnceFunc(begun.Done)
			defer first()
			c, served := x.dial(), 0
			for served < 20 {
				a := c.write("GET /1/faces HTTP/1.1\r\nHost: localhost\r\n\r\nGET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("faces")
				ready := c.answer("ready")
				switch {
				case a.response.StatusCode == http.StatusOK && ready.response.StatusCode == http.StatusOK:
					served++
				case served > 0 || a.response.StatusCode != http.StatusServiceUnavailable:
					x.Errorf("%d and %d after %d answers", a.response.StatusCode, ready.response.StatusCode, served)
					return
				}
				first()
			}
		})
	}
	begun.Wait()
	x.open()
	x.call("GET", "/1/faces", "").status(200)
	done.Wait()
}

// TestConnectionsWhileStarting checks that the limit of connections holds during a start,
// and that Shutdown ends one, although clients have not sent their requests.
func TestConnectionsWhileStarting(t *testing.T) {
	x := start(t, starting, func(s *settings) { s.address = 3; s.timeout = time.Hour })
	first := x.dial().write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
	first.answer("the first connection").status(200)
	half := x.dial().write("GET /livez HTTP/1.1\r\n")
	body := x.dial().write("POST /1/faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
	body.answer("a body that does not arrive").fault(12050, "the server is starting")
	x.dial().write("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").answer("one connection more").fault(12050, "limits.connections_per_address").last()
	check(t, x.stop(context.Background()))
	for _, c := range []*raw{first, half, body} {
		c.ended()
	}
}

// TestStartingRemote checks that a remote that is starting counts as unavailable: its data
// is neither answered as empty nor as missing. After its start it is used.
func TestStartingRemote(t *testing.T) {
	far := start(t, starting)
	x := start(t, func(s *settings) {
		s.remotes = []remote.Config{{Name: "far", URL: "http://" + far.address, Cost: 1, Timeout: time.Minute, MaxInflight: 4, Origins: []matcher.Origin{matcher.Events}}}
	})
	events := `{"filters":{"origin":"events"},"targets":[]}`
	probe := givenDescriptor(descriptor(v4, 1, 2, 3, 4))
	for range 5 { // more than the failures that open the breaker
		x.call("POST", "/1/matcher/faces", matchBody(probe, events)).fault(12050, "far")
		x.call("POST", "/1/matcher/faces", matchBody(`{"type":"event","id":"`+id(1)+`"}`, allFaces())).fault(12050, "far")
	}
	x.until(func() bool {
		return strings.Contains(string(x.call("GET", "/healthcheck?include_luna_services=1", "").status(502).body), "the server is starting")
	})
	far.open()
	far.call("POST", "/1/events", event(1)).status(201)
	x.until(func() bool {
		return x.call("GET", "/healthcheck?include_luna_services=1", "").response.StatusCode == http.StatusOK
	})
	x.call("POST", "/1/matcher/faces", matchBody(probe, events)).status(201).part("0.matches.0.result.0.event.event_id", `"`+id(1)+`"`)
}
