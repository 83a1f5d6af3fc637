package lua

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/lua/vm"
)

// fakeClock stands still until it is moved.
type fakeClock struct {
	mu      sync.Mutex
	now     time.Time
	sleeper []sleeper
}

type sleeper struct {
	until time.Time
	done  chan struct{}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	c.mu.Lock()
	s := sleeper{c.now.Add(d), make(chan struct{})}
	c.sleeper = append(c.sleeper, s)
	c.mu.Unlock()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sleeper = slices.DeleteFunc(c.sleeper, func(other sleeper) bool { return other == s })
		return ctx.Err()
	}
}

// sleeping waits until n callers sleep.
func (c *fakeClock) sleeping(t *testing.T, n int) {
	t.Helper()
	waitFor(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.sleeper) == n
	})
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	kept := c.sleeper[:0]
	for _, s := range c.sleeper {
		if c.now.Before(s.until) {
			kept = append(kept, s)
			continue
		}
		close(s.done)
	}
	c.sleeper = kept
}

// run runs body in a plugin's instance and returns its first result.
func (in *instance) run(t *testing.T, body string) (any, error) {
	t.Helper()
	script, err := vm.Compile("t.lua", "local ns = require('nearside') return function()\n"+body+"\nend", Root)
	if err != nil {
		t.Fatal(err)
	}
	_, fn, err := in.state.Load(context.Background(), vm.Limits{}, script)
	if err != nil {
		t.Fatal(err)
	}
	r, err := in.call(context.Background(), vm.Limits{Slice: 5 * time.Second}, fn.(*vm.Func))
	if err != nil || len(r) == 0 {
		return nil, err
	}
	return r[0], nil
}

func TestModules(t *testing.T) {
	clock := &fakeClock{now: time.Unix(1000, 0)}
	h, log := start(t, background(`M.version = "1.2" M.permissions = {"http:127.0.0.1:5020", "redis:*", "amqp:mq"}`), func(o *Options) { o.Clock = clock })
	in := h.current.Load().plugins[0].main.first()
	f := func(body, want string) {
		t.Helper()
		got, err := in.run(t, body)
		if err != nil {
			got = "error " + err.Error()
		}
		text := fmt.Sprint(got)
		same := text == want
		if fault, ok := strings.CutPrefix(want, "error "); ok {
			same = err != nil && strings.Contains(text, fault)
		}
		if !same {
			t.Errorf("%s: %v, want %s", body, text, want)
		}
	}
	f(`return ns.json.encode({a = {1, 2, "x"}, b = true, c = ns.json.null, d = 1.5, e = {}, f = ns.json.array({})})`, `{"a":[1,2,"x"],"b":true,"c":null,"d":1.5,"e":{},"f":[]}`)
	f(`return ns.json.encode(ns.json.decode('{"a":[1,9007199254740993,null,{"<":"ü"}]}'))`, `{"a":[1,9007199254740993,null,{"<":"ü"}]}`)
	f(`return ns.json.encode(ns.json.decode('{"a":[],"b":[[],{}]}'))`, `{"a":[],"b":[[],{}]}`)
	f(`local t = ns.json.decode("[]") t.a = 1 return ns.json.encode(t)`, `{"a":1}`)
	f(`local t = ns.json.decode("[]") t[1] = "x" return #t .. ns.json.encode(t)`, `1["x"]`)
	f(`local t = setmetatable(ns.json.decode("[]"), {__index = {a = 1}}) return t.a .. ns.json.encode(t)`, `1{}`)
	f(`ns.log.info("x", ns.json.decode("[]")) ns.kv.set("e", ns.json.decode("[]")) return ns.json.encode(ns.kv.get("e"))`, "[]")
	f(`ns.kv.delete("e") return ns.json.decode("[1") == nil and select(2, ns.json.decode("[1"))`, "json: unexpected end")
	f(`return select(2, ns.json.decode("1 2"))`, "json: there is more behind the value")
	f(`return ns.json.decode("null") == ns.json.null`, "true")
	f(`return ns.json.encode({1, 2, nil, 4, x = 1})`, "error t.lua:2: encode: bad argument #1")
	f(`local t = {} t.t = t return ns.json.encode(t)`, "error nested deeper than 64")
	f(`return ns.json.encode(print)`, "error no form in JSON")
	f(`return ns.json.encode(0/0)`, "error NaN has no form in JSON")
	f(`return ns.json.decode(("["):rep(1e5))`, "<nil>")
	f(`return ns.re.match("key=12", "(\\w+)=(\\d+)")[3]`, "12")
	f(`return ns.re.match("x", "y")`, "<nil>")
	f(`return #ns.re.find_all("a1b22", "\\d+")`, "2")
	f(`return ns.re.replace("a1b22", "(\\d+)", "<$1>")`, "a<1>b<22>")
	f(`return ns.re.match("x", "(")`, "error missing closing )")
	f(`return ns.re.replace(("x"):rep(1e6), ".*", ("$0"):rep(1000))`, "error may be longer than")
	f(`return ns.re.match(("x"):rep(1e6), ("x?"):rep(1000))`, "error more than 67108864")
	f(`return ns.base64.encode("hi") .. ns.base64.decode("aGk=")`, "aGk=hi")
	f(`return ns.base64.decode("?")`, "<nil>")
	f(`return ns.hash.crc32("123456789")`, "cbf43926")
	f(`return ns.hash.sha256("abc"):sub(1, 8)`, "ba7816bf")
	f(`return #ns.uuid() .. ns.name .. ns.version .. type(ns.conf)`, "36p1.2table")
	f(`return ns.now()`, "1000")
	f(`return ns.kv.get("k")`, "<nil>")
	f(`ns.kv.set("k", {a = {1}}, 10) return ns.kv.get("k").a[1]`, "1")
	f(`return ns.kv.add("k", 1)`, "false")
	f(`return ns.kv.incr("k")`, "<nil>")
	f(`return ns.kv.incr("n", 2) + ns.kv.incr("n")`, "5")
	f(`return ns.kv.cas("n", 3, 4) and ns.kv.get("n")`, "4")
	f(`return ns.kv.cas("n", 3, 5)`, "false")
	f(`return ns.kv.cas("new", nil, "x")`, "true")
	f(`return table.concat(ns.kv.keys(""), ",")`, "k,n,new")
	f(`return table.concat(ns.kv.keys("n", 1), ",")`, "n")
	f(`return ns.kv.delete("n") and not ns.kv.delete("n")`, "true")
	f(`ns.kv.set("f", {print})`, "error cannot be kept in kv")
	f(`return ns.kv.set(("k"):rep(2000), 1)`, "<nil>")
	clock.advance(10 * time.Second)
	f(`return ns.kv.get("k")`, "<nil>")
	f(`ns.log.warn("hello", {x = {1}, a = 2}) print("printed", 1)`, "<nil>")
	log.wait(t, `level=WARN msg=hello plugin=p a=2 x=[1]`)
	log.wait(t, `printed\t1`)
	f(`ns.sleep(-1)`, "error not within 0 and a year")
	for _, p := range [][2]string{{"http", "127.0.0.1:5020"}, {"redis", "any:6379"}, {"amqp", "MQ:5672"}} {
		if err := in.permit(p[0], p[1]); err != nil {
			t.Error(err)
		}
	}
	for _, p := range [][2]string{{"http", "127.0.0.1:5021"}, {"amqp", "mq2:1"}, {"store", ""}} {
		if err := in.permit(p[0], p[1]); err == nil || !strings.Contains(err.Error(), p[0]) {
			t.Error(p, err)
		}
	}
}

func TestKVIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	s := newKV(func() time.Time { return now })
	for i := range maxKeys {
		if err := s.set(strconv.Itoa(i), true, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.set("one more", true, 0); err == nil {
		t.Error("more keys than allowed")
	}
	if err := s.set("5", false, time.Second); err != nil {
		t.Errorf("replacing a value: %v", err)
	}
	now = now.Add(time.Minute) // all expire and make room
	if err := s.set("one more", true, 0); err != nil {
		t.Error(err)
	}
	if err := s.set("big", strings.Repeat("x", maxKVBytes), 0); err == nil {
		t.Error("more bytes than allowed")
	}
	s.sweep()
	s.remove("one more")
	if s.bytes != 0 || len(s.m) != 0 {
		t.Errorf("%d bytes of %d keys are left", s.bytes, len(s.m))
	}
}

func TestBatch(t *testing.T) {
	clock := &fakeClock{now: time.Unix(1000, 0)}
	h, log := start(t, background(`
function M:start()
  local b = ns.batch{size = 3, seconds = 5, max = 4, flush = function(items)
    local t = {} for i, v in ipairs(items) do t[i] = tostring(v.n) end
    ns.log.info("flushed " .. table.concat(t, "-"))
  end}
  for i = 1, 6 do b:add({n = i}) end
  ns.log.info("dropped " .. b:dropped())
  b:flush()
  b:add({n = 9})
end`), func(o *Options) { o.Clock = clock })
	log.wait(t, "dropped 2")
	log.wait(t, "flushed 3-4-5")
	log.wait(t, "flushed 6")
	waitFor(t, func() bool { clock.advance(6 * time.Second); return strings.Contains(log.all(), "flushed 9") })
	if d := h.Plugins()[0].Dropped; d != 2 {
		t.Errorf("%d dropped", d)
	}
}

func TestCheck(t *testing.T) {
	dir := folder(t, map[string]string{
		"good.lua":   "local ns = require('nearside') return {api = 1, name = 'good', kinds = {'background'}, start = function() ns.kv.get(ns.conf.a.b) end}",
		"p/init.lua": "local ns = require('nearside')\nlocal M = {api = 1, name = 'p', kinds = {'background'}}\nfunction M:start()\n ns.kv.gt('x') require('nearside').http2.get() end return M",
		"p/x.lua":    "local n = require('nearside')\nn.nothing()\n",
		"p/y.lua":    "leak = 1",
	})
	if err := Check(context.Background(), Options{Dir: dir}, "good"); err != nil {
		t.Error(err)
	}
	err := Check(context.Background(), Options{Dir: dir}, "p.lua")
	if err == nil {
		t.Fatal("no faults")
	}
	for _, want := range []string{`init.lua:4: nearside has no "kv.gt"`, `has no "http2.get"`, `x.lua:2: nearside has no "nothing"`, `y.lua:1: write to the undeclared global "leak"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// TestClosers: what a module registered is closed after the instance's
// calls, the last first; at once when the instance is closed already.
func TestClosers(t *testing.T) {
	h, _ := start(t, background(""))
	in := h.current.Load().plugins[0].main.first()
	var order []string
	closer := func(name string) func() error {
		return func() error { order = append(order, name); return nil }
	}
	in.onClose(closer("first"))
	in.onClose(closer("second"))
	closeHost(t, h)
	in.onClose(closer("late"))
	if got := strings.Join(order, " "); got != "second first late" {
		t.Error(got)
	}
}
