package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"nearside/internal/testkit"
)

// connected returns both ends of a TCP connection.
func connected(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l := testkit.Must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	client = testkit.Must(net.Dial("tcp", l.Addr().String()))
	server = testkit.Must(l.Accept())
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

// TestReadArrived checks that bodies arrive unchanged however they are cut into chunks
// and reads, and that the bytes of the next request stay on the connection.
func TestReadArrived(t *testing.T) {
	const next = "the next request"
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		body := make([]byte, rng.IntN(200_000))
		for i := range body {
			body[i] = "0123456789abcdef\r\n"[rng.IntN(18)]
		}
		chunked := round%2 == 0
		sent := body
		if chunked {
			sent = nil
			for rest := body; len(rest) > 0; {
				chunk := rest[:min(len(rest), 1+rng.IntN([]int{10, 300, 5000, 100_000}[rng.IntN(4)]))]
				sent = fmt.Appendf(sent, "%x\r\n%s\r\n", len(chunk), chunk)
				rest = rest[len(chunk):]
			}
			sent = append(sent, "0\r\n\r\n"...)
		}
		client, server := connected(t)
		go func() {
			_, _ = client.Write(append(bytes.Clone(sent), next...)) // the reader reports missing bytes
			client.Close()
		}()
		c := &connection{Conn: server, in: make([]byte, inputMin)}
		r := &bodyReader{conn: c, chunked: chunked, left: int64(len(body))}
		if chunked {
			r.left = 0
		} else if len(body) == 0 {
			r.err = io.EOF
		}
		var got []byte
		for {
			_ = r.wait() // Read returns the error
			p := make([]byte, 1+rng.IntN(50_000))
			n, err := r.Read(p)
			if got = append(got, p[:n]...); err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				break
			}
		}
		rest := append(bytes.Clone(c.in[c.begin:c.end]), testkit.Must(io.ReadAll(server))...)
		if !bytes.Equal(got, body) || string(rest) != next {
			t.Fatalf("round %d: %d bytes of %d, equal: %v; then %q", round, len(got), len(body), bytes.Equal(got, body), rest)
		}
	}
}

// TestReadMuch checks that one Read returns more than the buffer of a connection, and
// that a read of a few bytes is not followed by another one.
func TestReadMuch(t *testing.T) {
	for _, size := range []int{100, 40_000} { // both fit into the buffers of a new connection
		client, server := connected(t)
		testkit.Must(client.Write(make([]byte, size)))
		c := &connection{Conn: server, in: make([]byte, inputMin)}
		r := &bodyReader{conn: c, left: 1 << 20}
		if err := r.wait(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Read(make([]byte, blockBytes)); err != nil || size > inputMin && n <= inputMin || size < inputMin && (n != size || r.full) {
			t.Errorf("%d of %d bytes, %v", n, size, err)
		}
	}
}

// TestReadArrivedLate checks that buffered bytes can be read after the deadline, and the
// other bytes after a new deadline. An import sets a new one before each read.
func TestReadArrivedLate(t *testing.T) {
	client, server := connected(t)
	testkit.Must(client.Write(make([]byte, 2*inputMin)))
	c := &connection{Conn: server, in: make([]byte, inputMin)}
	r := &bodyReader{conn: c, left: 2 * inputMin}
	testkit.Check(t, r.wait())
	for rest := 2 * inputMin; rest > 0; {
		testkit.Check(t, server.SetReadDeadline(time.Unix(1, 0)))
		n, err := r.Read(make([]byte, 2*inputMin))
		if rest -= n; err != nil && rest > 0 {
			t.Fatalf("%d bytes are left: %v", rest, err)
		}
		if testkit.Check(t, server.SetReadDeadline(time.Time{})); rest > 0 {
			testkit.Check(t, r.wait())
		}
	}
}
