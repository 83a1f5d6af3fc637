package lua51_test

import (
	"os"
	"strings"
	"testing"
)

// TestRecordedCases runs programs whose output once differed from lua5.1. It compares
// them with the recorded output of lua5.1, so it does not need lua5.1.
func TestRecordedCases(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.lua")
	if err != nil {
		t.Fatal(err)
	}
	_, cases, _ := strings.Cut(string(text), "output.\n")
	for c := range strings.SplitSeq(cases, "--==\n") {
		source, want, ok := strings.Cut(c, "-->\n")
		if !ok {
			t.Fatalf("a case has no output:\n%s", c)
		}
		want = strings.TrimSuffix(want, "\n")
		if got := runOurs(source); got != want {
			t.Errorf("%s\n--- lua/vm\n%s\n--- recorded\n%s", source, got, want)
		}
	}
}

// TestRecordedCasesMatchTheReference compares the recorded output with lua5.1.
func TestRecordedCasesMatchTheReference(t *testing.T) {
	path := findReference(t)
	text, err := os.ReadFile("testdata/cases.lua")
	if err != nil {
		t.Fatal(err)
	}
	_, cases, _ := strings.Cut(string(text), "output.\n")
	for c := range strings.SplitSeq(cases, "--==\n") {
		source, want, _ := strings.Cut(c, "-->\n")
		got, err := runReference(path, []string{source})
		if err != nil {
			t.Fatal(err)
		}
		if got[0] != strings.TrimSuffix(want, "\n") {
			t.Errorf("%s\n--- lua5.1\n%s\n--- recorded\n%s", source, got[0], want)
		}
	}
}
