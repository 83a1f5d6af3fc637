package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestStartProgress checks that the log shows the progress of a start at most once per
// second, and nothing of a short start.
func TestStartProgress(t *testing.T) {
	var text bytes.Buffer
	clock := time.Unix(0, 0)
	progress := startProgress(slog.New(slog.NewTextHandler(&text, nil)), func() time.Time { return clock })
	for step := range uint64(25) { // every 0.1 s
		progress(step*10, 1000)
		clock = clock.Add(100 * time.Millisecond)
	}
	progress(0, 0) // the total is not known
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], `records=100 of=1000 done="10 %"`) || !strings.HasSuffix(lines[1], `records=200 of=1000 done="20 %"`) {
		t.Errorf("the log is\n%s", text.String())
	}
}
