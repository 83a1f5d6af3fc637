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
	"nearside/matcher"
	"nearside/matcher/wire"
)

// The plugins of the measurements. policy narrows nothing and does not want to
// answer; adults has one operator over all rows; counting looks at each point.
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

// luaCalls is how many calls a timed run makes.
const luaCalls = 2000

// luaSection measures what plugins add, in one process with the matcher.
func (s *suite) luaSection() error {
	d, err := s.dataset(synth.Faces, u8x512, s.size.rows)
	if err != nil {
		return err
	}
	e, err := s.engine(d, best(), 1)
	if err != nil {
		return err
	}
	defer e.close()
	if err := s.luaMatching(e); err != nil {
		return err
	}
	return s.luaEvents(e)
}

// host runs one of luaPlugins.
func (s *suite) host(e *engine, name string) (*lua.Host, error) {
	dir, err := s.pluginFolder()
	if err != nil {
		return nil, err
	}
	return lua.New(s.ctx, lua.Options{Dir: dir, Active: []string{name}, Services: lua.Services{Matching: e.Memory}})
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

// luaMatching measures the hooks of a matching plugin on a set of all rows.
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
		h, err := s.host(e, bar.plugin)
		if err != nil {
			return err
		}
		var seconds []float64
		for range s.size.rounds {
			begin := time.Now()
			for range bar.calls {
				if err := s.hooks(h, e, candidates, rows); err != nil {
					return err
				}
			}
			seconds = append(seconds, time.Since(begin).Seconds()/float64(bar.calls)*bar.unit)
		}
		s.measure(bar.id, stat.RatioOf(seconds), "")
		if err := h.Close(s.ctx); err != nil {
			return err
		}
	}
	return nil
}

// hooks does what a router does with the plugins for one set.
func (s *suite) hooks(h *lua.Host, e *engine, c *matcher.Candidates, rows matcher.Selection) error {
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
			return fmt.Errorf("plugin %s took nothing of %d rows", p.Name(), rows.Len())
		}
	}
	for _, m := range matchers {
		if _, reason, ok := m.Cost(ctx, &sub); !ok {
			return fmt.Errorf("plugin %s: no cost: %s", m.Name(), reason)
		}
	}
	return nil
}

// luaEvents measures what a point costs its request, and its plugin.
func (s *suite) luaEvents(e *engine) error {
	h, err := s.host(e, "counting")
	if err != nil {
		return err
	}
	points := &telemetry.Points{Emit: h.Emit, Listens: h.Listens}
	point := matcher.RequestPoint{Time: time.Now(), Route: "POST:/matcher/faces", Status: http.StatusCreated, RequestID: "1,bench", Duration: time.Millisecond}
	var emit, handle []float64
	for range s.size.rounds {
		before := h.Plugins()[0].Totals.Busy
		const events = 8192 // half of the queue: none is dropped
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
		return fmt.Errorf("%d events were dropped, %d lost: %s", p.Dropped, p.Lost, p.LastError)
	}
	s.measure("lua-event-request", stat.RatioOf(emit), "")
	s.measure("lua-event-plugin", stat.RatioOf(handle), "")
	return h.Close(s.ctx)
}

// eventLoad compares the throughput of a server with an event plugin with that
// of the same server without one, in turn.
func (s *suite) eventLoad(v *service, d *dataset, list string) error {
	var ratios []float64
	runs := len(s.runs)
	defer func() { s.runs = s.runs[:runs] }() // loads of the report are without plugins
	for range 3 {
		var rates [2]float64
		for i, active := range []string{"", "counting"} {
			if err := v.activate(active); err != nil {
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
	s.measure("lua-event-throughput", stat.RatioOf(ratios), "")
	return v.activate("")
}

// activate has the server run one plugin, or none.
func (v *service) activate(plugin string) error {
	dir, err := v.suite.pluginFolder()
	if err != nil {
		return err
	}
	config := serverConfig(v.dir) + fmt.Sprintf("plugins: {dir: %q, active: [%s]}\n", dir, plugin)
	if err := os.WriteFile(v.config, []byte(config), 0o600); err != nil {
		return err
	}
	if err := v.process.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	for range 1000 {
		body, err := v.get("/1/plugins")
		if err != nil {
			return err
		}
		if plugin == "" && body == "[]" || plugin != "" && strings.Contains(body, `"name":"`+plugin+`"`) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the server does not run plugin %q after SIGHUP", plugin)
}

// get reads a resource of the server.
func (v *service) get(path string) (string, error) {
	request, err := http.NewRequestWithContext(v.suite.ctx, http.MethodGet, v.url+path, nil)
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
