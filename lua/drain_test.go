package lua

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTimersFinish: a timer's function that is running ends before the close
// hook is called; no further call begins.
func TestTimersFinish(t *testing.T) {
	clock := &fakeClock{now: time.Unix(1000, 0)}
	h, log := start(t, background(`
function M:start()
  ns.every(1, function() print("tick") ns.sleep(5) print("tock") end)
  ns.spawn(function() while true do pcall(ns.sleep, 1000) end end)
end
function M:close() print("close") end`), func(o *Options) { o.Clock = clock })
	waitFor(t, func() bool { clock.advance(100 * time.Millisecond); return strings.Contains(log.all(), "msg=tick") })
	drains := &h.current.Load().plugins[0].main.first().drains
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		closeHost(t, h)
	}()
	waitFor(t, func() bool { // else the time runs away before the close begins
		drains.mu.Lock()
		defer drains.mu.Unlock()
		return drains.begun
	})
	waitFor(t, func() bool {
		clock.advance(100 * time.Millisecond)
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	all := log.all()
	logged(t, all, "msg=tick", "msg=tock", "msg=close")
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
	h, log := start(t, background(""), func(o *Options) { o.Dir, o.Active = folder(t, files), []string{"b", "c", "a", "b"} })
	closeHost(t, h)
	logged(t, log.all(), `start\tb`, `start\tc`, `start\ta`, `close\ta`, `close\tc`, `close\tb`)
}

// TestQueuedEventsBeforeClose: the points that wait are handled, and the
// batches that they fill are flushed, before a reload is over.
func TestQueuedEventsBeforeClose(t *testing.T) {
	h, log := start(t, versioned("1", `
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
	logged(t, log.all(), "flush 40", "close")
}

// TestEventsLostAtClose: points that cannot be handled in time are counted and
// logged.
func TestEventsLostAtClose(t *testing.T) {
	h, log := start(t, versioned("1", `
M.limits = {close = 0.05}
function M:handle_event(points) print("handling") ns.sleep(3600) end`), func(o *Options) { o.EventBatch = 1 })
	p := h.current.Load().plugins[0]
	for range 3 {
		h.Emit("monitoring_event", func() any { return map[string]any{} })
	}
	log.wait(t, "handling")
	closeHost(t, h)
	logged(t, log.all(), "events were lost", "count=2")
	if lost := p.status().Lost; lost < 2 {
		t.Errorf("%d points are counted as lost", lost)
	}
}

// TestLiveIsAfterTheSwap: consumers may take messages when their generation
// has taken over, not before.
func TestLiveIsAfterTheSwap(t *testing.T) {
	h, _ := start(t, background(""))
	p := h.current.Load().plugins[0]
	if !p.live.wait(t.Context()) {
		t.Error("a running generation is not live")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if newFlight(h).wait(ctx) {
		t.Error("a flight ended by itself")
	}
	if got := activeNames([]string{"b.lua", "a", "b"}); !slices.Equal(got, []string{"b", "a"}) {
		t.Error(got)
	}
}

// TestTimerInClose: a timer or reader that is started when its plugin
// already ends does not delay the end.
func TestTimerInClose(t *testing.T) {
	h, log := start(t, background(`function M:close() ns.every(0.001, function() ns.sleep(1000) end) ns.sleep(0.05) print("closed") end`))
	begun := time.Now()
	closeHost(t, h)
	logged(t, log.all(), "closed")
	if time.Since(begun) > 20*time.Second {
		t.Error("it took the whole budget")
	}
}

// TestCloseHookHasTime: a handler that does not end leaves time for the close
// hooks at a shutdown.
func TestCloseHookHasTime(t *testing.T) {
	h, log := start(t, background(`
function M:start() ns.every(0.001, function() print("stuck") ns.sleep(1000) end) end
function M:close() print("closed") end`))
	log.wait(t, "stuck")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	logged(t, log.all(), "stuck", "closed")
}
