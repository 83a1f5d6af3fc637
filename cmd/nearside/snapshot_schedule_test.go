package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestScheduledSnapshots: the server makes snapshots by itself, keeps the newest ones, and never
// deletes one that was asked for.
func TestScheduledSnapshots(t *testing.T) {
	t.Parallel()
	config, data := writeConfig(t, serveConfig+"snapshots: {every: 100ms, keep: 2}\n"), filepath.Join(t.TempDir(), "data")
	p := serve(t, config, data)
	storeOfEverything(t, p)
	eventually(t, func() error {
		status, text, err := p.call("POST", "/1/snapshots", map[string]string{"name": "kept"}) // 409 while another one is made
		if err != nil || status != 202 {
			return fmt.Errorf("%d %s %w", status, text, err)
		}
		return nil
	})
	eventually(t, func() error {
		names := namesIn(t, filepath.Join(data, "snapshots"))
		if n := strings.Count(p.log(), "an old snapshot was deleted"); n < 2 || len(names) < 3 {
			return fmt.Errorf("%d were deleted, there are %q", n, names)
		}
		return nil
	})
	var answer struct {
		Snapshots []struct {
			Name      string
			Scheduled bool
		}
	}
	p.mustCall(t, "GET", "/1/snapshots", nil, &answer)
	scheduled, kept := 0, false
	for _, s := range answer.Snapshots {
		kept = kept || s.Name == "kept" && !s.Scheduled
		if s.Scheduled {
			scheduled++
		}
	}
	if !kept || scheduled < 1 || scheduled > 3 { // one more while a new one has been made and the oldest is being deleted
		t.Errorf("got %+v", answer.Snapshots)
	}
	if _, text, err := p.call("GET", "/metrics", nil); err != nil || strings.Contains(string(text), "\nnearside_snapshot_last_success_timestamp_seconds 0\n") ||
		!strings.Contains(string(text), "\nnearside_snapshot_failures_total 0\n") {
		t.Errorf("the metrics: %v %s", err, text)
	}
}
