package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// watchSource collects the events about changes. Its route returns them as {name, point}.
const watchSource = `
M.kinds, M.events = {"event", "background"}, {"face_event", "list_event", "attribute_event", "sending_event", "monitoring_event"}
local seen = ns.json.array({})
function M:handle_event(points, name)
  for _, p in ipairs(points) do
    if name ~= "monitoring_event" or p.origin then seen[#seen + 1] = {name = name, point = p} end
  end
end
function M:start() ns.route("GET", "/seen", function() return 200, seen end) end`

// writeSource changes the data, and also receives events.
const writeSource = `
M.kinds, M.events, M.permissions = {"event", "background"}, {"face_event", "list_event", "sending_event", "monitoring_event"}, {"store"}
local seen = ns.json.array({})
function M:handle_event(points, name)
  for _, p in ipairs(points) do
    if name ~= "monitoring_event" or p.series == "Matching-Process" then seen[#seen + 1] = {name = name, point = p} end
  end
end
function M:start()
  ns.route("GET", "/seen", function() return 200, seen end)
  ns.route("POST", "/write", function()
    local data = ns.base64.encode(("\1"):rep(16))
    local list = assert(ns.store.new_list({list_id = "11111111-0000-4000-8000-000000000001", account_id = "aaaaaaaa-0000-4000-8000-000000000000"}))
    local id = assert(ns.store.put_face({face_id = "00000000-0000-4000-8000-000000000001", account_id = "aaaaaaaa-0000-4000-8000-000000000000", lists = {list},
      descriptor = {version = 1001, data = data}, create_time = "2026-05-01T00:00:00.000Z"}))
    assert(ns.store.update_face(id, {age = 7}))
    assert(ns.store.put_event({event_id = id, face_descriptor = {version = 1001, data = data}, create_time = "2026-05-01T00:00:00.000Z"}))
    assert(ns.match({reference = {type = "face", id = id}, filters = {origin = "faces"}}))
    assert(ns.store.detach(list, {id}))
    assert(ns.store.delete_faces({filters = {face_ids = {id}}}) == 1)
    return 200, {}
  end)
end`

// seenEvent is an event that a plugin has received.
type seenEvent struct {
	Name  string
	Point map[string]any
}

// seenBy waits until a plugin has received n events, and returns them as texts.
func seenBy(t *testing.T, p *process, plugin string, n int) []string {
	t.Helper()
	var all []seenEvent
	eventually(t, func() error {
		p.mustCall(t, "GET", "/plugins/"+plugin+"/seen", nil, &all)
		if len(all) < n {
			return fmt.Errorf("%s has received %v", plugin, all)
		}
		return nil
	})
	shown := make([]string, len(all))
	for i, e := range all {
		if e.Name == "monitoring_event" {
			shown[i] = fmt.Sprint(e.Name, " ", e.Point["series"], " ", e.Point["origin"])
			continue
		}
		if object, ok := e.Point["object"].(map[string]any); ok && object["list_id"] != nil {
			delete(object, "create_time")
		}
		text, _ := json.Marshal(e.Point) // it was decoded from JSON
		shown[i] = e.Name + " " + string(text)
	}
	return shown
}

// TestPluginChangeEvents checks the events about changes that clients and plugins make.
func TestPluginChangeEvents(t *testing.T) {
	t.Parallel()
	folder := pluginFolder(t, map[string]string{"watch": watchSource, "write": writeSource, "own": strings.Replace(writeSource, "M.kinds", "M.own_events = true\nM.kinds", 1)})
	p := serve(t, pluginConfig(t, folder, "watch", "write"), t.TempDir())
	const (
		list    = `"11111111-0000-4000-8000-000000000001"`
		id      = `"00000000-0000-4000-8000-000000000001"`
		account = `"account_id":"aaaaaaaa-0000-4000-8000-000000000000"`
		by      = `"origin":"plugin:write"`
		face    = `"create_time":"2026-05-01T00:00:00.000Z","face_id":` + id
	)
	var answer struct{}
	postJSON(t, p, "/plugins/write/write", "{}", &answer)
	want := []string{
		`list_event {` + account + `,"id":` + list + `,"lists":[],"object":{` + account + `,"list_id":` + list + `},"op":"put",` + by + `}`,
		`face_event {` + account + `,"id":` + id + `,"lists":[` + list + `],"object":{` + account + `,` + face + `,"lists":[` + list + `]},"op":"put",` + by + `}`,
		`face_event {` + account + `,"id":` + id + `,"lists":[` + list + `],"object":{` + account + `,"age":7,` + face + `,"lists":[` + list + `]},"op":"put",` + by + `}`,
		`sending_event {"create_time":"2026-05-01T00:00:00.000Z","event_id":` + id + `,` + by + `}`,
		`monitoring_event Matching-Process plugin:write`,
		`face_event {` + account + `,"id":` + id + `,"lists":[],"object":{` + account + `,"age":7,` + face + `,"lists":[]},"op":"put",` + by + `}`,
		`face_event {` + account + `,"id":` + id + `,"lists":[],"op":"delete",` + by + `}`,
	}
	want[1], want[2], want[5] = reorder(want[1]), reorder(want[2]), reorder(want[5])
	// A client's writes. They come after those of the plugin.
	face2 := `{"face_id":` + strings.Replace(id, "1\"", "2\"", 1) + `,"create_time":"2026-05-01T00:00:00.000Z","lists":[` + list + `],"descriptor":{"version":1001,"data":"AQEBAQEBAQEBAQEBAQEBAQ=="}}`
	postJSON(t, p, "/1/faces", face2, &answer)
	attribute := json.RawMessage(`{"create_time":"2026-05-01T00:00:00.000Z","descriptor":{"version":1001,"data":"AQEBAQEBAQEBAQEBAQEBAQ=="}}`)
	for _, path := range []string{numbered(5) + "?ttl=1000", numbered(6) + "?ttl=1"} {
		p.mustCall(t, "PUT", "/1/attributes/"+path, attribute, &answer)
	}
	for _, path := range []string{"/1/attributes/" + numbered(5), "/1/lists/" + strings.Trim(list, `"`) + "?with_faces=1"} {
		if status, text, err := p.call("DELETE", path, nil); status != 204 || err != nil {
			t.Fatalf("%s: %d %s %v", path, status, text, err)
		}
	}
	of := func(n int) string { return `"` + numbered(n) + `"` }
	client := []string{
		`face_event {"id":` + of(2) + `,"lists":[` + list + `],"object":{"create_time":"2026-05-01T00:00:00.000Z","face_id":` + of(2) + `,"lists":[` + list + `]},"op":"put"}`,
		`attribute_event {"id":` + of(5) + `,"lists":[],"object":{"attribute_id":` + of(5) + `,"create_time":"2026-05-01T00:00:00.000Z"},"op":"put"}`,
		`attribute_event {"id":` + of(6) + `,"lists":[],"object":{"attribute_id":` + of(6) + `,"create_time":"2026-05-01T00:00:00.000Z"},"op":"put"}`,
		`attribute_event {"id":` + of(5) + `,"lists":[],"op":"delete"}`,
		`face_event {"id":` + of(2) + `,"lists":[` + list + `],"op":"delete"}`,
		`list_event {` + account + `,"id":` + list + `,"lists":[],"op":"delete"}`,
		`attribute_event {"id":` + of(6) + `,"lists":[],"op":"expire"}`,
	}
	want = append(want, client...)
	if got := seenBy(t, p, "watch", len(want)); !sameEvents(got, want) {
		t.Errorf("watch has received\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// The plugin that writes does not receive its own events.
	var others []string
	for _, e := range client {
		if !strings.HasPrefix(e, "attribute_event") {
			others = append(others, e)
		}
	}
	if got := seenBy(t, p, "write", len(others)); !reflect.DeepEqual(got, others) {
		t.Errorf("write has received\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(others, "\n"))
	}
	p.stop(t)

	// With own_events it does.
	p = serve(t, pluginConfig(t, folder, "own"), t.TempDir())
	postJSON(t, p, "/plugins/own/write", "{}", &answer)
	got := seenBy(t, p, "own", 7)
	for i, e := range want[:7] {
		if e = strings.Replace(e, "plugin:write", "plugin:own", 1); got[i] != e {
			t.Errorf("own has received\n%s\nwant\n%s", got[i], e)
		}
	}
}

// reorder returns an event about a face with the fields of its object in the order of
// encoding/json.
func reorder(event string) string {
	name, text, _ := strings.Cut(event, " ")
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return err.Error()
	}
	sorted, _ := json.Marshal(v) // it was decoded from JSON
	return name + " " + string(sorted)
}

// sameEvents compares events. The attribute may expire before the other deletes.
func sameEvents(got, want []string) bool {
	expired := func(all []string) (rest []string, n int) {
		for _, e := range all {
			if strings.Contains(e, `"expire"`) {
				n++
			} else {
				rest = append(rest, e)
			}
		}
		return rest, n
	}
	g, n := expired(got)
	w, m := expired(want)
	return n == m && reflect.DeepEqual(g, w)
}

// keptSource keeps values of all types.
const keptSource = `
M.kinds, M.kv = {"background"}, {persist = true}
local values = {
  text = "\0\255 text", empty = "", number = 0.1, infinite = 1/0, whole = 12, yes = true, no = false, big = ns.int64("123456789012345678901234567890"),
  list = {1, "a", {}, ns.json.null}, map = {a = {b = {c = ns.json.array({})}}}, none = ns.json.null, table = {},
}
function M:start()
  ns.route("POST", "/set", function()
    for k, v in pairs(values) do assert(ns.kv.set(k, v)) end
    assert(ns.kv.set("short", 1, 0.001)) assert(ns.kv.set("long", 1, 1000)) ns.kv.set("gone", 1)
    assert(ns.kv.flush())
    ns.kv.delete("gone")
    assert(ns.kv.incr("count", 5) == 5)
    assert(ns.kv.flush())
    return 200, {}
  end)
  ns.route("POST", "/late", function() assert(ns.kv.set("late", ns.json.decode(('[1]'):rep(1)))) return 200, {} end)
  ns.route("GET", "/check", function()
    for k, v in pairs(values) do
      local got = ns.kv.get(k)
      local same = type(v) == type(got) and (type(v) ~= "table" and v == got or type(v) == "table" and ns.json.encode(v) == ns.json.encode(got))
      if not same then return 500, k .. ": " .. tostring(got) end
    end
    return 200, {gone = ns.kv.get("gone"), short = ns.kv.get("short"), long = ns.kv.get("long"), count = ns.kv.get("count"), late = ns.kv.get("late"), keys = #ns.kv.keys()}
  end)
end`

// TestKVPersists: kept values survive kill -9 after kv.flush, an orderly stop without it, and
// reloads. They are those of one plugin.
func TestKVPersists(t *testing.T) {
	t.Parallel()
	folder := pluginFolder(t, map[string]string{"kept": keptSource, "other": keptSource})
	config, dir := pluginConfig(t, folder, "kept", "other"), t.TempDir()
	check := func(p *process, want string) {
		t.Helper()
		status, text, err := p.call("GET", "/plugins/kept/check", nil)
		if err != nil || status != 200 || reorder("x "+string(text)) != "x "+want {
			t.Errorf("%d %s %v, want %s", status, text, err, want)
		}
	}
	var answer struct{}
	p := serve(t, config, dir)
	postJSON(t, p, "/plugins/kept/set", "{}", &answer)
	check(p, `{"count":5,"keys":14,"long":1}`)
	if err := p.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	p = serve(t, config, dir)
	check(p, `{"count":5,"keys":14,"long":1}`)
	if status, text, err := p.call("GET", "/plugins/other/check", nil); err != nil || status != 500 {
		t.Errorf("the other plugin: %d %s %v", status, text, err)
	}
	postJSON(t, p, "/plugins/kept/late", "{}", &answer)
	p.mustCall(t, "POST", "/1/plugins/reload", nil, new([]struct{}))
	check(p, `{"count":5,"keys":15,"late":[1],"long":1}`)
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		t.Fatal(code, p.log())
	}
	p = serve(t, config, dir)
	check(p, `{"count":5,"keys":15,"late":[1],"long":1}`)
}
