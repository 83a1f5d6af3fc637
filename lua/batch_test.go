package lua

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/lua/luatest"
)

// flushed returns the chunks that the plugin has logged as "flush a-b-c", in order.
func flushed(log *luatest.Lines) []string {
	var all []string
	for line := range strings.SplitSeq(log.All(), "\n") {
		if _, rest, ok := strings.Cut(line, `msg="flush `); ok {
			chunk, _, _ := strings.Cut(rest, `"`)
			all = append(all, chunk)
		}
	}
	return all
}

const batchPlugin = `
local failing = %s
local b
function M:start()
  b = ns.batch{size = 2, seconds = 5, max = 4, flush = function(items)
    if failing > 0 then failing = failing - 1 %s end
    ns.log.info("flush " .. table.concat(items, "-"))
  end}
  for i = 1, 3 do b:add(tostring(i)) end
  ns.log.info("started")
end`

// TestBatchRepeats: after a failure of any kind, a flush is repeated with the same
// values in the same order.
func TestBatchRepeats(t *testing.T) {
	for _, failure := range []string{`error("down")`, `return false`, `return false, "down"`, `return nil, "down"`} {
		clock := luatest.NewFakeClock(time.Unix(1000, 0))
		h, log := startHost(t, luatest.BackgroundPlugin(fmt.Sprintf(batchPlugin, "2", failure)), func(o *Options) { o.Clock = clock })
		luatest.WaitFor(t, func() bool { clock.Advance(100 * time.Millisecond); return len(flushed(log)) == 2 })
		if got := flushed(log); !slices.Equal(got, []string{"1-2", "3"}) {
			t.Errorf("%s: %v", failure, got)
		}
		if s := h.Plugins()[0]; s.Failures != 2 || s.Dropped != 0 {
			t.Errorf("%s: %d failures, %d dropped", failure, s.Failures, s.Dropped)
		}
		closeHost(t, h)
	}
}

// TestBatchSuccess: a flush that returns nothing, nil or a value has succeeded.
func TestBatchSuccess(t *testing.T) {
	for _, result := range []string{"", "do return end", "do return nil end", "do return true end", "do return {} end"} {
		h, log := startHost(t, luatest.BackgroundPlugin(`
function M:start()
  ns.batch{size = 1, flush = function(items) ns.log.info("flush " .. items[1]) `+result+` end}:add("x")
end`))
		closeHost(t, h)
		if got := flushed(log); !slices.Equal(got, []string{"x"}) {
			t.Errorf("%q: %v", result, got)
		}
	}
}

// TestBatchEndsWithItsPlugin: a reload and a shutdown flush the remaining values and
// repeat a failed flush. No close hook is needed.
func TestBatchEndsWithItsPlugin(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(fmt.Sprintf(batchPlugin, "1", `error("down")`)))
	log.Wait(t, "started")
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := flushed(log)[:2]; !slices.Equal(got, []string{"1-2", "3"}) {
		t.Error(got)
	}
	closeHost(t, h)
	if got := flushed(log)[2:]; !slices.Equal(got, []string{"1-2", "3"}) {
		t.Error(got)
	}
}

// TestBatchFlushInProgress: the values of a slow flush are neither lost nor
// flushed twice when the plugin is closed meanwhile.
func TestBatchFlushInProgress(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	h, log := startHost(t, luatest.BackgroundPlugin(`
local b
function M:start()
  b = ns.batch{size = 2, flush = function(items)
    ns.log.info("begin")
    ns.sleep(3)
    ns.log.info("flush " .. table.concat(items, "-"))
  end}
  b:add("1") b:add("2") b:add("3")
end
function M:close() ns.log.info("close") ns.log.info("closed " .. tostring(b:flush())) end`), func(o *Options) { o.Clock = clock })
	log.Wait(t, "begin")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		closeHost(t, h)
	}()
	luatest.WaitFor(t, func() bool {
		clock.Advance(time.Second)
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	luatest.WantLines(t, log.All(), "flush 1-2", "flush 3", "msg=close ", "closed true")
	if got := flushed(log); !slices.Equal(got, []string{"1-2", "3"}) {
		t.Error(got)
	}
}

// TestBatchDropsUnflushedValues: if all flushes fail until the plugin is closed, the values
// are dropped, counted, and logged with their number.
func TestBatchDropsUnflushedValues(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(`M.limits = {close = 0.05}
`+fmt.Sprintf(batchPlugin, "1e9", `error("down")`)))
	log.Wait(t, "started")
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	luatest.WantLines(t, log.All(), "values of a batch were dropped", "ended before", "count=3")
	if d := h.Plugins()[0].Dropped; d != 3 {
		t.Errorf("%d dropped, want 3: the counter outlives a reload", d)
	}
}

func TestBatchUnknownOption(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin(""))
	_, err := h.current.Load().plugins[0].main.first().run(t, `ns.batch{flush = print, sise = 5}`)
	if want := `options.sise: is unknown; the known names are ["size" "seconds" "max" "flush"]; did you mean "size"?`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// TestBatchFull: if more values than max wait during an outage, the oldest are dropped.
func TestBatchFull(t *testing.T) {
	clock := luatest.NewFakeClock(time.Unix(1000, 0))
	h, log := startHost(t, luatest.BackgroundPlugin(`
local down, b = true
function M:start()
  b = ns.batch{size = 2, seconds = 5, max = 4, flush = function(items)
    if down then ns.log.info("refused") return false end
    ns.log.info("flush " .. table.concat(items, "-"))
  end}
  b:add("1") b:add("2")
  ns.sleep(0.5)
  for i = 3, 7 do b:add(tostring(i)) end
  ns.log.info("dropped " .. b:dropped())
  down = false
  local ok, err = b:flush()
  ns.log.info("explicit " .. tostring(ok))
end`), func(o *Options) { o.Clock = clock; o.Active = nil })
	var reload sync.WaitGroup
	reload.Go(func() {
		if err := h.Reconfigure(t.Context(), h.o.Dir, []string{"p"}, nil, nil); err != nil {
			t.Error(err)
		}
	})
	log.Wait(t, "refused")
	luatest.WaitFor(t, func() bool { clock.Advance(time.Second); return strings.Contains(log.All(), "explicit") })
	reload.Wait()
	luatest.WantLines(t, log.All(), "dropped 3", "flush 4-5", "flush 6-7", "explicit true")
}

func TestBatchCannotFlushItself(t *testing.T) {
	h, log := startHost(t, luatest.BackgroundPlugin(`
function M:start()
  local b
  b = ns.batch{size = 1, flush = function(items) print(pcall(b.flush, b)) end}
  b:add(1)
end`))
	log.Wait(t, "cannot flush its own batch")
	closeHost(t, h)
}
