package server_test

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

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
