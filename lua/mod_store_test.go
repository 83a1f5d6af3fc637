package lua

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"nearside/lua/luatest"
	"nearside/matcher"
	"nearside/matcher/memory"
	"nearside/matcher/store"
	"nearside/matcher/wire"
	"nearside/simd"
)

// database is a store in a folder, with its memory.
type database struct {
	memory   *memory.Memory
	store    *store.Store
	registry *matcher.Registry
}

func openDatabase(t *testing.T, dir string, bytesMax int64) *database {
	t.Helper()
	return openVersions(t, dir, bytesMax, []matcher.Version{
		{Number: 1, Length: 2, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1000, Steepness: 0.01}},
		{Number: 2, Type: matcher.BodyDescriptor, Length: 3, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1000, Steepness: 0.01}},
	})
}

// openVersions is openDatabase for other versions of descriptors.
func openVersions(t *testing.T, dir string, bytesMax int64, versions []matcher.Version) *database {
	t.Helper()
	registry, err := matcher.NewRegistry(versions)
	if err != nil {
		t.Fatal(err)
	}
	d := &database{registry: registry}
	d.memory, err = memory.New(memory.Options{Registry: registry, Kernel: simd.Kernels()[0], Workers: 2, Cost: 100, BytesMax: bytesMax})
	if err != nil {
		t.Fatal(err)
	}
	if d.store, err = store.Open(t.Context(), store.Options{Dir: dir, Applier: d.memory}); err != nil {
		d.memory.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close(t) })
	return d
}

// close may be called twice.
func (d *database) close(t *testing.T) {
	if err := d.store.Close(); err != nil {
		t.Error(err)
	}
	d.memory.Close()
}

// services sets the options of a host that uses d.
func (d *database) services(o *Options) {
	o.Services.Matching, o.Services.Store, o.Services.Objects = d.memory, d.store, d.memory
	o.Services.Decoder = func() *wire.Decoder {
		return &wire.Decoder{Registry: d.registry, Now: time.Now, Limits: wire.Limits{FilterValues: 10}}
	}
	o.Clock = luatest.NewFakeClock(time.Unix(1000, 0))
}

// startStoring starts a plugin with the permission to write, and returns a function that runs
// Lua in it.
func startStoring(t *testing.T, d *database) (run func(body string) any, fails func(body, want string)) {
	t.Helper()
	h, _ := startHost(t, luatest.BackgroundPlugin(`M.permissions = {"store"}`), d.services)
	in := h.current.Load().plugins[0].main.first()
	run = func(body string) any {
		t.Helper()
		v, err := in.run(t, body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return v
	}
	return run, func(body, want string) {
		t.Helper()
		if got := run(`local v, err = ` + body + ` assert(v == nil, "it did not fail") return err`); got != want {
			t.Errorf("%s: %v, want %q", body, got, want)
		}
	}
}

// TestStoreLine: like an HTTP request, a plugin cannot store an object whose exported
// line an import would refuse.
func TestStoreLine(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	const limit = 400
	h, _ := startHost(t, luatest.BackgroundPlugin(`M.permissions = {"store"}`), d.services, func(o *Options) {
		decoder := *o.Services.Decoder()
		decoder.Limits.LineBytes = limit
		o.Services.Decoder = func() *wire.Decoder { return &decoder }
	})
	in := h.current.Load().plugins[0].main.first()
	put := func(n int) string {
		t.Helper()
		got, err := in.run(t, fmt.Sprintf(`
			local small = {face_id = %q, descriptor = {version = 1, data = "AQI="}}
			local large = {face_id = %q, user_data = ("\1"):rep(%d), descriptor = {version = 1, data = "AQI="}}
			local ids, err = ns.store.put_faces({small, large})
			return (err or "stored") .. " " .. tostring(ns.store.get_face(%q) ~= nil)`, face1, face2, n, face1))
		if err != nil {
			t.Fatal(err)
		}
		return got.(string)
	}
	line := func(n int) int { // the length of the exported line of large, in which a control character needs six bytes
		obj := matcher.Object{ID: matcher.NewID(), UserData: strings.Repeat("\x01", n), CreateTime: 1, Lists: []matcher.ID{}}
		obj.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 1, Data: []byte{1, 2}}
		return len(wire.AppendObject(nil, wire.JSON, &obj, nil, wire.BinaryDescriptors))
	}
	fits := 0
	for line(fits+1) <= limit {
		fits++
	}
	want := fmt.Sprintf("faces[1].object: must have at most %d bytes as a line of an export, got %d false", limit, line(fits+1))
	if got := put(fits + 1); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := put(fits); got != "stored true" {
		t.Error(got)
	}
}

func sameJSON(t *testing.T, got any, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got.(string)), &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

const (
	face1  = "00000000-0000-4000-8000-000000000001"
	face2  = "00000000-0000-4000-8000-000000000002"
	event1 = "eeeeeeee-0000-4000-8000-000000000001"
	list1  = "11111111-0000-4000-8000-000000000000"

	wholeFace = `{"face_id":"` + face1 + `","account_id":"aaaaaaaa-0000-4000-8000-000000000000","external_id":"ext","user_data":"дата","event_id":"` + event1 + `",
		"create_time":"2026-05-01T00:00:00.000Z","avatar":"http://a/b","lists":["` + list1 + `"],"age":33,"gender":0,"ethnic_group":2,"descriptor":{"version":1,"data":"AQI="}}`
	wholeEvent = `{"event_id":"` + event1 + `","account_id":"aaaaaaaa-0000-4000-8000-000000000000","create_time":"2026-05-01T00:00:00.000Z","end_time":"2026-05-01T00:00:05.000Z",
		"source":"cam-1","handler_id":"` + face2 + `","stream_id":"` + list1 + `","track_id":"t","external_id":"e","user_data":"u","tags":["a","b"],"face_id":"` + face1 + `",
		"age":33,"gender":1,"ethnic_group":2,"emotion":3,"mask":1,"location":{"city":"x","geo_position":{"longitude":1.5,"latitude":-2.25}},
		"top_match":{"object_id":"` + face1 + `","similarity":0.9},"meta":{"any":{"n":[1,2.5,null]}},
		"face_descriptor":{"version":1,"data":"AQI="},"body_descriptor":{"version":2,"data":"AQID"}}`
)

func TestStoreFaces(t *testing.T) {
	run, fails := startStoring(t, openDatabase(t, t.TempDir(), 0))
	if got := run(`return ns.store.new_list{list_id = "` + list1 + `", user_data = "staff"}`); got != list1 {
		t.Error(got)
	}
	// All fields can be written and read.
	if got := run(`return ns.store.put_face(ns.json.decode([[` + wholeFace + `]]))`); got != face1 {
		t.Error(got)
	}
	sameJSON(t, run(`return ns.json.encode(ns.store.get_face("`+face1+`"))`), wholeFace)
	// Missing ids and times are generated. An object that was read can be written again,
	// with its empty list.
	made := run(`return assert(ns.store.put_face{descriptor = {version = 1, data = ns.base64.encode("\1\2")}})`).(string)
	if got := run(`return ns.store.get_face("` + made + `").create_time`); got != "1970-01-01T00:16:40.000Z" { // the host's clock
		t.Error(got)
	}
	run(`local f = ns.store.get_face("` + made + `") f.age = 7 assert(#f.lists == 0) assert(ns.store.put_face(f) == f.face_id)`)
	if got := run(`return ns.store.get_face("` + made + `").age`); got != 7.0 {
		t.Error(got)
	}
	run(`assert(ns.store.delete_face("` + made + `"))`)
	fails(`ns.store.delete_face("`+made+`")`, "face_id: "+made+" does not exist")
	fails(`ns.store.get_face("`+made+`")`, "face_id: "+made+" does not exist")
	fails(`ns.store.get_face("nobody")`, `face_id: must be a UUID, got "nobody"`)
	fails(`ns.store.delete_face("nobody")`, `face_id: must be a UUID, got "nobody"`)
}

// TestStoreBadInput: the error texts are those of the HTTP interface.
func TestStoreBadInput(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	run, fails := startStoring(t, d)
	descriptor := `descriptor = {version = 1, data = "AQI="}`
	fails(`ns.store.put_face({})`, "descriptor: is missing")
	fails(`ns.store.put_face(5)`, "body: must be an object, got 5")
	fails(`ns.store.put_face{`+descriptor+`, agee = 1}`, "agee: unknown field")
	fails(`ns.store.put_face{`+descriptor+`, age = 1.5}`, "age: must be an integer from 0 to 255, got 1.5")
	fails(`ns.store.put_face{`+descriptor+`, age = 0/0}`, "age: NaN cannot be encoded as JSON")
	fails(`ns.store.put_face{`+descriptor+`, user_data = "\255"}`, "user_data: not UTF-8")
	fails(`ns.store.put_face{`+descriptor+`, user_data = print}`, "user_data: functions, coroutines and objects cannot be encoded as JSON")
	fails(`ns.store.put_face{`+descriptor+`, lists = {print}}`, "lists: [0]: functions, coroutines and objects cannot be encoded as JSON")
	fails(`ns.store.put_face{descriptor = {version = 1, data = "AQIDBA=="}}`, "descriptor.data: version 1 needs 2 bytes, got 4")
	fails(`ns.store.put_face{`+descriptor+`, lists = {"`+list1+`"}}`, "lists[0]: "+list1+" does not exist")
	// Of several objects, the error gives the position of the wrong one, and none of them
	// is stored.
	run(`assert(#ns.store.put_faces({}) == 0)`)
	good := `{face_id = "` + face1 + `", ` + descriptor + `}`
	fails(`ns.store.put_faces{`+good+`, {age = 300}}`, "faces[1].age: must be an integer from 0 to 255, got 300")
	fails(`ns.store.put_faces{`+good+`, {`+descriptor+`, lists = {"`+list1+`"}}}`, "faces[1].lists[0]: "+list1+" does not exist")
	fails(`(function() local t = {} for i = 1, 1001 do t[i] = {} end return ns.store.put_faces(t) end)()`, "faces: must have at most 1000 objects, got 1001")
	if n := d.memory.Stats().Rows[matcher.Faces]; n != 0 {
		t.Errorf("%d faces were stored", n)
	}
	run(`assert(ns.store.new_list{list_id = "` + list1 + `"} and ns.store.new_list())`)
	fails(`ns.store.new_list{list_id = "`+list1+`"}`, "list_id: "+list1+" exists already")
	fails(`ns.store.new_list{name = "x"}`, "name: unknown field")
	fails(`ns.store.attach("`+list1+`", {"`+face1+`"})`, "face_ids[0]: "+face1+" does not exist")
	fails(`ns.store.detach("`+face1+`", {"`+face1+`"})`, "list_id: "+face1+" does not exist")
	fails(`ns.store.attach("x", {"`+face1+`"})`, `list_id: must be a UUID, got "x"`)
	fails(`ns.store.attach("`+list1+`", {1})`, `face_ids[0]: must be a UUID, got 1`)
	fails(`(function() local t = {} for i = 1, 11 do t[i] = "`+face1+`" end return ns.store.attach("`+list1+`", t) end)()`,
		"face_ids: must have at most 10 items (limits.filter_values), got 11")
}

func TestStoreEvents(t *testing.T) {
	run, fails := startStoring(t, openDatabase(t, t.TempDir(), 0))
	if got := run(`return ns.store.put_event(ns.json.decode([[` + wholeEvent + `]]))`); got != event1 {
		t.Error(got)
	}
	sameJSON(t, run(`return ns.json.encode(ns.store.get_event("`+event1+`"))`), wholeEvent)
	// Empty lists and maps keep their type, also if a script writes back what it has read.
	meta := `"meta":{"list":[],"map":{},"deep":[[],{},[[]]]}`
	empties := strings.Replace(wholeEvent, `"meta":{"any":{"n":[1,2.5,null]}}`, meta, 1)
	run(`assert(ns.store.put_event(ns.json.decode([==[` + empties + `]==])))`)
	sameJSON(t, run(`return ns.json.encode(ns.store.get_event("`+event1+`"))`), empties)
	run(`assert(ns.store.put_event(ns.store.get_event("` + event1 + `")))`)
	sameJSON(t, run(`return ns.json.encode(ns.store.get_event("`+event1+`"))`), empties)
	// A second put replaces the object except for its account, so a message that is
	// delivered twice does no harm.
	ids := run(`return assert(ns.store.put_events{
		{event_id = "` + event1 + `", tags = {}, meta = {}, location = {}, body_descriptor = {version = 2, data = "AQID"}},
		{face_descriptor = {version = 1, data = "AQI="}}})`).([]any)
	if len(ids) != 2 || ids[0] != event1 {
		t.Error(ids)
	}
	sameJSON(t, run(`return ns.json.encode(ns.store.get_event("`+event1+`"))`),
		`{"event_id":"`+event1+`","account_id":"aaaaaaaa-0000-4000-8000-000000000000","create_time":"1970-01-01T00:16:40.000Z","meta":{},"body_descriptor":{"version":2,"data":"AQID"}}`)
	run(`assert(ns.store.delete_event("` + event1 + `"))`)
	fails(`ns.store.get_event("`+event1+`")`, "event_id: "+event1+" does not exist")
	fails(`ns.store.put_event{lists = {}}`, "lists: unknown field")
	fails(`ns.store.put_events{{}}`, "events[0].face_descriptor: is missing")
}

// near returns the numbers of the faces in a list, those nearest to {0, 0} first.
func (d *database) near(t *testing.T, list matcher.ID) []int {
	t.Helper()
	c := &matcher.Candidates{Origin: matcher.Faces, Limit: 100}
	c.Filter.ListID = &list
	return faceNumbers(t, d.memory.Match(t.Context(), []matcher.SubRequest{subRequest(d.registry.Version(1), 0, c)})[0])
}

// TestStoreIsMatchedAndDurable: after a write has returned in Lua, the next request
// matches the object, and the object still exists after the folder is opened again.
func TestStoreIsMatchedAndDurable(t *testing.T) {
	dir := t.TempDir()
	d := openDatabase(t, dir, 0)
	run, _ := startStoring(t, d)
	list := matcher.MustID(list1)
	check := func(d *database, want ...int) {
		t.Helper()
		if got := d.near(t, list); !slices.Equal(got, want) {
			t.Errorf("matched %v, want %v", got, want)
		}
	}
	run(`ns.store.new_list{list_id = "` + list1 + `"}
local t = {}
for i = 1, 9 do
  t[i] = {face_id = ("00000000-0000-0000-0000-%012x"):format(i), descriptor = {version = 1, data = ns.base64.encode(string.char(i, 0))}}
end
t[4].lists = {"` + list1 + `"}
assert(ns.store.put_faces(t))`)
	check(d, 4)
	id := func(n int) string { return `"` + faceID(n).String() + `"` }
	run(`assert(ns.store.attach("` + list1 + `", {` + id(7) + `, ` + id(2) + `}))`)
	check(d, 2, 4, 7)
	run(`assert(ns.store.detach("` + list1 + `", {` + id(4) + `}))`)
	check(d, 2, 7)
	run(`assert(ns.store.put_face{face_id = ` + id(7) + `, lists = {"` + list1 + `"}, descriptor = {version = 1, data = ns.base64.encode("\1\0")}})`)
	check(d, 7, 2) // nearer than before
	run(`assert(ns.store.delete_face(` + id(2) + `))`)
	check(d, 7)
	d.close(t)
	again := openDatabase(t, dir, 0)
	check(again, 7)
	if n := again.memory.Stats().Rows[matcher.Faces]; n != 8 {
		t.Errorf("%d faces", n)
	}
}

// TestStoreIsFull: if there is no room, the script receives the error of its write, and
// reading still works.
func TestStoreIsFull(t *testing.T) {
	run, _ := startStoring(t, openDatabase(t, t.TempDir(), 1<<20))
	err := run(`
local first = assert(ns.store.put_face{descriptor = {version = 1, data = "AQI="}})
for i = 1, 100 do
  local id, err = ns.store.put_face{user_data = ("x"):rep(100000), descriptor = {version = 1, data = "AQI="}}
  if not id then assert(ns.store.get_face(first)) return err end
end`)
	if text, ok := err.(string); !ok || !strings.Contains(text, "limits.memory") {
		t.Error(err)
	}
}

// TestStoreTasks: many tasks write at the same time. The lock is released during writes,
// and no write is lost.
func TestStoreTasks(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions = {"store"}
function M:start()
  local left, peak, busy = 20, 0, 0
  for i = 1, 20 do
    ns.spawn(function()
      for j = 1, 5 do
        busy = busy + 1
        peak = math.max(peak, busy)
        assert(ns.store.put_face{descriptor = {version = 1, data = ns.base64.encode(string.char(i, j))}})
        busy = busy - 1
      end
      left = left - 1
      if left == 0 then ns.log.info("done", {overlapped = peak > 1}) end
    end)
  end
end`), d.services)
	log.Wait(t, "msg=done plugin=p overlapped=true")
	if n := d.memory.Stats().Rows[matcher.Faces]; n != 100 {
		t.Errorf("%d faces", n)
	}
	if s := h.Plugins()[0]; s.Failures != 0 {
		t.Error(s.LastError)
	}
}

func TestStoreIsRefused(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	raises := func(source string, change func(*Options), body, want string) {
		t.Helper()
		h, _ := startHost(t, luatest.BackgroundPlugin(source), change)
		if _, err := h.current.Load().plugins[0].main.first().run(t, body); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, call := range []string{"put_face({})", "put_faces({})", "get_face('x')", "delete_event('x')", "new_list()", "attach('x', {})"} {
		raises("", d.services, "ns.store."+call, `not permitted: add "store" to the plugin's permissions`)
		raises(`M.permissions = {"store"}`, func(*Options) {}, "ns.store."+call, "this host has no store")
	}
	raises(`M.permissions = {"store"}`, d.services, `ns.store.get_face({})`, "bad argument #1")
	raises(`M.permissions = {"store"}`, d.services, `ns.store.put_faces({x = 1})`, "bad argument #1")
	o := Options{Dir: luatest.Folder(t, map[string]string{"p.lua": luatest.BackgroundPlugin(`M.permissions = {"store"} ns.store.get_face("` + face1 + `")`)}), Active: []string{"p"}}
	d.services(&o)
	if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "not while the file is loading") {
		t.Error(err)
	}
	if fmt.Sprint(d.memory.Stats().Rows) != "[0 0 0]" {
		t.Error("something was stored")
	}
}

// TestStoreOfAnOwner: a plugin cannot write data that a remote owns. It can read the
// copies that this server still has.
func TestStoreOfAnOwner(t *testing.T) {
	d := openDatabase(t, t.TempDir(), 0)
	run, fails := startStoring(t, d)
	run(`assert(ns.store.new_list{list_id = "` + list1 + `"}) assert(ns.store.put_face(ns.json.decode([[` + wholeFace + `]]))) assert(ns.store.put_event(ns.json.decode([[` + wholeEvent + `]])))`)
	owners := &matcher.Owners{Lists: map[matcher.ID][]string{matcher.MustID(list1): {"east"}}}
	owners.Origins[matcher.Events] = []string{"west"}
	d.store.SetOwners(owners)
	const events = "events are owned by remote west: write there"
	fails(`ns.store.put_event(ns.json.decode([[`+wholeEvent+`]]))`, events)
	fails(`ns.store.delete_event("`+event1+`")`, events)
	run(`assert(ns.store.put_face(ns.json.decode([[` + wholeFace + `]])))`) // it is in the list already
	another := strings.ReplaceAll(wholeFace, face1, "00000000-0000-4000-8000-00000000000f")
	fails(`ns.store.put_face(ns.json.decode([[`+another+`]]))`, "lists[0]: "+list1+" is owned by remote east: write there")
	fails(`ns.store.attach("`+list1+`", {"`+face1+`"})`, "list_id: "+list1+" is owned by remote east: write there")
	run(`assert(ns.store.get_face("` + face1 + `")) assert(ns.store.get_event("` + event1 + `"))`)
	d.store.SetOwners(nil)
	run(`assert(ns.store.delete_event("` + event1 + `")) assert(ns.store.detach("` + list1 + `", {"` + face1 + `"}))`)
}
