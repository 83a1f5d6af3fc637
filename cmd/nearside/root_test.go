package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rootFolder is a folder with the layout of the container image: the binary, /plugins,
// /data, a configuration, and the variables of the Dockerfile with paths below the
// folder.
type rootFolder struct {
	dir string
	env []string
}

// newRootFolder creates the layout of the image, with an empty /plugins.
func newRootFolder(t *testing.T) rootFolder {
	t.Helper()
	r := rootFolder{dir: t.TempDir()}
	for _, dir := range []string{"data", "plugins", "etc"} {
		if err := os.Mkdir(filepath.Join(r.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	binary, err := exec.LookPath("nearside")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "nearside"), content, 0o755); err != nil {
		t.Fatal(err)
	}
	r.env = imageEnv(t, r.dir)
	return r
}

var envLine = regexp.MustCompile(`(?m)^(?:ENV| ) +(NEARSIDE_[A-Z_]+)=(\S+)`)

// imageEnv reads the variables of the Dockerfile.
func imageEnv(t *testing.T, root string) []string {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, m := range envLine.FindAllStringSubmatch(string(text), -1) {
		name, value := m[1], m[2]
		if strings.HasPrefix(value, "/") {
			value = filepath.Join(root, value)
		}
		if name == "NEARSIDE_LISTEN" {
			value = "127.0.0.1:0" // a free port
		}
		env = append(env, name+"="+value)
	}
	if all := strings.Join(env, " "); !strings.Contains(all, "NEARSIDE_PLUGINS_DIR="+root) || !strings.Contains(all, "NEARSIDE_DATA_DIR="+root) {
		t.Fatalf("the Dockerfile's variables: %s", all)
	}
	return env
}

// command returns a command of the folder's binary, with no other environment variables.
func (r rootFolder) command(env []string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(r.dir, "nearside"), args...)
	c.Dir, c.Env = r.dir, append(append([]string{}, r.env...), env...)
	return c
}

func (r rootFolder) serve(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := launch(t, r.command(env, append([]string{"serve"}, args...)...))
	if p.url == "" {
		t.Fatalf("the server ended with code %d:\n%s", p.wait(), p.log())
	}
	return p
}

// writeHello writes the plugin hello, which answers with a text.
func writeHello(t *testing.T, dir, text string) {
	t.Helper()
	source := `local ns = require("nearside")
local M = { api = 1, name = "hello", kinds = { "background" },
  schema = { type = "object", properties = { who = { type = "string", default = "world" } } } }
function M:start() ns.route("GET", "/", function() return 200, { text = "` + text + `, " .. ns.conf.who } end) end
return M`
	test := `local test = require("nearside.test")
test.case("greets", function() test.equal(test.start():request("GET", "/").json.text, "` + text + `, world") end)`
	for name, content := range map[string]string{"hello.lua": source, "hello_test.lua": test} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *process) checkGreeting(t *testing.T, want string) {
	t.Helper()
	var answer struct{ Text string }
	p.mustCall(t, "GET", "/plugins/hello/", nil, &answer)
	if answer.Text != want {
		t.Errorf("%q, want %q", answer.Text, want)
	}
}

// TestRootFolder tries the three ways of docs/containers.md to add plugins, and a plugin with a
// fault, without a container engine.
func TestRootFolder(t *testing.T) {
	active := []string{"NEARSIDE_PLUGINS_ACTIVE=hello,teapot"}
	t.Run("an image with plugins", func(t *testing.T) {
		r := newRootFolder(t)
		writeHello(t, filepath.Join(r.dir, "plugins"), "hello")
		config := filepath.Join(r.dir, "etc", "nearside.yaml")
		if err := os.WriteFile(config, []byte("plugins: {settings: {hello: {who: image}}}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"check", "test"} { // the image's RUN lines
			if out, err := r.command(nil, "plugin", step, "--dir", filepath.Join(r.dir, "plugins")).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", step, err, out)
			}
		}
		p := r.serve(t, active, "--config", config)
		p.checkGreeting(t, "hello, image")
		status, body, err := p.call("GET", "/plugins/teapot/teapot", nil)
		var pot struct{ Temperature float64 }
		if err != nil || status != 418 || json.Unmarshal(body, &pot) != nil || pot.Temperature < 20 {
			t.Errorf("teapot: %d %s %v", status, body, err)
		}
		if out, err := r.command(nil, "doctor", "--ready", p.url).CombinedOutput(); err != nil { // HEALTHCHECK
			t.Errorf("%v\n%s", err, out)
		}
		p.stop(t)
	})
	t.Run("mounted files", func(t *testing.T) {
		r, outside := newRootFolder(t), t.TempDir()
		writeHello(t, outside, "one")
		mount := filepath.Join(r.dir, "plugins")
		if err := os.Remove(mount); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, mount); err != nil {
			t.Fatal(err)
		}
		p := r.serve(t, active)
		p.checkGreeting(t, "one, world")
		writeHello(t, outside, "two")
		var states []any
		p.mustCall(t, "POST", "/1/plugins/reload", nil, &states)
		p.checkGreeting(t, "two, world")
		if err := os.WriteFile(filepath.Join(outside, "hello.lua"), []byte("return = 1"), 0o644); err != nil {
			t.Fatal(err)
		}
		if status, body, err := p.call("POST", "/1/plugins/reload", nil); err != nil || status != 409 || !strings.Contains(string(body), "hello.lua:1") {
			t.Errorf("a file with a fault: %d %s %v", status, body, err)
		}
		p.checkGreeting(t, "two, world")
	})
	t.Run("copied and committed", func(t *testing.T) {
		r := newRootFolder(t)
		writeHello(t, filepath.Join(r.dir, "plugins"), "copied")
		p := r.serve(t, active)
		status, _, err := p.call("POST", "/1/lists", map[string]any{"user_data": "kept in the volume"})
		if err != nil || status != 201 {
			t.Fatal(status, err)
		}
		p.stop(t)
		committed := newRootFolder(t) // without the volume's data
		if err := os.CopyFS(filepath.Join(committed.dir, "plugins", "copy"), os.DirFS(filepath.Join(r.dir, "plugins"))); err != nil {
			t.Fatal(err)
		}
		committed.env = append(committed.env, "NEARSIDE_PLUGINS_DIR="+filepath.Join(committed.dir, "plugins", "copy"))
		p = committed.serve(t, active)
		p.checkGreeting(t, "copied, world")
		var page struct{ Count int }
		p.mustCall(t, "GET", "/1/lists", nil, &page)
		if page.Count != 0 {
			t.Errorf("%d lists in a new container", page.Count)
		}
	})
	t.Run("a plugin with a fault", func(t *testing.T) {
		r := newRootFolder(t)
		if err := os.WriteFile(filepath.Join(r.dir, "plugins", "hello.lua"), []byte("x = 1"), 0o644); err != nil {
			t.Fatal(err)
		}
		p := launch(t, r.command(active, "serve"))
		if code := p.wait(); p.url != "" || code != 1 || !strings.Contains(p.log(), `plugins/hello.lua:1: write to the undeclared global "x"`) {
			t.Errorf("code %d:\n%s", code, p.log())
		}
	})
}
