package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestHiddenLines checks that hertz sees all lines except those that the server handles
// itself, in the same order.
func TestHiddenLines(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		hidden, seen := []string{"Expect: 100-continue\r\n", "Content-Length: 7\r\n"}, "GET / HTTP/1.1\r\nHost: localhost\r\n"
		text := strings.Repeat("\r\n", rng.IntN(3)) + seen
		for range rng.IntN(20) {
			if rng.IntN(2) == 0 && len(hidden) > 0 {
				text += hidden[0]
				if strings.HasPrefix(hidden[0], "C") || rng.IntN(2) == 0 {
					hidden = hidden[1:]
				}
				continue
			}
			line := fmt.Sprintf("A%d: %s\r\n", rng.IntN(10), strings.Repeat("a", rng.IntN(100)))
			text, seen = text+line, seen+line
		}
		text, seen = text+"\r\n", seen+"\r\n"
		h, buf := &head{}, []byte(text)
		size, err := h.scan(buf)
		if err != nil || size != len(text) {
			t.Fatalf("%q: %d, %v", text, size, err)
		}
		if got := string(buf[h.removeHidden(buf):]); got != seen {
			t.Fatalf("%q became %q, want %q", text, got, seen)
		}
	}
}

// TestManyHiddenLines checks that adjacent hidden lines are one entry in hidden, and that
// a long hidden is not kept for the next request.
func TestManyHiddenLines(t *testing.T) {
	line := "Expect: 100-continue\r\n"
	h := &head{}
	scan := func(text string) {
		t.Helper()
		h.reset()
		if size, err := h.scan([]byte(text)); err != nil || size != len(text) {
			t.Fatal(size, err)
		}
	}
	scan("GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat(line, 1000) + "\r\n")
	if len(h.hidden) != 1 {
		t.Errorf("hidden has %d entries, want 1", len(h.hidden))
	}
	scan("GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat(line+"A: b\r\n", 1000) + "\r\n")
	if len(h.hidden) != 1000 {
		t.Errorf("hidden has %d entries, want 1000", len(h.hidden))
	}
	if h.reset(); cap(h.hidden) > hiddenKept {
		t.Errorf("hidden keeps a capacity of %d", cap(h.hidden))
	}
}

// TestFilesAreShared checks that answers do not copy the embedded files.
func TestFilesAreShared(t *testing.T) {
	for name := range files {
		var bodies [2][]byte
		for i := range bodies {
			x := &exchange{requestContext: &requestContext{}, conn: &connection{}}
			if err := x.sendFile(name, "text/plain"); err != nil {
				t.Fatal(err)
			}
			bodies[i] = x.Response.BodyBytes()
		}
		if want, err := embedded.ReadFile(name); err != nil || !bytes.Equal(bodies[0], want) || &bodies[0][0] != &bodies[1][0] {
			t.Errorf("%s: %v", name, err)
		}
	}
}
