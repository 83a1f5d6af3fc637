package telemetry

import (
	"encoding/json"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// The series of monitoring points, by the names that operators of the LUNA
// services know (PLUGINS.md 4).
const (
	seriesRequests = "requests"
	seriesErrors   = "errors"
	seriesMatching = "Matching-Process"
)

// service is the tag that says whose points they are.
const service = "nearside"

// Names of the events that plugins get.
const (
	MonitoringEvent = "monitoring_event"
	SendingEvent    = "sending_event"
)

// Points is a [matcher.Observer] that makes events for plugins of what it is
// told.
type Points struct {
	// Emit takes an event and returns at once. The value, made of maps,
	// strings, float64s and ints, or a json.RawMessage, is made when value is called: outside the
	// request's time, and by each who wants it.
	Emit    func(event string, value func() any)
	Listens func(event string) bool // whether anybody wants that event
}

// Requested implements [matcher.Observer].
func (p *Points) Requested(r matcher.RequestPoint) {
	if !p.Listens(MonitoringEvent) {
		return
	}
	p.Emit(MonitoringEvent, func() any {
		return point(seriesRequests, r.Time,
			map[string]any{"service": service, "route": r.Route, "status_code": r.Status},
			map[string]any{"request_id": r.RequestID, "execution_time": r.Duration.Seconds()})
	})
	if r.Code == 0 {
		return
	}
	p.Emit(MonitoringEvent, func() any {
		return point(seriesErrors, r.Time,
			map[string]any{"service": service, "route": r.Route, "status_code": r.Status, "error_code": int(r.Code)},
			map[string]any{"request_id": r.RequestID})
	})
}

// Matched implements [matcher.Observer].
func (p *Points) Matched(m matcher.MatchPoint) {
	if !p.Listens(MonitoringEvent) {
		return
	}
	p.Emit(MonitoringEvent, func() any {
		outcome := "ok"
		if m.Err != nil {
			outcome = "failed"
		}
		return point(seriesMatching, m.Time,
			map[string]any{"service": service, "matcher": m.Matcher, "origin": m.Origin.String(), "outcome": outcome},
			map[string]any{
				"request_id": m.RequestID, "execution_time": m.Duration.Seconds(),
				"sub_requests": m.Subs, "rows": m.Rows, "matches": m.Matches,
			})
	})
}

// Stored implements [matcher.Observer]: events that were stored are events for
// plugins, in the form of the API.
func (p *Points) Stored(obj *matcher.Object) {
	if obj.Origin != matcher.Events || !p.Listens(SendingEvent) {
		return
	}
	p.Emit(SendingEvent, func() any {
		return json.RawMessage(wire.AppendObject(nil, wire.JSON, obj, nil, false))
	})
}

// point makes one; its time is in seconds since 1970.
func point(series string, t time.Time, tags, fields map[string]any) map[string]any {
	return map[string]any{"series": series, "time": float64(t.UnixMicro()) / 1e6, "tags": tags, "fields": fields}
}
