package server_test

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filterRow is a row of the table of filters (API.md 3).
type filterRow struct {
	name   string
	origin string // f, e, a: those that have it
	path   string // the field that it asks for
	sort   string // of its values: id, text, time, small, number, bool
}

// op is what the filter does with the field and its values: lists take any of
// them, gte and lt compare, all others are equality.
func (f filterRow) op() string {
	if _, op, ok := strings.Cut(f.name, "__"); ok {
		return op
	}
	if strings.HasSuffix(f.name, "s") && f.name != "" {
		return "in"
	}
	return "eq"
}

var filterTable = []filterRow{
	{"account_id", "fea", "account_id", "id"},
	{"create_time__gte", "fea", "create_time", "time"},
	{"create_time__lt", "fea", "create_time", "time"},
	{"user_data", "fea", "user_data", "text"},
	{"external_ids", "fea", "external_id", "text"},
	{"age__gte", "fea", "age", "small"},
	{"age__lt", "fea", "age", "small"},
	{"gender", "fea", "gender", "small"},
	{"ethnic_groups", "fea", "ethnic_group", "small"},

	{"face_ids", "fe", "face_id", "id"},
	{"event_ids", "fe", "event_id", "id"},
	{"attribute_ids", "a", "attribute_id", "id"},
	{"face_id__gte", "f", "face_id", "id"},
	{"face_id__lt", "f", "face_id", "id"},
	{"list_id", "f", "lists", "id"},
	{"lists", "f", "lists", "id"},

	{"sources", "e", "source", "text"},
	{"handler_ids", "e", "handler_id", "id"},
	{"stream_ids", "e", "stream_id", "id"},
	{"track_ids", "e", "track_id", "text"},
	{"tags", "e", "tags", "text"},
	{"emotions", "e", "emotion", "small"},
	{"masks", "e", "mask", "small"},
	{"cities", "e", "location.city", "text"},
	{"areas", "e", "location.area", "text"},
	{"districts", "e", "location.district", "text"},
	{"streets", "e", "location.street", "text"},
	{"house_numbers", "e", "location.house_number", "text"},
	{"geo_position", "e", "location.geo_position", "geo"},
	{"end_time__gte", "e", "end_time", "time"},
	{"end_time__lt", "e", "end_time", "time"},
	{"top_match_object_ids", "e", "top_match.object_id", "id"},
	{"top_match_external_ids", "e", "top_match.external_id", "text"},
	{"top_match_similarity__gte", "e", "top_match.similarity", "number"},
	{"top_match_similarity__lt", "e", "top_match.similarity", "number"},
	{"meta.shop.floor__eq", "e", "meta.shop.floor", "number"},
	{"meta.shop.floor__in", "e", "meta.shop.floor", "number"},
	{"meta.shop.floor__gte", "e", "meta.shop.floor", "number"},
	{"meta.shop.floor__lt", "e", "meta.shop.floor", "number"},
	{"meta.shop.name__eq", "e", "meta.shop.name", "text"},
	{"meta.shop.name__in", "e", "meta.shop.name", "text"},
	{"meta.shop.name__gte", "e", "meta.shop.name", "text"},
	{"meta.shop.name__lt", "e", "meta.shop.name", "text"},
	{"meta.vip__eq", "e", "meta.vip", "bool"},
	{"meta.vip__in", "e", "meta.vip", "bool"},
}

// filtersOf are the rows of an origin.
func filtersOf(origin int) []filterRow {
	var rows []filterRow
	for _, f := range filterTable {
		if strings.Contains(f.origin, origins[origin][:1]) {
			rows = append(rows, f)
		}
	}
	return rows
}

// selected are the visible things of a server that pass filters, and which
// they are of.
func (w *world) selected(at *holding, filters any, account string) (origin int, all []*thing) {
	wanted := filters.(map[string]any)
	origin = slices.Index(origins[:], wanted["origin"].(string))
	rows := slices.DeleteFunc(filtersOf(origin), func(f filterRow) bool { _, asked := wanted[f.name]; return !asked })
	for _, t := range at.things[origin] {
		fails := func(f filterRow) bool {
			has, ok := t.at(f.path)
			return !ok || !f.accepts(has, wanted[f.name], w.now)
		}
		if t.visible(account) && !slices.ContainsFunc(rows, fails) {
			all = append(all, t)
		}
	}
	return origin, all
}

func (f filterRow) accepts(has, wanted any, now time.Time) bool {
	if f.sort == "geo" {
		at, box := has.(map[string]any), wanted.(map[string]any)
		near := func(name string) bool {
			return math.Abs(at[name].(float64)-box["origin_"+name].(float64)) <= box[name+"_delta"].(float64)
		}
		return near("longitude") && near("latitude")
	}
	if many, ok := has.([]any); ok && !strings.HasPrefix(f.name, "meta") {
		return slices.ContainsFunc(many, func(one any) bool { return f.accepts(one, wanted, now) })
	}
	if list, ok := wanted.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return f.compare(has, one, now) == 0 })
	}
	order := f.compare(has, wanted, now)
	switch f.op() {
	case "gte":
		return order == 0 || order == 1
	case "lt":
		return order == -1
	}
	return order == 0
}

// compare returns -1, 0, 1; or 9 when has is of another type than the filter.
func (f filterRow) compare(has, wanted any, now time.Time) int {
	switch f.sort {
	case "id":
		return strings.Compare(has.(string), strings.ToLower(wanted.(string)))
	case "time":
		return strings.Compare(has.(string), moments(wanted.(string), now))
	case "bool":
		if has == wanted {
			return 0
		}
		return 9
	case "text":
		if text, ok := has.(string); ok {
			return strings.Compare(text, wanted.(string))
		}
		return 9
	default:
		if n, ok := has.(float64); ok {
			return cmp.Compare(n, wanted.(float64))
		}
		return 9
	}
}

// moments reads a time of a filter into the form in which times compare.
func moments(text string, now time.Time) string {
	relative, ok := strings.CutPrefix(text, "now-")
	if !ok {
		return must(time.Parse(time.RFC3339Nano, text)).UTC().Truncate(time.Millisecond).Format(clockForm)
	}
	n := must(strconv.Atoi(relative[:len(relative)-1]))
	switch relative[len(relative)-1] {
	case 'y':
		now = now.AddDate(-n, 0, 0)
	case 'M':
		now = now.AddDate(0, -n, 0)
	case 'w':
		now = now.AddDate(0, 0, -7*n)
	case 'd':
		now = now.AddDate(0, 0, -n)
	case 'h':
		now = now.Add(-time.Duration(n) * time.Hour)
	case 'm':
		now = now.Add(-time.Duration(n) * time.Minute)
	case 's':
		now = now.Add(-time.Duration(n) * time.Second)
	}
	return now.Format(clockForm)
}

// filters are random ones of an origin. Most accept a certain thing.
func (w *world) filters(origin int, account string) map[string]any {
	filters := map[string]any{}
	if len(w.pool(origin)) == 0 {
		return filters
	}
	aim := pick(w, w.pool(origin))
	for i := 0; i < 20 && !aim.visible(account); i++ {
		aim = pick(w, w.pool(origin))
	}
	for range pick(w, []int{0, 1, 1, 1, 1, 2, 2, 3}) {
		f := pick(w, filtersOf(origin))
		if f.name == "account_id" && account != "" && w.chance(0.97) {
			continue
		}
		of := aim
		if w.chance(0.2) {
			of = pick(w, w.pool(origin))
		}
		has, ok := of.at(f.path)
		if !ok && w.chance(0.7) {
			continue
		}
		filters[f.name] = w.wanted(f, has, ok)
	}
	if lists, ok := aim.fields["lists"].([]any); ok && len(lists) > 0 && w.chance(0.2) {
		filters["list_id"] = pick(w, lists)
	}
	return filters
}

// wanted is a value for f, often one that has passes.
func (w *world) wanted(f filterRow, has any, ok bool) any {
	if f.sort == "geo" {
		box := map[string]any{"origin_longitude": float64(w.rng.IntN(9)-4) / 2, "origin_latitude": float64(w.rng.IntN(9)-4) / 2}
		maps.Copy(box, map[string]any{"longitude_delta": float64(w.rng.IntN(5)) / 2, "latitude_delta": float64(w.rng.IntN(5)) / 2})
		return box
	}
	if many, is := has.([]any); is && ok {
		ok = len(many) > 0 && f.name[:4] != "meta"
		if ok {
			has = pick(w, many)
		}
	}
	if f.op() != "in" {
		return w.wantedOne(f, has, ok)
	}
	list := []any{}
	for n := pick(w, []int{0, 1, 1, 1, 2, 3, 5, 60}); len(list) < n; {
		list = append(list, w.wantedOne(f, has, ok && len(list) == n/2))
	}
	return list
}

func (w *world) wantedOne(f filterRow, has any, ok bool) any {
	switch f.sort {
	case "id":
		id, is := has.(string)
		if !ok || !is {
			id = pick(w, w.ids)
		}
		if w.chance(0.05) {
			id = strings.ToUpper(id)
		}
		return id
	case "bool":
		if b, is := has.(bool); is && ok {
			return b
		}
		return w.chance(0.5)
	case "time":
		return w.wantedTime(has, ok)
	case "text":
		if text, is := has.(string); is && ok {
			return text
		}
		return pick(w, []string{"a", "b", "é", "none", "Köln 1", "tag-0", "cam-2", "area 1", "Z", ""})
	}
	n, is := has.(float64)
	if !ok || !is {
		n = float64(w.rng.IntN(60))
		if f.sort == "number" {
			n /= 20
		}
	}
	if f.sort == "number" && w.chance(0.3) {
		return w.near(n)
	}
	if f.op() == "lt" && n < 255 && w.chance(0.7) {
		n++
	}
	return n
}

func (w *world) wantedTime(has any, ok bool) any {
	if w.chance(0.2) {
		return fmt.Sprintf("now-%d%c", w.rng.IntN(30), "smhdwMy"[w.rng.IntN(7)])
	}
	text, is := has.(string)
	if !ok || !is {
		text = pick(w, w.moments)
	}
	at := must(time.Parse(clockForm, text)).Add(time.Duration(w.rng.IntN(3)-1) * time.Millisecond)
	return w.spellTime(at.Format(clockForm))
}
