package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/internal/telemetry"
	"nearside/lua"
	"nearside/lua/ns"
	"nearside/matcher"
)

// luaPlugins are the sources of the measured plugins. policy returns a cost and the
// unchanged set; adults applies one comparison to all rows; counting reads every
// monitoring point. since, known and visible are prefilters that keep all rows. changes
// reads every change of a face.
var luaPlugins = map[string]string{
	"policy": `return {api = 1, name = "policy", kinds = {"matching"}, cost = function(self, req) return 200 end, match = function() end,
  prefilter = function(self, req, set) return set end}`,
	"adults": `return {api = 1, name = "adults", kinds = {"matching"}, prefilter = function(self, req, set) return set:where("age", ">=", 18) end}`,
	"counting": `local seconds = 0
return {api = 1, name = "counting", kinds = {"event"}, events = {"monitoring_event"}, handle_event = function(self, points)
  for _, p in ipairs(points) do
    if p.series == "requests" then seconds = seconds + p.fields.execution_time end
  end
end}`,
	"gateway": gatewayHooks,
	"since":   `return {api = 1, name = "since", kinds = {"matching"}, prefilter = function(self, req, set) return set:where("create_time", ">=", 0) end}`,
	"known":   `return {api = 1, name = "known", kinds = {"matching"}, prefilter = function(self, req, set) return set - set:where("external_id", "=", "blocked") end}`,
	"visible": `return {api = 1, name = "visible", kinds = {"matching"}, prefilter = function(self, req, set) return set - set:where("user_data", "=", "hidden") end}`,
	"changes": `local faces, deleted = 0, 0
return {api = 1, name = "changes", kinds = {"event"}, events = {"face_event"}, handle_event = function(self, changes)
  for _, c in ipairs(changes) do
    if c.op == "put" then faces = faces + #c.lists else deleted = deleted + 1 end
  end
end}`,
}

// luaCalls is the number of calls of a timed run.
const luaCalls = 2000

// luaSection measures the time that plugins add, in the process of the matcher.
func (s *suite) luaSection() error {
	d, err := s.dataset(synth.Faces, u8x512, s.size.rows)
	if err != nil {
		return err
	}
	e, err := s.faceEngine(d, barKernel(), 1)
	if err != nil {
		return err
	}
	defer e.close()
	for _, measure := range []func(*engine) error{s.luaMatching, s.luaGateway, s.luaEvents, s.luaHandleEvent} {
		if err := measure(e); err != nil {
			return err
		}
	}
	return nil
}

// startHost starts one of luaPlugins.
func (s *suite) startHost(e *engine, name string) (*lua.Host, error) {
	dir, err := s.pluginFolder()
	if err != nil {
		return nil, err
	}
	return lua.New(s.ctx, lua.Options{Dir: dir, Active: []string{name}, Services: ns.Services{Matching: e.Memory}})
}

func (s *suite) pluginFolder() (string, error) {
	dir := filepath.Join(s.dir, "plugins")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name, source := range luaPlugins {
		if err := os.WriteFile(filepath.Join(dir, name+".lua"), []byte(source), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// luaMatching measures the hooks of matching plugins on a set of all rows.
func (s *suite) luaMatching(e *engine) error {
	candidates := &matcher.Candidates{Limit: depth}
	rows, err := e.Select(s.ctx, candidates, nil)
	if err != nil {
		return err
	}
	for _, bar := range []struct {
		id, plugin string
		calls      int
		unit       float64
	}{{"lua-cost-prefilter", "policy", luaCalls, 1e6}, {"lua-where", "adults", 20, 1e3 * 1e6 / float64(e.data.n)}} {
		h, err := s.startHost(e, bar.plugin)
		if err != nil {
			return err
		}
		var seconds []float64
		for range s.size.rounds {
			begin := time.Now()
			for range bar.calls {
				if err := s.runHooks(h, e, candidates, rows); err != nil {
					return err
				}
			}
			seconds = append(seconds, time.Since(begin).Seconds()/float64(bar.calls)*bar.unit)
		}
		s.recordBar(bar.id, stat.Summarize(seconds), "")
		if err := h.Close(s.ctx); err != nil {
			return err
		}
	}
	return nil
}

// runHooks calls the plugins for one candidate set, as a router does.
func (s *suite) runHooks(h *lua.Host, e *engine, c *matcher.Candidates, rows matcher.Selection) error {
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	sub := matcher.SubRequest{
		Candidates: c, Version: e.data.version,
		Reference: &matcher.Reference{Type: matcher.RefRaw, Descriptor: matcher.Descriptor{Version: e.data.version.Number, Data: e.data.query(0)}},
	}
	matchers, prefilters, release := h.Acquire()
	defer release()
	for _, p := range prefilters {
		left, err := p.Narrow(ctx, &sub, rows)
		if err != nil {
			return err
		}
		if p.Name() == "adults" && left.Len() == rows.Len() {
			return fmt.Errorf("plugin %s must remove some of the %d rows, but removed none", p.Name(), rows.Len())
		}
	}
	for _, m := range matchers {
		if _, reason, ok := m.Cost(ctx, &sub); !ok {
			return fmt.Errorf("plugin %s returned no cost: %s", m.Name(), reason)
		}
	}
	return nil
}

// luaEvents measures the time that an event adds to its request, and the time of the
// plugin.
func (s *suite) luaEvents(e *engine) error {
	h, err := s.startHost(e, "counting")
	if err != nil {
		return err
	}
	points := &telemetry.Points{Emit: h.EmitFrom, Listens: h.Listens}
	point := matcher.RequestPoint{Time: time.Now(), Route: "POST:/matcher/faces", Status: http.StatusCreated, RequestID: "1,bench", Duration: time.Millisecond}
	var emit, handle []float64
	for range s.size.rounds {
		before := h.Plugins()[0].Totals.Busy
		const events = 8192 // half of the queue, so that no event is dropped
		begin := time.Now()
		for range events {
			points.Requested(point)
		}
		emit = append(emit, time.Since(begin).Seconds()/events*1e6)
		for h.Plugins()[0].Queued > 0 || h.Plugins()[0].Handling > 0 {
			runtime.Gosched()
		}
		handle = append(handle, (h.Plugins()[0].Totals.Busy-before).Seconds()/events*1e6)
	}
	if p := h.Plugins()[0]; p.Dropped+p.Lost > 0 {
		return fmt.Errorf("%d events were dropped and %d were lost, want 0: %s", p.Dropped, p.Lost, p.LastError)
	}
	s.recordBar("lua-event-request", stat.Summarize(emit), "")
	s.recordBar("lua-event-plugin", stat.Summarize(handle), "")
	return h.Close(s.ctx)
}
