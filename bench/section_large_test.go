package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestLargeSection runs the section large with few rows and a real server.
func TestLargeSection(t *testing.T) {
	s := testSuite(t)
	s.binary = filepath.Join(t.TempDir(), "nearside")
	if out, err := exec.Command("go", "build", "-o", s.binary, "../cmd/nearside").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := s.largeSection(); err != nil {
		t.Fatal(err)
	}
	for _, id := range largeBars {
		if m := s.measured[id]; m.Skipped != "" || m.Value <= 0 || m.Note == "" {
			t.Errorf("%s: %+v", id, m)
		}
	}
	if len(s.service) < 7 {
		t.Errorf("only these figures: %+v", s.service)
	}
}
