package trial

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"nearside/lua"
)

const cookbook = "../../plugins/cookbook"

// cookbookMutations has the mutations of the recipes in plugins/cookbook, by file.
var cookbookMutations = map[string][]mutation{
	"background_sample.lua": {
		{"another status", `return 418`, `return 200`},
		{"it boils on", `math.min(100, self.temperature + 1)`, `self.temperature + 2`},
	},
	"dead_letters.lua": {
		{"a refused entry is repeated", `return "dead", "status "`, `return "retry", "status "`},
		{"it does not wait as long as it should", `return { retry = tonumber(answer.headers["retry-after"]) or 30 }`, `return "retry"`},
		{"dead letters are deleted without being added again", `if #args > 0 then assert`, `if false then assert`},
		{"a letter keeps the reason", `if fields[i] == "job" then`, `if true then`},
		{"a failure is acknowledged", `return "retry", "status "`, `return "ack", "status "`},
	},
	"directory.lua": {
		{"persons without a department are asked for each time", `found[id] or false, 300`, `found[id], 300`},
		{"a person is asked for twice", `not asked[id] and `, ``},
		{"departments are cached for ever", `found[id] or false, 300`, `found[id] or false`},
	},
	"leader.lua": {
		{"it reports without the lease", `    won = function()`, `    won = function() end, _ = ns.spawn(function() report() end) and function()`},
		{"it reports once", `ns.sleep(60)`, `ns.sleep(6000)`},
	},
	"monitoring_sample.lua": {
		{"a bucket that exists is a fault", ` and answer.status ~= 409`, ``},
		{"a refused point is not logged", `or answer.status ~= 201 then`, `then`},
	},
	"persons.lua": {
		{"persons of all accounts are shown", `or req.query.account_id`, ``},
		{"the account of the key is ignored", `bound.account_id or req`, `req`},
		{"keys that are bound to lists see all faces", `if bound.lists then return nil end`, ``},
		{"keys that may read may delete", `{ role = "write" }`, `{ role = "read" }`},
		{"a person without faces exists", `if #faces == 0 then return 404`, `if #faces == 0 then return 200`},
	},
	"quota.lua": {
		{"all keys share a quota", `(req.key or "nobody")`, `"all"`},
		{"the quota is never over", `ns.kv.add(counter, 0, 60)`, `ns.kv.add(counter, 0)`},
		{"one match more is allowed", `> conf.matches then`, `> conf.matches + 1 then`},
		{"forwarded requests count", `if req.forwarded then return end`, ``},
		{"the status is another", `ns.reject(429`, `ns.reject(403`},
	},
	"signed_webhook.lua": {
		{"the time is not signed", `time .. "." .. body`, `body`},
		{"a repeated request has the old signature", `(ns.now())`, `(0)`},
		{"events are lost when the receiver is down", `return false, "status " .. answer.status`, `return true`},
	},
}

// TestCookbook: the recipes in plugins/cookbook have no faults, pass their tests and are
// short. Their tests fail when a fault is put into the recipe.
func TestCookbook(t *testing.T) {
	names, err := lua.TestedPlugins(os.DirFS(cookbook))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(cookbook + "/*.lua")
	if err != nil || len(files) != 2*len(names) || len(names) != len(cookbookMutations) {
		t.Fatalf("%d files, %d tested recipes, %d with mutations, %v", len(files), len(names), len(cookbookMutations), err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			o := lua.Options{Dir: cookbook}
			if err := lua.Check(t.Context(), o, name); err != nil {
				t.Error(err)
			}
			tests := 0
			err := Run(t.Context(), o, name, func(r Result) {
				if tests++; r.Fault != "" {
					t.Errorf("%s: %s", r.Name, r.Fault)
				}
			})
			if err != nil || tests < 2 {
				t.Errorf("%d tests ran, error %v; want at least 2 tests", tests, err)
			}
			file := name + ".lua"
			if n := strings.Count(readFile(t, filepath.Join(cookbook, file)), "\n"); n > 60 {
				t.Errorf("the recipe has %d lines, want at most 60", n)
			}
			for _, m := range cookbookMutations[file] {
				t.Run(m.name, func(t *testing.T) {
					wantNoticed(t, mutatedFolder(t, os.DirFS(cookbook), name, file, m), name)
				})
			}
			if n := len(cookbookMutations[file]); n < 2 {
				t.Errorf("%d mutations, want at least 2", n)
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCookbookDocument: docs/cookbook.md has twelve recipes. Each block of Lua in it is a part
// of the plugin that the recipe links, and every file of plugins/cookbook is in a document.
func TestCookbookDocument(t *testing.T) {
	text := readFile(t, "../../docs/cookbook.md")
	recipes := regexp.MustCompile(`(?m)^## \d+\. `).Split(text, -1)[1:]
	if len(recipes) != 12 {
		t.Errorf("%d recipes, want 12", len(recipes))
	}
	link := regexp.MustCompile(`\]\(\.\./plugins/([a-z_/]+\.lua)\)`)
	for _, recipe := range recipes {
		title, _, _ := strings.Cut(recipe, "\n")
		links := link.FindAllStringSubmatch(recipe, -1)
		blocks := luaBlock.FindAllStringSubmatch(recipe, -1)
		if len(links) == 0 || len(blocks) == 0 {
			t.Errorf("%s: %d links to a plugin, %d blocks of Lua", title, len(links), len(blocks))
			continue
		}
		var sources strings.Builder
		for _, l := range links {
			sources.WriteString(readFile(t, "../../plugins/"+l[1]))
		}
		for _, b := range blocks {
			if !strings.Contains(sources.String(), b[1]) {
				t.Errorf("%s: the block is not a part of the plugin:\n%s", title, b[1])
			}
		}
	}
	all := text + readFile(t, "../../docs/plugins.md")
	for file := range cookbookMutations {
		if !strings.Contains(all, readFile(t, filepath.Join(cookbook, file))) {
			t.Errorf("no document has plugins/cookbook/%s", file)
		}
	}
}
