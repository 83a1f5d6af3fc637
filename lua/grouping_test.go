package lua

import (
	"fmt"
	"strings"
	"testing"

	"nearside/lua/luatest"
	"nearside/matcher"
)

// TestNotForGroups: a plugin is not asked to match a set whose answer needs more than the
// nearest rows, because it would return too few. Its prefilter is, and sees the fields.
func TestNotForGroups(t *testing.T) {
	m, v := people(t, 10)
	h, log := startHost(t, luatest.MatchingPlugin(`
function M:match() return {} end
function M:prefilter(req, set)
  local g = req.group or {}
  ns.log.info(table.concat({"saw", tostring(g.by), tostring(g.size), req.offset, tostring(req.count), tostring(req.exclude_self)}, " "))
  return set
end`), withMatcher(m))
	matchers, prefilters, release := h.Acquire()
	defer release()
	for name, c := range map[string]*matcher.Candidates{
		"group":  {Limit: 1, Group: &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: 2}},
		"offset": {Limit: 1, Offset: 3}, "count": {Limit: 1, Count: true}, "exclude_self": {Limit: 1, ExcludeSelf: true},
	} {
		sub := subRequest(v, 1, c)
		if _, reason, ok := matchers[0].Cost(t.Context(), &sub); ok || reason != "not for candidate sets with "+name {
			t.Errorf("%s: %t %q", name, ok, reason)
		}
		rows, err := m.Select(t.Context(), c, nil)
		if err != nil || !prefilters[0].Applies(&sub) {
			t.Fatal(err, "the prefilter does not apply")
		}
		if _, err := prefilters[0].Narrow(t.Context(), &sub, rows); err != nil {
			t.Error(err)
		}
		by, size := "nil", "nil"
		if c.Group != nil {
			by, size = "external_id", "2"
		}
		if want := fmt.Sprintf("saw %s %s %d %t %t", by, size, c.Offset, c.Count, c.ExcludeSelf); !strings.Contains(log.All(), want) {
			t.Errorf("%s: the log has no %q:\n%s", name, want, log.All())
		}
	}
}
