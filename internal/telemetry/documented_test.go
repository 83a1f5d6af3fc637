package telemetry

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearside/internal/audit"
	"nearside/lua"
	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/matcher/remote"
)

// TestMetricsAreDocumented checks that docs/metrics.md has a line for each metric of the
// server, with its type, its labels and its help, and that it has no other lines.
func TestMetricsAreDocumented(t *testing.T) {
	tm := New("1", Gauges{
		Rows: func(matcher.Origin) int { return 1 }, Lists: func() int { return 1 }, Memory: func() int64 { return 1 }, Queue: func() int { return 1 },
		Process: func() (int64, bool, int64, int64) { return 1, true, 1, 1 }, Workers: func() int { return 1 },
		Audit:     func() audit.Stats { return audit.Stats{} },
		Remotes:   func() []remote.State { return []remote.State{{Name: "east"}} },
		Snapshots: func() (time.Time, int64) { return time.Unix(1, 0), 1 },
		TLS:       func() (time.Time, int64, int64) { return time.Unix(1, 0), 1, 1 },
		Plugins: func() []lua.Status {
			return []lua.Status{{Name: "p", HookTimes: []ns.HookTime{{Hook: "match", Count: 1, Buckets: make([]uint64, len(ns.HookBounds))}}}}
		},
	})
	tm.Requested(matcher.RequestPoint{Route: "GET:/faces", Status: 400, Code: matcher.CodeBadInput})
	tm.Matched(matcher.MatchPoint{Matcher: "memory", Err: os.ErrInvalid})
	tm.Matched(matcher.MatchPoint{Matcher: "memory", Err: os.ErrInvalid, Cause: matcher.PluginCause("p")})
	shown, err := tm.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, family := range shown {
		types[family.GetName()] = strings.ToLower(family.GetType().String())
	}
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := regexp.MustCompile("(?m)^\\| `nearside_.*$").FindAllString(string(text), -1)
	want := wantedLines(tm, types)
	for _, line := range want {
		if !slices.Contains(documented, line) {
			t.Errorf("docs/metrics.md needs the line\n%s", line)
		}
	}
	for _, line := range documented {
		if !slices.Contains(want, line) {
			t.Errorf("docs/metrics.md has a line for a metric that does not exist:\n%s", line)
		}
	}
}

// wantedLines returns the lines that the document must have: one for each registered
// metric, even if the metric has no value yet. types has the types of the metrics.
func wantedLines(tm *Telemetry, types map[string]string) (lines []string) {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		tm.registry.Describe(descriptions)
	}()
	form := regexp.MustCompile(`fqName: "(nearside_\w+)", help: "(.*?)",(?: unit: ".*?",)? constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}`)
	for d := range descriptions {
		found := form.FindStringSubmatch(d.String())
		if found == nil {
			continue // a metric of Go or of the process
		}
		var labels []string
		for _, label := range strings.FieldsFunc(found[3]+","+found[4], func(r rune) bool { return r == ',' }) {
			name, _, _ := strings.Cut(label, "=")
			labels = append(labels, "`"+name+"`")
		}
		line := fmt.Sprintf("| `%s` | %s | %s | %s |", found[1], types[found[1]], strings.Join(labels, ", "), found[2])
		line = strings.Replace(line, "|  |", "| |", 1)
		if !slices.Contains(lines, line) { // a metric is registered once for each value of a constant label
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}
