package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"nearside/bench/load"
	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/matcher"
	"nearside/matcher/wire"
)

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

// prefilterLoad compares the throughput of small matches with and without three plugins
// that have prefilters, alternating.
func (s *suite) prefilterLoad(v *service, d *dataset, list string) error {
	var ratios []float64
	runs := len(s.runs)
	defer func() { s.runs = s.runs[:runs] }()
	for range 3 {
		var rates [2]float64
		for i, active := range [][]string{nil, {"since", "known", "visible"}} {
			if err := v.activate("", active...); err != nil {
				return err
			}
			r, err := s.loadRun(v, d, wire.JSON, 1, list, smallList, load.Plan{Clients: 64})
			if err != nil {
				return err
			}
			if err := v.checkPlugins(); err != nil {
				return err
			}
			rates[i] = r.PerSecond
		}
		ratios = append(ratios, rates[1]/rates[0])
	}
	s.recordBar("lua-prefilters", stat.Summarize(ratios), "three plugins, list of 1,000")
	return v.activatePlugin("")
}

// checkPlugins returns an error if a plugin has failed or has lost an event.
func (v *service) checkPlugins() error {
	all, err := v.plugins()
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Counters.Failures+p.Counters.Lost > 0 {
			return fmt.Errorf("plugin %s must not fail or lose events, got %+v: %s", p.Name, p.Counters, p.LastError)
		}
	}
	return nil
}

// luaImportSection compares imports into empty servers with and without a plugin that
// receives every change of a face, alternating.
func (s *suite) luaImportSection() error {
	if s.skipWithoutServer("lua-event-import") {
		return nil
	}
	rows := max(1, s.size.rows/4)
	d, err := s.dataset(synth.Faces, u8x512, rows)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "import-plugin.ndjson")
	if err := writeLines(path, d, rows); err != nil {
		return err
	}
	defer os.Remove(path) //nolint:errcheck // the folder is removed later
	var ratios []float64
	for range 3 {
		var rates [2]float64
		for i, active := range []string{"", "changes"} {
			rate, err := s.importBeside(active, path, rows)
			if err != nil {
				return err
			}
			rates[i] = rate
			s.logf("   import with plugin %q: %.0f rows/s", active, rate)
		}
		ratios = append(ratios, rates[1]/rates[0])
	}
	s.recordBar("lua-event-import", stat.Summarize(ratios), fmt.Sprintf("%d rows", rows))
	return nil
}

// importBeside imports lines into an empty server that runs a plugin, or no plugin. It
// returns the rows per second.
func (s *suite) importBeside(plugin, path string, rows int) (float64, error) {
	v, err := s.startService("beside-plugin", "")
	if err != nil {
		return 0, err
	}
	defer func() {
		v.Kill()
		_ = os.RemoveAll(v.dir) // the folder around it is removed later
	}()
	if err := v.activatePlugin(plugin); err != nil {
		return 0, err
	}
	begin := time.Now()
	accepted, err := load.Import(s.ctx, v.URL, path, matcher.Faces, matcher.NewID())
	if err != nil {
		return 0, err
	}
	seconds := time.Since(begin).Seconds()
	if accepted != rows {
		return 0, fmt.Errorf("import: %d rows must be accepted, got %d", rows, accepted)
	}
	return float64(rows) / seconds, v.checkPlugins()
}

// activatePlugin makes the server run one plugin, or no plugin if the name is empty.
func (v *service) activatePlugin(plugin string) error {
	if plugin == "" {
		return v.activate("")
	}
	return v.activate("", plugin)
}

// activate makes the server run these plugins and no others. settings is YAML for
// plugins.settings, or empty.
func (v *service) activate(settings string, plugins ...string) error {
	dir, err := v.suite.pluginFolder()
	if err != nil {
		return err
	}
	config := serverConfig(v.dir) + fmt.Sprintf("plugins: {dir: %q, active: [%s], settings: {%s}}\n", dir, strings.Join(plugins, ", "), settings)
	if err := os.WriteFile(v.config, []byte(config), 0o600); err != nil {
		return err
	}
	if err := v.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	for range 1000 {
		all, err := v.plugins()
		if err != nil {
			return err
		}
		running := make([]string, len(all))
		for i := range all {
			running[i] = all[i].Name
		}
		if slices.Equal(slices.Sorted(slices.Values(running)), slices.Sorted(slices.Values(plugins))) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the server does not run the plugins %v after SIGHUP", plugins)
}

// pluginState is what GET /1/plugins returns about a plugin, as far as it is needed.
type pluginState struct {
	Name      string
	LastError string `json:"last_error"`
	Counters  struct{ Failures, Dropped, Lost, Queued int }
	Consumers []struct{ Acked, Retried, Dead int }
}

// plugins returns the states of the active plugins.
func (v *service) plugins() (all []pluginState, err error) {
	body, err := v.get("/1/plugins")
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal([]byte(body), &all)
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

// pluginLoads measures what plugins do to the server.
func (s *suite) pluginLoads(v *service, d *dataset, lists []string) error {
	if err := s.eventLoad(v, d, lists[0]); err != nil {
		return err
	}
	return s.prefilterLoad(v, d, lists[1])
}
