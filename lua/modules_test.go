package lua

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"nearside/lua/luatest"
	"nearside/lua/ns"
	"nearside/lua/vm"
)

// run runs body in a plugin's instance and returns its first result.
func (in *instance) run(t *testing.T, body string) (any, error) {
	t.Helper()
	script, err := vm.Compile("t.lua", "local ns = require('nearside') return function()\n"+body+"\nend", ns.Root)
	if err != nil {
		t.Fatal(err)
	}
	_, fn, err := in.State.Load(context.Background(), vm.Limits{}, script)
	if err != nil {
		t.Fatal(err)
	}
	r, err := in.Call(context.Background(), vm.Limits{Slice: 5 * time.Second}, fn.(*vm.Func))
	if err != nil || len(r) == 0 {
		return nil, err
	}
	return r[0], nil
}

func TestModules(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	h, log := startHost(t, luatest.BackgroundPlugin(`M.version = "1.2" M.permissions = {"http:127.0.0.1:5020", "redis:*", "amqp:mq"}`), func(o *Options) { o.Clock = clock })
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
	f(`return select(2, ns.json.decode("1 2"))`, "json: there is more text after the value")
	f(`return ns.json.decode("null") == ns.json.null`, "true")
	f(`return ns.json.encode({1, 2, nil, 4, x = 1})`, "error t.lua:2: encode: bad argument #1")
	f(`local t = {} t.t = t return ns.json.encode(t)`, "error nested deeper than 64")
	f(`return ns.json.encode(print)`, "error cannot be encoded as JSON")
	f(`return ns.json.encode(0/0)`, "error NaN cannot be encoded as JSON")
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
	clock.Advance(10 * time.Second)
	f(`return ns.kv.get("k")`, "<nil>")
	f(`ns.log.warn("hello", {x = {1}, a = 2}) print("printed", 1)`, "<nil>")
	log.Wait(t, `level=WARN msg=hello plugin=p a=2 x=[1]`)
	log.Wait(t, `printed\t1`)
	f(`ns.sleep(-1)`, "error seconds must be from 0 to 31622400 (a year), got -1")
	for _, p := range [][2]string{{"http", "127.0.0.1:5020"}, {"redis", "any:6379"}, {"amqp", "MQ:5672"}} {
		if err := in.Permit(p[0], p[1]); err != nil {
			t.Error(err)
		}
	}
	for _, p := range [][2]string{{"http", "127.0.0.1:5021"}, {"amqp", "mq2:1"}, {"store", ""}} {
		if err := in.Permit(p[0], p[1]); err == nil || !strings.Contains(err.Error(), p[0]) {
			t.Error(p, err)
		}
	}
}

func TestBatch(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	h, log := startHost(t, luatest.BackgroundPlugin(`
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
	log.Wait(t, "dropped 2")
	log.Wait(t, "flushed 3-4-5")
	log.Wait(t, "flushed 6")
	luatest.WaitFor(t, func() bool { clock.Advance(6 * time.Second); return strings.Contains(log.All(), "flushed 9") })
	if d := h.Plugins()[0].Dropped; d != 2 {
		t.Errorf("%d dropped", d)
	}
}

func TestCheck(t *testing.T) {
	dir := luatest.Folder(t, map[string]string{
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

// TestClosers: the functions that OnClose has registered are called in reverse order when
// the instance is closed. If it is closed already, OnClose calls the function at once.
func TestClosers(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(""))
	in := h.current.Load().plugins[0].main.first()
	var order []string
	closer := func(name string) func() error {
		return func() error { order = append(order, name); return nil }
	}
	in.OnClose(closer("first"))
	in.OnClose(closer("second"))
	closeHost(t, h)
	in.OnClose(closer("late"))
	if got := strings.Join(order, " "); got != "second first late" {
		t.Error(got)
	}
}
