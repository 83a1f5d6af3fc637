package oracle

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"nearside/internal/testkit"
)

// randomFilters returns random filters of an origin. Most accept at least one object.
func (w *World) randomFilters(origin int, account string) map[string]any {
	filters := map[string]any{}
	if len(w.pool(origin)) == 0 {
		return filters
	}
	aim := testkit.Pick(w.rng, w.pool(origin)...)
	for i := 0; i < 20 && !aim.visible(account); i++ {
		aim = testkit.Pick(w.rng, w.pool(origin)...)
	}
	for range testkit.Pick(w.rng, []int{0, 1, 1, 1, 1, 2, 2, 3}...) {
		f := testkit.Pick(w.rng, filtersOf(origin)...)
		if f.name == "account_id" && account != "" && w.Chance(0.97) {
			continue
		}
		chosen := aim
		if w.Chance(0.2) {
			chosen = testkit.Pick(w.rng, w.pool(origin)...)
		}
		has, ok := chosen.field(f.path)
		if !ok && w.Chance(0.7) {
			continue
		}
		filters[f.name] = w.filterValue(f, has, ok)
	}
	if lists, ok := aim.fields["lists"].([]any); ok && len(lists) > 0 && w.Chance(0.2) {
		filters["list_id"] = testkit.Pick(w.rng, lists...)
	}
	return filters
}

// filterValue returns a random value for f. If ok is true, has is the field of an object,
// and the value often accepts it.
func (w *World) filterValue(f filter, has any, ok bool) any {
	if f.kind == "geo" {
		box := map[string]any{"origin_longitude": w.longitude(), "origin_latitude": float64(w.rng.IntN(9)-4) / 2}
		maps.Copy(box, map[string]any{"longitude_delta": float64(w.rng.IntN(5)) / 2, "latitude_delta": float64(w.rng.IntN(5)) / 2})
		return box
	}
	if many, isList := has.([]any); isList && ok {
		ok = len(many) > 0 && f.name[:4] != "meta"
		if ok {
			has = testkit.Pick(w.rng, many...)
		}
	}
	if f.op() != "in" {
		return w.singleValue(f, has, ok)
	}
	list := []any{}
	for n := testkit.Pick(w.rng, []int{0, 1, 1, 1, 2, 3, 5, 60}...); len(list) < n; {
		list = append(list, w.singleValue(f, has, ok && len(list) == n/2))
	}
	return list
}

// singleValue is filterValue for one value.
func (w *World) singleValue(f filter, has any, ok bool) any {
	switch f.kind {
	case "id":
		id, isText := has.(string)
		if !ok || !isText {
			id = testkit.Pick(w.rng, w.ids...)
		}
		if w.Chance(0.05) {
			id = strings.ToUpper(id)
		}
		return id
	case "bool":
		if b, isBool := has.(bool); isBool && ok {
			return b
		}
		return w.Chance(0.5)
	case "time":
		return w.timeValue(has, ok)
	case "text":
		if text, isText := has.(string); isText && ok {
			return text
		}
		return testkit.Pick(w.rng, []string{"a", "b", "é", "none", "Köln 1", "tag-0", "cam-2", "area 1", "Z", ""}...)
	}
	if big, isInteger := has.(Integer); isInteger && ok && f.kind == "number" {
		if w.Chance(0.5) {
			return testkit.Pick(w.rng, bigIntegers...)
		}
		return big
	}
	n, isNumber := has.(float64)
	if !ok || !isNumber {
		n = float64(w.rng.IntN(60))
		if f.kind == "number" {
			n /= 20
		}
	}
	if f.kind == "number" && w.Chance(0.3) {
		if n = w.near(n); math.Abs(n) < 0x1p53 {
			return n
		}
		return PlainNumbers(json.Number(strconv.FormatFloat(n, 'f', -1, 64)))
	}
	if f.op() == "lt" && n < 255 && w.Chance(0.7) {
		n++
	}
	return n
}

// timeValue is filterValue for a time, relative or absolute.
func (w *World) timeValue(has any, ok bool) any {
	if w.Chance(0.2) {
		return fmt.Sprintf("now-%d%c", w.rng.IntN(30), "smhdwMy"[w.rng.IntN(7)])
	}
	text, isText := has.(string)
	if !ok || !isText {
		text = testkit.Pick(w.rng, w.moments...)
	}
	at := testkit.Must(time.Parse(clockForm, text)).Add(time.Duration(w.rng.IntN(3)-1) * time.Millisecond)
	return w.spellTime(at.Format(clockForm))
}
