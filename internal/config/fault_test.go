package config

import (
	"fmt"
	"strings"
	"testing"
)

// faultsOf reads text, env and flags, and returns the lines of the error without the
// name of the file.
func faultsOf(t *testing.T, text string, env []string, flags map[string]any) []string {
	t.Helper()
	path := writeFile(t, text)
	_, _, err := Read(path, env, flags)
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], path+": ")
	}
	return lines
}

func TestAllFaultsAtOnce(t *testing.T) {
	got := faultsOf(t, `
lissten: 1
workers: -1
limits: {body_bytes: 64Mib, result: 0, max: 1}
log: {level: loud}
descriptors: {versions: [{number: 1001, type: hand, encoding: uint8, length: 0, shape: 1}]}
`, []string{"NEARSIDE_SIMD=sse"}, map[string]any{"data_dir": ""})
	want := []string{
		"limits.max: is not a known key",
		"lissten: is not a known key; did you mean listen?",
		`--data-dir: data_dir: must be text without zero bytes and must not be empty, got ""`,
		"workers: must be an integer from 0 to 1024, got -1",
		`NEARSIDE_SIMD: simd: must be one of auto, generic, avx2, avxvnni, avx512, amx, neon, neon-dotprod, neon-i8mm, got "sse"`,
		`descriptors.versions[0].type: must be one of face, body, got "hand"`,
		"descriptors.versions[0].length: must be an integer from 1 to 16384, got 0",
		"descriptors.versions[0].shape: is not a known key",
		`limits.body_bytes: must be a size, a number of bytes or one with a unit such as 64MiB, got "64Mib"`,
		"limits.result: must be an integer from 1 to 1000000, got 0",
		`log.level: must be one of debug, info, warn, error, got "loud"`,
	}
	for _, line := range want {
		found := 0
		for _, l := range got {
			if l == line {
				found++
			}
		}
		if found != 1 {
			t.Errorf("reported %d times, want once: %s", found, line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
}

func TestFaults(t *testing.T) {
	check := func(text, want string) {
		t.Helper()
		got := faultsOf(t, text, nil, nil)
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%q, want one fault with %q", got, want)
		}
	}
	check("limits: 5", "limits: must be a map, got 5")
	check("limits.memory: 5", "limits.memory: is not a known key") // a name with a dot is not a path
	check("limits: {1: 2}", "limits.1: is not a known key")
	check("[a]", "cannot unmarshal")
	check("a: 1\na: 2", "already defined")
	check("a: [", "yaml")
	check("workers: 1\n---\nworkers: 2", "must have one YAML document")
	check("workers: 1.5", "workers: must be an integer")
	check("workers: many", `workers: must be an integer from 0 to 1024, got "many"`)
	check("workers: 99999999999999999999", "workers: ")
	check("insecure: yes", `insecure: must be true or false, got "yes"`)
	check("data_dir: 5", "data_dir: must be text, got 5; put it in quotes")
	check("events: {retention: 30}", "events.retention: must be a duration such as 500ms, 60s or 30d, got 30")
	check("events: {retention: -3d}", `events.retention: must be a duration such as 500ms, 60s or 30d, got "-3d"`)
	check("events: {retention: 1d-2h}", "events.retention: must be a duration such as 500ms, 60s or 30d, got \"1d-2h\"")
	check("limits: {memory: -1}", "limits.memory: must be a size from 0 to 1024TiB, got -1")
	check("limits: {memory: 99999999TiB}", "limits.memory: must be a size, a number of bytes or one with a unit such as 64MiB, got \"99999999TiB\"")
	check("limits: {request_timeout: 0}", "limits.request_timeout: must be a duration from 1ms to 1d, got 0")
	check("matchers: {memory: {cost: .nan}}", "matchers.memory.cost: must be a finite number, got NaN")
	check("matchers: {memory: {cost: -1}}", "matchers.memory.cost: must be at least 0, got -1")
	check("plugins: {settings: {a: [.inf]}}", "plugins.settings.a[0]: must be a finite number")
	check("plugins: {settings: {a: 2020-01-01}}", "plugins.settings.a: must be text, got a date or time; put it in quotes")
	check("plugins: {settings: {a: [[{1: 2}]]}}", "plugins.settings.a[0][0]: must be a map whose keys are text; put the keys in quotes")
	check("plugins: {override: [a]}", "plugins.override: must be a map, got [a]")
	check("plugins: {override: {a: 5}}", "plugins.override.a: must be a map, got 5")
	check("plugins: {override: {a: {ordr: 5}}}", "plugins.override.a.ordr: is not a known key; did you mean order?")
	check("plugins: {override: {a: {order: 1.5}}}", "plugins.override.a.order: must be an integer from -1000000 to 1000000, got 1.5")
	check("plugins: {override: {a: {cost: -1}}}", "plugins.override.a.cost: must be at least 0, got -1")
	check("plugins: {override: {a: {log: loud}}}", `plugins.override.a.log: must be one of debug, info, warn, error, got "loud"`)
	check("plugins: {override: {a: {limits: {memory: 1KiB}}}}", "plugins.override.a.limits.memory: must be a size from 1MiB to 1TiB, got \"1KiB\"")
	check("plugins: {override: {a: {limits: {slice: 1}}}}", "plugins.override.a.limits.slice: is not a known key")
	check("plugins: {override: {a: {when: {origins: [face]}}}}", `plugins.override.a.when.origins[0]: must be one of faces, events, attributes, got "face"`)
	check("plugins: {override: {a: {when: {routes: [/1/matcher]}}}}", `plugins.override.a.when.routes[0]: must be one of POST:/matcher/faces, POST:/matcher/bodies, POST:/matcher, POST:/matcher/raw, POST:/crossmatcher/faces, POST:/crossmatcher/bodies, got "/1/matcher"`)
	check("plugins: {override: {a: {when: {routes: ['POST:/matcher', 'POST:/matcher/face']}}}}", `plugins.override.a.when.routes[1]: must be one of POST:/matcher/faces, POST:/matcher/bodies, POST:/matcher, POST:/matcher/raw, POST:/crossmatcher/faces, POST:/crossmatcher/bodies, got "POST:/matcher/face"`)
	check("plugins: {active: [1]}", "plugins.active[0]: must be text, got 1; put it in quotes")
	check("events: {meta_fields: [{path: a, type: number}, {path: a, type: string}]}", `events.meta_fields[1].path: "a" is given twice`)
	check("events: {meta_fields: [{path: a, type: date}]}", `events.meta_fields[0].type: must be one of number, string, boolean, got "date"`)
	check("events: {meta_fields: [{path: a..b, type: number}]}", `events.meta_fields[0].path: must not have an empty name, got "a..b"`)
	var many []string
	for i := range 17 {
		many = append(many, fmt.Sprintf("{path: p%d, type: number}", i))
	}
	check("events: {meta_fields: ["+strings.Join(many, ", ")+"]}", "events.meta_fields: must have at most 16 items, got 17")

	const remote = "matchers: {remote: [{name: %N, url: %U}]}"
	with := func(name, url string) string { return strings.NewReplacer("%N", name, "%U", url).Replace(remote) }
	check(with("memory", "http://h"), `matchers.remote[0].name: "memory" is already the name of another matcher`)
	check(with("a", "ftp://h"), `matchers.remote[0].url: must be a URL such as http://host:port, got "ftp://h"`)
	check(with("a", "http://"), "matchers.remote[0].url: must be a URL such as http://host:port, got \"http://\"")
	check(with("a", "'ftp://me:pass@h'"), `matchers.remote[0].url: must be a URL such as http://host:port, got "ftp://***@h"`)
	checkRemoteFaults(check)

	version := func(rest string) string {
		return "descriptors: {versions: [{" + rest + ", similarity: {midpoint: 1, steepness: 1}}]}"
	}
	check(version("number: 1, type: face, encoding: uint8, length: 2, metric: cosine"), "descriptors.versions[0].metric: must be l2 for uint8 descriptors, got cosine")
	check(version("number: 1, type: face, encoding: float32, length: 2, scale: 3"), "descriptors.versions[0].scale: must not be given for float32 descriptors")
	check(version("number: 59, type: face, encoding: uint8, length: 2"), "descriptors.versions[0].number: 59 is built in as face, uint8, length 512")
	check(version("number: 0, type: face, encoding: uint8, length: 2"), "descriptors.versions[0].number: must be an integer from 1 to 4294967295, got 0")
	check("descriptors: {versions: [{number: 1, type: face, encoding: uint8, length: 2, similarity: {midpoint: 1}}]}",
		"descriptors.versions[0].similarity.steepness: is missing")
	check("descriptors: {versions: [{number: 1, type: face, encoding: uint8, length: 2, similarity: {midpoint: 1, steepness: 0}}]}",
		"descriptors.versions[0].similarity.steepness: must be above 0, got 0")
	one := "{number: 1, type: face, encoding: uint8, length: 2, similarity: {midpoint: 1, steepness: 1}}"
	check("descriptors: {versions: ["+one+", "+one+"]}", "descriptors.versions[1].number: 1 is given twice")
}

// checkRemoteFaults checks the faults of every key of a remote.
func checkRemoteFaults(check func(text, want string)) {
	remote := func(rest string) string {
		return "matchers: {remote: [{name: a, url: 'http://h'}, {name: b, url: 'http://h', " + rest + "}]}"
	}
	const path = "matchers.remote[1]."
	list := "aa000000-0000-0000-0000-000000000001"
	check("matchers: {remote: [{name: a}]}", "matchers.remote[0].url: is missing")
	check("matchers: {remote: [{url: 'http://h'}]}", "matchers.remote[0].name: is missing")
	check("matchers: {remote: {name: a}}", "matchers.remote: ")
	check("matchers: {remote: [a]}", "matchers.remote[0]: ")
	check("matchers: {remote: [{name: a, url: 'http://h'}, {name: a, url: 'http://g'}]}", path+`name: "a" is already the name of another matcher`)
	for _, name := range []string{"a b", "a,b", "é", "a\"b", "a/b", strings.Repeat("x", 65)} {
		check("matchers: {remote: [{name: '"+name+"', url: 'http://h'}]}", "must be 1 to 64 letters, digits, dots, dashes and underscores")
	}
	for _, url := range []string{"h", "h:80", "//h", "http:", "http://h?x=1", "http://h/p#f", "http://h:port", "unix:///s", "http://%zz"} {
		check("matchers: {remote: [{name: a, url: '"+url+"'}]}", fmt.Sprintf("matchers.remote[0].url: must be a URL such as http://host:port, got %q", url))
	}
	check("matchers: {remote: [{name: a, url: 'http://me:secret@h:port'}]}", `matchers.remote[0].url: must be a URL such as http://host:port, got "http://***@h:port"`)
	check(remote("weight: 1"), path+"weight: is not a known key")
	check(remote("list: []"), path+"list: is not a known key; did you mean lists?")
	check(remote("cost: -1"), path+"cost: must be at least 0, got -1")
	check(remote("cost: .inf"), path+"cost: must be a finite number, got +Inf")
	check(remote("cost: low"), path+`cost: must be a finite number, got "low"`)
	check(remote("timeout: -1s"), path+`timeout: must be a duration from 0 to 1d, got "-1s"`)
	check(remote("timeout: 5"), path+"timeout: must be a duration such as 500ms, 60s or 30d, got 5")
	check(remote("timeout: 2d"), path+`timeout: must be a duration from 0 to 1d, got "2d"`)
	check(remote("origins: [faces, people]"), path+`origins[1]: must be one of faces, events, attributes, got "people"`)
	check(remote("origins: faces"), path+"origins: ")
	check(remote("origins: [faces, events, faces]"), path+`origins[2]: "faces" is given twice`)
	check(remote("lists: [x]"), path+`lists[0]: must be a UUID, got "x"`)
	check(remote("lists: [5]"), path+"lists[0]: must be text, got 5; put it in quotes")
	check(remote("lists: ["+list+", "+strings.ToUpper(list)+"]"), path+`lists[1]: "`+list+`" is given twice`)
	check(remote("max_inflight: 0"), path+"max_inflight: must be an integer from 1 to 65536, got 0")
	check(remote("max_inflight: 65537"), path+"max_inflight: must be an integer from 1 to 65536, got 65537")
}

func TestListen(t *testing.T) {
	check := func(listen, want string) {
		t.Helper()
		got := strings.Join(faultsOf(t, "listen: '"+listen+"'", nil, nil), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", listen, got, want)
		}
		if want == "other machines" { // insecure allows this address
			read(t, "insecure: true\nlisten: '"+listen+"'")
		}
	}
	check("127.0.0.1:0", "")
	check("127.8.9.1:65535", "")
	check("localhost:1", "")
	check("[::1]:1", "")
	check("[::ffff:127.0.0.1]:1", "")
	check("0.0.0.0:1", "other machines")
	check(":5110", "other machines")
	check("[::]:1", "other machines")
	check("example.org:1", "other machines")
	check("localhost.example.org:1", "other machines")
	check("127.0.0.1", "must be host:port")
	check("127.0.0.1:65536", "must have a port from 0 to 65535")
	check("127.0.0.1:http", "must have a port from 0 to 65535")
}

func TestMasking(t *testing.T) {
	c := read(t, `
plugins:
  settings:
    a: {Password: one, api_key: {deep: two}, tokens: [three], url: "redis://user:fo@ur/x@h:1/0", list: ["amqp://five@h/?access_token=six&x=1"], keep: seven}
matchers: {remote: [{name: r, url: "http://u:eight@h"}]}
`)
	text, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"one", "two", "three", "user", "fo@", "ur/x", "five", "six", "eight"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s is not masked in\n%s", secret, text)
		}
	}
	for _, kept := range []string{"seven", "redis://***@h:1/0", "amqp://***@h/?access_token=***&x=1", "http://***@h"} {
		if !strings.Contains(string(text), kept) {
			t.Errorf("%s is missing in\n%s", kept, text)
		}
	}
	if c.Matchers.Remote[0].URL != "http://u:eight@h" || c.Plugins.Settings["a"].(map[string]any)["Password"] != "one" {
		t.Error("masking changed the configuration itself")
	}
	_, _, err = Read(writeFile(t, ""), []string{`NEARSIDE_PLUGINS_SETTINGS={"password": "secret`}, nil)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nlimits: {memory: 1MiB}", "1")
	f.Add("descriptors: {versions: [{number: 1, type: face}]}", "[{}]")
	f.Add("a: &a [*a]", "{")
	f.Fuzz(func(t *testing.T, file, env string) {
		c, _, err := Read(writeFile(t, file), []string{"NEARSIDE_DESCRIPTORS_VERSIONS=" + env, "NEARSIDE_LIMITS_MEMORY=" + env, "NEARSIDE_EVENTS_RETENTION=" + env}, nil)
		if err != nil {
			return
		}
		if _, err := c.YAML(); err != nil { // every accepted configuration can be shown
			t.Error(err)
		}
	})
}
