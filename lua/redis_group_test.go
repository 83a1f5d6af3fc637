package lua

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"nearside/lua/luatest"
	"nearside/lua/ns/peer"
	"nearside/lua/ns/redis"
	"nearside/matcher"
)

// A streamTest is a real server, with a client that does not go through plugins.
type streamTest struct {
	*goredis.Client
	url string
}

// newStreamTest returns the shared server, after it has deleted all keys.
func newStreamTest(t *testing.T) streamTest {
	t.Helper()
	text := luatest.RedisURL(t)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	c := redisClientOf(t, u.Host)
	c.FlushAll(t.Context())
	return streamTest{c, text}
}

// add adds an entry with the field n to the stream "s" for each value.
func (s streamTest) add(t *testing.T, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := s.XAdd(t.Context(), &goredis.XAddArgs{Stream: "s", Values: []string{"n", v}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// pending returns the number of pending entries of the group "g".
func (s streamTest) pending(t *testing.T) int64 {
	t.Helper()
	p, err := s.XPending(t.Context(), "s", "g").Result()
	if err != nil {
		t.Fatal(err)
	}
	return p.Count
}

// readingPlugin returns a plugin that reads the stream "s". body is the body of the
// handler, whose parameter is e.
func (s streamTest) readingPlugin(options, body string) string {
	return script(`"redis:*", "store"`, connectRedis(s.url)+`
assert(c:xreadgroup({group = "g", stream = "s", block_ms = 60000, `+options+`}, function(e) `+body+` end))
print("reading")`)
}

func TestRedisGroupVerdicts(t *testing.T) {
	s := newStreamTest(t)
	s.add(t, "ack", "twice", "dead", "raise")
	h, log := startHost(t, s.readingPlugin(`dead = "d", attempts = 2`, `
local n = e.fields.n
print("got " .. n .. " " .. e.attempt)
if n == "ack" then return "ack" end
if n == "twice" then if e.attempt == 2 then return true end return {retry = 0.01} end
if n == "dead" then return "dead", "no face" end
error("oh")`))
	luatest.WaitFor(t, func() bool { return s.XLen(t.Context(), "d").Val() == 2 && s.pending(t) == 0 })
	all := log.All()
	for _, want := range []string{"got ack 1", "got twice 1", "got twice 2", "got dead 1", "got raise 1", "got raise 2"} {
		if strings.Count(all, want) != 1 {
			t.Errorf("%q comes %d times", want, strings.Count(all, want))
		}
	}
	letters := s.XRange(t.Context(), "d", "-", "+").Val()
	first, second := letters[0].Values, letters[1].Values
	if first["reason"] != "no face" || first["n"] != "dead" || first["stream"] != "s" || first["group"] != "g" || first["attempts"] != "1" || first["id"] == "" {
		t.Errorf("%v", first)
	}
	if !strings.Contains(fmt.Sprint(second["reason"]), "oh") || second["attempts"] != "2" || second["n"] != "raise" {
		t.Errorf("%v", second)
	}
	luatest.WaitFor(t, func() bool { return h.Plugins()[0].Consumers[0].Acked == 2 })
	if k := h.Plugins()[0].Consumers[0]; k.Dead != 2 || k.State != peer.Running || k.Stuck != 0 {
		t.Errorf("%+v", k)
	}
	closeHost(t, h)
}

// TestRedisGroupStuck: without dead letters, an entry stays pending after its last
// attempt. The status says so, and a reload tries the entry once more.
func TestRedisGroupStuck(t *testing.T) {
	s := newStreamTest(t)
	s.add(t, "bad", "good")
	h, log := startHost(t, s.readingPlugin(`attempts = 2`, `
print("got " .. e.fields.n .. " " .. e.attempt)
if e.fields.n == "good" then return true end
return {retry = 0.01}`))
	luatest.WaitFor(t, func() bool { // the order of the two entries is not fixed
		k := h.Plugins()[0].Consumers[0]
		return k.State == peer.Degraded && k.Acked == 1
	})
	k := h.Plugins()[0].Consumers[0]
	if k.Stuck != 1 || !strings.Contains(k.Reason, "1 messages failed for the last time") || s.pending(t) != 1 {
		t.Errorf("%+v", k)
	}
	s.add(t, "good") // other entries are still handled
	luatest.WaitFor(t, func() bool { return h.Plugins()[0].Consumers[0].Acked == 2 })
	if strings.Count(log.All(), "got bad") != 2 {
		t.Error(log.All())
	}
	if s := h.Plugins()[0].Consumers[0]; s.State != peer.Degraded {
		t.Errorf("%+v", s)
	}
	closeHost(t, h)
}

// TestRedisGroupBatch: a handler receives lists of entries and returns a verdict for each
// entry.
func TestRedisGroupBatch(t *testing.T) {
	s := newStreamTest(t)
	for i := range 10 {
		s.add(t, strconv.Itoa(i))
	}
	h, log := startHost(t, s.readingPlugin(`batch = 4, dead = "d"`, `
local verdicts, names = {}, {}
for i, entry in ipairs(e) do
  names[i] = entry.fields.n
  verdicts[i] = entry.fields.n == "3" and entry.attempt == 1 and {retry = 0.01} or entry.fields.n == "5" and "dead" or "ack"
end
print("got " .. table.concat(names, "-"))
return verdicts`))
	luatest.WaitFor(t, func() bool { return h.Plugins()[0].Consumers[0].Acked == 9 })
	luatest.WantLines(t, log.All(), "got 0-1-2-3", "got 3")
	luatest.WantLines(t, log.All(), "got 0-1-2-3", "got 4-5-6-7", "got 8-9")
	if s.XLen(t.Context(), "d").Val() != 1 || s.pending(t) != 0 {
		t.Error("pending entries")
	}
	closeHost(t, h)
}

// TestRedisGroupPause: while the store is full, entries wait but use no attempt.
func TestRedisGroupPause(t *testing.T) {
	s := newStreamTest(t)
	s.add(t, "1", "2")
	d := openDatabase(t, t.TempDir(), 0)
	full := &switchedStore{ObjectWriter: d.store}
	full.set(matcher.Errorf(matcher.CodeFull, "the disk is full"))
	h, log := startHost(t, s.readingPlugin(`attempts = 1`, `
local id, err = ns.store.new_list({})
if not id then print("refused " .. e.fields.n) return false end
print("stored " .. e.fields.n .. " " .. e.attempt)
return true`), d.services, func(o *Options) { o.Clock, o.Services.Store = nil, full })
	log.Wait(t, "refused 1")
	luatest.WaitFor(t, func() bool { return h.Plugins()[0].Consumers[0].State == peer.Paused })
	if k := h.Plugins()[0].Consumers[0]; !strings.Contains(k.Reason, "the disk is full") || k.Retried != 0 {
		t.Errorf("%+v", k)
	}
	full.set(nil)
	log.Wait(t, "stored 2 1")
	luatest.WantLines(t, log.All(), "refused 1", "stored 1 1", "stored 2 1")
	luatest.WaitFor(t, func() bool { return s.pending(t) == 0 && h.Plugins()[0].Consumers[0].State == peer.Running })
	closeHost(t, h)
}

// TestRedisGroupTakesOver: a reader takes over the pending entries of other consumers, and
// those of its own name before a restart, after they have been idle long enough.
func TestRedisGroupTakesOver(t *testing.T) {
	s := newStreamTest(t)
	s.XGroupCreateMkStream(t.Context(), "s", "g", "0")
	s.add(t, "gone", "deleted", "mine", "worked on")
	read := func(consumer string, n int64) []goredis.XMessage {
		return s.XReadGroup(t.Context(), &goredis.XReadGroupArgs{Group: "g", Consumer: consumer, Streams: []string{"s", ">"}, Count: n}).Val()[0].Messages
	}
	gone := read("gone", 2)
	mine := read("me", 1)
	worked := read("busy", 1)
	idle := func(id, consumer string, d time.Duration) {
		s.Do(t.Context(), "XCLAIM", "s", "g", consumer, 0, id, "IDLE", d.Milliseconds(), "JUSTID")
	}
	idle(gone[0].ID, "gone", time.Hour)
	idle(gone[1].ID, "gone", time.Hour)
	s.XDel(t.Context(), "s", gone[1].ID)
	idle(mine[0].ID, "me", redis.OwnIdle)
	h, log := startHost(t, s.readingPlugin(`consumer = "me", claim_ms = 60000`, `print("got " .. e.fields.n .. " " .. e.attempt) return true`))
	log.Wait(t, "got gone 2")
	log.Wait(t, "got mine 2")
	luatest.WaitFor(t, func() bool { return s.pending(t) == 1 })
	if strings.Contains(log.All(), "worked on") {
		t.Error("an entry was taken from a consumer that works on it")
	}
	idle(worked[0].ID, "busy", time.Hour)
	log.Wait(t, "got worked on 2")
	closeHost(t, h)
}

// TestRedisGroupRecreated: a reader continues after the group, the stream or all keys were
// deleted.
func TestRedisGroupRecreated(t *testing.T) {
	s := newStreamTest(t)
	h, log := startHost(t, s.readingPlugin(``, `print("got " .. e.fields.n) return true`))
	log.Wait(t, "reading")
	for i, del := range []func() error{
		func() error { return s.XGroupDestroy(t.Context(), "s", "g").Err() },
		func() error { return s.Del(t.Context(), "s").Err() },
		func() error { return s.FlushAll(t.Context()).Err() },
	} {
		s.add(t, strconv.Itoa(i))
		log.Wait(t, fmt.Sprintf("got %d", i))
		if err := del(); err != nil {
			t.Fatal(err)
		}
		s.add(t, fmt.Sprint("again ", i))
		log.Wait(t, fmt.Sprintf("got again %d", i))
	}
	closeHost(t, h)
}

// TestRedisGroupStates: each state reads under its own consumer name, and no two states
// handle the same entry.
func TestRedisGroupStates(t *testing.T) {
	s := newStreamTest(t)
	const n = 60
	for i := range n {
		s.add(t, strconv.Itoa(i))
	}
	h, log := startHost(t, luatest.BackgroundPlugin(`M.states, M.permissions = 3, {"redis:*"}
function M:initialize()
  local c = assert(ns.redis.connect("`+s.url+`"))
  for _, name in ipairs({"named", ""}) do
    assert(c:xreadgroup({group = "g", stream = "s", claim_ms = 100, consumer = name ~= "" and name or nil}, function(e)
      print("got " .. e.fields.n .. ";")
      ns.sleep(0.15)
      return true
    end))
  end
end`))
	luatest.WaitFor(t, func() bool { return s.pending(t) == 0 && strings.Count(log.All(), "got ") >= n })
	for i := range n {
		if c := strings.Count(log.All(), fmt.Sprintf("got %d;", i)); c != 1 {
			t.Errorf("entry %d came %d times", i, c)
		}
	}
	if names := s.XInfoConsumers(t.Context(), "s", "g").Val(); len(names) != 6 {
		t.Errorf("%v: want 6 consumers", names)
	}
	closeHost(t, h)
}

// TestRedisGroupRenews: a handler that takes longer than claim_ms keeps its entry, even if
// another process reads the group.
func TestRedisGroupRenews(t *testing.T) {
	s := newStreamTest(t)
	body := `print("begin " .. e.fields.n) ns.sleep(4) print("end " .. e.fields.n) return true`
	one, log1 := startHost(t, s.readingPlugin(`consumer = "a", claim_ms = 2500`, body))
	log1.Wait(t, "reading")
	two, log2 := startHost(t, s.readingPlugin(`consumer = "b", claim_ms = 2500`, body))
	log2.Wait(t, "reading")
	s.add(t, "x")
	luatest.WaitFor(t, func() bool { return strings.Contains(log1.All()+log2.All(), "end x") && s.pending(t) == 0 })
	if n := strings.Count(log1.All()+log2.All(), "begin x"); n != 1 {
		t.Errorf("handled %d times", n)
	}
	closeHost(t, one)
	closeHost(t, two)
}

// TestRedisGroupAckIsRepeated: if the connection breaks after the handler has begun, its
// entry is acknowledged later and not handled again.
func TestRedisGroupAckIsRepeated(t *testing.T) {
	s := newStreamTest(t)
	u, _ := url.Parse(s.url)
	proxy := luatest.NewProxy(t, u.Host)
	s.url = strings.Replace(s.url, u.Host, proxy.Addr(), 1)
	h, log := startHost(t, s.readingPlugin(`claim_ms = 100`, `print("begin " .. e.fields.n .. ";") ns.sleep(0.3) print("end " .. e.fields.n .. ";") return true`))
	s.add(t, "1")
	log.Wait(t, "begin 1;")
	proxy.SetDown(true)
	log.Wait(t, "end 1;")
	log.Wait(t, "xreadgroup failed")
	proxy.SetDown(false)
	s.add(t, "2")
	log.Wait(t, "end 2;")
	luatest.WaitFor(t, func() bool { return s.pending(t) == 0 })
	if strings.Count(log.All(), "begin 1;") != 1 {
		t.Error(log.All())
	}
	closeHost(t, h)
}

// TestRedisGroupRefused: mistakes of the plugin's author are errors at once.
func TestRedisGroupRefused(t *testing.T) {
	s := newStreamTest(t)
	s.Set(t.Context(), "text", "x", 0)
	all := eval(t, `"redis:*"`, connectRedis(s.url)+`
print("wrong type", c:xreadgroup({group = "g", stream = "text"}, print))
print("dead", pcall(c.xreadgroup, c, {group = "g", stream = "s", dead = "s"}, print))`)
	luatest.WantLines(t, all, `wrong type\tnil\t`, "WRONGTYPE", `dead\tfalse`, "is the stream itself")
}

// TestRedisHandlerInAnOutage: a handler that fails because a Redis server is down uses no
// attempt.
func TestRedisHandlerInAnOutage(t *testing.T) {
	s := newStreamTest(t)
	port := luatest.FreePort(t)
	s.add(t, "1")
	h, log := startHost(t, s.readingPlugin(`attempts = 1, dead = "d"`, `
local peer = assert(ns.redis.connect("redis://127.0.0.1:`+port+`", {timeout_ms = 500}))
local ok, err = peer:call("SET", "a", 1)
peer:close()
if not ok then print("refused") return false end`))
	log.Wait(t, "refused")
	luatest.WaitFor(t, func() bool { return h.Plugins()[0].Consumers[0].State == peer.Paused })
	if n := s.XLen(t.Context(), "d").Val(); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	closeHost(t, h)
}

// TestRedisFullMemory: entries are handled while the server accepts no writes. A dead
// letter waits until the server accepts them again.
func TestRedisFullMemory(t *testing.T) {
	s := newStreamTest(t)
	s.add(t, "bad", "good")
	s.XGroupCreateMkStream(t.Context(), "s", "g", "0")
	s.ConfigSet(t.Context(), "maxmemory", "1")
	t.Cleanup(func() { s.ConfigSet(context.Background(), "maxmemory", "0") })
	h, log := startHost(t, s.readingPlugin(`dead = "d"`, `print("got " .. e.fields.n) return e.fields.n == "good" or "dead"`))
	log.Wait(t, "got good")
	luatest.WaitFor(t, func() bool { return s.pending(t) == 1 })
	log.Wait(t, "its dead letter")
	s.ConfigSet(t.Context(), "maxmemory", "0")
	luatest.WaitFor(t, func() bool { return s.pending(t) == 0 && s.XLen(t.Context(), "d").Val() == 1 })
	if strings.Count(log.All(), "got bad") != 1 {
		t.Error(log.All())
	}
	closeHost(t, h)
}

// TestRedisFullDisk: a server that cannot save refuses all writes and also reads of a
// group. The reader waits and uses no attempt.
func TestRedisFullDisk(t *testing.T) {
	dir, port := t.TempDir(), luatest.FreePort(t)
	p := luatest.StartRedis(t, dir, port)
	t.Cleanup(p.End)
	s := streamTest{redisClientOf(t, "127.0.0.1:"+port), "redis://:" + luatest.Password + "@127.0.0.1:" + port}
	s.add(t, "bad", "good")
	obstacle := filepath.Join(dir, "dump.rdb") // a folder, because a file cannot replace it
	if err := errors.Join(os.Mkdir(obstacle, 0o755), s.ConfigSet(t.Context(), "save", "3600 1000").Err()); err != nil {
		t.Fatal(err)
	}
	saved := func(status string) {
		s.BgSave(t.Context())
		luatest.WaitFor(t, func() bool {
			return strings.Contains(s.Info(t.Context(), "persistence").Val(), "rdb_last_bgsave_status:"+status)
		})
	}
	saved("err")
	h, log := startHost(t, s.readingPlugin(`dead = "d", attempts = 1`, `print("got " .. e.fields.n .. " " .. e.attempt) return e.fields.n == "good" or "dead"`))
	log.Wait(t, "MISCONF")
	if strings.Contains(log.All(), "got") {
		t.Error(log.All())
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	saved("ok")
	luatest.WaitFor(t, func() bool { return s.XLen(t.Context(), "d").Val() == 1 && s.pending(t) == 0 })
	log.Wait(t, "got good 1")
	luatest.WantLines(t, log.All(), "got bad 1", "got good 1")
	closeHost(t, h)
}
