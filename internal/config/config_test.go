package config

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearside/lua"
	"nearside/matcher"

	"github.com/google/go-cmp/cmp"
)

// writeFile writes text to a new file and returns its path.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// read reads a file with this text. The test fails if there are errors or warnings.
func read(t *testing.T, text string, env ...string) Config {
	t.Helper()
	c, warnings, err := Read(writeFile(t, text), env, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %q", err, warnings)
	}
	return c
}

func TestExampleIsDefault(t *testing.T) {
	const example = "../../docs/nearside.yaml"
	c, warnings, err := Read(example, nil, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	want := Default()
	want.File, want.Sources = example, c.Sources
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.settings() { // the file has a line for every key
		name := s.key[strings.LastIndex(s.key, ".")+1:]
		if !strings.Contains(string(text), "\n"+strings.Repeat("  ", strings.Count(s.key, "."))+name+":") {
			t.Errorf("%s is missing in the example", s.key)
		}
	}
}

// TestExampleComments checks that the example lines in the comments of
// docs/nearside.yaml are accepted too.
func TestExampleComments(t *testing.T) {
	text, err := os.ReadFile("../../docs/nearside.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var versions, fields, remotes, keys []string
	for line := range strings.Lines(string(text)) {
		item, ok := strings.CutPrefix(strings.TrimSpace(line), "#   - ")
		switch {
		case !ok:
		case strings.Contains(item, "number: "):
			versions = append(versions, "\n  - "+item)
		case strings.Contains(item, "path: "):
			fields = append(fields, "\n  - "+item)
		case strings.Contains(item, "sha256: "):
			keys = append(keys, "\n  - "+item)
		default:
			remotes = append(remotes, "\n  - "+item)
		}
	}
	c := read(t, "descriptors:\n  versions:"+strings.Join(versions, "")+
		"\nevents:\n  meta_fields:"+strings.Join(fields, "")+"\nmatchers:\n  remote:"+strings.Join(remotes, "")+"\naccess:\n  keys:"+strings.Join(keys, ""))
	if len(c.Descriptors.Versions) != 2 || len(c.Events.MetaFields) != 1 || len(c.Matchers.Remote) != 2 || len(c.Access.Keys) != 1 {
		t.Errorf("%+v", c)
	}
}

func TestReadEverything(t *testing.T) {
	c := read(t, `
listen: "[::]:0"
insecure: true
data_dir: /srv/n
workers: 3
simd: avx2
descriptors:
  versions:
    - {number: 1001, type: face, encoding: uint8, length: 256, similarity: {midpoint: 12.6, steepness: 1}}
    - {number: 2001, type: body, encoding: float32, length: 64, metric: cosine, similarity: {midpoint: 0.9, steepness: 10}}
faces: {retention: 60d}
events: {retention: 30d, meta_fields: [{path: shop.floor, type: number}]}
lists: {retention: {aa000000-0000-0000-0000-000000000001: 1d}}
snapshots: {dir: /backup, every: 12h, keep: 3}
plugins: {dir: p, active: [a, b.lua], settings: {a: {n: 1, deep: [x, 1.5, null, true]}}, watch: true,
  override: {a: {order: -3, cost: 5, log: debug, limits: {memory: 64MiB},
    when: {lists: [AA000000-0000-0000-0000-000000000001], origins: [events], accounts: [BB000000-0000-0000-0000-000000000001], routes: ["POST:/matcher/faces"]}}, b: {}, c: }}
matchers:
  memory: {cost: 1.5}
  remote: [{name: east, url: "https://h:1/x", cost: 2, timeout: 500ms, origins: [events], lists: [AA000000-0000-0000-0000-000000000001], max_inflight: 3}]
limits: {body_bytes: 2GiB, line_bytes: 2048, header_bytes: 4KiB, connections_per_address: 7, references: 1, candidates: 2, raw_candidates: 3, result: 4, offset: 9, filter_values: 5, cross_match: 6,
  memory: 10MB, request_timeout: 1m30s, shutdown_timeout: 0}
log: {level: debug, format: json}
monitoring: {service: gate}
`)
	order, cost, debug := -3, 5.0, slog.LevelDebug
	want := Config{
		Listen: "[::]:0", Insecure: true, DataDir: "/srv/n", Workers: 3, SIMD: "avx2",
		Descriptors: Descriptors{Versions: []matcher.Version{
			{Number: 1001, Length: 256, Scale: 128, Similarity: matcher.Calibration{Midpoint: 12.6, Steepness: 1}},
			{Number: 2001, Type: matcher.BodyDescriptor, Encoding: matcher.Float32, Length: 64, Metric: matcher.Cosine, Similarity: matcher.Calibration{Midpoint: 0.9, Steepness: 10}},
		}},
		Faces: Faces{Retention: 1440 * time.Hour}, Lists: Lists{Retention: map[string]time.Duration{"aa000000-0000-0000-0000-000000000001": 24 * time.Hour}},
		Snapshots: Snapshots{Dir: "/backup", Every: 12 * time.Hour, Keep: 3},
		Events:    Events{Retention: 720 * time.Hour, MetaFields: []matcher.MetaField{{Path: "shop.floor", Type: matcher.MetaNumber}}},
		Plugins: Plugins{Dir: "p", Active: []string{"a", "b"}, Watch: true, Settings: map[string]any{
			"a": map[string]any{"n": 1, "deep": []any{"x", 1.5, nil, true}},
		}, Override: map[string]*lua.Override{
			"a": {
				Order: &order, Cost: &cost, Log: &debug, Memory: 64 << 20,
				When: lua.When{
					Lists: []matcher.ID{matcher.MustID("aa000000-0000-0000-0000-000000000001")}, Origins: []matcher.Origin{matcher.Events},
					Accounts: []matcher.ID{matcher.MustID("bb000000-0000-0000-0000-000000000001")}, Routes: []string{"POST:/matcher/faces"},
				},
			},
			"b": {},
		}},
		Matchers: Matchers{Memory: Memory{1.5}, Remote: []Remote{{
			Name: "east", URL: "https://h:1/x", Cost: 2, Timeout: 500 * time.Millisecond, Origins: []matcher.Origin{matcher.Events},
			Lists: []matcher.ID{matcher.MustID("aa000000-0000-0000-0000-000000000001")}, MaxInflight: 3,
		}}},
		Limits: Limits{
			BodyBytes: 2 << 30, LineBytes: 2048, HeaderBytes: 4 << 10, ConnectionsPerAddress: 7, References: 1, Candidates: 2, RawCandidates: 3, Result: 4, Offset: 9, FilterValues: 5, CrossMatch: 6,
			Memory: 10_000_000, RequestTimeout: 90 * time.Second,
		},
		Log:        Log{Level: slog.LevelDebug, Format: "json"},
		Monitoring: Monitoring{Service: "gate"},
		Access:     Default().Access,
		Audit:      Default().Audit,
		File:       c.File, Sources: c.Sources,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}

	// Reading the printed configuration gives the same configuration.
	text, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again := read(t, string(text))
	again.File, again.Sources = c.File, c.Sources
	if diff := cmp.Diff(c, again); diff != "" {
		t.Error(diff)
	}

	// Reading the versions in the JSON of GET /config gives the same versions.
	data, err := json.Marshal(c.Map())
	if err != nil {
		t.Fatal(err)
	}
	var shown struct {
		Descriptors struct{ Versions any }
	}
	if err := json.Unmarshal(data, &shown); err != nil {
		t.Fatal(err)
	}
	versions, err := Versions(shown.Descriptors.Versions)
	if diff := cmp.Diff(c.Descriptors.Versions, versions); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestLaterWins(t *testing.T) {
	path := writeFile(t, "listen: 127.0.0.1:1\ndata_dir: file\nworkers: 1\nplugins: {settings: {a: {x: 1}, b: {}}}")
	c, _, err := Read(path, []string{
		"NEARSIDE_DATA_DIR=env", "NEARSIDE_WORKERS=2", `NEARSIDE_PLUGINS_SETTINGS={"a":{"y":"1"}}`,
		"NEARSIDE_LIMITS_BODY_BYTES=1KiB", "OTHER=1",
	}, map[string]any{"data_dir": "flag"})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Listen, c.DataDir, c.Workers, c.Limits.BodyBytes, c.Plugins.Settings}
	want := []any{"127.0.0.1:1", "flag", 2, int64(1024), map[string]any{"a": map[string]any{"y": "1"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDefaultFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if c, _, err := Read("", nil, nil); err != nil || c.File != "" {
		t.Error(c.File, err)
	}
	if _, _, err := Read(DefaultFile, nil, nil); err == nil {
		t.Error("a file that does not exist was accepted")
	}
	if err := os.WriteFile(DefaultFile, []byte("workers: 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, _, err := Read("", nil, nil); err != nil || c.Workers != 7 || c.File != DefaultFile {
		t.Error(c.Workers, c.File, err)
	}
}

// TestNothingGiven checks that empty files and keys without values give the defaults.
func TestNothingGiven(t *testing.T) {
	for _, text := range []string{"", "# only a comment", "---\n", "limits:\nlog:\n  level:\nplugins: {active: , settings: }\n"} {
		c := read(t, text)
		c.File, c.Sources = "", nil
		if diff := cmp.Diff(Default(), c); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestPluginNames(t *testing.T) {
	check := func(want string, env ...string) {
		t.Helper()
		c, _, err := Read(writeFile(t, "plugins: {active: [file]}"), env, nil)
		if got := strings.Join(c.Plugins.Active, " "); err != nil || got != want {
			t.Errorf("%q %v, want %q", got, err, want)
		}
	}
	check("file")
	check("a b", "NEARSIDE_PLUGINS_ACTIVE=a.lua, b")
	check("a b", `NEARSIDE_PLUGINS_ACTIVE=["a", "b.lua"]`)
	check("", "NEARSIDE_PLUGINS_ACTIVE=")
	check("a", "NEARSIDE_ACTIVE_PLUGINS=a", "LUNA_MATCHER_PROXY_ACTIVE_PLUGINS=b")
	check("b", "LUNA_PYTHON_MATCHER_ACTIVE_PLUGINS=c", "LUNA_MATCHER_PROXY_ACTIVE_PLUGINS=b")
	check("c", "LUNA_PYTHON_MATCHER_ACTIVE_PLUGINS=c")
	check("x", "NEARSIDE_ACTIVE_PLUGINS=a", "NEARSIDE_PLUGINS_ACTIVE=x")
}

func TestWarnings(t *testing.T) {
	c, warnings, err := Read(writeFile(t, "plugins: {active: [a, a.lua, b]}"), []string{"NEARSIDE_LISTN=x", "NEARSIDE_SERVICE_HOST=1", "NEARSIDE=1", "NEARSIDE_URL=http://h"}, nil)
	want := []string{
		"environment: NEARSIDE_LISTN is not a known setting; did you mean NEARSIDE_LISTEN?",
		"environment: NEARSIDE_SERVICE_HOST is not a known setting",
		`plugins.active: "a" is listed twice; it is activated once`,
	}
	if diff := cmp.Diff(want, warnings); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, c.Plugins.Active); diff != "" {
		t.Error(diff)
	}
}
