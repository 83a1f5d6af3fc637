package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"nearside/bench/load"
	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/internal/telemetry"
	"nearside/lua"
	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// luaPlugins are the sources of the measured plugins. policy returns a cost and the
// unchanged set; adults applies one comparison to all rows; counting reads every
// monitoring point.
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
	if err := s.luaMatching(e); err != nil {
		return err
	}
	return s.luaEvents(e)
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

// eventLoad compares the throughput of a server with and without an event plugin,
// alternating.
func (s *suite) eventLoad(v *service, d *dataset, list string) error {
	var ratios []float64
	runs := len(s.runs)
	defer func() { s.runs = s.runs[:runs] }() // the report has only load runs without plugins
	for range 3 {
		var rates [2]float64
		for i, active := range []string{"", "counting"} {
			if err := v.activatePlugin(active); err != nil {
				return err
			}
			r, err := s.loadRun(v, d, wire.JSON, 1, list, d.n, load.Plan{Clients: 64})
			if err != nil {
				return err
			}
			rates[i] = r.PerSecond
		}
		ratios = append(ratios, rates[1]/rates[0])
	}
	s.recordBar("lua-event-throughput", stat.Summarize(ratios), "")
	return v.activatePlugin("")
}

// activatePlugin makes the server run one plugin, or no plugin if the name is empty.
func (v *service) activatePlugin(plugin string) error {
	dir, err := v.suite.pluginFolder()
	if err != nil {
		return err
	}
	config := serverConfig(v.dir) + fmt.Sprintf("plugins: {dir: %q, active: [%s]}\n", dir, plugin)
	if err := os.WriteFile(v.config, []byte(config), 0o600); err != nil {
		return err
	}
	if err := v.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	for range 1000 {
		body, err := v.get("/1/plugins")
		if err != nil {
			return err
		}
		if plugin == "" && strings.TrimSpace(body) == "[]" || plugin != "" && strings.Contains(body, `"name":"`+plugin+`"`) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the server does not run plugin %q after SIGHUP", plugin)
}

// get returns the body of a resource of the server.
func (v *service) get(path string) (string, error) {
	request, err := http.NewRequestWithContext(v.suite.ctx, http.MethodGet, v.URL+path, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}
