package lua

import (
	"context"
	"testing"

	"nearside/lua/luatest"
	"nearside/matcher"
)

var benchPoint = map[string]any{
	"series": "requests", "time": 1.7e9,
	"tags":   map[string]any{"service": "nearside", "route": "POST:/matcher/faces", "status_code": 200},
	"fields": map[string]any{"request_id": "1536751345,6a1a-4b1c", "execution_time": 0.0123},
}

// BenchmarkEmit measures the time that an event adds to the request that causes it.
func BenchmarkEmit(b *testing.B) {
	h, _ := startHost(b, versioned("1", `function M:handle_event(points) end`))
	b.ReportAllocs()
	for b.Loop() {
		h.Emit("monitoring_event", func() any { return benchPoint })
	}
}

// BenchmarkHandle measures the time that handle_event needs for one event, in batches of 256.
func BenchmarkHandle(b *testing.B) {
	h, _ := startHost(b, versioned("1", `local n = 0
function M:handle_event(points) for i = 1, #points do n = n + points[i].fields.execution_time end end`))
	p := h.current.Load().plugins[0]
	batch := make([]func() any, 256)
	for i := range batch {
		batch[i] = func() any { return benchPoint }
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i += len(batch) {
		p.handleBatch(context.Background(), p.main.first(), "monitoring_event", batch)
	}
	if p.Failures.Load() > 0 {
		b.Fatal(*p.LastError.Load())
	}
}

// BenchmarkRequestAndResults measures what the hooks request and results, of five lines
// each, add to a match with ten rows.
func BenchmarkRequestAndResults(b *testing.B) {
	m, v := people(b, 100)
	h, _ := startHost(b, luatest.MatchingPlugin(`
local departments = {[0] = "north", "south"}
function M:request(req)
  if req.key == "blocked" then return ns.reject(451, "blocked") end
  req:set_threshold(0.1)
  req:set_limit(10)
  if req.origin == "events" then req:set_order("create_time_desc") end
end
function M:results(req, rows)
  rows:group_by("user_data", 1):hide("user_data")
  rows:add("department", function(row) return departments[row.gender] end)
  rows:drop(function(row) return row.age > 200 end)
  return rows:where_similarity(">=", 0.2)
end`), withMatcher(m))
	sub, answer := nearest(b, m, v, 10)
	call := &matcher.MatchCall{Kind: matcher.MatchFaces, Candidates: []*matcher.Candidates{sub.Candidates}, RowsMax: 1000}
	b.ReportAllocs()
	for b.Loop() {
		hooks, release := h.AcquireHooks()
		if skipped, err := hooks.Requests[0].Request(context.Background(), call); err != nil || skipped != "" {
			b.Fatal(skipped, err)
		}
		result := answer
		if skipped, err := hooks.Results[0].Results(context.Background(), &sub, &result); err != nil || skipped != "" || len(result.Matches) != 10 {
			b.Fatal(skipped, err)
		}
		release()
	}
}

// BenchmarkPrefilters measures a prefilter of three conditions that keeps all of 1,000 rows.
func BenchmarkPrefilters(b *testing.B) {
	m, v := people(b, 1000)
	h, _ := startHost(b, luatest.MatchingPlugin(`
function M:prefilter(req, set)
  local since = set:where("create_time", ">=", 0)
  local known = since - since:where("external_id", "=", "blocked")
  return known - known:where("user_data", "=", "hidden")
end`), withMatcher(m))
	sub := subRequest(v, 1, &matcher.Candidates{Limit: 5})
	rows, err := m.Select(b.Context(), sub.Candidates, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		hooks, release := h.AcquireHooks()
		narrowed, err := hooks.Prefilters[0].Narrow(context.Background(), &sub, rows)
		if err != nil || narrowed.Len() != rows.Len() {
			b.Fatalf("got %v, want all %d rows: %v", narrowed, rows.Len(), err)
		}
		release()
	}
}
