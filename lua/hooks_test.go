package lua

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"nearside/lua/luatest"
	"nearside/lua/ns"
	"nearside/matcher"
	"nearside/matcher/memory"
)

// nearest returns the answer of the local matcher for the faces nearest to face 0.
func nearest(t testing.TB, m *memory.Memory, v *matcher.Version, limit int) (matcher.SubRequest, matcher.Result) {
	t.Helper()
	sub := subRequest(v, 0, &matcher.Candidates{Origin: matcher.Faces, Limit: limit})
	result := m.Match(t.Context(), []matcher.SubRequest{sub})[0]
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	return sub, result
}

// callResults calls the hook results of the only plugin.
func callResults(t testing.TB, h *Host, sub *matcher.SubRequest, result *matcher.Result) (string, error) {
	t.Helper()
	hooks, release := h.AcquireHooks()
	defer release()
	if len(hooks.Results) != 1 || !hooks.Results[0].Applies(sub) {
		t.Fatalf("%d hooks", len(hooks.Results))
	}
	return hooks.Results[0].Results(t.Context(), sub, result)
}

// extraOf returns the fields that plugins have added, as text.
func extraOf(r *matcher.Result) (all []string) {
	for _, extra := range r.Extra {
		var fields []string
		for _, e := range extra {
			fields = append(fields, e.Name+"="+e.JSON)
		}
		all = append(all, strings.Join(fields, " "))
	}
	return all
}

// TestRowsOperations: every method of rows, compared with what it must do to faces 0 to 5.
func TestRowsOperations(t *testing.T) {
	m, v := people(t, 6) // face i is at distance i squared from face 0
	for body, want := range map[string]struct {
		rows    []int
		targets []string
		extra   []string
		order   bool
	}{
		"":                     {rows: []int{0, 1, 2, 3, 4, 5}},
		"return rows:limit(2)": {rows: []int{0, 1}},
		"return rows:limit(0)": {rows: []int{}},
		"rows:limit(99)":       {rows: []int{0, 1, 2, 3, 4, 5}},
		"rows:drop(function(r) return r.age % 2 == 0 end)":                                                {rows: []int{1, 3, 5}},
		"rows:drop(function(r) return r.distance > 4 end):limit(2)":                                       {rows: []int{0, 1}},
		"rows:drop(function(r) return #r.lists > 0 end)":                                                  {rows: []int{1, 3, 5}},
		"rows:where_similarity('>=', rows:at(2).similarity)":                                              {rows: []int{0, 1}},
		"rows:where_similarity('<', rows:at(2).similarity)":                                               {rows: []int{2, 3, 4, 5}},
		"rows:where_similarity('=', rows:at(2).similarity)":                                               {rows: []int{1}},
		"rows:where_similarity('!=', rows:at(2).similarity):where_similarity('>', rows:at(3).similarity)": {rows: []int{0, 2}},
		"rows:where_similarity('<=', rows:at(5).similarity)":                                              {rows: []int{4, 5}},
		"rows:sort(function(a, b) return a.age > b.age end)":                                              {rows: []int{5, 4, 3, 2, 1, 0}, order: true},
		"rows:sort(function(a, b) return a.gender > b.gender end)":                                        {rows: []int{1, 3, 5, 0, 2, 4}, order: true},
		"rows:sort(function(a, b) return true end):limit(0)":                                              {rows: []int{}, order: true},
		"rows:group_by('gender', 2)":                                                                      {rows: []int{0, 2, 1, 3}},
		"rows:group_by('user_data', 1)":                                                                   {rows: []int{0, 1, 2, 3, 4, 5}},
		"rows:group_by('external_id', 1)":                                                                 {rows: []int{0, 1, 2, 3, 4, 5}}, // no row has the field
		"rows:add('g', function(r) if r.age > 1 then return r.age % 3 end end):group_by('extra.g', 1)": {
			rows: []int{0, 1, 2, 3, 4}, extra: []string{"", "", "g=2", "g=0", "g=1"},
		},
		"rows:limit(2):add('a', 1):add('b', {x = {}}):add('a', function(r) return r.user_data end)": {
			rows: []int{0, 1}, extra: []string{`b={"x":{}} a="user 0"`, `b={"x":{}} a="user 1"`},
		},
		"rows:limit(1):add('seen', function(r) return {r.id, r.extra, r.group == nil, r.face_id == r.id} end)": {
			rows: []int{0}, extra: []string{`seen=["` + faceID(0).String() + `",{},true,true]`},
		},
		"rows:limit(1):add('t', function(r) return r.create_time end)": {rows: []int{0}, extra: []string{`t="1970-01-01T00:00:00.000Z"`}},
		"rows:limit(1):add('none', function(r) return r.external_id end):add('x', function(r) return r.account_id == nil and r.source == nil end)": {
			rows: []int{0}, extra: []string{"x=true"},
		},
		"rows:limit(0):only('age')":                                       {rows: []int{}, targets: []string{"age"}},
		"rows:limit(0):only('age', 'similarity'):hide('age')":             {rows: []int{}, targets: []string{"similarity"}},
		"rows:limit(0):hide('age', 'age'):only('age', 'gender'):only()":   {rows: []int{}, targets: []string{}},
		"rows:limit(1):add('n', function(r) rows:len() return #rows end)": {rows: []int{0}, extra: []string{"n=1"}},
		"local ok, err = pcall(rows.add, rows, 'x', nil) rows:limit(1):add('e', err)": {
			rows: []int{0}, extra: []string{`e="add: value: must not be nil"`},
		},
	} {
		h, log := startHost(t, luatest.MatchingPlugin("function M:results(req, rows) "+body+" end"), withMatcher(m))
		sub, result := nearest(t, m, v, 6)
		before := slices.Clone(result.Matches)
		if skipped, err := callResults(t, h, &sub, &result); err != nil || skipped != "" {
			t.Errorf("%s: %q %v\n%s", body, skipped, err, log.All())
			continue
		}
		if got := faceNumbers(t, result); !slices.Equal(got, want.rows) || result.PluginOrder != want.order {
			t.Errorf("%s: %v %t, want %v %t", body, got, result.PluginOrder, want.rows, want.order)
		}
		if got := extraOf(&result); !slices.Equal(got, want.extra) || !reflect.DeepEqual(result.Targets, want.targets) {
			t.Errorf("%s: %q %q, want %q %q", body, got, result.Targets, want.extra, want.targets)
		}
		for _, match := range result.Matches {
			if !slices.ContainsFunc(before, func(b matcher.Match) bool { return reflect.DeepEqual(b, match) }) {
				t.Errorf("%s: the row %+v has changed", body, match)
			}
		}
	}
}

// TestResultsSkipped: a hook that fails changes nothing, also what it changed before.
func TestResultsSkipped(t *testing.T) {
	m, v := people(t, 6)
	for body, want := range map[string]string{
		"rows:limit(1):sort(function() return true end):hide('age'):add('x', 1) error('late')": "late",
		"rows:limit(1) return 7":                         "the result must be rows, the second argument, or nothing",
		"rows:limit(1) return ns.reject(403, 'no')":      "works only in prefilter and request",
		"error(ns.reject(403, 'no'))":                    "works only in prefilter and request",
		"rows:sort(function(a, b) error('in sort') end)": "in sort",
		"rows:sort()":                                "function expected",
		"rows:limit(-1)":                             "a whole number from 0 expected, got -1",
		"rows:group_by('lists', 1)":                  "rows can only be grouped by texts and numbers, and lists is neither",
		"rows:group_by('nme', 1)":                    `"nme" is not a field of rows of faces`,
		"rows:group_by('age', 0)":                    "a whole number from 1 expected, got 0",
		"rows:where_similarity('==', 1)":             `must be one of = != < <= > >= and a number, got "==" and 1`,
		"rows:where_similarity('<', 0/0)":            "NaN",
		"rows:hide('descriptor')":                    `"descriptor" is not a field of rows of faces`,
		"rows:add('x', function() return print end)": "row 1: x: functions, coroutines and objects cannot be encoded as JSON",
		"rows:add('', 1)":                            "name: must have 1 to 64 letters",
		"rows:add(('x'):rep(65), 1)":                 "name: must have 1 to 64 letters",
		"rows:add('x', 0/0)":                         "value: ",
		"rows:add('x', function() ns.sleep(1) end)":  "p.lua:3: sleep: ",
		"return rows:at(1).agee":                     `Row has no "agee"`,
		"rows.sort = 1":                              "read-only",
	} {
		h, log := startHost(t, luatest.MatchingPlugin("function M:results(req, rows) "+body+" end"), withMatcher(m))
		sub, result := nearest(t, m, v, 6)
		skipped, err := callResults(t, h, &sub, &result)
		if err != nil || skipped == "" || len(result.Matches) != 6 || result.Extra != nil || result.Targets != nil || result.PluginOrder {
			t.Errorf("%s: %q %v %+v", body, skipped, err, result)
		}
		if !strings.Contains(log.All(), want) && !strings.Contains(strings.ReplaceAll(log.All(), `\"`, `"`), want) {
			t.Errorf("%s: the log has no %q:\n%s", body, want, log.All())
		}
	}
}

// TestRowsAfterTheHook: rows and requests that a plugin keeps cannot be used after the hook,
// also not by a task that runs meanwhile.
func TestRowsAfterTheHook(t *testing.T) {
	m, v := people(t, 6)
	h, log := startHost(t, luatest.MatchingPlugin(`
local kept, row, request
function M:request(req)
  if request then
    local ok, err = pcall(request.set_limit, request, 1)
    ns.log.info("request: " .. tostring(ok) .. " " .. err)
  end
  request = req
end
function M:results(req, rows)
  if kept then
    for _, name in ipairs({"len", "at", "limit"}) do
      local ok, err = pcall(kept[name], kept, 1)
      ns.log.info("rows: " .. tostring(ok) .. " " .. err)
    end
    for _, name in ipairs({"id", "similarity"}) do
      local ok, err = pcall(function() return row[name] end)
      ns.log.info("row: " .. tostring(ok) .. " " .. tostring(err))
    end
  end
  kept, row = rows, rows:at(1)
end`), withMatcher(m), func(o *Options) { o.MatchStates = 1 })
	for range 2 {
		sub, result := nearest(t, m, v, 6)
		if _, err := callResults(t, h, &sub, &result); err != nil {
			t.Fatal(err)
		}
		hooks, release := h.AcquireHooks()
		if _, err := hooks.Requests[0].Request(t.Context(), &matcher.MatchCall{Candidates: []*matcher.Candidates{sub.Candidates}, RowsMax: 100}); err != nil {
			t.Fatal(err)
		}
		release()
	}
	all := log.All()
	if strings.Count(all, "rows: false") != 3 || strings.Count(all, "rows cannot be used after the hook results has ended") != 5 || strings.Count(all, "row: false") != 2 ||
		!strings.Contains(all, "request: false set_limit: req cannot be used after the hook request has ended") {
		t.Error(all)
	}
}

// TestTaskChangesRows: a hook fails if one of its tasks still changes the rows when it ends.
func TestTaskChangesRows(t *testing.T) {
	m, v := people(t, 6)
	h, log := startHost(t, luatest.MatchingPlugin(`
function M:results(req, rows)
  local begun
  ns.spawn(function() rows:drop(function() begun = true ns.sleep(3600) end) end)
  while not begun do ns.sleep(0) end
  return rows:len() > 0 and nil
end`), withMatcher(m), func(o *Options) { o.MatchStates = 1 })
	sub, result := nearest(t, m, v, 6)
	skipped, err := callResults(t, h, &sub, &result)
	if err != nil || skipped == "" || len(result.Matches) != 6 || !strings.Contains(log.All(), "a task of the plugin still changes the rows") {
		t.Errorf("%q %v\n%s", skipped, err, log.All())
	}
}

// TestExtraOfAnswer: the bound of added fields holds for all rows and plugins of an answer
// together, and a hook that is skipped gives its part back.
func TestExtraOfAnswer(t *testing.T) {
	m, v := people(t, 600)
	h, _ := startHost(t, luatest.MatchingPlugin(`
function M:results(req, rows)
  rows:add("x", ("x"):rep(16000))
  if req.limit == 600 and req.request_id == "fails" then error("after all") end
end`), withMatcher(m))
	hooks, release := h.AcquireHooks()
	defer release()
	add := func(id string) (string, *matcher.Result) {
		sub, result := nearest(t, m, v, 600)
		sub.RequestID = id
		skipped, err := hooks.Results[0].Results(t.Context(), &sub, &result)
		if err != nil {
			t.Fatal(err)
		}
		return skipped, &result
	}
	if skipped, _ := add("fails"); skipped == "" {
		t.Error("the hook did not fail")
	}
	if skipped, r := add("a"); skipped != "" || len(r.Extra) != 600 { // 600 rows have 9.2 MiB
		t.Error(skipped)
	}
	if skipped, r := add("b"); skipped == "" || r.Extra != nil {
		t.Error("the second result of the same answer exceeds 16 MiB but was accepted")
	}
	if bytes := ns.ExtraAnswerMax; bytes < 600*16000 || bytes > 2*600*16000 {
		t.Errorf("the test needs other sizes for a bound of %d bytes", bytes)
	}
	if last := h.Plugins()[0].LastError; !strings.Contains(last, "must have at most 16777216 bytes in all") {
		t.Error(last)
	}
}

// TestRequestObject: what the hook request sees, and how it changes candidate sets.
func TestRequestObject(t *testing.T) {
	account := listID
	h, log := startHost(t, luatest.MatchingPlugin(`
M.matching = {origins = {"faces"}, on_error = "fail"}
function M:request(req)
  ns.log.info(ns.json.encode({req.kind, req.descriptor_type, req.version, req.origin, req.account_id, req.key, req.route, req.request_id, req.forwarded,
    req.deadline_ms == nil, req.reference_set == nil, req.references, req.sets}))
  local function fails(want, f, ...)
    local ok, err = pcall(f, req, ...)
    assert(not ok and err:find(want, 1, true), tostring(err))
  end
  fails("set: the plugin is not for candidate set 2", req.set_limit, 3, 2)
  fails("set: must be a number from 1 to 2, got 0", req.set_limit, 3, 0)
  fails("from 1 to 100000 (limits.result), got 0", req.set_limit, 0)
  fails("limit: must be an integer from 1 to 100000 (limits.result), got 1.5", req.set_limit, 1.5)
  fails("got NaN", req.set_limit, 0/0)
  fails("number expected", req.set_limit, "3")
  fails("threshold: must be a number from 0 to 1, got 1.1", req.set_threshold, 1.1)
  fails("threshold: must be a number from 0 to 1, got NaN", req.set_threshold, 0/0)
  fails("must be one of similarity, create_time_asc, create_time_desc", req.set_order, "age")
  fails("must be true or false", req.set_exclude_self, 1)
  fails("targets[2]: \"agee\" is not a field of rows of faces", req.set_targets, {"age", "agee"})
  fails("group.by: must be one of external_id, user_data for faces", req.set_group, {by = "age"})
  fails("group.size", req.set_group, {by = "user_data", size = 11})
  fails("group.of", req.set_group, {by = "user_data", of = 1})
  req:set_limit(3) req:set_threshold(0.25, 1) req:set_order("create_time_asc") req:set_exclude_self(true) req:set_targets({"age", "age", "distance"})
  req:set_group({by = "user_data"})
end`))
	sets := []*matcher.Candidates{
		{Origin: matcher.Faces, Limit: 5, Filter: matcher.Where(matcher.AnyOf("external_id", "x"))}, {Origin: matcher.Events, Limit: 6, Targets: []string{}},
	}
	call := &matcher.MatchCall{
		Kind: matcher.MatchFaces, Version: 59, References: []matcher.Reference{{Type: matcher.RefFace, ID: "a"}}, Candidates: sets, Account: &account,
		Key: "door", Route: "POST:/matcher/faces", RequestID: "1,x", Forwarded: true, RowsMax: 1000,
	}
	hooks, release := h.AcquireHooks()
	defer release()
	if _, err := hooks.Requests[0].Request(t.Context(), call); err != nil {
		t.Fatal(causeOf(err))
	}
	seen := `["match_face","face",59,"faces","` + account.String() + `","door","POST:/matcher/faces","1,x",true,true,true,[{"id":"a","type":"face"}],` +
		`[{"count":false,"exclude_self":false,"filters":{"external_ids":["x"]},"limit":5,"offset":0,"order":"similarity","origin":"faces","threshold":0},` +
		`{"count":false,"exclude_self":false,"filters":{},"limit":6,"offset":0,"order":"similarity","origin":"events","targets":[],"threshold":0}]]`
	if !strings.Contains(strings.ReplaceAll(log.All(), `\"`, `"`), seen) {
		t.Errorf("%s\nwant %s", log.All(), seen)
	}
	want := matcher.Candidates{
		Origin: matcher.Faces, Limit: 3, Filter: sets[0].Filter, Threshold: 0.25, Order: matcher.ByTimeAsc, ExcludeSelf: true, Targets: []string{"age", "distance"},
		Group: &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[1], Size: 1},
	}
	if !reflect.DeepEqual(*sets[0], want) || sets[1].Limit != 6 {
		t.Errorf("%+v %+v", sets[0], sets[1])
	}
	for _, other := range []*matcher.MatchCall{{Candidates: sets[1:]}, {Candidates: nil}} {
		if hooks.Requests[0].Applies(other) {
			t.Error("the plugin is for faces only")
		}
	}
}

// TestCrossRequest: of a cross match, only what it has can be changed.
func TestCrossRequest(t *testing.T) {
	h, _ := startHost(t, luatest.MatchingPlugin(`
M.matching = {on_error = "fail"}
function M:request(req)
  for _, call in ipairs({{"set_order", "similarity"}, {"set_group", nil}, {"set_exclude_self", true}}) do
    local ok, err = pcall(req[call[1]], req, call[2])
    assert(not ok and err:find("a cross match has no", 1, true), err)
  end
  assert(#req.references == 0 and req.reference_set.origin == "events")
  req:set_limit(2) req:set_threshold(1) req:set_targets(nil)
end`))
	set := &matcher.Candidates{Limit: 5, Targets: []string{"age"}}
	hooks, release := h.AcquireHooks()
	defer release()
	_, err := hooks.Requests[0].Request(t.Context(), &matcher.MatchCall{
		Kind: matcher.MatchCross, ReferenceSet: &matcher.Candidates{Origin: matcher.Events}, Candidates: []*matcher.Candidates{set}, RowsMax: 10,
	})
	if err != nil || set.Limit != 2 || set.Threshold != 1 || set.Targets != nil {
		t.Error(causeOf(err), set)
	}
}

// TestOlderPlugins: plugins may have data with the names of hooks that earlier versions did
// not have, or with similar names.
func TestOlderPlugins(t *testing.T) {
	for _, body := range []string{
		"M.results = {} M.request = 7 M.requests = 0 M.result = 1 function M:start() end",
		"local Base = {} function Base.request() end setmetatable(M, {__index = Base}) function M:start() end",
	} {
		startHost(t, luatest.BackgroundPlugin(body))
	}
	for body, want := range map[string]string{
		"M.results = {}": "kinds: matching needs a hook",
		"function M:result() end function M:cost() end":                                                            `did you mean "results"?`,
		"local Base = {} function Base.request() end setmetatable(M, {__index = Base}) function M:prefilter() end": "request: is inherited through a metatable",
	} {
		err := Check(t.Context(), Options{Dir: luatest.Folder(t, map[string]string{"p.lua": luatest.MatchingPlugin(body)})}, "p")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	err := Check(t.Context(), Options{Dir: luatest.Folder(t, map[string]string{"p.lua": luatest.BackgroundPlugin("function M:results() end")})}, "p")
	if err == nil || !strings.Contains(err.Error(), "results: is only for plugins of kind matching: add it to kinds") {
		t.Error(err)
	}
}

// TestOverrideFields: the operator's order, memory and log level replace the plugin's, and an
// override that the plugin cannot have is refused.
func TestOverrideFields(t *testing.T) {
	order, cost, debug := 3, 1.0, slog.LevelDebug
	with := func(o Override) func(*Options) {
		return func(all *Options) { all.Override = map[string]*Override{"p": &o, "other": {}} }
	}
	var h *Host
	source := luatest.MatchingPlugin("M.limits = {memory = '2MiB'} M.matching = {order = 9} function M:results() ns.log.debug('fine') end")
	m, v := people(t, 1)
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelWarn} {
		log := luatest.NewLines()
		h, _ = startHost(t, source, withMatcher(m), with(Override{Order: &order, Memory: 4 << 20, Log: &level}), func(o *Options) {
			o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))
		})
		sub, result := nearest(t, m, v, 1)
		if _, err := callResults(t, h, &sub, &result); err != nil {
			t.Fatal(err)
		}
		if shown := strings.Contains(log.All(), "fine"); shown != (level == slog.LevelDebug) {
			t.Errorf("with the level %v, the log is %q", level, log.All())
		}
	}
	if s := h.Plugins()[0]; s.Order != 3 || s.MemoryLimit != 4<<20 || fmt.Sprint(s.Places) != "[{results 3 1}]" {
		t.Errorf("%+v", s)
	}
	for want, o := range map[string]Override{
		"plugins.override.p.order: is only for plugins of kind matching":   {Order: &order},
		"plugins.override.p.when: is only for plugins of kind matching":    {When: When{Routes: []string{"GET:/x"}}},
		"plugins.override.p.cost: is only for plugins with the hook match": {Cost: &cost, Log: &debug},
	} {
		options := Options{Dir: luatest.Folder(t, map[string]string{"p.lua": luatest.BackgroundPlugin("")}), Active: []string{"p"}}
		with(o)(&options)
		if _, err := New(t.Context(), options); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		fatal, ignored := CheckConfigured(t.Context(), options)
		if errors.Join(fatal...) == nil || errors.Join(fatal...).Error() != want || len(ignored) != 1 || !strings.Contains(ignored[0].Error(), `plugins.override.other: there is no plugin "other"`) {
			t.Errorf("%v, %v", fatal, ignored)
		}
	}
}

// TestWhen: every list of When must be satisfied, and an empty list is.
func TestWhen(t *testing.T) {
	a, b := matcher.ID{1}, matcher.ID{2}
	set := func(origin matcher.Origin, list *matcher.ID, lists ...matcher.ID) *matcher.Candidates {
		return &matcher.Candidates{Origin: origin, Filter: matcher.Filter{ListID: list, Lists: lists}}
	}
	for _, c := range []struct {
		when    When
		set     *matcher.Candidates
		account *matcher.ID
		want    string
	}{
		{When{}, set(matcher.Events, nil), nil, ""},
		{When{Lists: []matcher.ID{a}}, set(matcher.Faces, &a), nil, ""},
		{When{Lists: []matcher.ID{a}}, set(matcher.Faces, &b), nil, "not for the lists of the set"},
		{When{Lists: []matcher.ID{a}}, set(matcher.Faces, nil), nil, "not for the lists of the set"},
		{When{Lists: []matcher.ID{a}}, set(matcher.Faces, nil, b, a), nil, ""},
		{When{Lists: []matcher.ID{a}}, set(matcher.Faces, nil, b), nil, "not for the lists of the set"},
		{When{Accounts: []matcher.ID{a}}, set(matcher.Faces, nil), nil, "not for the account of the request"},
		{When{Accounts: []matcher.ID{a}}, set(matcher.Faces, nil), &b, "not for the account of the request"},
		{When{Accounts: []matcher.ID{b, a}}, set(matcher.Faces, nil), &a, ""},
		{When{Origins: []matcher.Origin{matcher.Faces}}, set(matcher.Events, nil), &a, "not for events"},
		{When{Routes: []string{"POST:/x"}}, set(matcher.Events, nil), &a, "not for the route POST:/matcher/faces"},
		{When{Routes: []string{"POST:/matcher/faces"}, Origins: []matcher.Origin{matcher.Faces}}, set(matcher.Events, nil), &a, "not for events"},
		{When{Routes: []string{"POST:/matcher/faces"}, Lists: []matcher.ID{b}}, set(matcher.Faces, &b), &a, ""},
	} {
		if got := strings.TrimSuffix(c.when.refusal(c.set, c.account, "POST:/matcher/faces"), " (plugins.override)"); got != c.want {
			t.Errorf("%+v, %+v: %q, want %q", c.when, c.set.Filter, got, c.want)
		}
	}
}
