package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// raw is a connection on which a test sends arbitrary bytes.
type raw struct {
	*service
	net.Conn
	in *bufio.Reader
}

func newRaw(x *service, c net.Conn) *raw {
	check(x, c.SetDeadline(time.Now().Add(time.Minute))) // so that a test fails instead of hanging
	return &raw{x, c, bufio.NewReader(c)}
}

// write sends text. It ignores errors, because the server may already have closed the
// connection.
func (r *raw) write(text string) *raw {
	_, _ = io.WriteString(r.Conn, text)
	return r
}

// closeWrite closes the sending half of the connection.
func (r *raw) closeWrite() *raw {
	check(r, r.Conn.(interface{ CloseWrite() error }).CloseWrite())
	return r
}

// answer reads an answer. request describes the request in messages.
func (r *raw) answer(request string) *answer {
	r.Helper()
	response, err := http.ReadResponse(r.in, nil)
	if err != nil {
		r.Fatalf("%s: no answer: %v", request, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatalf("%s: %v", request, err)
	}
	a := &answer{service: r.service, request: request, response: response, body: body}
	a.checkHead()
	return a
}

// ended checks that the server closes the connection and sends nothing more.
func (r *raw) ended() {
	r.Helper()
	if rest, err := io.ReadAll(r.in); err != nil || len(rest) > 0 {
		r.Errorf("the connection goes on: %.300q, %v", rest, err)
	}
}
