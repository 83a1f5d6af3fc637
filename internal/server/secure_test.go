package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"nearside/internal/testkit"
)

// secured returns a TLS client, and the connection of the server after the handshake.
func secured(t *testing.T) (client *tls.Conn, c *connection) {
	t.Helper()
	tcp, inner := connected(t)
	authority := testkit.NewAuthority()
	client = tls.Client(tcp, &tls.Config{RootCAs: authority.Pool(), ServerName: "localhost"})
	c = &connection{Conn: inner, in: make([]byte, inputMin), listener: &listener{handshakes: newHandshakes(), server: &Server{}}}
	c.out.to = c
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	config := &tls.Config{Certificates: []tls.Certificate{authority.Issue().TLS()}, DynamicRecordSizingDisabled: true}
	if !c.handshakeUntil(config, time.Now().Add(time.Minute)) {
		t.Fatal("the handshake failed")
	}
	testkit.Check(t, <-shaken)
	return client, c
}

// TestInterruptedTLS checks that an answer over TLS arrives unchanged although its writes are
// interrupted many times, as they are while others wait for memory. crypto/tls alone fails
// for ever after the first interruption.
func TestInterruptedTLS(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	client, c := secured(t)
	testkit.Check(t, client.NetConn().(*net.TCPConn).SetReadBuffer(256<<10)) // so that writes wait
	answers := newBudget("answers", 1<<30, 1<<30)
	answers.slowAfter = time.Hour
	c.answer = answers.newClaim(c.askWriter)
	c.writeUntil(time.Now().Add(time.Minute))
	var want []byte
	for range 80 {
		piece := make([]byte, rng.IntN(200_000))
		for i := range piece {
			piece[i] = byte(rng.Uint32())
		}
		want = append(want, piece...)
		c.out.addBytes(piece)
	}
	written := make(chan error, 1)
	go func() {
		err := c.out.flush()
		c.secure.closeWrite()
		c.cut()
		written <- err
	}()
	var got []byte
	p := make([]byte, 10_000)
	for {
		n, err := client.Read(p[:1+rng.IntN(len(p))])
		if got = append(got, p[:n]...); err != nil {
			if err != io.EOF { //nolint:errorlint // EOF of TLS is never wrapped
				t.Error(err)
			}
			break
		}
		c.askWriter()
	}
	testkit.Check(t, <-written)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d arrived, or other bytes", len(got), len(want))
	}
	if c.reading.taken != len(want) {
		t.Errorf("%d bytes count as taken, of %d", c.reading.taken, len(want))
	}
}

// choppy is a connection whose writes send a part, and then fail as after a deadline.
type choppy struct {
	net.Conn
	left func(n int) int // bytes of n that are not sent
}

func (c *choppy) Write(p []byte) (int, error) {
	left := c.left(len(p))
	n, err := c.Conn.Write(p[:len(p)-left])
	if err == nil && left > 0 {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// TestPartsOfRecords checks that writePieces continues correctly after any part of its records
// was sent, also if only a part of the last tag is left.
func TestPartsOfRecords(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	client, c := secured(t)
	c.secure.tcp = &choppy{c.Conn, func(n int) int {
		if rng.IntN(3) == 0 {
			return 0
		}
		return min(n, testkit.Pick(rng, 1, 5, 16, 17, 100, n/2, n))
	}}
	var want []byte
	received := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(client) // the comparison finds an error
		received <- all
	}()
	for range 300 {
		piece := make([]byte, 1+rng.IntN(testkit.Pick(rng, 2, 100, 20_000, writeMax)))
		for i := range piece {
			piece[i] = byte(rng.Uint32())
		}
		want = append(want, piece...)
		for rest := (net.Buffers{piece}); len(rest) > 0; {
			n, err := c.writePieces(rest)
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || err == nil && int(n) != size(rest) {
				t.Fatalf("%d of %d bytes, %v", n, size(rest), err)
			}
			rest = dropBytes(rest, int(n))
		}
		if len(c.secure.unsent) > 0 {
			t.Fatal("an answer counts as sent, but a part of its records is not")
		}
	}
	c.secure.tcp = c.Conn
	c.secure.closeWrite()
	c.cut()
	if got := <-received; !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d arrived, or other bytes", len(got), len(want))
	}
}

// TestReadArrivedTLS is TestReadArrived over TLS, with bodies of known length.
func TestReadArrivedTLS(t *testing.T) {
	const next = "the next request"
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		body := make([]byte, 1+rng.IntN(300_000))
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
		client, c := secured(t)
		go func() {
			rest := append(bytes.Clone(body), next...)
			for len(rest) > 0 {
				n := min(len(rest), 1+len(body)/10)
				_, _ = client.Write(rest[:n]) // the reader reports missing bytes
				rest = rest[n:]
			}
			client.Close()
		}()
		r := &bodyReader{conn: c, left: int64(len(body))}
		var got []byte
		for {
			_ = r.wait() // Read returns the error
			p := make([]byte, 1+rng.IntN(50_000))
			n, err := r.Read(p)
			if got = append(got, p[:n]...); err != nil {
				break
			}
		}
		rest := bytes.Clone(c.in[c.begin:c.end])
		for {
			n, err := c.read(c.in)
			if rest = append(rest, c.in[:n]...); err != nil {
				break
			}
		}
		if !bytes.Equal(got, body) || string(rest) != next {
			t.Fatalf("%d bytes of %d, then %q", len(got), len(body), rest)
		}
		c.cut()
	}
}

// TestArrivedTLS checks that readArrived over TLS returns what has arrived, in many records,
// and does not wait for the rest of a record.
func TestArrivedTLS(t *testing.T) {
	client, c := secured(t)
	tcp := client.NetConn()
	if n, err := c.readArrived(make([]byte, 100)); n != 0 || err != nil {
		t.Fatalf("%d bytes before any were sent, %v", n, err)
	}
	testkit.Must(client.Write(make([]byte, 60_000)))
	p := make([]byte, 100_000)
	got := testkit.Must(c.read(p)) // waits for the first record
	for got < 60_000 {
		n := testkit.Must(c.readArrived(p))
		if got += n; n == 0 {
			got += testkit.Must(c.read(p))
		}
	}
	if n, err := c.readArrived(p); n != 0 || err != nil {
		t.Errorf("%d bytes after all were read, %v", n, err)
	}
	// A part of a record: the header says 1000 bytes.
	testkit.Must(tcp.Write(append([]byte{23, 3, 3, 3, 232}, make([]byte, 500)...)))
	testkit.Check(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	for range 3 {
		if n, err := c.readArrived(p); n != 0 || err != nil {
			t.Errorf("%d bytes of a part of a record, %v", n, err)
		}
	}
	testkit.Must(tcp.Write(make([]byte, 500))) // not a record of the client, so reading it fails
	if n, err := c.read(p); n != 0 || err == nil {
		t.Errorf("%d bytes of a wrong record, %v", n, err)
	}
}
