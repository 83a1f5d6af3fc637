package telemetry

import (
	"time"

	"nearside/matcher"
)

// The names of the series of monitoring points. They are the names of the LUNA
// services (docs/plugins-contract.md, 4. Kinds).
const (
	seriesRequests = "requests"
	seriesErrors   = "errors"
	seriesMatching = "Matching-Process"
)

// MonitoringEvent is the name of the event with monitoring points.
const MonitoringEvent = "monitoring_event"

// Points is a [matcher.Observer] and a [store.Watcher] that turns observations and changes
// into events for plugins.
type Points struct {
	Service string // the tag service of all points
	// Emit queues an event and returns at once. Each plugin that receives the event
	// calls value later, outside the time of the request. value returns maps,
	// strings, float64s and ints, or a json.RawMessage.
	// cause is the plugin that caused the event, if any.
	Emit    func(event string, cause matcher.Cause, value func() any)
	Listens func(event string) bool // reports whether a plugin receives that event
}

// Requested implements [matcher.Observer].
func (p *Points) Requested(r matcher.RequestPoint) {
	if !p.Listens(MonitoringEvent) {
		return
	}
	p.Emit(MonitoringEvent, "", func() any {
		return newPoint(seriesRequests, r.Time,
			map[string]any{"service": p.Service, "route": r.Route, "status_code": r.Status},
			map[string]any{"request_id": r.RequestID, "execution_time": r.Duration.Seconds()})
	})
	if r.Code == 0 {
		return
	}
	p.Emit(MonitoringEvent, "", func() any {
		return newPoint(seriesErrors, r.Time,
			map[string]any{"service": p.Service, "route": r.Route, "status_code": r.Status, "error_code": int(r.Code)},
			map[string]any{"request_id": r.RequestID})
	})
}

// Matched implements [matcher.Observer].
func (p *Points) Matched(m matcher.MatchPoint) {
	if !p.Listens(MonitoringEvent) {
		return
	}
	p.Emit(MonitoringEvent, m.Cause, func() any {
		outcome := "ok"
		if m.Err != nil {
			outcome = "failed"
		}
		tags := map[string]any{"service": p.Service, "matcher": m.Matcher, "outcome": outcome, "matching_type": string(m.Kind)}
		fields := map[string]any{
			"request_id": m.RequestID, "execution_time": m.Duration.Seconds(), "matching_time": m.Duration.Seconds(),
			"load_descriptor_time": m.Loading.Seconds(), "sub_requests": m.Subs, "rows": m.Rows, "matches": m.Matches,
		}
		if m.Kind != matcher.MatchRaw {
			tags["origin"], tags["matching_candidate"] = m.Origin.String(), m.Origin.String()+"_candidates"
		}
		if m.ListRows >= 0 {
			fields["list_batch_size"] = m.ListRows
		}
		return newPoint(seriesMatching, m.Time, tags, fields)
	})
}

// Stored implements [matcher.Observer]. It does nothing, because plugins receive changes
// through Changed.
func (p *Points) Stored(*matcher.Object) {}

// newPoint returns a monitoring point. Its time is in seconds since 1970.
func newPoint(series string, t time.Time, tags, fields map[string]any) map[string]any {
	return map[string]any{"series": series, "time": float64(t.UnixMicro()) / 1e6, "tags": tags, "fields": fields}
}
