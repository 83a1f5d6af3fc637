package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"nearside/lua"
)

// overrideSettings are the keys of plugins.override.<name>.
func overrideSettings(o *lua.Override) []setting {
	return []setting{
		{key: "order", value: as(&o.Order, optional(count(-1_000_000, 1_000_000)))},
		{key: "cost", value: as(&o.Cost, optional(number(0, math.MaxFloat64)))},
		{key: "when", value: as(&o.When, record(lua.When{}, whenSettings))},
		{key: "log", value: as(&o.Log, optional(level))},
		{key: "limits", value: as(&o.Memory, memoryLimit)},
	}
}

func whenSettings(w *lua.When) []setting {
	return []setting{
		{key: "lists", value: as(&w.Lists, listOf(id))},
		{key: "origins", value: as(&w.Origins, listOf(origin))},
		{key: "accounts", value: as(&w.Accounts, listOf(id))},
		{key: "routes", value: as(&w.Routes, listOf(route))},
	}
}

// memoryLimit is the kind of the map {memory: SIZE}; 0: without the key.
var memoryLimit = record(int64(0), func(bytes *int64) []setting {
	return []setting{{key: "memory", value: as(bytes, orZero(size(lua.MemoryMin, lua.MemoryMax)))}}
})

// orZero is a kind that shows 0 as an absent value.
func orZero(of kind[int64]) kind[int64] {
	return kind[int64]{parse: of.parse, show: func(n int64) any {
		if n == 0 {
			return nil
		}
		return of.show(n)
	}}
}

// optional is the kind of a value that may be absent.
func optional[T any](of kind[T]) kind[*T] {
	return kind[*T]{
		show: func(v *T) any {
			if v == nil {
				return nil
			}
			return of.show(*v)
		},
		parse: func(raw any) (*T, error) {
			v, err := of.parse(raw)
			if err != nil {
				return nil, err
			}
			return &v, nil
		},
	}
}

// matchRoutes are the routes that match, with their names in metrics. Plugins take part in
// no others.
var matchRoutes = []string{
	"POST:/matcher/faces", "POST:/matcher/bodies", "POST:/matcher", "POST:/matcher/raw", "POST:/crossmatcher/faces", "POST:/crossmatcher/bodies",
}

// route is the kind of the name of a route that matches.
var route = text(func(s string) error {
	if !slices.Contains(matchRoutes, s) {
		return fmt.Errorf("must be one of %s, got %s", strings.Join(matchRoutes, ", "), quote(s))
	}
	return nil
})

// mapOf is the kind of a map from names to values of one kind. Its text form is JSON.
func mapOf[T any](item kind[T]) kind[map[string]T] {
	return kind[map[string]T]{
		show: func(all map[string]T) any {
			shown := make(map[string]any, len(all))
			for name, v := range all {
				shown[name] = item.show(v)
			}
			return shown
		},
		parse: func(raw any) (map[string]T, error) {
			given, err := parseJSON[map[string]any](raw, "a map")
			if err != nil {
				return nil, err
			}
			all := make(map[string]T, len(given))
			var bad faults
			for _, name := range slices.Sorted(maps.Keys(given)) {
				if given[name] == nil {
					continue // a key without a value counts as absent
				}
				v, err := item.parse(given[name])
				if err != nil {
					bad = append(bad, withPath("."+name, err)...)
					continue
				}
				all[name] = v
			}
			return all, bad.orNil()
		},
	}
}
