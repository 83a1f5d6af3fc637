package telemetry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/remote"
)

var _ matcher.Observer = (*Telemetry)(nil)

// scrape returns the lines of our metrics in the plain text format.
func scrape(t *testing.T, tm *Telemetry) []string {
	t.Helper()
	var text strings.Builder
	contentType, err := tm.WriteText(&text, "text/plain")
	if err != nil || !strings.HasPrefix(contentType, "text/plain") {
		t.Fatal(contentType, err)
	}
	return strings.Split(text.String(), "\n")
}

func expectLines(t *testing.T, lines []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(lines, w) {
			t.Errorf("missing line %q", w)
		}
	}
}

// TestMetrics checks the values of metrics after a few observations.
func TestMetrics(t *testing.T) {
	tm := New("1.2.3", Gauges{
		Rows:   func(o matcher.Origin) int { return 10 + int(o) },
		Lists:  func() int { return 3 },
		Memory: func() int64 { return 4096 },
		Queue:  func() int { return 5 },
		Remotes: func() []remote.State {
			return []remote.State{{Name: "east", Calls: 3}, {Name: "west", Reason: "unhealthy"}}
		},
	})
	tm.Requested(matcher.RequestPoint{Route: "POST:/matcher/faces", Status: 201, Duration: 2 * time.Millisecond})
	tm.Requested(matcher.RequestPoint{Route: "POST:/matcher/faces", Status: 201, Duration: 3 * time.Second})
	tm.Requested(matcher.RequestPoint{Route: "POST:/matcher/faces", Status: 400, Code: matcher.CodeBadInput})
	tm.Matched(matcher.MatchPoint{Matcher: "memory", Subs: 2, Rows: 1000, Matches: 10, Duration: 500 * time.Microsecond})
	tm.Matched(matcher.MatchPoint{Matcher: "memory", Subs: 1, Rows: 1, Err: errors.New("x")})
	tm.Stored(&matcher.Object{Origin: matcher.Faces})
	tm.Stored(&matcher.Object{Origin: matcher.Faces})
	expectLines(t, scrape(t, tm),
		`nearside_build_info{version="1.2.3"} 1`,
		`nearside_remote_up{remote="east"} 1`,
		`nearside_remote_calls{remote="east"} 3`,
		`nearside_remote_up{remote="west"} 0`,
		`nearside_requests_total{route="POST:/matcher/faces",status="201"} 2`,
		`nearside_requests_total{route="POST:/matcher/faces",status="400"} 1`,
		`nearside_errors_total{code="12022"} 1`,
		`nearside_request_duration_seconds_bucket{route="POST:/matcher/faces",le="0.001"} 1`,
		`nearside_request_duration_seconds_bucket{route="POST:/matcher/faces",le="0.0025"} 2`,
		`nearside_request_duration_seconds_count{route="POST:/matcher/faces"} 3`,
		`nearside_request_duration_seconds_sum{route="POST:/matcher/faces"} 3.002`,
		`nearside_match_duration_seconds_bucket{matcher="memory",le="0.0005"} 2`,
		`nearside_match_subrequests_total{matcher="memory"} 3`,
		`nearside_match_rows_scanned_total{matcher="memory"} 1001`,
		`nearside_match_rows_returned_total{matcher="memory"} 10`,
		`nearside_match_errors_total{matcher="memory"} 1`,
		`nearside_objects_stored_total{origin="faces"} 2`,
		`nearside_objects_stored_total{origin="events"} 0`,
		`nearside_rows{origin="faces"} 10`,
		`nearside_rows{origin="attributes"} 12`,
		`nearside_lists 3`,
		`nearside_rows_memory_bytes 4096`,
		`nearside_queue_length 5`,
		`# TYPE go_goroutines gauge`,
		`# TYPE process_resident_memory_bytes gauge`,
	)
}

func TestNoGauges(t *testing.T) {
	for _, line := range scrape(t, New("1", Gauges{})) {
		if strings.HasPrefix(line, "nearside_rows") || strings.HasPrefix(line, "nearside_lists") {
			t.Error(line)
		}
	}
}

// TestRoutesAreBounded checks that the number of routes with separate metrics is bounded,
// and that a route that is not valid UTF-8 is counted.
func TestRoutesAreBounded(t *testing.T) {
	tm := New("1", Gauges{})
	tm.Requested(matcher.RequestPoint{Route: "GET:/bad\xff", Status: 404})
	for i := range 10 * routesMax {
		tm.Requested(matcher.RequestPoint{Route: fmt.Sprint("GET:/", i), Status: 404})
	}
	lines := scrape(t, tm)
	expectLines(t, lines,
		`nearside_requests_total{route="GET:/bad?",status="404"} 1`,
		fmt.Sprintf(`nearside_requests_total{route="other",status="404"} %d`, 10*routesMax-routesMax+1),
	)
	routes := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "nearside_requests_total{") {
			routes++
		}
	}
	if routes != routesMax+1 {
		t.Errorf("%d routes, want %d", routes, routesMax+1)
	}
}

func TestFormats(t *testing.T) {
	tm := New("1", Gauges{})
	check := func(accept, want string) {
		t.Helper()
		var text strings.Builder
		contentType, err := tm.WriteText(&text, accept)
		if err != nil || !strings.HasPrefix(contentType, want) || !strings.Contains(text.String(), "nearside_build_info") {
			t.Errorf("Accept %q: content type %s, error %v, %d bytes; want content type %s", accept, contentType, err, text.Len(), want)
		}
	}
	check("", "text/plain; version=0.0.4")
	check("*/*", "text/plain; version=0.0.4")
	check("no media type;;", "text/plain; version=0.0.4")
	check("application/openmetrics-text; version=1.0.0", "application/openmetrics-text")
}

func TestConcurrentUse(t *testing.T) {
	tm := New("1", Gauges{})
	const goroutines, each = 8, 500
	var group sync.WaitGroup
	for g := range goroutines {
		group.Go(func() {
			for i := range each {
				tm.Requested(matcher.RequestPoint{Route: fmt.Sprint("R", i%7), Status: 200})
				tm.Stored(&matcher.Object{Origin: matcher.Events})
				if g == 0 && i%100 == 0 {
					if _, err := tm.WriteText(&strings.Builder{}, ""); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	expectLines(t, scrape(t, tm), fmt.Sprintf(`nearside_objects_stored_total{origin="events"} %d`, goroutines*each))
}
