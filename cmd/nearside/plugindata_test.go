package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// pluginConfig writes a configuration with plugins, by name, that are active in the order of
// names. It returns the name of the file.
func pluginConfig(t *testing.T, folder string, names ...string) string {
	t.Helper()
	return writeConfig(t, serveConfig+"limits: {process_memory: 0}\nplugins: {dir: "+folder+", active: ["+strings.Join(names, ", ")+"]}\n")
}

// pluginFolder writes plugins, by name, to a folder.
func pluginFolder(t *testing.T, sources map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, source := range sources {
		text := "local ns = require(\"nearside\")\nlocal M = {api = 1, name = \"" + name + "\"}\n" + source + "\nreturn M"
		if err := os.WriteFile(filepath.Join(folder, name+".lua"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// askSource has a route that passes its body to ns.match.
const askSource = `
M.kinds = {"background", "matching"}
function M:prefilter(req, set) return set:where("age", ">", 200) end
function M:start()
  ns.route("POST", "/ask", function(req)
    local answer, err = ns.match(ns.json.decode(req.body))
    if not answer then return 400, {error = err} end
    return 200, answer
  end)
end`

// adultSource keeps objects with an age of at least 18.
const adultSource = `
M.kinds = {"matching"}
function M:prefilter(req, set) return set:where("age", ">=", 18) end`

// storeMatched stores faces and events for matches.
func storeMatched(t *testing.T, p *process) {
	t.Helper()
	var lines, events []string
	for n := range 60 {
		data := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%c%c%014d", n%7, n%5, 0)))
		lines = append(lines, fmt.Sprintf(`{"face_id":"%s","external_id":"e%d","age":%d,"gender":%d,"lists":["%s"],"descriptor":{"version":1001,"data":"%s"}}`,
			numbered(n), n%9, n, n%2, numbered(1000+n%3), data))
		events = append(events, fmt.Sprintf(`{"event_id":"%s","source":"cam-%d","age":%d,"face_descriptor":{"version":1001,"data":"%s"}}`, numbered(n), n%4, n, data))
	}
	var answer struct{ Accepted, Rejected int }
	p.mustCall(t, "POST", "/1/import", strings.Join(lines, "\n"), &answer)
	if answer.Accepted != 60 {
		t.Fatalf("%+v", answer)
	}
	var ids any
	postJSON(t, p, "/1/events", "["+strings.Join(events, ",")+"]", &ids)
}

func numbered(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// matchQueries are arguments of ns.match without the reference.
var matchQueries = []string{
	`{"filters":{"origin":"faces"}}`,
	`{"filters":{"origin":"faces"},"limit":100,"threshold":0.5}`,
	`{"filters":{"origin":"faces","age__gte":20,"age__lt":50,"gender":1},"limit":7,"targets":["age","external_id","similarity"]}`,
	`{"filters":{"origin":"faces","list_id":"` + numbered(1001) + `"},"limit":100,"targets":[]}`,
	`{"filters":{"origin":"faces","external_ids":["e3","e5"]},"limit":100,"order":"create_time_desc"}`,
	`{"filters":{"origin":"faces","face_ids":["` + numbered(30) + `","` + numbered(31) + `"]},"limit":100,"count":true}`,
	`{"filters":{"origin":"faces","face_ids":[]},"limit":3}`,
	`{"filters":{"origin":"faces"},"limit":3,"group":{"by":"external_id","size":2},"count":true,"targets":["external_id"]}`,
	`{"filters":{"origin":"faces"},"limit":5,"offset":10,"count":true,"exclude_self":true}`,
	`{"filters":{"origin":"events","sources":["cam-1","cam-2"]},"limit":10}`,
	`{"filters":{"origin":"events"},"limit":2,"threshold":0.01,"targets":["source","distance"]}`,
}

// matchReferences are lists of references.
var matchReferences = []string{
	`{"type":"face","id":"` + numbered(3) + `"}`,
	`{"type":"event","id":"` + numbered(4) + `"}`,
	`{"type":"face_external_id","id":"nobody"}`,
	`{"type":"raw_descriptor","id":"v","data":{"version":1001,"data":[1,2,48,48,48,48,48,48,48,48,48,48,48,48,48,48]}}`,
	`{"type":"raw_descriptor","data":{"version":1001,"data":"AQIwMDAwMDAwMDAwMDAwMA=="}}`,
	`{"type":"together","references":[{"type":"face","id":"` + numbered(3) + `"},{"type":"face","id":"` + numbered(30) + `"}],"fuse":"mean"}`,
	`{"type":"face","id":"` + numbered(1) + `"},{"type":"face_external_id","id":"e3"},{"type":"raw_descriptor","id":"x","data":{"version":1001,"data":"AQIwMDAwMDAwMDAwMDAwMA=="}}`,
}

// matchItem is a reference with its rows, in an answer of ns.match.
type matchItem struct {
	Reference, Result any
	Count             *int
}

// TestPluginMatch compares ns.match with answers to requests of a server on which only the
// other plugin is active: the own hooks of a plugin take no part, those of others do.
func TestPluginMatch(t *testing.T) {
	t.Parallel()
	folder := pluginFolder(t, map[string]string{"ask": askSource, "adult": adultSource})
	dir := t.TempDir()
	p := serve(t, pluginConfig(t, folder, "adult"), dir)
	storeMatched(t, p)
	type asked struct {
		argument string
		want     []matchItem
	}
	var all []asked
	rows := 0
	for _, query := range matchQueries {
		for _, references := range matchReferences {
			var answer []struct {
				Reference any
				Matches   []struct {
					Result any
					Count  *int
				}
			}
			postJSON(t, p, "/1/matcher/faces", `{"references":[`+references+`],"candidates":[`+query+`]}`, &answer)
			a := asked{argument: `{"references":[` + references + `],` + query[1:]}
			for _, item := range answer {
				a.want = append(a.want, matchItem{item.Reference, item.Matches[0].Result, item.Matches[0].Count})
				rows += len(item.Matches[0].Result.([]any))
			}
			all = append(all, a)
		}
	}
	if rows < 500 {
		t.Fatalf("only %d rows", rows)
	}
	p.stop(t)

	p = serve(t, pluginConfig(t, folder, "ask", "adult"), dir)
	for _, a := range all {
		var got []matchItem
		postJSON(t, p, "/plugins/ask/ask", a.argument, &got)
		if !reflect.DeepEqual(got, a.want) {
			t.Errorf("%s:\n%v\nwant\n%v", a.argument, got, a.want)
		}
	}
	// A client's request is narrowed by both plugins.
	var client []struct{ Matches []struct{ Result []any } }
	postJSON(t, p, "/1/matcher/faces", `{"references":[`+matchReferences[0]+`],"candidates":[`+matchQueries[0]+`]}`, &client)
	if n := len(client[0].Matches[0].Result); n != 0 {
		t.Errorf("a client gets %d rows", n)
	}
	_, metrics, err := p.call("GET", "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`nearside_match_subrequests_total{matcher="memory"} 1`, `nearside_internal_match_duration_seconds_count{matcher="memory",plugin="ask"} `} {
		if !strings.Contains(string(metrics), "\n"+line) {
			t.Errorf("no %q in the metrics", line)
		}
	}
}

// TestPluginMatchErrors checks the shape of the answer to a single reference, and the errors
// of wrong arguments.
func TestPluginMatchErrors(t *testing.T) {
	t.Parallel()
	p := serve(t, pluginConfig(t, pluginFolder(t, map[string]string{"ask": askSource}), "ask"), t.TempDir())
	storeMatched(t, p)
	reference := `"reference":` + matchReferences[0]
	var one struct {
		Reference struct{ Type, ID string }
		Result    []struct {
			Face struct {
				FaceID string `json:"face_id"`
			}
			Similarity float64
		}
		Count int
		Plan  struct{ Matchers []any }
	}
	postJSON(t, p, "/plugins/ask/ask", `{`+reference+`,"filters":{"origin":"faces"},"limit":1,"count":true,"explain":true}`, &one)
	if one.Reference.Type != "face" || len(one.Result) != 1 || one.Result[0].Face.FaceID != numbered(3) || one.Result[0].Similarity != 1 || one.Count != 60 || len(one.Plan.Matchers) != 1 {
		t.Errorf("%+v", one)
	}
	fails := func(argument, want string) {
		t.Helper()
		status, text, err := p.call("POST", "/plugins/ask/ask", json.RawMessage(argument))
		var answer struct{ Error string }
		if err != nil || status != http.StatusBadRequest || json.Unmarshal(text, &answer) != nil || !strings.Contains(answer.Error, want) {
			t.Errorf("%s: %d %s %v, want %q", argument, status, text, err, want)
		}
	}
	fails(`{"filters":{"origin":"faces"}}`, "reference: is missing; give reference, or references as a list")
	fails(`{`+reference+`,"references":[],"filters":{"origin":"faces"}}`, "references: must not be given together with reference")
	fails(`{"references":[],"filters":{"origin":"faces"}}`, "references: must not be empty")
	fails(`{`+reference+`}`, "filters: is missing")
	fails(`{`+reference+`,"filters":{}}`, "filters.origin: is missing")
	fails(`{`+reference+`,"filters":{"origin":"faces","age__gt":1}}`, "filters.age__gt: unknown f")
	fails(`{`+reference+`,"filters":{"origin":"faces"},"limitt":1}`, "limitt: unknown field")
	fails(`{`+reference+`,"filters":{"origin":"faces"},"limit":100000}`, "limit: must be an integer from 1 to")
	fails(`{`+reference+`,"filters":{"origin":"faces"},"version":7}`, "version: 7 is not registered")
	fails(`{`+reference+`,"filters":{"origin":"faces"},"descriptor_type":"hand"}`, `descriptor_type: must be one of face, body, got "hand"`)
	fails(`{`+reference+`,"filters":{"origin":"faces"},"account_id":"x"}`, "account_id: must be a UUID")
	fails(`{"reference":{"type":"face","id":"`+numbered(999)+`"},"filters":{"origin":"faces"}}`, "reference.id: face "+numbered(999)+" does not exist")
	fails(`{"reference":{"type":"face_external_id","id":"e1"},"filters":{"origin":"faces"}}`, "reference: stands for 7 objects; use references")
	fails(`{"reference":{"type":"raw_descriptor","data":{"version":1001,"data":[1]}},"filters":{"origin":"faces"}}`, "reference.data.data: ")
}

// TestPluginMatchInHooks: hooks that a request waits for cannot call ns.match, also not by
// pcall or in a coroutine. A task that a hook has started can.
func TestPluginMatchInHooks(t *testing.T) {
	t.Parallel()
	const source = `
M.kinds = {"background", "matching"}
local query = {reference = {type = "face", id = "` + "00000000-0000-4000-8000-000000000003" + `"}, filters = {origin = "faces"}, limit = 1}
local function try(hook)
  local ok, err = pcall(ns.match, query)
  ns.kv.set(hook, tostring(ok) .. " " .. tostring(err))
  local inner = coroutine.wrap(function() return pcall(ns.match, query) end)
  ns.kv.set(hook .. " coroutine", tostring(inner()))
end
function M:cost(req) try("cost") return 1 end
function M:prefilter(req, set)
  try("prefilter")
  ns.spawn(function() local answer = assert(ns.match(query)) ns.kv.set("task", #answer.result) end)
  return set
end
function M:match(req, set) try("match") return set:scan(req.limit) end
function M:start() ns.route("GET", "/seen", function()
  local seen = {}
  for _, k in ipairs(ns.kv.keys()) do seen[k] = ns.kv.get(k) end
  return 200, seen
end) end`
	p := serve(t, pluginConfig(t, pluginFolder(t, map[string]string{"hooked": source}), "hooked"), t.TempDir())
	storeMatched(t, p)
	var answer any
	postJSON(t, p, "/1/matcher/faces", `{"references":[`+matchReferences[0]+`],"candidates":[`+matchQueries[0]+`]}`, &answer)
	want := map[string]any{"task": 1.0}
	for _, hook := range []string{"cost", "prefilter", "match"} {
		want[hook] = "false match: ns.match cannot be called from the hook " + hook + ", because a request waits for this hook; call it from a task, a route or handle_event"
		want[hook+" coroutine"] = "false"
	}
	eventually(t, func() error {
		var seen map[string]any
		p.mustCall(t, "GET", "/plugins/hooked/seen", nil, &seen)
		if !reflect.DeepEqual(seen, want) {
			return fmt.Errorf("%v\nwant %v", seen, want)
		}
		return nil
	})
}
