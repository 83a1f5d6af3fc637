package load

import (
	"strings"
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	r := newResult(Plan{Clients: 3, Rate: 25})
	for range 10 {
		r.addRequest(2*time.Millisecond, 100, nil)
	}
	r.addRequest(0, 0, StatusError(503))
	r.Elapsed = 2 * time.Second
	s := r.Summary(1000)
	if s.Clients != 3 || s.Requests != 10 || s.PerSecond != 5 || s.PairsPerSecond != 5000 || s.Seconds != 2 || s.Errors["HTTP 503"] != 1 {
		t.Errorf("%+v", s)
	}
	if s.Latency != (Latency{2, 2, 2, 2, 2, 2}) {
		t.Errorf("%+v", s.Latency)
	}
	closed := s
	closed.Rate, closed.Errors = 0, nil
	var b strings.Builder
	if err := WriteTable(&b, []Summary{closed, s}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i, want := range []string{
		"clients rate requests/s M pairs/s p50 ms p90 ms p99 ms p99.9 ms max ms answers errors",
		"3 closed 5.0 0.0 2.00 2.00 2.00 2.00 2.00 10 0",
		"3 25 5.0 0.0 2.00 2.00 2.00 2.00 2.00 10 1",
		"1 requests failed: HTTP 503",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d is %q, want %q", i, got, want)
		}
	}
}
