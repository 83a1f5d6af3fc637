package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCheckAndServe compares `config check` with `serve`: both refuse the same
// configurations with the same text, and both report settings that serve ignores.
func TestCheckAndServe(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"plugins/strict.lua":  `return {api = 1, name = "strict", kinds = {"background"}, schema = {type = "object", required = {"n"}, properties = {n = {type = "number"}, m = {type = "number"}}}}`,
		"plugins/broken.lua":  "return {",
		"plugins/reaches.lua": `local ns = require("nearside"); return {api = 1, name = "reaches", kinds = {"background"}, close = function() ns.kv.gt("x") end}`,
		"others/file.txt":     "somebody else's",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()

	const refused, ignored, fine = "refused", "ignored", "fine"
	check := func(result, text, message string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, "nearside.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		command := func(args ...string) *exec.Cmd {
			c := exec.Command("nearside", args...)
			c.Dir = folder
			c.Env = append(os.Environ(), "NEARSIDE_INSECURE=true")
			if !strings.Contains(text, "data_dir") {
				c.Env = append(c.Env, "NEARSIDE_DATA_DIR="+t.TempDir())
			}
			if !strings.Contains(text, "listen") {
				c.Env = append(c.Env, "NEARSIDE_LISTEN=127.0.0.1:0")
			}
			return c
		}
		out, err := command("config", "check").CombinedOutput()
		if (err == nil) != (result != refused) || !strings.Contains(string(out), message) {
			t.Errorf("%s\nconfig check: %v, want %s: %q\n%s", text, err, result, message, out)
		}
		p := launch(t, command("serve"))
		if p.url != "" {
			p.signal(t, syscall.SIGTERM)
		}
		code := p.wait()
		log := strings.ReplaceAll(p.log(), `\"`, `"`)
		if started := p.url != ""; started != (result != refused) || result != fine && !strings.Contains(log, message) || (code == 0) != started {
			t.Errorf("%s\nserve: started %v, code %d, want %s: %q\n%s", text, started, code, result, message, log)
		}
	}
	check(fine, "plugins: {active: [teapot, strict], settings: {strict: {n: 1}}}", "ok")
	check(refused, "plugins: {active: [teapto]}", `plugins.active: there is no plugin "teapto"`)
	check(refused, "plugins: {active: [strict]}", "plugins.settings.strict: ")
	check(refused, "plugins: {active: [strict], settings: {strict: {n: x}}}", "plugins.settings.strict: n: got string, want number")
	for _, setting := range []string{"n", "m"} { // all faults are reported
		check(refused, "plugins: {active: [strict], settings: {strict: {n: x, m: y}}}", "plugins.settings.strict: "+setting+": got string, want number")
	}
	check(refused, "plugins: {active: [strict], settings: {strict: 7}}", "plugins.settings.strict: is not a table")
	check(refused, "plugins: {active: [broken]}", "plugins/broken.lua:1")
	check(ignored, "plugins: {active: [reaches]}", `nearside has no "kv.gt"`)
	check(ignored, "plugins: {settings: {teapto: {a: 1}}}", `plugins.settings.teapto: there is no plugin "teapto"`)
	check(ignored, "plugins: {settings: {strict: {n: x}}}", "plugins.settings.strict: n: got string, want number (the plugin is not active)")
	check(ignored, "descriptors: {versions: [{number: 7, type: face, encoding: uint8, length: 4}]}", "version 7 uses an uncalibrated default: midpoint 1, steepness 8")
	check(refused, "listen: 127.0.0.1:99999", "listen: ")
	check(refused, "listen: 192.0.2.1:5110", "listen: ") // an address that this machine does not have
	check(refused, "listen: "+taken.Addr().String(), "address already in use")
	check(refused, "data_dir: nearside.yaml", "is not a directory")
	check(refused, "data_dir: nearside.yaml/data", "not a directory")
	check(refused, "data_dir: /proc/data", "/proc")
	check(refused, "data_dir: others", "is not empty and is not a nearside data directory")
	check(refused, `matchers: {remote: [{name: a, url: "http://h:99999"}]}`, "matchers.remote[0].url: ")
	check(refused, `matchers: {remote: [{name: a, url: "http://h"}, {name: a, url: "http://i"}]}`, "matchers.remote[1].name: ")
	check(refused, `matchers: {remote: [{name: a, url: "http://h", origins: [faces, faces]}]}`, "matchers.remote[0].origins[1]: ")
	check(refused, "descriptors: {versions: [{number: 59, type: face, encoding: uint8, length: 4}]}", "descriptors.versions[0].number: 59 is built in")
	check(refused, "worker: 1", "worker: is not a known key; did you mean workers?")
}

// TestCheckBesideServer: config check accepts the configuration of a running server.
func TestCheckBesideServer(t *testing.T) {
	data := t.TempDir()
	p := serve(t, writeConfig(t, serveConfig), data)
	check := exec.Command("nearside", "config", "check")
	check.Dir = t.TempDir()
	check.Env = append(os.Environ(), "NEARSIDE_DATA_DIR="+data, "NEARSIDE_LISTEN="+strings.TrimPrefix(p.url, "http://"))
	out, err := check.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "warning: data_dir: ") || !strings.Contains(string(out), "warning: listen: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCheckNamesSources: every fault names its file or variable.
func TestCheckNamesSources(t *testing.T) {
	folder := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := "data_dir: /proc/data\nplugins: {active: [teapto], settings: {teapot: {a: 1}}}\n"
	if err := os.WriteFile(filepath.Join(folder, "nearside.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(want []string, env ...string) {
		t.Helper()
		command := exec.Command("nearside", "config", "check")
		command.Dir, command.Env = folder, append(os.Environ(), env...)
		out, err := command.CombinedOutput()
		for _, line := range want {
			if err == nil || !strings.Contains(string(out), "nearside: "+line) {
				t.Errorf("%v, want %q\n%s", err, line, out)
			}
		}
		if n := strings.Count(string(out), "\n"); n != len(want) {
			t.Errorf("%d lines, want %d\n%s", n, len(want), out)
		}
	}
	check([]string{
		"nearside.yaml: data_dir: ", "NEARSIDE_LISTEN: listen: ", `nearside.yaml: plugins.active: there is no plugin "teapto"`,
		"warning: plugins.settings.teapot: ",
	}, "NEARSIDE_LISTEN="+taken.Addr().String())
	check([]string{
		"NEARSIDE_DATA_DIR: data_dir: ", `NEARSIDE_ACTIVE_PLUGINS: plugins.active: there is no plugin "nothing"`,
		"NEARSIDE_PLUGINS_SETTINGS: plugins.settings.teapot: b: is not allowed by the plugin's schema", "NEARSIDE_PLUGINS_SETTINGS: plugins.settings.teapot: c: is",
	}, "NEARSIDE_LISTEN=127.0.0.1:0", "NEARSIDE_DATA_DIR=/proc/other", "NEARSIDE_ACTIVE_PLUGINS=nothing,teapot", `NEARSIDE_PLUGINS_SETTINGS={"teapot": {"b": 1, "c": 2}}`)
}
