package lua

import (
	"errors"
	"strings"
	"testing"

	"nearside/lua/luatest"
	"nearside/matcher"
)

const rejecting = `local ns = require("nearside")
local M = {api = 1, name = "p", kinds = {"matching"}, matching = {on_error = "fail"}}
local function decide(req)
  if req.request_id == "blocked" then return ns.reject(451, "blocked until Monday") end
  if req.request_id == "raised" then error(ns.reject(429, "too often")) end
  if req.request_id == "helper" then return pcall(error, ns.reject(402, "pay")) end
end
function M:prefilter(req, set)
  local a, b = decide(req)
  return b or a or set
end
return M`

// TestRejectIsNoFailure: a rejection has the plugin's status and detail. It does not open
// the breaker and does not replace the state.
func TestRejectIsNoFailure(t *testing.T) {
	m, v := people(t, 10)
	h, _ := startHost(t, rejecting, withMatcher(m))
	for range 8 {
		for _, c := range []struct {
			id     string
			status int
			detail string
		}{{"blocked", 451, "blocked until Monday"}, {"raised", 429, "too often"}, {"helper", 402, "pay"}, {"other", 0, ""}} {
			sub := subRequest(v, 1, &matcher.Candidates{Origin: matcher.Faces})
			sub.RequestID = c.id
			_, err := runPrefilter(t, h, m, sub)
			e, _ := errors.AsType[*matcher.Error](err)
			switch {
			case c.status == 0 && err != nil:
				t.Error(err)
			case c.status > 0 && (e == nil || e.Code != matcher.CodeRejected || e.Status != c.status || e.Detail != c.detail):
				t.Errorf("%s: %+v", c.id, err)
			}
		}
	}
	s := h.Plugins()[0]
	if s.Rejected != 24 || s.Failures != 0 || s.Hooks[0].State != "closed" || s.Totals.Calls < 32 {
		t.Errorf("%+v", s)
	}
}

func TestRejectArguments(t *testing.T) {
	h, _ := startHost(t, luatest.BackgroundPlugin("function M:start() end"))
	in := h.current.Load().plugins[0].main.first()
	for arguments, want := range map[string]string{
		`399, "x"`: "400 to 499", `500, "x"`: "400 to 499", `451.5, "x"`: "400 to 499", `"451", "x"`: "number expected",
		`451`: "string expected", `451, ""`: "1 to 1024", `451, ("x"):rep(2000)`: "1 to 1024", `0/0, "x"`: "400 to 499",
	} {
		_, err := in.run(t, "return ns.reject("+arguments+")")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("reject(%s): %v, want %q", arguments, err, want)
		}
	}
}
