package lua

import (
	"runtime"
	"strings"
	"testing"
	"weak"

	"nearside/lua/luatest"
	"nearside/matcher"
)

// keepingPlugin keeps the argument req of each hook, a set and a row. When it is called for
// the next request, it logs what their uses return.
const keepingPlugin = `
local kept = {}
local function report(name, f, ...)
  local ok, err = pcall(f, ...)
  ns.log.info(name .. ": " .. tostring(ok) .. " " .. tostring(err))
end
local function keep(hook, req, fields)
  local old = kept[hook]
  if old then
    for _, field in ipairs(fields) do report(hook .. "." .. field, function() return old[field] end) end
    if hook ~= "request" then report(hook .. ":descriptor", old.descriptor, old) end
  end
  kept[hook] = req
end
local fields = {"limit", "filters", "targets", "reference", "deadline_ms", "key", "group"}
function M:cost(req) keep("cost", req, fields) return 1 end
function M:prefilter(req, set) keep("prefilter", req, fields) return set end
function M:match(req, set)
  keep("match", req, fields)
  if kept.set then report("set:scan", kept.set.scan, kept.set, 1) end
  kept.set = set
  return set:scan(1)
end
function M:request(req) keep("request", req, {"kind", "sets", "references", "deadline_ms", "origin", "version"}) end
function M:results(req, rows)
  keep("results", req, fields)
  if kept.row then
    for _, field in ipairs({"id", "similarity", "extra", "age"}) do report("row." .. field, function() return kept.row[field] end) end
  end
  kept.row, kept.rows = rows:at(1), rows
end`

// callKeeping calls each hook of keepingPlugin once, for a request that only the plugin can
// keep. It returns weak pointers to parts of the request.
//
//go:noinline
func callKeeping(t *testing.T, h *Host) (weak.Pointer[matcher.SubRequest], weak.Pointer[matcher.Reference], weak.Pointer[matcher.MatchCall]) {
	t.Helper()
	m, v := people(t, 6)
	h.o.Services.Matching = m
	value, result := nearest(t, m, v, 6)
	sub := new(matcher.SubRequest)
	*sub = value
	hooks, release := h.AcquireHooks()
	defer release()
	call := &matcher.MatchCall{Candidates: []*matcher.Candidates{sub.Candidates}, RowsMax: 100}
	rows, err := m.Select(t.Context(), sub.Candidates, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hooks.Requests[0].Request(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if _, err := hooks.Prefilters[0].Narrow(t.Context(), sub, rows); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := hooks.Matchers[0].Cost(t.Context(), sub); !ok {
		t.Fatal("the plugin cannot answer")
	}
	if answer := hooks.Matchers[0].Match(t.Context(), []matcher.SubRequest{*sub})[0]; answer.Err != nil {
		t.Fatal(answer.Err)
	}
	if _, err := hooks.Results[0].Results(t.Context(), sub, &result); err != nil {
		t.Fatal(err)
	}
	return weak.Make(sub), weak.Make(sub.Reference), weak.Make(call)
}

// TestKeptRequestIsDropped: a plugin that keeps the arguments of its hooks keeps no part of
// the request in memory.
func TestKeptRequestIsDropped(t *testing.T) {
	m, _ := people(t, 1)
	h, log := startHost(t, luatest.MatchingPlugin(keepingPlugin), withMatcher(m), func(o *Options) { o.MatchStates = 1 })
	sub, reference, call := callKeeping(t, h)
	runtime.GC()
	runtime.GC()
	if sub.Value() != nil || reference.Value() != nil || call.Value() != nil {
		t.Errorf("kept: sub-request %t, reference %t, call %t\n%s", sub.Value() != nil, reference.Value() != nil, call.Value() != nil, log.All())
	}
	runtime.KeepAlive(h)
}

// TestKeptRequestRaises: each use of a request or a row after its hook raises an error.
func TestKeptRequestRaises(t *testing.T) {
	m, _ := people(t, 1)
	h, log := startHost(t, luatest.MatchingPlugin(keepingPlugin), withMatcher(m), func(o *Options) { o.MatchStates = 1 })
	callKeeping(t, h)
	callKeeping(t, h)
	all := log.All()
	for hook, uses := range map[string]int{"cost": 8, "prefilter": 8, "match": 8 + 1, "results": 8, "request": 6} {
		if got := strings.Count(all, "req cannot be used after the hook "+hook+" has ended"); got != uses {
			t.Errorf("%s: %d uses raise, want %d", hook, got, uses)
		}
	}
	if got := strings.Count(all, "rows cannot be used after the hook results has ended"); got != 4 {
		t.Errorf("%d uses of a row raise, want 4", got)
	}
	if t.Failed() {
		t.Log(all)
	}
}

// TestScanOnlyInMatch: a prefilter cannot scan its set, because it may serve several
// references.
func TestScanOnlyInMatch(t *testing.T) {
	m, v := people(t, 6)
	h, log := startHost(t, luatest.MatchingPlugin(`
function M:prefilter(req, set)
  local ok, err = pcall(set.scan, set, 1)
  ns.log.info("scan: " .. tostring(ok) .. " " .. tostring(err))
  ok, err = pcall(set.scan, set:where("age", ">", 1), 1)
  ns.log.info("scan: " .. tostring(ok) .. " " .. tostring(err))
  return set
end`), withMatcher(m))
	if _, err := runPrefilter(t, h, m, subRequest(v, 1, &matcher.Candidates{Limit: 5})); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.All(), "scan: false scan: a set can be scanned only in match, and this is the hook prefilter"); got != 2 {
		t.Errorf("%d of 2 scans raise:\n%s", got, log.All())
	}
}
