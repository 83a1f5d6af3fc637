package server

import (
	"errors"
	"net"
	"testing"
)

// failing is a listener that has no more files at first.
type failing struct {
	net.Listener
	faults int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.faults--; f.faults >= 0 {
		return nil, errors.New("accept: too many open files")
	}
	return f.Listener.Accept()
}

// TestAcceptGoesOn: hertz ends when Accept fails, so it must not.
func TestAcceptGoesOn(t *testing.T) {
	l, err := listen("127.0.0.1:0", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Listener = &failing{l.Listener, 2}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.(*connection).done()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	l.Listener = &failing{l.Listener, 1 << 30}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed and failing: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
