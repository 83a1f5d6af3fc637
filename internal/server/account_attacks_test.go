package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"nearside/matcher"
)

// withAccount returns the text of a JSON object on one line, with the account of o. Both
// texts lack the closing brace.
func (o owner) withAccount(text string) string {
	if o.account != "" {
		text += `,"account_id":"` + o.account + `"`
	}
	return strings.NewReplacer("\n", "", "\t", "").Replace(text)
}

// key is the external_id of an object. The first object of each owner has a key of
// its own; the others share a key with all accounts.
func (o owner) key(n int) string {
	if n == 1 {
		return o.text("key")
	}
	return "shared"
}

// data is the descriptor of an object. Some objects have another version.
func (o owner) data(n int) string {
	version := v4
	if n == 3 {
		version = v4other
	}
	b := byte(o.number)
	return descriptor(version, b, b, b, byte(n))
}

// time is the create_time of an object.
func (o owner) time(n int) string {
	year := "2031"
	if o == attacker {
		year = "2026"
	}
	return fmt.Sprintf("%s-05-01T00:00:%02d.000Z", year, n)
}

func (o owner) face(n int) string {
	lists := `"` + o.id(100) + `"`
	if n == 1 && o == unowned { // objects without an account may be in lists of any account
		lists += `,"` + attacker.id(100) + `","` + other.id(100) + `"`
	}
	return o.withAccount(fmt.Sprintf(`{"face_id":"%s","create_time":"%s","external_id":"%s","user_data":"%s","event_id":"%s","avatar":"%s",
		"lists":[%s],"age":%d,"gender":%d,"ethnic_group":%d,"descriptor":%s`,
		o.id(n), o.time(n), o.key(n), o.text("user"), o.id(20+n), o.text("avatar"), lists, o.number, o.number, o.number, o.data(n))) + "}"
}

func (o owner) event(n int) string {
	text := o.withAccount(fmt.Sprintf(`{"event_id":"%s","create_time":"%s","end_time":"%s","source":"%s","handler_id":"%s","stream_id":"%s","track_id":"%s",
		"external_id":"%s","user_data":"%s","tags":["%s","shared"],"face_id":"%s","age":%d,"gender":%d,"ethnic_group":%d,"emotion":%d,"mask":%d`,
		o.id(n), o.time(n), o.time(n+20), o.text("source"), o.id(30), o.id(31), o.key(n), o.key(n), o.text("user"), o.text("tag"), o.id(n),
		o.number, o.number, o.number, o.number, o.number))
	var more strings.Builder
	fmt.Fprintf(&more, `,"source_group":"%s","apparent_age":%d,"apparent_gender":%d`, o.text("group"), o.number, o.number)
	for _, f := range smallsFields() {
		fmt.Fprintf(&more, `,"%s":[%d]`, f.Name, o.number)
	}
	return text + more.String() + strings.NewReplacer("\n", "", "\t", "").Replace(fmt.Sprintf(`,"location":{"city":"%s","area":"%s","district":"%s","street":"%s","house_number":"%s",
		"geo_position":{"longitude":%d.25,"latitude":%d.25}},"top_match":{"object_id":"%s","external_id":"%s","similarity":0.%d},
		"meta":{"shop":{"floor":%d,"name":"%s"},"more":"%s"},"face_descriptor":%s,"body_descriptor":%s}`,
		o.text("city"), o.text("area"), o.text("district"), o.text("street"), o.text("house"), o.number/4, o.number/4, o.id(32),
		o.text("top"), o.number, o.number, o.text("shop"), o.text("meta"), o.data(n), descriptor(vBody, byte(o.number), 0, 0, byte(n))))
}

func (o owner) attribute(n int) string {
	return o.withAccount(fmt.Sprintf(`{"attribute_id":"%s","create_time":"%s","age":%d,"gender":%d,"ethnic_group":%d,"descriptor":%s`,
		o.id(n), o.time(n), o.number, o.number, o.number, o.data(n))) + "}"
}

// attacks are the requests of the audit. Creates and updates come after all reads and
// after the deletes by filter.
func attacks() (all []attack) {
	for _, requestsOf := range []func(owner) []attack{owner.reads, owner.pages, owner.matches, owner.filtered, owner.writes, owner.imports, owner.moves} {
		all = append(append(all, requestsOf(other)...), requestsOf(unowned)...)
	}
	for _, path := range []string{
		"/version", "/healthcheck?include_luna_services=1", "/livez", "/readyz", "/config", "/metrics", "/docs", "/docs/errors", "/docs/spec", "/1/plugins", "/",
		"/1/tasks", "/1/tasks/" + other.id(1), "/1/snapshots", "/1/snapshots/x",
		"/plugins/spy/attacks", "/plugins/thin/attacks",
	} {
		all = append(all, attack{method: "GET", url: path, open: true})
	}
	all = append(all, attack{method: "POST", url: "/1/plugins/reload", open: true}, attack{method: "DELETE", url: "/1/tasks/" + other.id(1), open: true},
		attack{method: "POST", url: "/1/erase?account_id=" + attacker.account, body: `{"origin":"faces","ids":["` + other.id(1) + `"]}`, open: true}, // an admin may know which IDs exist
		attack{method: "DELETE", url: "/1/accounts/x?snapshots=1", open: true},
		attack{method: "POST", url: "/1/snapshots", body: `{"name":"../x"}`, open: true},
		attack{method: "DELETE", url: "/1/snapshots/x", open: true})
	return all
}

// reads are requests for o's objects by ID, and for pages of all objects.
func (o owner) reads() (all []attack) {
	for _, n := range []int{1, 3, 100} {
		for _, resource := range []string{"faces", "events", "attributes"} {
			all = append(all, attack{method: "GET", url: "/1/" + resource + "/" + o.id(n) + "?descriptor=1"})
		}
		all = append(all, attack{method: "GET", url: "/1/lists/" + o.id(n)})
	}
	for _, list := range []int{100, 101} {
		all = append(all, attack{method: "GET", url: "/1/lists/" + attacker.id(list)})
	}
	for _, resource := range []string{"faces", "events", "attributes", "lists"} {
		for _, page := range []string{"page=1&page_size=1", "page=2&page_size=2", "page=1&page_size=1000"} {
			all = append(all, attack{method: "GET", url: "/1/" + resource + "?" + page})
		}
		if resource != "lists" {
			all = append(all, attack{method: "GET", url: "/1/" + resource + "?descriptor=1"})
		}
		if resource == "faces" || resource == "events" {
			all = append(all, attack{method: "GET", url: "/1/export?origin=" + resource})
		}
	}
	return all
}

// pages are requests for pages of all objects, after o's IDs and in each order.
func (o owner) pages() (all []attack) {
	var queries, bodies []string
	add := func(query, body string) {
		for _, size := range []string{"1", "2", "1000"} {
			queries = append(queries, query+"&page_size="+size)
			bodies = append(bodies, "{"+body+`,"page_size":`+size+"}")
		}
	}
	for _, after := range []string{o.id(0), o.id(1), o.id(100), attacker.id(1), id(0)} {
		add("after="+after, `"after":"`+after+`"`)
	}
	lists := queries // pages of lists have only one order
	for _, order := range []string{"id", "create_time_asc", "create_time_desc"} {
		for _, page := range []string{"1", "2", "3"} { // with a page_size of 2, the third page of the control is empty
			add("order="+order+"&page="+page, `"order":"`+order+`","page":`+page)
		}
	}
	for _, targets := range []string{"account_id", "user_data", "external_id", "create_time"} {
		add("targets="+targets, `"targets":["`+targets+`"]`)
	}
	for _, query := range lists {
		all = append(all, attack{method: "GET", url: "/1/lists?" + query})
	}
	for _, resource := range []string{"faces", "events", "attributes"} {
		for i, query := range queries {
			all = append(all,
				attack{method: "GET", url: "/1/" + resource + "?descriptor=1&" + query},
				attack{method: "POST", url: "/1/" + resource + "/find?descriptor=1", body: bodies[i]})
		}
	}
	return all
}

// filter is a filter of a request, with its value in JSON.
type filter struct{ name, json string }

// query returns the filter as a query parameter.
func (f filter) query() string {
	text := f.json
	if f.name != "geo_position" {
		text = strings.NewReplacer(`"`, "", "[", "", "]", "").Replace(text)
	}
	return f.name + "=" + url.QueryEscape(text)
}

// filters returns all filters of an origin, with values that o's objects pass.
func (o owner) filters(origin string) []filter {
	number, quoted := strconv.Itoa(o.number), func(s string) string { return `["` + s + `"]` }
	ids := quoted(strings.Join([]string{o.id(1), o.id(2), o.id(3)}, `","`))
	all := []filter{
		{"create_time__gte", `"2031-01-01T00:00:00Z"`},
		{"create_time__lt", `"2032-01-01T00:00:00Z"`},
		{"age__gte", number},
		{"age__lt", "203"},
		{"gender", number},
		{"ethnic_groups", "[" + number + "]"},
	}
	if origin == "attributes" {
		return append(all, filter{"attribute_ids", ids}, filter{"attribute_id__gte", `"` + o.id(0) + `"`}, filter{"attribute_id__lt", `"` + o.id(99) + `"`},
			filter{"user_data", `"` + o.text("user") + `"`}, filter{"external_ids", quoted(o.text("key"))}) // attributes do not have these fields
	}
	all = append(all, filter{"user_data", `"` + o.text("user") + `"`}, filter{"external_ids", quoted(o.text("key"))}, filter{"external_ids", `["shared"]`},
		filter{"face_ids", ids})
	if origin == "faces" {
		return append(all,
			filter{"event_ids", quoted(o.id(21))}, filter{"face_id__gte", `"` + o.id(0) + `"`}, filter{"face_id__lt", `"` + o.id(99) + `"`},
			filter{"list_id", `"` + o.id(100) + `"`}, filter{"list_id", `"` + attacker.id(100) + `"`},
			filter{"lists", quoted(o.id(100) + `","` + attacker.id(100))}, filter{"lists", quoted(o.id(100))})
	}
	for name, field := range map[string]string{
		"sources": "source", "track_ids": "key", "tags": "tag", "cities": "city", "areas": "area", "districts": "district", "streets": "street",
		"house_numbers": "house", "top_match_external_ids": "top", "top_similar_external_ids": "top", "source_groups": "group", "meta.shop.name__in": "shop",
	} {
		all = append(all, filter{name, quoted(o.text(field))})
	}
	for _, f := range smallsFields() {
		all = append(all, filter{f.Any, "[" + number + "]"})
	}
	slices.SortFunc(all, func(a, b filter) int { return strings.Compare(a.name+a.json, b.name+b.json) })
	return append(all,
		filter{"event_ids", ids}, filter{"event_id__gte", `"` + o.id(0) + `"`}, filter{"event_id__lt", `"` + o.id(99) + `"`}, filter{"track_ids", `["shared"]`}, filter{"tags", `["shared"]`}, filter{"handler_ids", quoted(o.id(30))},
		filter{"stream_ids", quoted(o.id(31))}, filter{"emotions", "[" + number + "]"}, filter{"masks", "[" + number + "]"},
		filter{"geo_position", fmt.Sprintf(`{"origin_longitude":%d,"origin_latitude":%d,"longitude_delta":1,"latitude_delta":1}`, o.number/4, o.number/4)},
		filter{"end_time__gte", `"2031-01-01T00:00:00Z"`}, filter{"end_time__lt", `"2032-01-01T00:00:00Z"`},
		filter{"top_match_object_ids", quoted(o.id(32))}, filter{"top_match_similarity__gte", "0.2"}, filter{"top_match_similarity__lt", "0.21"},
		filter{"top_similar_object_ids", quoted(o.id(32))}, filter{"top_similar_object_similarity__gte", "0.2"}, filter{"top_similar_object_similarity__lt", "0.21"},
		filter{"apparent_age__gte", number}, filter{"apparent_age__lt", "203"}, filter{"apparent_gender", number},
		filter{"meta.shop.floor__gte", number}, filter{"meta.shop.floor__lt", "203"}, filter{"meta.shop.name__eq", `"` + o.text("shop") + `"`})
}

// smallsFields returns the fields of events that have several numbers.
func smallsFields() []*matcher.Field {
	return slices.DeleteFunc(slices.Clone(matcher.Fields(matcher.Events)), func(f *matcher.Field) bool { return f.Kind != matcher.SmallsField })
}

// filtered are requests with each filter, in every place where a filter can be.
func (o owner) filtered() (all []attack) {
	for _, origin := range []string{"faces", "events", "attributes"} {
		for _, f := range append(o.filters(origin), filter{"account_id", `"` + o.account + `"`}) {
			set := `{"filters":{"origin":"` + origin + `","` + f.name + `":` + f.json + `}}`
			whole := `{"filters":{"origin":"` + origin + `"}}`
			all = append(all,
				attack{method: "POST", url: "/1/matcher/faces?explain=1", body: matchBody(givenDescriptor(o.data(1)), set)},
				attack{method: "POST", url: "/1/crossmatcher/faces?explain=1", body: `{"references":` + set + `,"candidates":` + whole + `}`},
				attack{method: "POST", url: "/1/crossmatcher/bodies?explain=1", body: `{"references":` + whole + `,"candidates":` + set + `}`})
			alone := `{"filters":{"` + f.name + `":` + f.json + `}}`
			all = append(all,
				attack{method: "POST", url: "/1/" + origin + "/find?descriptor=1", body: alone},
				attack{method: "POST", url: "/1/" + origin + "/delete", body: alone})
			if f.name == "account_id" { // in a query it is the account of the request
				continue
			}
			all = append(all,
				attack{method: "GET", url: "/1/" + origin + "?descriptor=1&" + f.query()},
				attack{method: "DELETE", url: "/1/" + origin + "?" + f.query()},
				attack{method: "GET", url: "/1/export?origin=" + origin + "&" + f.query()})
		}
	}
	return all
}

// matches are matches with o's objects as references and with o's descriptors, so
// that o's objects would come first.
func (o owner) matches() (all []attack) {
	origins := []string{"faces", "events", "attributes"}
	reference := func(kind, id string) string { return `{"type":"` + kind + `","id":"` + id + `"}` }
	references := []string{
		reference("face_external_id", "shared"), reference("event_external_id", "shared"), reference("event_track_id", "shared"),
		reference("face_external_id", o.text("key")), reference("event_external_id", o.text("key")), reference("event_track_id", o.text("key")),
		givenDescriptor(o.data(1)), givenDescriptor(o.data(3)),
	}
	for _, kind := range []string{"face", "event", "attribute"} {
		references = append(references, reference(kind, o.id(1)), reference(kind, o.id(3)), reference(kind, attacker.id(1)))
	}
	for _, r := range references {
		for _, origin := range origins {
			for _, more := range []string{`,"limit":1`, `,"limit":50`, `,"order":"create_time_desc","limit":7`, `,"order":"create_time_asc","limit":7`, `,"order":"create_time_asc","limit":8`} {
				body := matchBody(r, `{"filters":{"origin":"`+origin+`"}`+more+`}`)
				all = append(all, attack{method: "POST", url: "/1/matcher/faces?explain=1", body: body})
			}
			body := matchBody(r, `{"filters":{"origin":"`+origin+`"},"limit":50}`)
			all = append(all,
				attack{method: "POST", url: "/1/matcher", body: body},
				attack{method: "POST", url: "/1/matcher?explain=1&descriptor_version=44", body: body},
				attack{method: "POST", url: "/1/matcher/faces?descriptor_version=44", body: body},
				attack{method: "POST", url: "/1/matcher/bodies?explain=1", body: body},
				attack{method: "POST", url: "/1/matcher/bodies?descriptor_version=7", body: body})
		}
		all = append(all, attack{method: "POST", url: "/1/matcher/raw?explain=1", body: matchBody(givenDescriptor(o.data(1)), r)})
	}
	body := givenDescriptor(descriptor(vBody, byte(o.number), 0, 0, 1))
	all = append(all, attack{method: "POST", url: "/1/matcher/bodies?explain=1", body: matchBody(body, `{"filters":{"origin":"events"},"limit":50}`)})
	for _, origin := range origins {
		for _, candidates := range origins { // more than limits.cross_match, if objects of others were counted
			body := `{"references":{"filters":{"origin":"` + origin + `"}},"candidates":{"filters":{"origin":"` + candidates + `"}},"limit":50}`
			all = append(all, attack{method: "POST", url: "/1/crossmatcher/faces?explain=1", body: body}, attack{method: "POST", url: "/1/crossmatcher/bodies?explain=1", body: body})
		}
	}
	return all
}

// writes create, change and delete objects with o's IDs.
func (o owner) writes() []attack {
	descriptor := `"descriptor":` + attacker.data(1)
	all := []attack{
		{method: "POST", url: "/1/faces", body: `{"face_id":"` + o.id(1) + `",` + descriptor + `}`, taken: `"error_code":22003`},
		{method: "POST", url: "/1/events", body: `{"event_id":"` + o.id(1) + `","face_` + descriptor[1:] + `}`, taken: `"error_code":22006`},
		{method: "POST", url: "/1/events", body: `[{"face_` + descriptor[1:] + `},{"event_id":"` + o.id(1) + `","face_` + descriptor[1:] + `}]`, taken: `body[1].event_id`},
		{method: "POST", url: "/1/lists", body: `{"list_id":"` + o.id(100) + `"}`, taken: `"error_code":22001`},
		{method: "PUT", url: "/1/faces/" + o.id(1), body: `{` + descriptor + `}`, taken: `"error_code":12026`},
		{method: "PUT", url: "/1/attributes/" + o.id(1) + "?ttl=1", body: `{` + descriptor + `}`, taken: `"error_code":12026`},
		{method: "PATCH", url: "/1/faces/" + o.id(1), body: `{"age":1,"lists":["` + attacker.id(100) + `"]}`},
		{method: "PATCH", url: "/1/lists/" + o.id(100), body: `{"user_data":"mine"}`},
		{method: "DELETE", url: "/1/lists/" + o.id(100) + "?with_faces=1"},
		{method: "DELETE", url: "/1/lists/" + o.id(101)},
	}
	for _, resource := range []string{"faces", "events", "attributes"} {
		all = append(all, attack{method: "DELETE", url: "/1/" + resource + "/" + o.id(2)})
	}
	account := o.account
	if account == "" {
		account = nobody
	}
	for _, a := range []attack{ // these name o's account in the body
		{method: "POST", url: "/1/faces", body: `{"face_id":"` + o.id(50) + `",`},
		{method: "PUT", url: "/1/faces/" + attacker.id(1), body: `{`},
		{method: "PATCH", url: "/1/faces/" + attacker.id(1), body: `{`},
		{method: "PUT", url: "/1/attributes/" + attacker.id(1), body: `{`},
	} {
		a.body += `"account_id":"` + account + `",` + descriptor + `}`
		all = append(all, a)
	}
	return append(all,
		attack{method: "POST", url: "/1/events", body: `{"account_id":"` + account + `","face_` + descriptor[1:] + `}`},
		attack{method: "POST", url: "/1/lists", body: `{"account_id":"` + account + `"}`},
		attack{method: "PATCH", url: "/1/lists/" + attacker.id(100), body: `{"account_id":"` + account + `"}`},
		attack{method: "POST", url: "/1/import", body: `{"account_id":"` + account + `",` + descriptor + `}`})
}

// imports send lines with the IDs of o's objects and lists.
func (o owner) imports() []attack {
	descriptor := `"descriptor":` + attacker.data(1)
	line := `{"face_id":"` + o.id(1) + `",` + descriptor + `}`
	return []attack{
		{method: "POST", url: "/1/import", body: line, taken: "face_id: " + o.id(1) + " belongs to another account"},
		{method: "POST", url: "/1/import?origin=events", body: `{"event_id":"` + o.id(1) + `","face_` + descriptor[1:] + `}`, taken: "event_id: " + o.id(1) + " belongs to another account"},
		{method: "POST", url: "/1/import?list_id=" + o.id(100), body: attacker.face(1), taken: "list_id: " + o.id(100) + " does not exist"},
		{method: "POST", url: "/1/import", body: strings.Replace(attacker.face(1), `"lists":[`, `"lists":["`+o.id(100)+`",`, 1), taken: "lists[0]: " + o.id(100) + " does not exist"},
	}
}

// moves put the attacker's faces into o's lists, and o's faces into the attacker's
// lists.
func (o owner) moves() (all []attack) {
	for _, action := range []string{"attach", "detach"} {
		for _, pair := range [][2]string{{o.id(100), attacker.id(1)}, {attacker.id(100), o.id(1)}, {o.id(100), o.id(1)}} {
			all = append(all, attack{method: "PATCH", url: "/1/linker", body: `{"action":"` + action + `","list_id":"` + pair[0] + `","face_ids":["` + pair[1] + `"]}`})
		}
	}
	lists := `{"lists":["` + o.id(100) + `"]`
	face := lists + `,"descriptor":` + attacker.data(1) + `}`
	return append(all,
		attack{method: "POST", url: "/1/faces", body: face},
		attack{method: "PUT", url: "/1/faces/" + attacker.id(1), body: face},
		attack{method: "PATCH", url: "/1/faces/" + attacker.id(1), body: lists + "}"})
}

// spy is a plugin that takes part in matches of one order and keeps the sets of other
// accounts. As a prefilter it returns these sets for the attacker. As a matcher it
// adds their IDs to its rows. Both fail if the attacker's set has objects of others.
func spy(name, order, more string) string {
	return `local name, order, attacker, other = "` + name + `", "` + order + `", "` + attacker.account + `", "` + other.account + `"
local foreign = {"` + other.id(1) + `", "` + other.id(2) + `", "` + unowned.id(1) + `"}
local ns = require("nearside")
local M = {api = 1, name = name, kinds = {"matching", "background"}, matching = {orders = {order}, on_error = "fail"}}
local kept = {}
local function look(req, set)
  if req.account_id ~= attacker then
    kept[req.origin] = set
    set:len() -- looks up the rows, which are kept
    return set
  end
  local rows = set:to_table(1000)
  assert(#rows == set:len())
  for _, row in ipairs(rows) do assert(row.account_id == attacker, "a row of another account") end
  set:filter(function(account) assert(account == attacker, "a value of another account") return true end, "account_id")
  assert(set:where("account_id", "!=", attacker):len() == 0)
  assert(set:one_of("account_id", {other}):len() == 0)
  assert(set:ids(foreign):len() == 0)
  return kept[req.origin]
end
function M:cost(req) if req.limit == 7 then return 1 end end
function M:prefilter(req, set)
  local wide = look(req, set)
  local ok, wider = pcall(function() return set + wide end) -- fails when something was written since
  if not ok then return set end
  ns.kv.incr("widened")
  return wider
end
function M:match(req, set)
  local rows, wide = set:scan(1000), look(req, set)
  for _, row in ipairs(rows) do assert(set:ids({row.id}):len() == 1) end
  if wide and wide ~= set then
    assert(not pcall(function() return wide:scan(1000) end), "a set of an earlier request was scanned")
    for _, row in ipairs(wide:to_table(1000)) do
      local id = row.id or row.face_id or row.event_id or row.attribute_id
      if set:ids({id}):len() == 0 then rows[#rows + 1] = {id = id} end
    end
    ns.kv.incr("added")
  end
  for _, id in ipairs(foreign) do rows[#rows + 1] = {id = id} end
  return rows
end
function M:start() ns.route("GET", "/attacks", function() return 200, {widened = ns.kv.get("widened"), added = ns.kv.get("added")} end) end
` + more + `
return M`
}
