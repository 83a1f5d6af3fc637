package lua

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"nearside/lua/luatest"
	"nearside/lua/ns"
	"nearside/matcher"
)

// storeNumbered defines fill in Lua, which stores n faces with ids in a scattered order, and
// with text as user_data.
const storeNumbered = `
local function id(n) return ("00000000-0000-4000-8000-%012d"):format(n) end
local function fill(n, text)
  local batch = {}
  for i = 1, n do
    batch[#batch + 1] = {face_id = id(i * 7919 % 1000003), age = i % 100, user_data = text, descriptor = {version = 1, data = "AQI="}}
    if #batch == 1000 or i == n then assert(ns.store.put_faces(batch)) batch = {} end
  end
end
`

// TestIterators: iterators return every object once, in the order of ids, over several pages,
// however many of them are in use at the same time.
func TestIterators(t *testing.T) {
	run, _ := startStoring(t, openDatabase(t, t.TempDir(), 0))
	run(storeNumbered + `fill(4500, nil)`)
	if got := run(`
local n, last = 0, ""
for f in ns.store.faces({fields = {"age"}}) do assert(f.face_id > last) last = f.face_id n = n + 1 end
assert(n == 4500) n, last = 0, ""
for f in ns.store.faces({filters = {age__lt = 50}, limit = 1500}) do assert(f.face_id > last and f.age < 50 and f.descriptor.data == "AQI=") last = f.face_id n = n + 1 end
assert(n == 1500)
for f in ns.store.faces({limit = 5}) do n = n + 1 if n == 1503 then break end end
local iterator = ns.store.faces({limit = 1}) assert(iterator()) assert(iterator() == nil and iterator() == nil)
return n`); got != 1503.0 {
		t.Error(got)
	}
	// 50 iterators in turn: most of their pages are evicted, and read again.
	if got := run(`
local all, want = {}, {}
for f in ns.store.faces({fields = {}, limit = 60}) do want[#want + 1] = f.face_id end
for i = 1, 50 do all[i] = ns.store.faces({fields = {}}) end
for n = 1, 60 do for i = 1, 50 do local f = all[i]() assert(f.face_id == want[n], i .. " " .. n) end end
return #want`); got != 60.0 {
		t.Error(got)
	}
	// Objects that are stored and deleted during an iteration.
	if got := run(`
local n = 0
for f in ns.store.faces({fields = {}}) do
  n = n + 1
  if n == 10 then assert(ns.store.delete_faces({filters = {age__gte = 50}}) == 2250) end
end
return n`).(float64); got < 2250 || got > 1000+2250 {
		t.Error(got)
	}
	if got := run(`return ns.store.count()`); got != 2250.0 {
		t.Error(got)
	}
}

// TestIteratorsOfLargeObjects: a page of large objects is split, so that it needs little
// memory.
func TestIteratorsOfLargeObjects(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	largest := atomic.Int64{}
	h, _ := startHost(t, luatest.BackgroundPlugin(`M.permissions = {"store"}`), d.services, func(o *Options) {
		o.Services.Objects = measuredReader{d.memory, &largest}
	})
	in := h.current.Load().plugins[0].main.first()
	v, err := in.run(t, storeNumbered+`
for n = 1, 200 do assert(ns.store.put_face({face_id = id(n), user_data = ("x"):rep(n == 100 and 5000000 or 100000), descriptor = {version = 1, data = "AQI="}})) end
local n, bytes = 0, 0
for f in ns.store.faces() do n = n + 1 bytes = bytes + #f.user_data ns.sleep(0) end
return n .. " " .. bytes`)
	if err != nil || v != "200 24900000" {
		t.Error(v, err)
	}
	if n := largest.Load(); n == 0 || n > 1<<22+200000 && n != 5000002 {
		t.Errorf("a page has %d bytes", n)
	}
}

// measuredReader records the most bytes of texts and descriptors in a page.
type measuredReader struct {
	ns.ObjectReader
	largest *atomic.Int64
}

func (r measuredReader) Page(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID, p matcher.Page) ([]matcher.Object, int, error) {
	objects, n, err := r.ObjectReader.Page(ctx, o, f, account, p)
	bytes := int64(0)
	for i := range objects {
		bytes += int64(len(objects[i].UserData) + 2)
	}
	if bytes > r.largest.Load() {
		r.largest.Store(bytes)
	}
	return objects, n, err
}

// TestEndlessIteration: an iteration that makes its own objects, or restarts for ever, ends
// with its route's budget or with the plugin.
func TestEndlessIteration(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions, M.limits = {"store"}, {route = 0.2}
`+storeNumbered+`
local function put(n) assert(ns.store.put_face({face_id = id(n), descriptor = {version = 1, data = "AQI="}})) end
function M:start()
  fill(1000)
  local n = 2000000
  local function grow() for f in ns.store.faces({fields = {}}) do n = n + 1 put(n) end end
  ns.route("GET", "/grow", grow)
  ns.route("GET", "/again", function() while true do for f in ns.store.faces() do break end end end)
  ns.spawn(function() ns.log.info("task") while true do grow() end end)
end`), d.services)
	log.Wait(t, "task")
	for _, path := range []string{"/p/grow", "/p/again"} {
		if _, err := h.Serve(t.Context(), Request{Method: "GET", Path: path}); matcher.CodeOf(err) != matcher.CodeDeadline {
			t.Errorf("%s: %v", path, err)
		}
	}
	closeHost(t, h) // while the task iterates
}

// TestManyIterators: the memory of a plugin bounds the number of its open iterators.
func TestManyIterators(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	h, _ := startHost(t, luatest.BackgroundPlugin(`M.permissions, M.limits = {"store"}, {memory = "4MiB"}`), d.services)
	in := h.current.Load().plugins[0].main.first()
	_, err := in.run(t, storeNumbered+`fill(2)
local all = {}
while true do local it = ns.store.faces({fields = {}}) it() all[#all + 1] = it end`)
	if err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("many iterators: %v", err)
	}
}

// TestHugeArguments: arguments with very many entries are refused, and the plugin goes on.
func TestHugeArguments(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	h, _ := startHost(t, luatest.BackgroundPlugin(`M.permissions, M.limits = {"store"}, {memory = "64MiB"}`), d.services, func(o *Options) {
		o.Services.Match = func(context.Context, *ns.MatchQuery) (*ns.MatchAnswer, error) { return nil, errors.New("asked") }
	})
	in := h.current.Load().plugins[0].main.first()
	got, err := in.run(t, `
local ids = {}
for i = 1, 2^20 - 1 do ids[i] = "" if i % 10000 == 0 then ns.sleep(0) end end
local query, errors = {filters = {face_ids = ids}}, ""
local function try(fn, ...) local ok, err = pcall(fn, ...) assert(not ok) errors = errors .. err .. "\n" ns.sleep(0) end
try(ns.store.count, query) try(ns.store.faces, query) try(ns.store.delete_faces, query) try(ns.match, query)
assert(ns.store.count() == 0)
return errors`)
	if err != nil || strings.Count(got.(string), "more than 1048576 values") != 4 {
		t.Error(got, err)
	}
	// 10^8 entries exceed the memory of the plugin first.
	if _, err := in.run(t, `local ids = {} for i = 1, 1e8 do ids[i] = i if i % 1000 == 0 then ns.sleep(0) end end`); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("10^8 entries: %v", err)
	}
}

// orderedSource handles face events in four states. It notes their numbers in the order of
// their ends, and how many are handled at the same time.
func orderedSource(version string) string {
	return `
local ns = require("nearside")
local M = {api = 1, name = "p", version = "` + version + `", kinds = {"event"}, events = {"face_event", "monitoring_event"}, states = 4}
function M:handle_event(points, name)
  if name == "monitoring_event" then ns.kv.incr("others", #points) return end
  if ns.kv.incr("busy", 1) > 1 then ns.kv.set("overlap", true) end
  for _, p in ipairs(points) do
    ns.sleep(0)
    if ns.kv.incr("last", 1) ~= p.n then ns.kv.add("wrong", p.n) end
  end
  ns.kv.incr("busy", -1)
end
return M`
}

// TestChangesInOrder: events about changes are handled in order, by one state at a time, also
// while the plugin is reloaded again and again. Other events are not delayed for ever.
func TestChangesInOrder(t *testing.T) {
	h, _ := startHost(t, orderedSource("1"), func(o *Options) { o.EventBatch = 7 })
	const n = 3000
	reloaded := make(chan error, 1)
	go func() {
		for range 5 {
			if err := h.Reload(t.Context()); err != nil {
				reloaded <- err
				return
			}
		}
		reloaded <- nil
	}()
	for i := 1; i <= n; i++ {
		h.EmitFrom(faceEvent, "", func() any { return map[string]any{"n": i} })
		if i%10 == 0 {
			h.Emit("monitoring_event", func() any { return map[string]any{} })
		}
	}
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	kv := h.current.Load().plugins[0].KV
	value := func(key string) any {
		kv.Lock()
		defer kv.Unlock()
		v, _ := kv.Get(key)
		return v
	}
	luatest.WaitFor(t, func() bool { return value("last") == float64(n) && value("others") == float64(n/10) })
	if value("wrong") != nil || value("overlap") != nil {
		t.Errorf("wrong at %v, overlap %v", value("wrong"), value("overlap"))
	}
	if s := h.Plugins()[0]; s.Dropped+s.Lost > 0 {
		t.Errorf("%+v", s)
	}
}

// TestOwnEvents: a plugin receives the events that it has caused only if it asks for them.
// Events that a plugin has caused have its name.
func TestOwnEvents(t *testing.T) {
	source := func(more string) string {
		return `
local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"event"}, events = {"face_event", "monitoring_event"}` + more + `}
function M:handle_event(points, name) for _, p in ipairs(points) do ns.log.info(name .. " " .. p.n .. " " .. tostring(p.origin)) end end
return M`
	}
	for more, want := range map[string][]string{
		"":                      {"face_event 1 nil", "face_event 2 plugin:other", "face_event 4 nil", "monitoring_event 5 plugin:other"},
		", own_events = true":   {"face_event 1 nil", "face_event 2 plugin:other", "face_event 3 plugin:p", "face_event 4 nil", "monitoring_event 5 plugin:other"},
		", own_events = false ": {"face_event 1 nil", "face_event 2 plugin:other", "face_event 4 nil", "monitoring_event 5 plugin:other"},
	} {
		h, log := startHost(t, source(more))
		for i, cause := range []matcher.Cause{"", matcher.PluginCause("other"), matcher.PluginCause("p"), matcher.CauseExpiry} {
			h.EmitFrom("face_event", cause, func() any { return map[string]any{"n": i + 1} })
		}
		h.EmitFrom("monitoring_event", matcher.PluginCause("other"), func() any { return map[string]any{"n": 5} })
		log.Wait(t, "monitoring_event 5")
		var got []string
		for line := range strings.Lines(log.All()) {
			if _, text, ok := strings.Cut(line, `msg="`); ok && strings.Contains(text, "_event") {
				text, _, _ = strings.Cut(text, `"`)
				got = append(got, text)
			}
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("%q: %q, want %q", more, got, want)
		}
	}
}

// TestFieldsOfData checks the fields kv and own_events.
func TestFieldsOfData(t *testing.T) {
	for field, want := range map[string]string{
		`kv = 5`:                 `kv: is not a table with string keys`,
		`kv = {persists = true}`: `kv.persists: is unknown; the known names are ["persist"]; did you mean "persist"?`,
		`kv = {persist = 1}`:     `kv.persist: 1 is not true or false`,
		`own_events = true`:      `own_events: is only for plugins of kind event: add it to kinds`,
		`kv = {persist = true}`:  `kv.persist: this host has no store`,
	} {
		_, err := New(t.Context(), Options{Dir: luatest.Folder(t, map[string]string{"p.lua": luatest.BackgroundPlugin("M." + field)}), Active: []string{"p"}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", field, err, want)
		}
	}
	h, _ := startHost(t, luatest.BackgroundPlugin(""))
	if _, err := h.current.Load().plugins[0].main.first().run(t, `ns.kv.flush()`); err == nil || !strings.Contains(err.Error(), "set kv = {persist = true}") {
		t.Error(err)
	}
}

// TestChangesWaitForTheOldGeneration: while the old generation handles an event, the new one
// keeps its events about changes, and handles them after that.
func TestChangesWaitForTheOldGeneration(t *testing.T) {
	h, log := startHost(t, `
local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"event"}, events = {"face_event"}}
function M:handle_event(points)
  for _, p in ipairs(points) do
    ns.log.info("begin " .. p.n)
    while p.n == 1 and not ns.kv.get("go") do ns.sleep(0.001) end
    ns.log.info("end " .. p.n)
  end
end
return M`)
	emit := func(n int) { h.EmitFrom(faceEvent, "", func() any { return map[string]any{"n": n} }) }
	emit(1)
	log.Wait(t, "begin 1")
	old, reloaded := h.current.Load(), make(chan error, 1)
	go func() { reloaded <- h.Reload(t.Context()) }()
	luatest.WaitFor(t, func() bool { return h.current.Load() != old })
	emit(2)
	p := h.current.Load().plugins[0]
	if _, values := p.queue.takeBatch(1); len(values) > 0 {
		t.Error("the new generation handles an event while the old one does")
	}
	p.KV.Lock()
	err := p.KV.Set("go", true, 0)
	p.KV.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	log.Wait(t, "end 2")
	luatest.WantLines(t, log.All(), "begin 1", "end 1", "begin 2", "end 2")
}
