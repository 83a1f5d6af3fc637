package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"nearside/matcher"
)

// TestPressure: work is refused from the limit on, and allowed again below 95 % of it.
// Before work is refused, unused memory is returned to the system. The memory is read
// at most once per pressureAge.
func TestPressure(t *testing.T) {
	var log bytes.Buffer
	clock, resident, reads, releases := time.Unix(1000, 0), int64(0), 0, 0
	p := newPressure(slog.New(slog.NewTextHandler(&log, nil)))
	p.read = func() int64 { reads++; return resident }
	p.release = func() { releases++ }
	p.adjust = func(int64, int64) {}
	p.now = func() time.Time { return clock }
	p.configure(1000)
	for i, step := range []struct {
		resident int64
		tight    bool
	}{{0, false}, {999, false}, {1000, true}, {999, true}, {950, true}, {949, false}, {999, false}, {5000, true}, {0, false}} {
		resident = step.resident
		clock = clock.Add(pressureRelease)
		match, write := p.refuseMatch(), p.refuseWrite()
		if (match != nil) != step.tight || (write != nil) != step.tight {
			t.Fatalf("step %d, %d bytes: %v, %v", i, resident, match, write)
		}
		if step.tight && (matcher.CodeOf(match) != matcher.CodeUnavailable || matcher.CodeOf(write) != matcher.CodeFull) {
			t.Fatalf("step %d: %v, %v", i, match, write)
		}
	}
	if limit, reached, matches, writes := p.figures(); limit != 1000 || reached || matches != 4 || writes != 4 {
		t.Errorf("figures: %d, %v, %d, %d", limit, reached, matches, writes)
	}
	if begun, over := strings.Count(log.String(), "is reached"), strings.Count(log.String(), "are allowed"); begun != 2 || over != 2 {
		t.Errorf("the log has %d starts and %d ends, want 2 of each: %s", begun, over, log.String())
	}
	if releases != 6 { // at 1000, 999, 950, 949, 5000, 0
		t.Errorf("memory was returned %d times, want 6", releases)
	}
	reads, resident = 0, 2000
	for range 100 {
		p.isTight()
	}
	if reads != 0 {
		t.Errorf("%d readings within %v", reads, pressureAge)
	}
}

// TestPressureReleases: no work is refused if enough memory can be returned to the
// system.
func TestPressureReleases(t *testing.T) {
	resident := int64(2000)
	p := newPressure(slog.New(slog.DiscardHandler))
	p.read = func() int64 { return resident }
	p.release = func() { resident = 500 }
	p.adjust = func(int64, int64) {}
	p.configure(1000)
	if err := p.refuseWrite(); err != nil {
		t.Error(err)
	}
}
