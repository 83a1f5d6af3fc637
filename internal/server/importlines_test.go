package server

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// shortReads is a reader of rest that returns a few bytes at a time. It returns err
// after the last bytes, and sometimes together with them.
type shortReads struct {
	rng  *rand.Rand
	rest string
	max  int // bytes of a read
	err  error
}

func (r *shortReads) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), 1+r.rng.IntN(r.max))], r.rest)
	if r.rest = r.rest[n:]; r.rest == "" && r.rng.IntN(2) == 0 || n == 0 {
		return n, r.err
	}
	return n, nil
}

// TestLineReader checks that lines and their numbers do not depend on how a stream is
// cut into reads, and that lines over the limit stay over the limit.
func TestLineReader(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const lineMax = 40
	for range 2000 {
		var want []string
		for range rng.IntN(30) {
			text := strings.Repeat("x", rng.IntN(2)*rng.IntN(100)) + "y"[:rng.IntN(2)]
			want = append(want, text+[]string{"", "\r", "\r\r"}[rng.IntN(3)])
		}
		stream, broken := strings.Join(want, "\n"), rng.IntN(2) == 0
		if len(want) > 0 && (want[len(want)-1] == "" || broken) {
			want = want[:len(want)-1] // no line after the last line end, or an incomplete one
		}
		r := &lineReader{in: &shortReads{rng, stream, 1 + rng.IntN(50), io.EOF}, lineBytesMax: lineMax}
		if broken {
			r.in.(*shortReads).err = iotest.ErrTimeout
		}
		got, err := linesOf(t, r)
		if errors.Is(err, iotest.ErrTimeout) != broken || !broken && !errors.Is(err, io.EOF) {
			t.Fatalf("ended with %v", err)
		}
		for i, line := range got {
			if len(strings.TrimSuffix(line, "\r")) > lineMax && len(strings.TrimSuffix(want[i], "\r")) > lineMax {
				got[i] = want[i]
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q became %q", want, got)
		}
		if r.count != len(want) {
			t.Fatalf("%d lines of %d", r.count, len(want))
		}
	}
}

func linesOf(t *testing.T, r *lineReader) (lines []string, err error) {
	t.Helper()
	for {
		b, err := r.nextBlock()
		if b != nil {
			if b.first != len(lines)+1 {
				t.Fatalf("a block begins at line %d, not %d", b.first, len(lines)+1)
			}
			for line := range bytes.Lines(b.text) {
				lines = append(lines, string(bytes.TrimSuffix(line, []byte("\n"))))
			}
			releaseLines(b.text)
		}
		if err != nil {
			return lines, err
		}
	}
}
