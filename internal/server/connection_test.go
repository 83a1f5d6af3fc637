package server

import (
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

// failing is a listener whose Accept fails at first, as if there were too many open
// files.
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

// TestAcceptContinues checks that accept tries again after an error. If it returned the
// error, the server would end.
func TestAcceptContinues(t *testing.T) {
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
	c.finish()
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

// slowNow notifies slow clients as if any pause were too long.
func (b *budget) slowNow() {
	b.mu.Lock()
	b.slowAfter, b.checked = 1, time.Time{}
	b.mu.Unlock()
	b.notifySlow()
}

func (c *claim) holds() bool {
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	return c.held > 0
}

// TestHeadRoomWhileAnswered checks that a client does not count as slow while its
// request is answered, although its header still holds room. When it sends the next
// header, it can count as slow again.
func TestHeadRoomWhileAnswered(t *testing.T) {
	s, err := New(Options{Listen: "127.0.0.1:0", Observer: matcher.Observers{}, Limits: Limits{HeaderBytes: 64 << 10, RequestTimeout: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.listener.Close()
	client, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := s.listener.accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.finish()
	head := "GET / HTTP/1.1\r\nHost: localhost\r\nA: " + strings.Repeat("a", 30_000)
	if _, err := io.WriteString(client, head+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if !c.nextRequest() || !c.headRoom.holds() {
		t.Fatal("the header was not read, or has no room")
	}
	s.heads.slowNow()
	if c.isTooSlow() {
		t.Error("the client is slow while its request is answered")
	}
	c.begin += c.headLeft
	ended := make(chan bool)
	go func() { ended <- c.nextRequest() }()
	if _, err := io.WriteString(client, head); err != nil {
		t.Fatal(err)
	}
	for !c.isTooSlow() {
		if c.headRoom.holds() {
			s.heads.slowNow()
		}
		runtime.Gosched()
	}
	if <-ended {
		t.Error("the second header is not complete")
	}
}
