package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// list is a list of values of one kind. As a text it is JSON.
func list[T any](item kind[T]) kind[[]T] {
	return kind[[]T]{
		show: func(all []T) any {
			shown := make([]any, len(all))
			for i, v := range all {
				shown[i] = item.show(v)
			}
			return shown
		},
		parse: func(raw any) ([]T, error) {
			items, err := parseJSON[[]any](raw, "a list")
			if err != nil {
				return nil, err
			}
			var all []T
			var bad faults
			for i, r := range items {
				v, err := item.parse(r)
				if err != nil {
					bad = append(bad, at(fmt.Sprintf("[%d]", i), err)...)
					continue
				}
				all = append(all, v)
			}
			return all, bad.orNil()
		},
	}
}

// record is a map with the keys of settings. Absent ones keep their value in
// init. As a text it is JSON.
func record[T any](init T, settings func(*T) []setting) kind[T] {
	return kind[T]{
		show: func(v T) any {
			shown := map[string]any{}
			for _, s := range settings(&v) {
				shown[s.key] = s.value.get()
			}
			return shown
		},
		parse: func(raw any) (T, error) {
			v := init
			given, err := parseJSON[map[string]any](raw, "a map")
			if err != nil {
				return v, err
			}
			var bad faults
			var known []string
			for _, s := range settings(&v) {
				known = append(known, s.key)
				r := given[s.key]
				switch {
				case r != nil:
					err = s.value.set(r)
				case s.required:
					err = errors.New("is missing")
				default:
					continue
				}
				if err != nil {
					bad = append(bad, at("."+s.key, err)...)
				}
			}
			for _, key := range slices.Sorted(maps.Keys(given)) {
				if !slices.Contains(known, key) {
					bad = append(bad, fault{"." + key, unknownKey(key, known)})
				}
			}
			return v, bad.orNil()
		},
	}
}

func unknownKey(key string, known []string) string {
	if near := nearest(key, known); near != "" {
		return fmt.Sprintf("is not a known key; did you mean %s?", near)
	}
	return "is not a known key"
}

// parseJSON takes a value of type T as it is, and a text as JSON.
func parseJSON[T any](raw any, what string) (T, error) {
	if v, ok := raw.(T); ok {
		return v, nil
	}
	var parsed T
	s, ok := raw.(string)
	if !ok {
		return parsed, fmt.Errorf("%s is not %s", quote(raw), what)
	}
	if err := json.Unmarshal([]byte(s), &parsed); err != nil {
		return parsed, fmt.Errorf("%s is not %s in JSON", quote(s), what)
	}
	return parsed, nil
}

// free is a map that somebody else checks. Its faults show no values: they may
// be secrets.
var free = kind[map[string]any]{show: func(m map[string]any) any { return m }, parse: func(raw any) (map[string]any, error) {
	m, err := parseJSON[map[string]any](raw, "a map")
	if err != nil {
		return nil, errors.New("is not a map (in the environment: in JSON)")
	}
	if m == nil {
		m = map[string]any{}
	}
	return m, checkPlain(m)
}}

// checkPlain refuses what JSON, and so a plugin, cannot have.
func checkPlain(v any) error {
	var bad faults
	switch v := v.(type) {
	case nil, bool, string, int, int64, uint64:
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("is not a finite number")
		}
	case []any:
		for i, below := range v {
			if err := checkPlain(below); err != nil {
				bad = append(bad, at(fmt.Sprintf("[%d]", i), err)...)
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := checkPlain(v[key]); err != nil {
				bad = append(bad, at("."+key, err)...)
			}
		}
	default:
		return fmt.Errorf("is a %T, not a text (put it in quotes)", v)
	}
	return bad.orNil()
}

// names is a list of plugins. As a text it is JSON or comma separated; an
// entry may end in .lua.
var names = kind[[]string]{
	show: list(nonEmpty).show,
	parse: func(raw any) ([]string, error) {
		if s, ok := raw.(string); ok && !strings.HasPrefix(strings.TrimSpace(s), "[") {
			var parts []any
			for part := range strings.SplitSeq(s, ",") {
				if part = strings.TrimSpace(part); part != "" {
					parts = append(parts, part)
				}
			}
			raw = parts
		}
		all, err := list(nonEmpty).parse(raw)
		for i := range all {
			all[i] = strings.TrimSuffix(all[i], ".lua")
		}
		return all, err
	},
}
