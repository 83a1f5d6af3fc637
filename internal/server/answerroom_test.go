package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"nearside/matcher"
)

// TestTextRoom checks that all texts are reserved with textFactor when they exceed
// freeBytes, that a growing answer moves to the budget of large answers, and that an
// answer that is too large is refused.
func TestTextRoom(t *testing.T) {
	answers := newAnswerBudgets()
	x := &exchange{answers: answers, conn: &connection{}}
	ctx := x.withTexts(t.Context(), nil)
	reserve := func(bytes int, small, large int64) {
		t.Helper()
		if err := matcher.ReserveText(ctx, bytes); err != nil {
			t.Fatal(err)
		}
		if answers.small.used != small || answers.large.used != large {
			t.Fatalf("%d more bytes: %d small and %d large are reserved, want %d and %d", bytes, answers.small.used, answers.large.used, small, large)
		}
	}
	reserve(20<<10, 0, 0)
	reserve(10<<10, 3*30<<10, 0)
	reserve(10<<10, 3*40<<10, 0)
	reserve(1<<20, 0, 3*(40<<10+1<<20))
	reserve(1<<20, 0, 3*(40<<10+2<<20))
	err := matcher.ReserveText(ctx, textsMax-(40<<10+2<<20)+1)
	if e, ok := errors.AsType[*matcher.Error](err); !ok || e.Code != matcher.CodeTooMany {
		t.Fatalf("more than textsMax: %v", err)
	}
	x.conn.answer.shrink(0)
	if answers.large.used != 0 {
		t.Errorf("%d bytes are left", answers.large.used)
	}

	full := errors.New("full")
	ctx = (&exchange{answers: answers, conn: &connection{}}).withTexts(t.Context(), func() error { return full })
	if err := matcher.ReserveText(ctx, 10<<10); err != nil {
		t.Errorf("few texts: %v", err)
	}
	if err := matcher.ReserveText(ctx, 20<<10); !errors.Is(err, full) {
		t.Errorf("texts while the process has too little memory: %v", err)
	}
	if err := matcher.ReserveText(context.Background(), 1<<40); err != nil {
		t.Errorf("without a bound: %v", err)
	}
}

// TestSlowReader checks that a client is too slow when it has taken nothing for the
// duration patience, or when it is too slow to take everything before the deadline.
func TestSlowReader(t *testing.T) {
	begun := time.Unix(1000, 0)
	const patience = 10 * time.Second
	check := func(taken int, now, last time.Duration, want bool) {
		t.Helper()
		r := reading{begun: begun, last: begun.Add(last), size: 6000, taken: taken}
		if got := r.tooSlow(begun.Add(now), patience, begun.Add(time.Minute)); got != want {
			t.Errorf("%d of 6000 bytes after %v of 1m, the last at %v: %v", taken, now, last, got)
		}
	}
	check(0, 9*time.Second, 0, false)
	check(0, 10*time.Second, 0, true)
	check(5999, 50*time.Second, 40*time.Second, true)
	check(5999, 50*time.Second, 41*time.Second, false)
	check(999, 10*time.Second, 9*time.Second, true)
	check(1000, 10*time.Second, 9*time.Second, false)
	check(1, 9*time.Second, 8*time.Second, false)
	check(2999, 30*time.Second, 29*time.Second, true)
	check(3000, 30*time.Second, 29*time.Second, false)
}
