package main

import (
	"fmt"
	"net/http"
	"runtime"
	"time"

	"nearside/bench/stat"
	"nearside/internal/telemetry"
	"nearside/lua"
	"nearside/matcher"
)

// gatewayHooks are the hooks request and results of a typical gateway, of five lines each.
const gatewayHooks = `local ns = require("nearside")
local departments = {[0] = "north", "south"}
local M = {api = 1, name = "gateway", kinds = {"matching"}}
function M:request(req)
  if req.key == "blocked" then return ns.reject(451, "blocked") end
  req:set_threshold(0.0001)
  req:set_limit(10)
  if req.origin == "events" then req:set_order("create_time_desc") end
end
function M:results(req, rows)
  rows:hide("user_data")
  rows:add("department", function(row) return departments[row.gender] or "unknown" end)
  rows:drop(function(row) return row.similarity > 1 end)
  return rows:where_similarity(">=", 0)
end
return M`

// luaGateway measures the hooks request and results over ten rows.
func (s *suite) luaGateway(e *engine) error {
	h, err := s.startHost(e, "gateway")
	if err != nil {
		return err
	}
	sub := e.subRequests(unfiltered(1))[0]
	answer := e.Match(s.ctx, []matcher.SubRequest{sub})[0]
	if answer.Err != nil {
		return answer.Err
	}
	var microseconds []float64
	for range s.size.rounds {
		begin := time.Now()
		for range luaCalls {
			if err := s.callGateway(h, sub, answer); err != nil {
				return err
			}
		}
		microseconds = append(microseconds, time.Since(begin).Seconds()/luaCalls*1e6)
	}
	s.recordBar("lua-request-results", stat.Summarize(microseconds), "")
	return h.Close(s.ctx)
}

// callGateway calls the hooks of one request. It fails unless they take effect.
func (s *suite) callGateway(h *lua.Host, sub matcher.SubRequest, answer matcher.Result) error {
	hooks, release := h.AcquireHooks()
	defer release()
	set := *sub.Candidates
	call := &matcher.MatchCall{Kind: matcher.MatchFaces, Candidates: []*matcher.Candidates{&set}, References: []matcher.Reference{*sub.Reference}, RowsMax: depth}
	if skipped, err := hooks.Requests[0].Request(s.ctx, call); err != nil || skipped != "" || set.Threshold == 0 {
		return fmt.Errorf("the hook request must set a threshold: %s, %w", skipped, err)
	}
	sub.Candidates = &set
	skipped, err := hooks.Results[0].Results(s.ctx, &sub, &answer)
	if err != nil || skipped != "" || len(answer.Extra) != depth {
		return fmt.Errorf("the hook results must add a field to %d rows, got %d: %s, %w", depth, len(answer.Extra), skipped, err)
	}
	return nil
}

// luaHandleEvent measures the rate at which one state handles events that wait in the
// queue. Events that do not fit are not sent, so none is dropped.
func (s *suite) luaHandleEvent(e *engine) error {
	h, err := s.startHost(e, "counting")
	if err != nil {
		return err
	}
	points := &telemetry.Points{Emit: h.EmitFrom, Listens: h.Listens}
	point := matcher.RequestPoint{Time: time.Now(), Route: "POST:/matcher/faces", Status: http.StatusCreated, RequestID: "1,bench", Duration: time.Millisecond}
	var rates []float64
	const events = 100_000
	for range s.size.rounds {
		begin := time.Now()
		for sent := 0; sent < events; {
			room := min(queuedMax-h.Plugins()[0].Queued, events-sent)
			for range room {
				points.Requested(point)
			}
			if sent += room; room == 0 {
				runtime.Gosched()
			}
		}
		for p := h.Plugins()[0]; p.Queued > 0 || p.Handling > 0; p = h.Plugins()[0] {
			runtime.Gosched()
		}
		rates = append(rates, events/time.Since(begin).Seconds())
	}
	if p := h.Plugins()[0]; p.Dropped+p.Lost > 0 {
		return fmt.Errorf("%d events were dropped and %d were lost, want 0: %s", p.Dropped, p.Lost, p.LastError)
	}
	s.recordBar("lua-handle-event", stat.Summarize(rates), "events are created in the same process")
	return h.Close(s.ctx)
}

// queuedMax is the number of events that luaHandleEvent keeps in the queue at most.
const queuedMax = 8192
