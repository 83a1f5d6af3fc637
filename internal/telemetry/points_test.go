package telemetry

import (
	"encoding/json"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearside/matcher"
	"nearside/matcher/store"
)

var _ matcher.Observer = (*Points)(nil)

// TestPluginPoints checks the points that plugins receive, and that no points are made
// if no plugin listens.
func TestPluginPoints(t *testing.T) {
	var got []any
	listens := true
	p := &Points{
		Service: "gate",
		Emit: func(event string, cause matcher.Cause, value func() any) {
			if cause != "" {
				got = append(got, cause)
			}
			got = append(got, event, value())
		},
		Listens: func(event string) bool { return listens && event == MonitoringEvent },
	}
	at := time.UnixMilli(1_700_000_000_250)
	observeAll := func() {
		p.Requested(matcher.RequestPoint{Time: at, Route: "POST:/matcher/faces", Status: 201, RequestID: "1,a", Duration: 1500 * time.Microsecond})
		p.Requested(matcher.RequestPoint{Time: at, Route: "GET:/faces", Status: 400, Code: matcher.CodeBadInput, RequestID: "1,b", Duration: time.Second})
		p.Matched(matcher.MatchPoint{
			Time: at, Kind: matcher.MatchBodies, Matcher: "memory", Origin: matcher.Events, RequestID: "1,c", Subs: 2, Rows: 30, Matches: 4, ListRows: 20,
			Loading: 250 * time.Millisecond, Duration: 2 * time.Second,
		})
		p.Matched(matcher.MatchPoint{Time: at, Kind: matcher.MatchCross, Matcher: "plugin", ListRows: -1, Err: errors.New("x")})
		p.Matched(matcher.MatchPoint{Time: at, Kind: matcher.MatchRaw, Matcher: "memory", RequestID: "1,d", Subs: 2, Rows: 6, Matches: 6, ListRows: -1})
	}
	observeAll()
	tags := func(more map[string]any) map[string]any {
		all := map[string]any{"service": "gate"}
		maps.Copy(all, more)
		return all
	}
	series := func(name string, tagged, fields map[string]any) map[string]any {
		return map[string]any{"series": name, "time": 1_700_000_000.25, "tags": tags(tagged), "fields": fields}
	}
	want := []any{
		MonitoringEvent, series("requests", map[string]any{"route": "POST:/matcher/faces", "status_code": 201},
			map[string]any{"request_id": "1,a", "execution_time": 0.0015}),
		MonitoringEvent, series("requests", map[string]any{"route": "GET:/faces", "status_code": 400},
			map[string]any{"request_id": "1,b", "execution_time": 1.0}),
		MonitoringEvent, series("errors", map[string]any{"route": "GET:/faces", "status_code": 400, "error_code": 12022},
			map[string]any{"request_id": "1,b"}),
		MonitoringEvent, series("Matching-Process", map[string]any{"matcher": "memory", "origin": "events", "outcome": "ok", "matching_type": "match_body", "matching_candidate": "events_candidates"},
			map[string]any{
				"request_id": "1,c", "execution_time": 2.0, "matching_time": 2.0, "load_descriptor_time": 0.25, "list_batch_size": 20,
				"sub_requests": 2, "rows": 30, "matches": 4,
			}),
		MonitoringEvent, series("Matching-Process", map[string]any{"matcher": "plugin", "origin": "faces", "outcome": "failed", "matching_type": "cross_match", "matching_candidate": "faces_candidates"},
			map[string]any{"request_id": "", "execution_time": 0.0, "matching_time": 0.0, "load_descriptor_time": 0.0, "sub_requests": 0, "rows": 0, "matches": 0}),
		MonitoringEvent, series("Matching-Process", map[string]any{"matcher": "memory", "outcome": "ok", "matching_type": "raw"},
			map[string]any{"request_id": "1,d", "execution_time": 0.0, "matching_time": 0.0, "load_descriptor_time": 0.0, "sub_requests": 2, "rows": 6, "matches": 6}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	p.Listens = func(event string) bool { return listens && event == "sending_event" }
	const sent = `{"event_id":"00000000-0000-0000-0000-000000000007","create_time":"1970-01-01T00:00:01.000Z","source":"cam-1","meta":{"floor":9007199254740993,"none":null}}`
	changes := []store.Change{
		{Object: &matcher.Object{Origin: matcher.Faces}},
		{Object: &matcher.Object{Origin: matcher.Events, ID: matcher.ID{15: 7}, CreateTime: 1000, Event: &matcher.Event{Source: "cam-1", Meta: `{"floor":9007199254740993,"none":null}`}}},
		{Kind: store.DeleteObject, Object: &matcher.Object{Origin: matcher.Events}},
	}
	p.Changed(changes)
	if diff := cmp.Diff([]any{"sending_event", json.RawMessage(sent)}, got); diff != "" {
		t.Error(diff)
	}
	if !p.Watches(matcher.Events) || p.Watches(matcher.Faces) {
		t.Error("Watches is wrong")
	}
	got, listens = nil, false
	p.Changed(changes)
	if observeAll(); got != nil {
		t.Errorf("events without a listener: %v", got)
	}
}

// BenchmarkPoint measures what an event plugin adds to the time of a request.
func BenchmarkPoint(b *testing.B) {
	p := &Points{Emit: func(string, matcher.Cause, func() any) {}, Listens: func(string) bool { return true }}
	r := matcher.RequestPoint{Time: time.Now(), Route: "POST:/matcher/faces", Status: 201, RequestID: "1,a", Duration: time.Millisecond}
	for b.Loop() {
		p.Requested(r)
	}
}
