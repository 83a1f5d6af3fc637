package lua51_test

import (
	"os"
	"strings"
	"testing"
)

// TestCases runs the programs that once differed. Their output is recorded,
// so that it needs no reference; where there is one, the record is checked.
func TestCases(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.lua")
	if err != nil {
		t.Fatal(err)
	}
	_, cases, _ := strings.Cut(string(text), "output.\n")
	for c := range strings.SplitSeq(cases, "--==\n") {
		source, want, ok := strings.Cut(c, "-->\n")
		if !ok {
			t.Fatalf("a case without an output:\n%s", c)
		}
		want = strings.TrimSuffix(want, "\n")
		if got := ours(source); got != want {
			t.Errorf("%s\n--- lua/vm\n%s\n--- recorded\n%s", source, got, want)
		}
	}
}

func TestCasesAreRight(t *testing.T) {
	path := find(t)
	text, err := os.ReadFile("testdata/cases.lua")
	if err != nil {
		t.Fatal(err)
	}
	_, cases, _ := strings.Cut(string(text), "output.\n")
	for c := range strings.SplitSeq(cases, "--==\n") {
		source, want, _ := strings.Cut(c, "-->\n")
		got, err := reference(path, []string{source})
		if err != nil {
			t.Fatal(err)
		}
		if got[0] != strings.TrimSuffix(want, "\n") {
			t.Errorf("%s\n--- lua5.1\n%s\n--- recorded\n%s", source, got[0], want)
		}
	}
}
