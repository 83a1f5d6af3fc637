package lua

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"nearside/lua/vm"
	"nearside/matcher"
)

func matching(body string) string {
	return `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"matching"}, matching = {origins = {"faces"}, targets = {faces = {"face_id"}}, on_error = "fail", order = 3}}
` + body + "\nreturn M"
}

func TestMatchingPlugin(t *testing.T) {
	h, _ := start(t, matching(`
local calls = 0
function M:cost(req) if req.bad then error("bad") end if req.limit > 5 then return nil end return 10 + req.limit end
function M:prefilter(req, set) if req.endless then while true do end end if req.nothing then return end table.remove(set) return set end
function M:match(req, set) calls = calls + 1 if req.none then return nil end if req.odd then return 5 end return {{id = set[1], calls = calls}} end`),
		func(o *Options) { o.MatchStates, o.BreakerLimit = 1, 2 })
	l := h.Lease()
	defer l.Release()
	if len(l.Plugins) != 1 {
		t.Fatal(l)
	}
	m, ctx := l.Plugins[0], context.Background()
	if cost, ok := m.Cost(ctx, map[string]any{"limit": 2}); cost != 12 || !ok {
		t.Error(cost, ok)
	}
	if _, ok := m.Cost(ctx, map[string]any{"limit": 9}); ok {
		t.Error("nil is no cost")
	}
	set := []any{"a", "b"}
	if got, err := m.Prefilter(ctx, map[string]any{}, set); err != nil || fmt.Sprint(got) != "[a]" {
		t.Error(got, err)
	}
	if rows, ok, err := m.Match(ctx, map[string]any{}, set); err != nil || !ok || fmt.Sprint(rows) != "[map[calls:1 id:a]]" {
		t.Error(rows, ok, err)
	}
	if _, ok, err := m.Match(ctx, map[string]any{"none": true}, set); ok || err != nil {
		t.Error("nil declines", err)
	}
	if _, ok, err := m.Match(ctx, map[string]any{"odd": true}, set); ok || err == nil {
		t.Error("a number is no answer")
	}
	if _, err := m.Prefilter(ctx, map[string]any{"nothing": true}, set); matcher.CodeOf(err) != matcher.CodeUnavailable {
		t.Error(err)
	}
	// The one state is replaced after an error; Get waits for the new one.
	if _, ok := m.Cost(ctx, map[string]any{"bad": true}); ok {
		t.Error("an error is no cost")
	}
	if rows, _, err := m.Match(ctx, map[string]any{}, set); err != nil || fmt.Sprint(rows) != "[map[calls:1 id:a]]" {
		t.Error("not a new state:", rows, err)
	}
	for range 2 {
		if _, err := m.Prefilter(ctx, map[string]any{"endless": true}, set); err == nil || !errors.Is(err, vm.ErrTimeout) {
			t.Error(err)
		}
	}
	if _, err := m.Prefilter(ctx, map[string]any{}, set); err == nil || !strings.Contains(err.Error(), "switched off") {
		t.Error(err)
	}
	s := h.Plugins()[0]
	if s.Totals.Timeouts != 2 || s.Totals.Errors != 1 || s.Hooks[2].Name != "prefilter" || s.Hooks[2].State != "open" {
		t.Errorf("%+v", s)
	}
	for _, c := range []struct {
		origin  string
		targets []string
		want    bool
	}{{"faces", nil, true}, {"events", nil, false}, {"faces", []string{"face_id"}, true}, {"faces", []string{"similarity"}, false}} {
		if got := m.Can("descriptor", c.origin, "face", "similarity", c.targets); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestLeaseOutlivesReload: a request ends on the generation on which it
// began.
func TestLeaseOutlivesReload(t *testing.T) {
	h, log := start(t, matching(`function M:prefilter(req, set) return "one" end function M:close(r) ns.log.info("closed by " .. r) end`), func(o *Options) { o.MatchStates = 1 })
	l := h.Lease()
	rewrite(t, h, matching(`function M:prefilter(req, set) return "two" end`))
	done := make(chan error)
	go func() { done <- h.Reload(context.Background()) }()
	waitFor(t, func() bool {
		next := h.Lease()
		defer next.Release()
		got, err := next.Plugins[0].Prefilter(context.Background(), nil, nil)
		return err == nil && got == "two"
	})
	if got, err := l.Plugins[0].Prefilter(context.Background(), nil, nil); err != nil || got != "one" {
		t.Error(got, err)
	}
	select {
	case <-done:
		t.Error("the old generation was closed under the lease")
	default:
	}
	l.Release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	log.wait(t, "closed by reload")
}
