package server

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sync/semaphore"

	"nearside/matcher"
)

func newImportRoom(ctx context.Context, shared *semaphore.Weighted, size int) *importRoom {
	return &importRoom{shared: shared, size: size, ctx: ctx, timeout: time.Minute, short: make(chan struct{}, 1)}
}

// allocated returns the bytes that f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// TestImportRoom checks that short receives a value when an import waits, that a request
// for more than all room gets all room, and that all room is given back.
func TestImportRoom(t *testing.T) {
	all := semaphore.NewWeighted(100)
	first, second := newImportRoom(t.Context(), all, 100), newImportRoom(t.Context(), all, 100)
	take := func(r *importRoom, bytes, want int) {
		t.Helper()
		if taken, err := r.reserve(bytes); taken != want || err != nil {
			t.Errorf("%d: took %d, %v", bytes, taken, err)
		}
	}
	take(first, 60, 60)
	take(first, 40, 40)
	if len(first.short) > 0 {
		t.Error("short has a value, but no reservation waited")
	}
	done := make(chan struct{})
	go func() {
		take(second, 1000, 100)
		close(done)
	}()
	<-second.short
	first.release(40)
	first.close()
	<-done
	second.release(1000)
	if !all.TryAcquire(100) {
		t.Error("not all room was given back")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newImportRoom(ended, all, 100).reserve(1); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
	late := newImportRoom(t.Context(), all, 100)
	late.timeout = 0
	if _, err := late.reserve(1); matcher.CodeOf(err) != matcher.CodeUnavailable {
		t.Errorf("no room in time: %v", err)
	}
}

// TestSlowLineIsNotCopied checks that the beginning of a line is not copied for each
// byte that arrives.
func TestSlowLineIsNotCopied(t *testing.T) {
	const length = 100_000
	r := &lineReader{in: iotest.OneByteReader(strings.NewReader(strings.Repeat("x", length) + "\n")), lineBytesMax: length}
	got := ""
	made := allocated(func() {
		lines, err := linesOf(t, r)
		if !errors.Is(err, io.EOF) || len(lines) != 1 {
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		got = lines[0]
	})
	if len(got) != length || made > 100*length {
		t.Errorf("%d bytes were allocated for a line of %d", made, len(got))
	}
}

// TestNoBufferWithoutRoom checks that an import has no buffer while it waits for room.
func TestNoBufferWithoutRoom(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &lineReader{in: strings.NewReader("x"), lineBytesMax: 10, texts: newImportRoom(ctx, semaphore.NewWeighted(0), blockBytes)}
	if made := allocated(func() {
		for range 100 {
			if _, err := r.nextBlock(); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
	}); made > 10*blockBytes {
		t.Errorf("%d bytes", made)
	}
}

// TestReadManyChunks checks that one Read returns the buffered bytes of all chunks
// and does not wait for more.
func TestReadManyChunks(t *testing.T) {
	const chunks = 100
	for _, rest := range []string{"", "\r", "\r\n", "\r\n1", "\r\n1;a=b", "\r\n1\r\n"} {
		var in, want strings.Builder
		for n := range chunks {
			if n > 0 {
				in.WriteString("\r\n")
			}
			digit := strconv.Itoa(n % 10)
			in.WriteString("1;e=" + strings.Repeat("e", n) + "\r\n" + digit)
			want.WriteString(digit)
		}
		in.WriteString(rest)
		r := &bodyReader{conn: &connection{in: []byte(in.String()), end: in.Len()}, chunked: true}
		p := make([]byte, 2*chunks)
		if n, err := r.Read(p); string(p[:n]) != want.String() || err != nil {
			t.Errorf("%q: %q, %v", rest, p[:n], err)
		}
	}
}
