package gate

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

var twoBars = []Bar{
	{"rate", "scan", "x probe", false, 0.8},
	{"time", "start", "s", true, 1},
}

// here returns a measurement of the class that TestJudge judges.
func here(value float64) map[string]float64 { return map[string]float64{"amd-zen4-2-cores": value} }

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
		v := Judge(twoBars[bar:bar+1], measured, misses, "amd-zen4-2-cores")
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
	check(0, Miss, nil, Known{Measured: here(0.7)})
	check(0, KnownMiss, &Measurement{Value: 0.65}, Known{Measured: here(0.7), Cause: "memory"})
	check(1, KnownMiss, &Measurement{Value: 2.2}, Known{Measured: here(2)})
	check(0, Miss, &Measurement{Value: 0.5}, Known{Measured: here(0.7)}) // worse than recorded
	elsewhere := map[string]float64{"intel-ice-lake-2-cores": 0.5, "amd-zen3-2-cores": 0.6}
	if v := check(0, Miss, &Measurement{Value: 0.7}, Known{Measured: elsewhere}); v.Note != "a known miss of other machines: amd-zen3-2-cores, intel-ice-lake-2-cores" {
		t.Errorf("note %q", v.Note)
	}
	check(0, Pass, &Measurement{Value: 0.8}, Known{Measured: elsewhere})
	check(1, Miss, &Measurement{Value: 3}, Known{Measured: here(2)})
	if v := check(0, Pass, &Measurement{Value: 0.9, Note: "n"}, Known{Measured: here(0.7)}); v.Note != "n; listed in known-misses.md, but passes" {
		t.Errorf("note %q", v.Note)
	}
}

func TestTables(t *testing.T) {
	v := Judge(twoBars, map[string]Measurement{
		"rate": {Value: 0.91234, Low: 0.9, High: 0.95},
		"time": {Skipped: "not there yet"},
	}, nil, "amd-zen4-2-cores")
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
- measured: 0.74 on amd-zen4-2-cores, 2026-05-01
- measured: 0.59 on intel-ice-lake-8-cores, 2026-06-01 (0.5 in
  a run beside others)
- cause: the prefetcher
- tried: larger tiles,
  and smaller ones

## time
- tried: all
- measured: 1.5 on amd-zen5-2-cores, 2026-07-01
- cause: the disk
`), twoBars)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Known{
		"rate": {map[string]float64{"amd-zen4-2-cores": 0.74, "intel-ice-lake-8-cores": 0.59}, "the prefetcher", "larger tiles, and smaller ones"},
		"time": {map[string]float64{"amd-zen5-2-cores": 1.5}, "the disk", "all"},
	}
	if !reflect.DeepEqual(known, want) {
		t.Errorf("%+v, want %+v", known, want)
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
	const here, end = "- measured: 1 on a-b, 2026-01-02\n", "- cause: c\n- tried: t\n"
	const good = "## rate\n" + here + end
	check(`line 1: unknown bar "speed"`, "## speed\n")
	check("line 5: bar rate occurs twice", good+good)
	check("rate: tried is missing", "## rate\n"+here+"- cause: c\n")
	check("rate: cause is missing", "## rate\n"+here+"- cause:\n- tried: t\n")
	check("rate: measured is missing", "## rate\n"+end)
	check(`"fast" is not a number`, "## rate\n- measured: fast on a-b, 2026-01-02\n"+end)
	check(`"2026-13-02" is not a date`, "## rate\n- measured: 1 on a-b, 2026-13-02\n"+end)
	check("must be like", "## rate\n- measured: 1\n"+end)
	check("must be like", "## rate\n- measured: 1 on AMD EPYC (Zen 4), 2026-01-02\n"+end)
	check("must be like", "## rate\n- measured: 1 on a-b\n"+end)
	check("class a-b occurs twice", "## rate\n"+here+here+end)
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
