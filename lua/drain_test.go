package lua

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/lua/luatest"
)

// TestTimersFinish: a running timer function ends before the close hook is called, and
// no further call begins.
func TestTimersFinish(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	h, log := startHost(t, luatest.BackgroundPlugin(`
function M:start()
  ns.every(1, function() print("tick") ns.sleep(5) print("tock") end)
  ns.spawn(function() while true do pcall(ns.sleep, 1000) end end)
end
function M:close() print("close") end`), func(o *Options) { o.Clock = clock })
	luatest.WaitFor(t, func() bool { clock.Advance(100 * time.Millisecond); return strings.Contains(log.All(), "msg=tick") })
	begun := make(chan struct{})
	h.current.Load().plugins[0].main.first().OnDrain(func(context.Context) { close(begun) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		closeHost(t, h)
	}()
	<-begun // otherwise the time advances before the close begins
	luatest.WaitFor(t, func() bool {
		clock.Advance(100 * time.Millisecond)
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	all := log.All()
	luatest.WantLines(t, all, "msg=tick", "msg=tock", "msg=close")
	if strings.Count(all, "msg=tick") != 1 {
		t.Error(all)
	}
}

// TestCloseOrder: plugins start in the order of plugins.active, and close in
// the reverse order.
func TestCloseOrder(t *testing.T) {
	body := `local ns = require('nearside') local M = {api = 1, name = 'NAME', kinds = {'background'}}
function M:start() print("start", ns.name) end
function M:close() print("close", ns.name) end
return M`
	files := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		files[name+".lua"] = strings.ReplaceAll(body, "NAME", name)
	}
	h, log := startHost(t, luatest.BackgroundPlugin(""), func(o *Options) { o.Dir, o.Active = luatest.Folder(t, files), []string{"b", "c", "a", "b"} })
	closeHost(t, h)
	luatest.WantLines(t, log.All(), `start\tb`, `start\tc`, `start\ta`, `close\ta`, `close\tc`, `close\tb`)
}

// TestQueuedEventsBeforeClose: a reload returns after all queued points are handled and
// the batches that they fill are flushed.
func TestQueuedEventsBeforeClose(t *testing.T) {
	h, log := startHost(t, versioned("1", `
local b
function M:initialize() b = ns.batch{size = 100, seconds = 3600, flush = function(items) print("flush " .. #items) end} end
function M:handle_event(points) for i = 1, #points do b:add(i) end end
function M:close() print("close") end`), func(o *Options) { o.EventBatch = 7 })
	for range 40 {
		h.Emit("monitoring_event", func() any { return map[string]any{} })
	}
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	luatest.WantLines(t, log.All(), "flush 40", "close")
}

// TestEventsLostAtClose: points that cannot be handled in time are counted and
// logged.
func TestEventsLostAtClose(t *testing.T) {
	h, log := startHost(t, versioned("1", `
M.limits = {close = 0.05}
function M:handle_event(points) print("handling") ns.sleep(3600) end`), func(o *Options) { o.EventBatch = 1 })
	p := h.current.Load().plugins[0]
	for range 3 {
		h.Emit("monitoring_event", func() any { return map[string]any{} })
	}
	log.Wait(t, "handling")
	closeHost(t, h)
	luatest.WantLines(t, log.All(), "events were lost", "count=2")
	if lost := p.status().Lost; lost < 2 {
		t.Errorf("%d points are counted as lost", lost)
	}
}

// TestLiveAfterSwap: the running generation is live, so that its consumers receive
// messages. A generation that was loaded is not live before goLive.
func TestLiveAfterSwap(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(""))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if !h.current.Load().plugins[0].BeforeLive.Wait(ended) {
		t.Error("the running generation is not live")
	}
	next, err := h.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if next.plugins[0].BeforeLive.Wait(ended) {
		t.Error("a generation is live before the swap")
	}
	next.goLive()
	if !next.plugins[0].BeforeLive.Wait(ended) {
		t.Error("the generation is not live after goLive")
	}
	if err := next.close(t.Context(), "reload"); err != nil {
		t.Error(err)
	}
}

// TestActiveNames: the suffix ".lua" and duplicates are removed.
func TestActiveNames(t *testing.T) {
	if got := activeNames([]string{"b.lua", "a", "b"}); !slices.Equal(got, []string{"b", "a"}) {
		t.Error(got)
	}
}

// TestTimerInClose: a timer that the close hook starts does not delay the end of the
// plugin.
func TestTimerInClose(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(`function M:close() ns.every(0.001, function() ns.sleep(1000) end) ns.sleep(0.05) print("closed") end`))
	begun := time.Now()
	closeHost(t, h)
	luatest.WantLines(t, log.All(), "closed")
	if time.Since(begun) > 20*time.Second {
		t.Error("it took the whole budget")
	}
}

// TestCloseHookHasTime: at a shutdown, close hooks have time left even if a handler does
// not end.
func TestCloseHookHasTime(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(`
function M:start() ns.every(0.001, function() print("stuck") ns.sleep(1000) end) end
function M:close() print("closed") end`))
	log.Wait(t, "stuck")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	luatest.WantLines(t, log.All(), "stuck", "closed")
}

// endless is a client that reads pieces for ever. begun is closed when it has the first one.
type endless struct {
	once  sync.Once
	begun chan struct{}
}

func (*endless) Begin(int, map[string]string) {}

func (e *endless) Write([]byte) error {
	e.once.Do(func() { close(e.begun) })
	return nil
}

// TestEndlessAnswerEnds: a reload and a close make req:write fail, so they do not wait for an
// answer without an end.
func TestEndlessAnswerEnds(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(`
function M:start()
  ns.route("GET", "/x", function(req)
    while true do
      local ok, err = req:write("x")
      if not ok then print("stopped: " .. err) return end
      ns.sleep(0)
    end
  end)
end`))
	for i, end := range []func(){
		func() {
			if err := h.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		},
		func() { closeHost(t, h) },
	} {
		client := &endless{begun: make(chan struct{})}
		served := make(chan error)
		go func() {
			_, err := h.Serve(context.Background(), Request{Method: "GET", Path: "/p/x", Stream: client})
			served <- err
		}()
		<-client.begun
		end()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if got := strings.Count(log.All(), "stopped: the plugin ends"); got != i+1 {
			t.Errorf("%d handlers have stopped, want %d\n%s", got, i+1, log.All())
		}
	}
}
