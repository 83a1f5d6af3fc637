package trial

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"nearside/lua"
	"nearside/plugins"
)

// A mutation is a fault that is put into a plugin on purpose: a text of its source, which
// must occur once, and what replaces it.
type mutation struct{ name, text, replacement string }

// mutations has the mutations by source file of the folder plugins.
var mutations = map[string][]mutation{
	"adults_only.lua": {
		{"children pass", `">=", age`, `"<=", age`},
		{"the minimum age itself does not pass", `">=", age`, `">", age`},
		{"an age of 0 is allowed", `minimum = 1`, `minimum = 0`},
	},
	"clickhouse.lua": {
		{"a repeated batch has a new token", `if rows[1] ~= first then`, `if true then`},
		{"a later batch has the token of the batch before it", "  first = nil\n", ""},
		{"a refused batch is repeated", `answer.status >= 500 or`, `answer.status >= 400 or`},
		{"a batch is not repeated after a failure of the server", `answer.status >= 500 or`, `answer.status >= 600 or`},
		{"no texts are a list", `texts = ns.json.object(texts)`, `texts = ns.json.array(texts)`},
	},
	"consent.lua": {
		{"a change of the set is not seen", `if current ~= version then`, `if not version then`},
		{"an old list is used for ever", `ns.kv.set("version", ns.hash.sha256(ns.json.encode(ids)), conf.stale)`, `ns.kv.set("version", ns.hash.sha256(ns.json.encode(ids)))`},
		{"everybody passes", `return set:one_of("external_id", list)`, `return set`},
		{"without a list, everybody passes", `if not current then error`, `if not current then return set end if not current then error`},
	},
	"expire_faces.lua": {
		{"new faces are deleted", `create_time__lt =`, `create_time__gte =`},
		{"faces of other lists are deleted", `, lists = conf.lists }`, ` }`},
		{"faces of other accounts are deleted", `account_id = conf.account_id,`, ``},
		{"a dry run deletes", `if conf.dry_run then`, `if not conf then`},
		{"a failure is not repeated", `failed = not n`, `failed = false`},
		{"the zone is ignored", `ns.cron(conf.cron, conf.zone, sweep)`, `ns.cron(conf.cron, nil, sweep)`},
	},
	"influx.lua": {
		{"spaces are not escaped", `([,= \\])`, `([,=\\])`},
		{"quotes are not escaped", `(["\\])`, `([\\])`},
		{"times are in seconds", `p.time * 1000`, `p.time`},
		{"a failed batch is lost", `return false, "status " .. answer.status`, `return true`},
		{"there is no token", `if conf.token ~= "" then`, `if conf.token == "" then`},
	},
	"one_per_person.lua": {
		{"two pictures of each person", `rows:group_by("external_id", 1)`, `rows:group_by("external_id", 2)`},
		{"a higher threshold is lowered", `set.threshold < threshold`, `set.threshold ~= threshold`},
		{"the threshold of events changes", `set.origin == "faces" and `, ``},
		{"nothing is hidden", `:hide(unpack(hidden))`, ``},
		{"pictures are counted after the others were removed", `(pictures[person] or 0) + 1`, `1`},
	},
	"qdrant/init.lua": {
		{"points are taken although others may be as near", `if #points == asked then bound`, `if #points ~= asked then bound`},
		{"too few faces are enough", `or #set:ids(ids) >= wanted`, `or #set:ids(ids) > 0`},
		{"it answers although faces may be missing", `if asked == conf.most then return nil end`, `if asked == conf.most then return {} end`},
		{"it matches other versions", `req.version ~= conf.version or`, ``},
		{"it answers requests with other filters", `if name ~= "list_id" and name ~= "account_id" then return nil end`, ``},
		{"it answers while the collection is behind", `or not collection.in_step() then`, `then`},
	},
	"qdrant/collection.lua": {
		{"the list is ignored", `if filters.list_id then`, `if false then`},
		{"the account of the request is ignored", `req.account_id or filters.account_id`, `filters.account_id`},
		{"the search is not exact", `params = { exact = true }`, `params = { exact = false }`},
		{"points of earlier copies stay", `  call("POST", "/points/delete?wait=true", { filter`, `  local _ = ({ filter`},
		{"deleted faces stay", `elseif face or op ~= "put" then`, `elseif face then`},
		{"changes are lost while Qdrant is down", `behind[id], count = op, count + 1`, `count = count + 0`},
		{"a deleted collection is not created again", `due = 0 -- the collection was deleted`, ``},
		{"the distance of the collection is not checked", ` or vectors.distance ~= "Euclid" then`, ` then`},
	},
	"rabbitmq_events.lua": {
		{"a message that arrives twice stores two events", `event.event_id = event.event_id or id_of(message)`, ``},
		{"a message that is not JSON is acknowledged", `return "dead", "the message is not an event`, `return "ack", "the message is not an event`},
		{"a refused event is acknowledged", `return "retry", err`, `return "ack", err`},
		{"the queue gets every message", `key = conf.key } }`, `key = "#" } }`},
		{"there is no limit of attempts", `attempts = conf.attempts, dead = dead`, `attempts = 1000, dead = dead`},
	},
	"redis_ingest.lua": {
		{"faces are in no list", `face.lists = { conf.list_id }`, ``},
		{"an entry that is not JSON is acknowledged", `{ "dead", fault or`, `{ "ack", fault or`},
		{"a face that is not stored is acknowledged", `ok and "ack" or { "retry", err }`, `"ack"`},
		{"the number of attempts is the default", `, attempts = conf.attempts`, ``},
	},
	"request_monitoring.lua": {
		{"a bucket that exists is a fault", `[201] = true, [409] = true`, `[201] = true`},
		{"points of all series are sent", `if wanted[p.series] then`, `if true then`},
		{"points do not wait while the store is down", `for _, p in ipairs(chosen) do backlog:add(p) end`, ``},
		{"tags are not sent", `tags = p.tags, `, ``},
		{"later points never go directly again", `failing = not done`, `failing = true`},
	},
	"resource_monitor.lua": {
		{"it warns each time", `if high and not warned[name] then`, `if high then`},
		{"it never says that the value is normal", `if warned[name] and not high then`, `if false then`},
		{"the load is that since the start", `last, before = now, ns.monotonic()`, `last, before = last or now, before`},
	},
	"teapot.lua": {
		{"another status", `return 418,`, `return 200,`},
		{"it boils on", `math.min(temperature + ns.conf.step, 100)`, `temperature + ns.conf.step`},
		{"it does not get warmer", `ns.sleep(1)`, `ns.sleep(1000)`},
	},
	"thin_list.lua": {
		{"it answers requests with other filters", `then return nil end
  end`, `then end
  end`},
		{"it answers requests without a list", `if req.filters.list_id then return 10 end`, `return 10`},
		{"it does not decline", `if #set > ns.conf.rows then return nil end`, ``},
		{"only one row is found", `set:scan(req.limit)`, `set:scan(1)`},
	},
	"unknown_person.lua": {
		{"known persons cause alerts", `similarity < conf.similarity`, `similarity >= conf.similarity`},
		{"no match at all is no alert", `not similarity or similarity <`, `similarity and similarity <`},
		{"every event is an alert, however soon", `ns.kv.add("quiet " .. stream, true, conf.quiet)`, `ns.kv.set("quiet " .. stream, true, conf.quiet)`},
		{"all streams are quiet together", `"quiet " .. stream`, `"quiet"`},
		{"the hours are those of UTC", `ns.time.format(time, "%H", conf.zone)`, `ns.time.format(time, "%H")`},
		{"the last hour counts", `hour < conf.to end`, `hour <= conf.to end`},
		{"other sources count", `(#conf.sources == 0 or watched[e.source])`, `true`},
	},
	"watchlist_alert.lua": {
		{"all persons are watched", `(watched[top.external_id] or #conf.external_ids == 0)`, `true`},
		{"similar is enough", `top.similarity >= conf.similarity`, `top.similarity >= 0.4`},
		{"a person is never quiet", `ns.kv.add("seen "`, `ns.kv.set("seen "`},
		{"refused alerts count as sent", `answer.status < 300 and`, `answer.status < 500 and`},
		{"failed alerts are lost", `if not answer then return false, err end`, `if not answer then return true end`},
	},
}

// TestMutations: the tests of each shipped plugin fail when a fault is put into the plugin.
func TestMutations(t *testing.T) {
	all, err := lua.List(t.Context(), lua.Options{Shipped: plugins.Files})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for file, list := range mutations {
		name := strings.TrimSuffix(strings.Split(file, "/")[0], ".lua")
		count[name] += len(list)
		for _, m := range list {
			t.Run(name+"/"+m.name, func(t *testing.T) {
				wantNoticed(t, mutatedFolder(t, plugins.Files, name, file, m), name)
			})
		}
	}
	for _, l := range all {
		if count[l.Name] < 2 {
			t.Errorf("%s has %d mutations, want at least 2", l.Name, count[l.Name])
		}
		delete(count, l.Name)
	}
	for name := range count {
		t.Errorf("%s is not a shipped plugin", name)
	}
}

// mutatedFolder returns a folder with the files of a plugin, of which one has the mutation.
func mutatedFolder(t *testing.T, files fs.FS, name, file string, m mutation) string {
	t.Helper()
	dir, found := t.TempDir(), false
	var names []string
	for _, pattern := range []string{name + ".lua", name + "_test.lua", name + "/*.lua"} {
		more, err := fs.Glob(files, pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, more...)
	}
	for _, one := range names {
		text, err := fs.ReadFile(files, one)
		if err != nil {
			t.Fatal(err)
		}
		source := string(text)
		if one == file {
			found = true
			if n := strings.Count(source, m.text); n != 1 {
				t.Fatalf("%q occurs %d times in %s, want once", m.text, n, file)
			}
			source = strings.Replace(source, m.text, m.replacement, 1)
		}
		if err := os.MkdirAll(filepath.Join(dir, path.Dir(one)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, one), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("there is no file %s", file)
	}
	return dir
}

// wantNoticed checks that a plugin has no fault that shows without running it, and that at
// least one of its tests fails.
func wantNoticed(t *testing.T, dir, name string) {
	t.Helper()
	o := lua.Options{Dir: dir}
	if err := lua.Check(t.Context(), o, name); err != nil {
		t.Fatalf("the mutation is too coarse, because the check of the plugin finds it: %v", err)
	}
	tests, failed := 0, 0
	err := Run(t.Context(), o, name, func(r Result) {
		if tests++; r.Fault != "" {
			failed++
		}
	})
	if err != nil || tests == 0 {
		t.Fatalf("%d tests ran: %v", tests, err)
	}
	if failed == 0 {
		t.Errorf("the %d tests of the plugin pass with this fault", tests)
	}
	if failed == tests {
		t.Logf("all %d tests fail", tests)
	}
}
