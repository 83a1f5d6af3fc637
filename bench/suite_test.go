package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearside/bench/gate"
	"nearside/internal/testkit"
)

// tiny is a size that runs all code, but is too small for useful measurements.
var tiny = size{rows: 3000, peerRows: 1024, listRows: 40_000, largeRows: 5000, probeMiB: 2, rounds: 1, figureRounds: 1, slowRounds: 1, duration: 10 * time.Millisecond}

func testOptions(t *testing.T) *options {
	return &options{gates: true, size: tiny, temp: t.TempDir(), out: t.TempDir(), binary: "none", peers: "none", known: "known-misses.md"}
}

func testSuite(t *testing.T) *suite {
	s, err := newSuite(t.Context(), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestEveryBarIsMeasured runs the sections with bars, without a server and without
// peers. Each bar must have a figure or a reason why it was skipped.
func TestEveryBarIsMeasured(t *testing.T) {
	s := testSuite(t)
	for _, section := range sections {
		if !section.bars {
			continue
		}
		if err := section.run(s); err != nil {
			t.Fatalf("%s: %v", section.name, err)
		}
	}
	for _, v := range gate.Judge(gate.Bars, s.measured, nil, s.class) {
		switch {
		case v.Note == "not measured":
			t.Errorf("%s was not measured", v.ID)
		case v.Skipped == "" && (v.Value <= 0 || v.Value > 1e6):
			t.Errorf("%s: %v", v.ID, v.Value)
		}
	}
	if len(s.measured) != len(gate.Bars) {
		t.Errorf("%d figures for %d bars", len(s.measured), len(gate.Bars))
	}
	for _, id := range []string{"u8-64-faiss", "f32-64-sgemm", "f32-1-vek", "http-64-1"} {
		if why := s.measured[id].Skipped; !strings.Contains(why, "not built") && kernelOfLevel("avx512") != nil {
			t.Errorf("the reason for skipping %s is %q, want one with \"not built\"", id, why)
		}
	}
}

// TestReport runs a part of the suite and checks the files that it writes.
func TestReport(t *testing.T) {
	o := testOptions(t)
	o.gates, o.only = false, "limits,kernels,events,scaling"
	if _, err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(o.out, "*"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, f := range files {
		kinds[filepath.Ext(f)]++
	}
	if kinds[".md"] != 1 || kinds[".json"] != 1 || kinds[".svg"] != 2 {
		t.Errorf("files of the results: %v, want one .md, one .json and two .svg", files)
	}
	page, err := os.ReadFile(testkit.Must(filepath.Glob(filepath.Join(o.out, "*.md")))[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## Limits of the machine", "## Kernels", "## Filtered events", "## Scaling", "## Bars", "Only these sections were run", "| CPU |", ".svg)"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not contain %q", want)
		}
	}
	if left := testkit.Must(filepath.Glob(filepath.Join(o.temp, "*"))); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

func TestUnknownSectionIsRefused(t *testing.T) {
	o := testOptions(t)
	o.only = "engine,speed"
	if _, err := run(t.Context(), o); err == nil || !strings.Contains(err.Error(), `no section "speed"`) {
		t.Errorf("error %v", err)
	}
}

func TestMachine(t *testing.T) {
	if got := bracketed("always [madvise] never"); got != "madvise" {
		t.Errorf("bracketed returned %q, want madvise", got)
	}
	if got := bracketed(""); got != "unknown" {
		t.Errorf("bracketed of an empty text returned %q, want unknown", got)
	}
	if d := describeMachine(); d.CPU == "" || d.Cores < 1 || d.MemoryMB < 1 || d.Kernel == "" {
		t.Errorf("%+v", d)
	}
}
