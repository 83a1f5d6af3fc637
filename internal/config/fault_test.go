package config

import (
	"fmt"
	"strings"
	"testing"
)

// faultsOf reads text and env, and returns the lines of the error without
// the name of the file.
func faultsOf(t *testing.T, text string, env []string, flags map[string]any) []string {
	t.Helper()
	path := write(t, text)
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
		`--data-dir: data_dir: "" is empty or has a zero byte`,
		"workers: -1 is not a whole number in 0..1024",
		`NEARSIDE_SIMD: simd: "sse" is not one of auto, generic, avx2, avx512`,
		`descriptors.versions[0].type: "hand" is not one of face, body`,
		"descriptors.versions[0].length: 0 is not a whole number in 1..16384",
		"descriptors.versions[0].similarity: is missing",
		"descriptors.versions[0].shape: is not a known key",
		`limits.body_bytes: "64Mib" is not a size: a number of bytes, or one with a unit like 64MiB`,
		"limits.result: 0 is not a whole number in 1..100000000",
		`log.level: "loud" is not one of debug, info, warn, error`,
	}
	for _, line := range want {
		found := 0
		for _, l := range got {
			if l == line {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d times: %s", found, line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d faults instead of %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
}

func TestFaults(t *testing.T) {
	check := func(text, want string) {
		t.Helper()
		got := faultsOf(t, text, nil, nil)
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%q, want one of %q", got, want)
		}
	}
	check("limits: 5", "limits: 5 is not a map")
	check("limits.memory: 5", "limits.memory: is not a known key") // a dotted name is no path
	check("limits: {1: 2}", "limits.1: is not a known key")
	check("[a]", "cannot unmarshal")
	check("a: 1\na: 2", "already defined")
	check("a: [", "yaml")
	check("workers: 1\n---\nworkers: 2", "second YAML document")
	check("workers: 1.5", "workers: 1.5 is not a whole number")
	check("workers: many", `workers: "many" is not`)
	check("workers: 99999999999999999999", "workers: ")
	check("insecure: yes", `insecure: "yes" is not true or false`)
	check("data_dir: 5", "data_dir: 5 is not a text")
	check("events: {retention: 30}", "30 is not a duration")
	check("events: {retention: -3d}", `"-3d" is not a duration`)
	check("events: {retention: 1d-2h}", "is not a duration")
	check("limits: {memory: -1}", "limits.memory: -1 is not in 0..1024TiB")
	check("limits: {memory: 99999999TiB}", "is not a size")
	check("limits: {request_timeout: 0}", "limits.request_timeout: 0 is not in 1ms..1d")
	check("matchers: {memory: {cost: .nan}}", "matchers.memory.cost: NaN is not a finite number")
	check("matchers: {memory: {cost: -1}}", "-1 is below 0")
	check("plugins: {settings: {a: [.inf]}}", "plugins.settings.a[0]: is not a finite number")
	check("plugins: {settings: {a: 2020-01-01}}", "plugins.settings.a: is a time.Time")
	check("plugins: {active: [1]}", "plugins.active[0]: 1 is not a text")
	check("events: {meta_fields: [{path: a, type: number}, {path: a, type: string}]}", `events.meta_fields[1].path: "a" is there twice`)
	check("events: {meta_fields: [{path: a, type: date}]}", `events.meta_fields[0].type: "date" is not one of number, string, boolean`)
	check("events: {meta_fields: [{path: a..b, type: number}]}", `events.meta_fields[0].path: "a..b" has an empty name`)
	var many []string
	for i := range 17 {
		many = append(many, fmt.Sprintf("{path: p%d, type: number}", i))
	}
	check("events: {meta_fields: ["+strings.Join(many, ", ")+"]}", "events.meta_fields: 17 are more than 16")

	const remote = "matchers: {remote: [{name: %N, url: %U}]}"
	with := func(name, url string) string { return strings.NewReplacer("%N", name, "%U", url).Replace(remote) }
	check(with("memory", "http://h"), `matchers.remote[0].name: "memory" is the name of another matcher`)
	check(with("a", "ftp://h"), `matchers.remote[0].url: "ftp://h" is not a URL`)
	check(with("a", "http://"), "is not a URL")
	check(with("a", "'ftp://me:pass@h'"), `"ftp://***@h" is not a URL`)
	checkRemoteFaults(check)

	version := func(rest string) string {
		return "descriptors: {versions: [{" + rest + ", similarity: {midpoint: 1, steepness: 1}}]}"
	}
	check(version("number: 1, type: face, encoding: uint8, length: 2, metric: cosine"), "descriptors.versions[0].metric: uint8 descriptors are always l2")
	check(version("number: 1, type: face, encoding: float32, length: 2, scale: 3"), "descriptors.versions[0].scale: only uint8")
	check(version("number: 59, type: face, encoding: uint8, length: 2"), "descriptors.versions[0].number: 59 is built in as face, uint8, length 512")
	check(version("number: 0, type: face, encoding: uint8, length: 2"), "descriptors.versions[0].number: 0 is not")
	check("descriptors: {versions: [{number: 1, type: face, encoding: uint8, length: 2, similarity: {midpoint: 1, steepness: 0}}]}",
		"descriptors.versions[0].similarity.steepness: 0 is not above 0")
	one := "{number: 1, type: face, encoding: uint8, length: 2, similarity: {midpoint: 1, steepness: 1}}"
	check("descriptors: {versions: ["+one+", "+one+"]}", "descriptors.versions[1].number: 1 is there twice")
}

// checkRemoteFaults: every key of a remote, with path and value.
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
	check("matchers: {remote: [{name: a, url: 'http://h'}, {name: a, url: 'http://g'}]}", path+`name: "a" is the name of another matcher`)
	for _, name := range []string{"a b", "a,b", "é", "a\"b", "a/b", strings.Repeat("x", 65)} {
		check("matchers: {remote: [{name: '"+name+"', url: 'http://h'}]}", "is not 1..64 letters, digits, dots, dashes and underscores")
	}
	for _, url := range []string{"h", "h:80", "//h", "http:", "http://h?x=1", "http://h/p#f", "http://h:port", "unix:///s", "http://%zz"} {
		check("matchers: {remote: [{name: a, url: '"+url+"'}]}", fmt.Sprintf("matchers.remote[0].url: %q is not a URL like http://host:port", url))
	}
	check("matchers: {remote: [{name: a, url: 'http://me:secret@h:port'}]}", `url: "http://***@h:port" is not a URL`)
	check(remote("weight: 1"), path+"weight: is not a known key")
	check(remote("list: []"), path+"list: is not a known key; did you mean lists?")
	check(remote("cost: -1"), path+"cost: -1 is below 0")
	check(remote("cost: .inf"), path+"cost: +Inf is not a finite number")
	check(remote("cost: low"), path+`cost: "low" is not a finite number`)
	check(remote("timeout: -1s"), path+`timeout: "-1s" is not in 0..1d`)
	check(remote("timeout: 5"), path+"timeout: 5 is not a duration")
	check(remote("timeout: 2d"), path+`timeout: "2d" is not in 0..1d`)
	check(remote("origins: [faces, people]"), path+`origins[1]: "people" is not one of faces, events, attributes`)
	check(remote("origins: faces"), path+"origins: ")
	check(remote("origins: [faces, events, faces]"), path+`origins[2]: "faces" is there twice`)
	check(remote("lists: [x]"), path+`lists[0]: "x" is not a UUID`)
	check(remote("lists: [5]"), path+"lists[0]: 5 is not a text")
	check(remote("lists: ["+list+", "+strings.ToUpper(list)+"]"), path+`lists[1]: "`+list+`" is there twice`)
	check(remote("max_inflight: 0"), path+"max_inflight: 0 is not a whole number in 1..65536")
	check(remote("max_inflight: 65537"), path+"max_inflight: 65537 is not")
}

func TestListen(t *testing.T) {
	check := func(listen, want string) {
		t.Helper()
		got := strings.Join(faultsOf(t, "listen: '"+listen+"'", nil, nil), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", listen, got, want)
		}
		if want == "other machines" { // and then insecure allows it
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
	check("127.0.0.1", "is not host:port")
	check("127.0.0.1:65536", "is not in 0..65535")
	check("127.0.0.1:http", "is not in 0..65535")
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
			t.Errorf("%s is shown in\n%s", secret, text)
		}
	}
	for _, plain := range []string{"seven", "redis://***@h:1/0", "amqp://***@h/?access_token=***&x=1", "http://***@h"} {
		if !strings.Contains(string(text), plain) {
			t.Errorf("%s is not shown in\n%s", plain, text)
		}
	}
	if c.Matchers.Remote[0].URL != "http://u:eight@h" || c.Plugins.Settings["a"].(map[string]any)["Password"] != "one" {
		t.Error("masking changed the configuration itself")
	}
	_, _, err = Read(write(t, ""), []string{`NEARSIDE_PLUGINS_SETTINGS={"password": "secret`}, nil)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nlimits: {memory: 1MiB}", "1")
	f.Add("descriptors: {versions: [{number: 1, type: face}]}", "[{}]")
	f.Add("a: &a [*a]", "{")
	f.Fuzz(func(t *testing.T, file, env string) {
		c, _, err := Read(write(t, file), []string{"NEARSIDE_DESCRIPTORS_VERSIONS=" + env, "NEARSIDE_LIMITS_MEMORY=" + env, "NEARSIDE_EVENTS_RETENTION=" + env}, nil)
		if err != nil {
			return
		}
		if _, err := c.YAML(); err != nil { // whatever is accepted can be shown
			t.Error(err)
		}
	})
}
