package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearside/internal/config"
)

// shownConfig has the parts of GET /config that these tests read.
type shownConfig struct {
	Listen  string
	DataDir string `json:"data_dir"`
	Workers int
	Plugins struct {
		Dir    string
		Active []string
	}
	SIMD   string
	Limits struct {
		References    int
		ProcessMemory json.RawMessage `json:"process_memory"`
	}
	Log         struct{ Format string }
	Descriptors struct {
		Versions []struct {
			Number     int
			Similarity struct{ Midpoint, Steepness float64 }
		}
	}
	Running struct {
		File     string `json:"config_file"`
		Kernel   string
		Restart  []string `json:"needs_restart"`
		Versions []struct {
			Number     int
			Calibrated bool
		} `json:"descriptor_versions"`
	}
}

// TestEffectiveConfig: GET /config shows the effective configuration, before and after a
// reload, and the log lists the changes that need a restart.
func TestEffectiveConfig(t *testing.T) {
	const versions = "descriptors: {versions: [{number: 7, type: face, encoding: uint8, length: 4}]}\n"
	data := t.TempDir()
	name := writeConfig(t, versions)
	p := serve(t, name, data)
	shown := func() (c shownConfig) {
		t.Helper()
		p.mustCall(t, "GET", "/config", nil, &c)
		return c
	}
	c := shown()
	if "http://"+c.Listen != p.url || c.Workers < 1 || c.DataDir != data || c.Running.Kernel == "" || len(c.Running.Restart) > 0 {
		t.Errorf("%+v", c)
	}
	// Automatic settings show the values in use.
	if c.SIMD == "auto" || !strings.HasPrefix(c.Running.Kernel, c.SIMD) || c.Log.Format != "json" || !filepath.IsAbs(c.Plugins.Dir) || c.Running.File != name {
		t.Errorf("%+v", c)
	}
	automatic := config.Default()
	automatic.Limits.ProcessMemory = processMemory("/")
	want, err := json.Marshal(automatic.Map()["limits"].(map[string]any)["process_memory"])
	if err != nil || string(c.Limits.ProcessMemory) != string(want) || string(want) == "0" {
		t.Errorf("%v: %s, want %s", err, c.Limits.ProcessMemory, want)
	}
	if v := c.Descriptors.Versions; len(v) != 1 || v[0].Similarity.Midpoint != 1 || v[0].Similarity.Steepness != 8 {
		t.Errorf("%+v", v)
	}
	if v := c.Running.Versions; len(v) < 2 || v[len(v)-1].Number != 7 || v[len(v)-1].Calibrated {
		t.Errorf("%+v", v)
	}
	if log := p.log(); !strings.Contains(log, "version 7 uses an uncalibrated default") {
		t.Error(log)
	}

	reload := func(text, message string) {
		t.Helper()
		p.reload(t, name, text, message)
	}
	// Live settings are applied. With port 0, the address stays the same.
	reload(versions+"limits: {references: 7}\nplugins: {active: [teapot]}\nworkers: 99\nlog: {format: text}\nlisten: 127.0.0.1:1\n",
		`"applied":["plugins.active","limits.references"],"needs_restart":["workers","log.format"]`)
	c = shown()
	if c.Limits.References != 7 || strings.Join(c.Plugins.Active, " ") != "teapot" || c.Workers == 99 || c.Log.Format != "json" || strings.Join(c.Running.Restart, " ") != "workers log.format" {
		t.Errorf("%+v", c)
	}
	// If a plugin cannot be loaded, the old plugins stay, also in a later reload of
	// plugins. All other settings are applied.
	reload(versions+"limits: {references: 8}\nplugins: {active: [teapot, missing]}\n", `"applied":["limits.references"],"needs_restart":[],"error":"plugins.active: there is no plugin \"missing\"`)
	if c = shown(); c.Limits.References != 8 || strings.Join(c.Plugins.Active, " ") != "teapot" || len(c.Running.Restart) > 0 {
		t.Errorf("%+v", c)
	}
	var plugins []struct{ Name string }
	p.mustCall(t, "POST", "/1/plugins/reload", nil, &plugins)
	if len(plugins) != 1 || plugins[0].Name != "teapot" {
		t.Errorf("%+v", plugins)
	}
	// A reload warns of settings that it ignores, as the start does.
	reload(versions+"limits: {references: 8, process_memory: 1TiB}\nplugins: {active: [teapot], settings: {teapto: {a: 1}, influx: {b: 1}}}\n", `"applied":["plugins.settings","limits.process_memory"]`)
	for _, message := range []string{`plugins.settings.teapto: there is no plugin \"teapto\"`, "plugins.settings.influx: "} {
		if log := p.log(); strings.Count(log, message) != 1 {
			t.Errorf("want %q once in\n%s", message, log)
		}
	}
	if c = shown(); string(c.Limits.ProcessMemory) != `"1TiB"` {
		t.Errorf("%+v", c)
	}
	// A configuration with faults changes nothing.
	reload("limits: {references: 0}\n", "limits.references: must be an integer")
	if c = shown(); c.Limits.References != 8 {
		t.Errorf("%+v", c)
	}
	if _, err := os.Stat(filepath.Join(data, "FORMAT")); err != nil {
		t.Error(err)
	}
}
