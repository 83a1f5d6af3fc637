package vm

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// FuzzCompile compiles and runs any source. It checks that there is a result or an
// error, and that an error of the compiler names the file and the line.
func FuzzCompile(f *testing.F) {
	cases, err := os.ReadFile("lua51/testdata/cases.lua")
	if err != nil {
		f.Fatal(err)
	}
	for c := range strings.SplitSeq(string(cases), "--==\n") {
		f.Add(c)
	}
	f.Add("local function f(...) local a, b = ... return a and b or f(b, ...) end return f(1, 2)")
	f.Add("for i = 1, 3 do for k, v in pairs({i}) do if v then goto next end end ::next:: end")
	located := regexp.MustCompile(`^fuzz:\d+: .`)
	library := NewLibrary("none")
	f.Fuzz(func(t *testing.T, source string) {
		script, err := Compile("fuzz", source, "none")
		if err != nil {
			if len(source) <= MaxSource && !strings.HasPrefix(source, "\x1b") && !located.MatchString(err.Error()) {
				t.Fatalf("the error names no file and line: %v", err)
			}
			return
		}
		s := library.NewState(context.Background(), StateOptions{})
		_, _, err = s.Load(t.Context(), Limits{Slice: 20 * time.Millisecond, Total: time.Second}, script)
		if err != nil && strings.Contains(err.Error(), "internal error") {
			t.Fatal(err)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}
