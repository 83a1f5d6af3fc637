package lua

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"nearside/lua/luatest"
	"nearside/lua/ns/peer"
	"nearside/lua/ns/redis"
)

// eachRedis runs a test on miniredis and on a real server.
func eachRedis(t *testing.T, f func(t *testing.T, address, url string)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		s := miniredis.RunT(t)
		s.RequireAuth(luatest.Password)
		f(t, s.Addr(), "redis://:"+luatest.Password+"@"+s.Addr())
	})
	t.Run("real", func(t *testing.T) {
		text := luatest.RedisURL(t)
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		redisClientOf(t, u.Host).FlushAll(t.Context())
		f(t, u.Host, text)
	})
}

// redisClientOf returns a client that does not go through plugins.
func redisClientOf(t testing.TB, address string) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: address, Password: luatest.Password, Protocol: 2})
	t.Cleanup(func() { c.Close() })
	return c
}

func connectRedis(url string) string { return `local c = assert(ns.redis.connect("` + url + `")) ` }

func TestRedisCommands(t *testing.T) {
	eachRedis(t, func(t *testing.T, _, url string) {
		_, log := startHost(t, script(`"redis:*"`, connectRedis(url)+`
local function show(...) print(ns.json.encode({...})) end
show(c:call("SET", "k", "v"), c:call("GET", "k"), c:call("INCR", "n"), c:call("INCRBY", "n", 41))
print("none", c:call("GET", "nothing"))
c:call("SET", "big", "9223372036854775806")
show(c:call("INCR", "big"))
c:call("SET", "f", 0.25)
c:call("SET", "i", 1e15)
show(c:call("MGET", "f", "i", "nothing"))
print("wrong", c:call("LPUSH", "k", "x"))
show(c:pipeline({{"SET", "a", 1}, {"LPUSH", "k", "x"}, {"GET", "nothing"}, {"GET", "a"}}))
show(c:pipeline({}))
c:call("SET", "bytes", "\0\255\r\n")
print(#c:call("GET", "bytes"))
c:close()
print("closed", c:call("GET", "k"))`))
		luatest.WantLines(t, log.All(), `\"OK\",\"v\",1,42`, `none\tnil`, `[9223372036854775807]`, `[[\"0.25\",\"1000000000000000\",null]]`,
			`wrong\tnil\t`, `WRONGTYPE`, `[[\"OK\",{\"err\":\"WRONGTYPE`, `,null,\"1\"]]`, `msg=4`, `closed\tnil\t`, `the client is closed`)
		log.WantNoSecret(t)
	})
}

func TestRedisMistakesRaise(t *testing.T) {
	s := miniredis.RunT(t)
	f := func(call, want string) {
		t.Helper()
		all := eval(t, `"redis:`+s.Addr()+`"`, connectRedis("redis://"+s.Addr())+`local ok, err = pcall(function() return `+call+` end) print(tostring(ok) .. " " .. tostring(err))`)
		luatest.WantLines(t, all, "false", want)
		if strings.Contains(all, "s3cret") {
			t.Errorf("the password is in:\n%s", all)
		}
	}
	f(`ns.redis.connect("redis://:s3cret@127.0.0.1:1")`, "not permitted: add")
	f(`ns.redis.connect("http://:s3cret@127.0.0.1:1")`, "scheme must be one of redis, rediss")
	f(`ns.redis.connect("redis://:s3cr%et@127.0.0.1:1")`, "not of the form")
	f(`ns.redis.connect("redis://:s3cret/@x:1")`, "not of the form")
	f(`ns.redis.connect("redis://127.0.0.1:1/x")`, "database")
	f(`ns.redis.connect("redis://127.0.0.1:1?a=b")`, "not of the form")
	f(`ns.redis.connect("redis://127.0.0.1:1", {timeout = 1})`, "unknown")
	f(`c:call()`, "needs at least a name")
	f(`c:call("SET", "k", true)`, "part 3")
	f(`c:call("select", 1)`, "share")
	f(`c:pipeline({{"GET", "a"}, {"MULTI"}})`, "commands[2]")
	f(`c:pipeline((function() local t = {} for i = 1, 1001 do t[i] = {"PING"} end return t end)())`, "at most 1000 commands, got 1001")
	f(`c:subscribe("", print)`, "no name")
	f(`c:xreadgroup({stream = "s"}, print)`, "group")
	f(`c:xreadgroup({stream = "s", group = "g", count = 1e6}, print)`, "count")
	f(`c.call("GET")`, "colon")
}

func TestRedisClientsAreBounded(t *testing.T) {
	s := miniredis.RunT(t)
	all := eval(t, `"redis:*"`, `
local function open() return ns.redis.connect("redis://`+s.Addr()+`") end
local first = assert(open())
for i = 1, 15 do assert(open()) end
print(open())
first:close()
assert(open())
print("done")`)
	luatest.WantLines(t, all, `nil\t`, "16 clients", "done")
}

func TestRedisSubscribe(t *testing.T) {
	eachRedis(t, func(t *testing.T, address, url string) {
		h, log := startHost(t, script(`"redis:*"`, connectRedis(url)+`
local task
task = assert(c:subscribe("news", function(m, channel)
  if m == "raise" then error("oh") end
  print("got " .. channel .. " " .. m)
  if m == "last" then task:cancel() end
end))`))
		c := redisClientOf(t, address)
		for _, m := range []string{"one", "raise", "two"} {
			c.Publish(t.Context(), "news", m)
		}
		log.Wait(t, "got news two")
		luatest.WantLines(t, log.All(), "got news one", "oh", "got news two")
		if err := h.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := c.Publish(t.Context(), "news", "after").Val(); n < 1 {
			t.Error("nobody listens after the reload")
		}
		log.Wait(t, "got news after")
		c.Publish(t.Context(), "news", "last")
		log.Wait(t, "got news last")
		log.WantNoSecret(t)
	})
}

// A plugin starts even if the server is down. Calls fail, and readers begin when the
// server comes up.
func TestRedisDownAtStart(t *testing.T) {
	luatest.FindProgram(t, "redis-server")
	dir, port := t.TempDir(), luatest.FreePort(t)
	address := "127.0.0.1:" + port
	h, log := startHost(t, script(`"redis:*"`, connectRedis("redis://:"+luatest.Password+"@"+address)+`
print("set", c:call("SET", "k", "v"))
assert(c:subscribe("news", function(m) print("news " .. m) end))
assert(c:xreadgroup({group = "g", stream = "s"}, function(e) print("entry " .. e.fields.n) return true end))
print("started")`))
	log.Wait(t, "started")
	luatest.WantLines(t, log.All(), `set\tnil\t`+address, "refused")
	consumers := h.Plugins()[0].Consumers
	if len(consumers) != 2 || consumers[0].State != peer.Connecting || !strings.Contains(consumers[1].Reason, "refused") {
		t.Errorf("%+v", consumers)
	}
	p := luatest.StartRedis(t, dir, port)
	defer p.End()
	c := redisClientOf(t, address)
	c.XAdd(t.Context(), &goredis.XAddArgs{Stream: "s", Values: []string{"n", "1"}})
	log.Wait(t, "entry 1")
	p.AwaitReady(t, func() error {
		if c.Publish(t.Context(), "news", "one").Val() == 0 {
			return errors.New("nobody listens")
		}
		return nil
	})
	log.Wait(t, "news one")
	consumers = h.Plugins()[0].Consumers
	if consumers[0].State != peer.Running || consumers[0].Down <= 0 {
		t.Errorf("%+v", consumers)
	}
	closeHost(t, h)
	log.WantNoSecret(t)
}

// The server accepts connections but never answers.
func TestRedisSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all := eval(t, `"redis:*", "amqp:*"`, `
local redis = ns.redis.connect("redis://`+l.Addr().String()+`", {timeout_ms = 200})
local pong, err = redis:call("PING")
print(tostring(pong) .. " " .. err)
local amqp = ns.amqp.connect("amqp://`+l.Addr().String()+`", {timeout_ms = 200})
local sent, err = amqp:publish("", "q", "x")
print(tostring(sent) .. " " .. err)`)
	luatest.WantLines(t, all, "nil "+l.Addr().String()+": timeout", "nil "+l.Addr().String()+": timeout")
}

// The client gives up a reply that is larger than its limit.
func TestRedisHugeReply(t *testing.T) {
	s := miniredis.RunT(t)
	if err := s.Set("k", strings.Repeat("x", redis.MaxReply)); err != nil {
		t.Fatal(err)
	}
	all := eval(t, `"redis:*"`, connectRedis("redis://"+s.Addr())+`
local v, err = c:call("GET", "k")
print(tostring(v) .. " " .. err)
print("then", c:call("PING"))`)
	luatest.WantLines(t, all, "nil", fmt.Sprintf("larger than %d bytes", redis.MaxReply), `then\tPONG`)
}

// The server is killed while a plugin uses it, and comes back with its data.
func TestRedisComesBack(t *testing.T) {
	luatest.FindProgram(t, "redis-server")
	dir, port := t.TempDir(), luatest.FreePort(t)
	address := "127.0.0.1:" + port
	p := luatest.StartRedis(t, dir, port)
	h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions, M.kinds, M.events = {"redis:*"}, {"background", "event"}, {"sending_event"}
local c
function M:initialize()
  c = assert(ns.redis.connect("redis://:`+luatest.Password+`@`+address+`"))
  assert(c:subscribe("news", function(m) print("news " .. m) end))
  assert(c:xreadgroup({group = "g", stream = "s", block_ms = 60000}, function(e) print("entry " .. e.fields.n) return true end))
end
local n = 0
function M:handle_event()
  n = n + 1
  local reply, err = c:call("SET", "k", "v")
  print("set " .. n .. " " .. tostring(reply or err))
end`))
	set := func(want string) {
		t.Helper()
		h.Emit("sending_event", func() any { return map[string]any{} })
		log.Wait(t, want)
	}
	set("set 1 OK")
	p.End()
	set("set 2 " + address + ": ")
	log.Wait(t, "subscription failed")
	log.Wait(t, "xreadgroup failed")
	p = luatest.StartRedis(t, dir, port)
	defer p.End()
	set("set 3 OK")
	c := redisClientOf(t, address)
	p.AwaitReady(t, func() error {
		if c.Publish(t.Context(), "news", "again").Val() == 0 {
			return errors.New("nobody listens")
		}
		return c.XAdd(t.Context(), &goredis.XAddArgs{Stream: "s", Values: []string{"n", "again"}}).Err()
	})
	log.Wait(t, "news again")
	log.Wait(t, "entry again")
	closeHost(t, h)
	log.WantNoSecret(t)
}

// The server hangs. Calls and a reload end after their timeouts, and the connection that
// waited is not used again.
func TestRedisFrozenServer(t *testing.T) {
	s := miniredis.RunT(t)
	proxy := luatest.NewProxy(t, s.Addr())
	h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions, M.kinds, M.events = {"redis:*"}, {"background", "event"}, {"sending_event"}
local c
function M:initialize()
  c = assert(ns.redis.connect("redis://`+proxy.Addr()+`", {timeout_ms = 500}))
  assert(c:subscribe("news", print))
end
local n = 0
function M:handle_event()
  n = n + 1
  print("reply " .. n, c:call("INCR", "n"))
  print("replies " .. n, c:pipeline({{"INCR", "n"}}))
  print("done " .. n)
end`))
	proxy.Freeze(true)
	h.Emit("sending_event", func() any { return map[string]any{} })
	log.Wait(t, "done 1")
	luatest.WantLines(t, log.All(), `reply 1\tnil\t`, "timeout", `replies 1\tnil\t`, "timeout")
	proxy.Freeze(false)
	h.Emit("sending_event", func() any { return map[string]any{} })
	log.Wait(t, "done 2")
	if strings.Count(log.All(), "timeout") != 2 {
		t.Error(log.All())
	}
	closeHost(t, h)
}

// Everything that can block does so, and a reload ends it at once.
func TestRedisEndsWithItsGeneration(t *testing.T) {
	eachRedis(t, func(t *testing.T, address, url string) {
		h, log := startHost(t, luatest.BackgroundPlugin(`
M.permissions = {"redis:*"}
function M:start()
  local c = assert(ns.redis.connect("`+url+`", {timeout_ms = 300000}))
  assert(c:subscribe("news", print))
  assert(c:xreadgroup({group = "g", stream = "s", block_ms = 60000}, print))
  for i = 1, 20 do ns.spawn(function() while true do pcall(c.call, c, "BLPOP", "list", 0) end end) end
  print("up")
end`))
		log.Wait(t, "up")
		c := redisClientOf(t, address)
		before := c.XInfoGroups(t.Context(), "s").Val()
		for range 3 {
			if err := h.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		closeHost(t, h)
		if len(before) != 1 {
			t.Errorf("%d groups, want 1", len(before))
		}
	})
}
