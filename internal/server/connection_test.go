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

// TestAcceptGoesOn: the server would end when accept fails, so it must not.
func TestAcceptGoesOn(t *testing.T) {
	s, err := New(Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	l := s.listener
	inner := l.Listener
	l.Listener = &failing{inner, 2}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.accept()
	if err != nil {
		t.Fatal(err)
	}
	c.done()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	l.Listener = inner
	if _, err := l.accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	l.Listener = &failing{inner, 1 << 30}
	if _, err := l.accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed and failing: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
