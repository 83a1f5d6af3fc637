package lua

import (
	"strconv"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"nearside/lua/luatest"
)

// TestReloadsUnderLoad reloads many times while entries are written to a stream. Some
// entries fail at first. Each entry is completed exactly once.
func TestReloadsUnderLoad(t *testing.T) {
	s := newStreamTest(t)
	reloads := reloadCount(t, 25)
	h, _ := startHost(t, luatest.BackgroundPlugin(`M.states, M.permissions = 2, {"redis:*"}
local c
function M:initialize()
  c = assert(ns.redis.connect("`+s.url+`"))
  local results = ns.batch({size = 20, seconds = 0.05, flush = function(ids)
    local commands = {}
    for i, id in ipairs(ids) do commands[i] = {"HINCRBY", "flushed", id, 1} end
    return c:pipeline(commands) ~= nil
  end})
  for _, options in ipairs({{batch = 8}, {}}) do
    options.group, options.stream = "g", "s"
    assert(c:xreadgroup(options, function(e)
      local list, verdicts = options.batch and e or {e}, {}
      for i, entry in ipairs(list) do
        assert(c:call("HINCRBY", "begun", entry.id, 1))
        ns.sleep(0.002)
        if entry.attempt == 1 and entry.fields.n:sub(-1) == "7" then
          assert(c:call("HINCRBY", "begun", entry.id, -1))
          verdicts[i] = {retry = 0.01}
        else
          assert(c:call("HINCRBY", "ended", entry.id, 1))
          results:add(entry.id)
          verdicts[i] = "ack"
        end
      end
      return options.batch and verdicts or verdicts[1]
    end))
  end
end`))
	stop, written := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { written <- n }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			if s.XLen(t.Context(), "s").Val()-s.HLen(t.Context(), "ended").Val() > 200 {
				continue // the handlers are behind
			}
			if err := s.XAdd(t.Context(), &goredis.XAddArgs{Stream: "s", Values: []string{"n", strconv.Itoa(n)}}).Err(); err != nil {
				t.Error(err)
				return
			}
			n++
		}
	}()
	for range reloads {
		if err := h.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	n := <-written
	luatest.WaitFor(t, func() bool { return s.pending(t) == 0 && s.HLen(t.Context(), "ended").Val() == int64(n) })
	closeHost(t, h)
	for _, key := range []string{"begun", "ended", "flushed"} {
		all := s.HGetAll(t.Context(), key).Val()
		if len(all) != n {
			t.Errorf("%d entries were %s, want %d", len(all), key, n)
		}
		for id, count := range all {
			if count != "1" {
				t.Errorf("entry %s was %s %s times", id, key, count)
			}
		}
	}
	if n < reloads {
		t.Errorf("only %d entries in %d reloads", n, reloads)
	}
	t.Logf("%d entries, %d reloads", n, reloads)
}
