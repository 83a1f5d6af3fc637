package gate

import (
	"os"
	"strings"
	"testing"
)

var twoBars = []Bar{
	{"rate", "scan", "x probe", false, 0.8},
	{"time", "start", "s", true, 1},
}

func TestJudge(t *testing.T) {
	check := func(bar int, want Status, m *Measurement, known ...Known) Verdict {
		t.Helper()
		id := twoBars[bar].ID
		measured, misses := map[string]Measurement{}, map[string]Known{}
		if m != nil {
			measured[id] = *m
		}
		for _, k := range known {
			misses[id] = k
		}
		v := Judge(twoBars[bar:bar+1], measured, misses)
		if len(v) != 1 || v[0].Status != want || (Missed(v) == 1) != (want == Miss) {
			t.Errorf("%s %+v with %v: %+v, want %s", id, m, known, v, want)
		}
		return v[0]
	}
	check(0, Pass, &Measurement{Value: 0.8})
	check(0, Miss, &Measurement{Value: 0.799})
	check(1, Pass, &Measurement{Value: 1})
	check(1, Miss, &Measurement{Value: 1.001})
	check(0, Skipped, &Measurement{Skipped: "no such CPU"})
	check(0, Miss, nil)
	check(0, Miss, nil, Known{Measured: 0.7})
	check(0, KnownMiss, &Measurement{Value: 0.65}, Known{Measured: 0.7, Cause: "memory"})
	check(1, KnownMiss, &Measurement{Value: 2.2}, Known{Measured: 2})
	check(0, Miss, &Measurement{Value: 0.5}, Known{Measured: 0.7}) // worse than recorded
	check(1, Miss, &Measurement{Value: 3}, Known{Measured: 2})
	if v := check(0, Pass, &Measurement{Value: 0.9, Note: "n"}, Known{Measured: 0.7}); v.Note != "n; listed in known-misses.md, but passes" {
		t.Errorf("note %q", v.Note)
	}
}

func TestTables(t *testing.T) {
	v := Judge(twoBars, map[string]Measurement{
		"rate": {Value: 0.91234, Low: 0.9, High: 0.95},
		"time": {Skipped: "not there yet"},
	}, nil)
	var text, markdown strings.Builder
	if err := WriteTable(&text, v); err != nil {
		t.Fatal(err)
	}
	if err := WriteMarkdown(&markdown, v); err != nil {
		t.Fatal(err)
	}
	if want := `BAR   STATUS   MEASURED         BOUND   FIGURE   WORKLOAD  NOTE
rate  pass     0.912 (0.9..0.95)  >= 0.8  x probe  scan      
time  skipped  -                <= 1    s        start     not there yet
`; strings.Join(strings.Fields(text.String()), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("table:\n%s", text.String())
	}
	if want := `| rate | scan | x probe | >= 0.8 | 0.912 (0.9..0.95) | pass |  |
| time | start | s | <= 1 | - | skipped | not there yet |
`; !strings.HasSuffix(markdown.String(), want) {
		t.Errorf("markdown:\n%s", markdown.String())
	}
}

func TestParseKnown(t *testing.T) {
	known, err := ParseKnown(strings.NewReader(`# Known misses

- this list is for the reader

## rate
- measured: 0.74 on AMD EPYC, 2026-05-01
- cause: the prefetcher
- tried: larger tiles,
  and smaller ones

## time
- tried: all
- measured: 1.5 elsewhere
- cause: the disk
`), twoBars)
	if err != nil {
		t.Fatal(err)
	}
	if len(known) != 2 || known["rate"] != (Known{0.74, "on AMD EPYC, 2026-05-01", "the prefetcher", "larger tiles, and smaller ones"}) ||
		known["time"] != (Known{1.5, "elsewhere", "the disk", "all"}) {
		t.Errorf("%+v", known)
	}
}

func TestParseKnownRefuses(t *testing.T) {
	check := func(want, text string) {
		t.Helper()
		_, err := ParseKnown(strings.NewReader(text), twoBars)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	const good = "## rate\n- measured: 1 here\n- cause: c\n- tried: t\n"
	check(`line 1: unknown bar "speed"`, "## speed\n")
	check("line 5: bar rate occurs twice", good+good)
	check("rate: tried is missing", "## rate\n- measured: 1 here\n- cause: c\n")
	check("rate: cause is missing", "## rate\n- measured: 1 here\n- cause:\n- tried: t\n")
	check(`"fast" is not a number`, "## rate\n- measured: fast\n- cause: c\n- tried: t\n")
	check("the machine is missing", "## rate\n- measured: 1\n- cause: c\n- tried: t\n")
	check("line 3: item cause occurs twice", "## rate\n- cause: c\n- cause: c\n")
	check(`unknown item "reason"`, "## rate\n- reason: c\n")
	check("must be an item", "## rate\nprose\n")
}

// TestBars checks the table of bars, and that the file of known misses fits it.
func TestBars(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range Bars {
		if seen[b.ID] || b.ID == "" || b.Workload == "" || b.Figure == "" || b.Bound <= 0 {
			t.Errorf("%+v", b)
		}
		seen[b.ID] = true
	}
	f, err := os.Open("../known-misses.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := ParseKnown(f, Bars); err != nil {
		t.Error(err)
	}
}
