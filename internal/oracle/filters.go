package oracle

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearside/internal/testkit"
)

// filter is a row of the table of filters (docs/api.md 3).
type filter struct {
	name    string
	origins string // initials of the origins that have it
	path    string // the field that it compares
	kind    string // of its values: id, text, time, small, number, bool, geo
}

// op returns the operator of a filter: "in" for lists, "gte" and "lt" by the name,
// "eq" for all others.
func (f filter) op() string {
	if _, op, ok := strings.Cut(f.name, "__"); ok {
		return op
	}
	if strings.HasSuffix(f.name, "s") && f.name != "" {
		return "in"
	}
	return "eq"
}

var filterTable = []filter{
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
	{"attribute_id__gte", "a", "attribute_id", "id"},
	{"attribute_id__lt", "a", "attribute_id", "id"},
	{"event_id__gte", "e", "event_id", "id"},
	{"event_id__lt", "e", "event_id", "id"},
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

// filtersOf returns the filters of an origin.
func filtersOf(origin int) []filter {
	var rows []filter
	for _, f := range filterTable {
		if strings.Contains(f.origins, Origins[origin][:1]) {
			rows = append(rows, f)
		}
	}
	return rows
}

// selected returns the objects of a server that an account can see and that pass
// filters, and their origin.
func (w *World) selected(at *holding, filters any, account string) (origin int, all []*object) {
	wanted := filters.(map[string]any)
	origin = slices.Index(Origins[:], wanted["origin"].(string))
	rows := slices.DeleteFunc(filtersOf(origin), func(f filter) bool { _, asked := wanted[f.name]; return !asked })
	for _, o := range at.objects[origin] {
		fails := func(f filter) bool {
			has, ok := o.field(f.path)
			return !ok || !f.accepts(has, wanted[f.name], w.Now)
		}
		if o.visible(account) && !slices.ContainsFunc(rows, fails) {
			all = append(all, o)
		}
	}
	return origin, all
}

// accepts reports whether the value of a field passes the filter.
func (f filter) accepts(has, wanted any, now time.Time) bool {
	if f.kind == "geo" {
		at, box := has.(map[string]any), wanted.(map[string]any)
		apart := func(name string) float64 { return math.Abs(at[name].(float64) - box["origin_"+name].(float64)) }
		east := apart("longitude")
		return min(east, 360-east) <= box["longitude_delta"].(float64) && apart("latitude") <= box["latitude_delta"].(float64)
	}
	if many, ok := has.([]any); ok && !strings.HasPrefix(f.name, "meta") {
		return slices.ContainsFunc(many, func(value any) bool { return f.accepts(value, wanted, now) })
	}
	if list, ok := wanted.([]any); ok {
		return slices.ContainsFunc(list, func(value any) bool { return f.compare(has, value, now) == 0 })
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

// compare returns -1, 0 or 1, or 9 if has is not of the type of the filter.
func (f filter) compare(has, wanted any, now time.Time) int {
	switch f.kind {
	case "id":
		return strings.Compare(has.(string), strings.ToLower(wanted.(string)))
	case "time":
		return strings.Compare(has.(string), timeOf(wanted.(string), now))
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
		if n := exactNumber(has); n != nil {
			return n.Cmp(exactNumber(wanted))
		}
		return 9
	}
}

// exactNumber returns the exact value of a number, or nil if v is not a number.
func exactNumber(v any) *big.Rat {
	switch v := v.(type) {
	case float64:
		return new(big.Rat).SetFloat64(v)
	case Integer:
		n, _ := new(big.Rat).SetString(string(v))
		return n
	}
	return nil
}

// timeOf converts the time of a filter to clockForm, in which times compare as text.
func timeOf(text string, now time.Time) string {
	relative, ok := strings.CutPrefix(text, "now-")
	if !ok {
		text = strings.Replace(strings.ToUpper(text), ":59:60", ":59:59.999", 1)
		return testkit.Must(time.Parse(time.RFC3339Nano, text)).UTC().Truncate(time.Millisecond).Format(clockForm)
	}
	n := testkit.Must(strconv.Atoi(relative[:len(relative)-1]))
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
