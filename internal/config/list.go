package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// listOf is the kind of a list of values of one kind. Its text form is JSON.
func listOf[T any](item kind[T]) kind[[]T] {
	return kind[[]T]{
		show: func(all []T) any {
			shown := make([]any, len(all))
			for i, v := range all {
				shown[i] = item.show(v)
			}
			return shown
		},
		parse: func(raw any) ([]T, error) {
			items, err := parseJSON[[]any](raw, "an array")
			if err != nil {
				return nil, err
			}
			var all []T
			var bad faults
			for i, r := range items {
				v, err := item.parse(r)
				if err != nil {
					bad = append(bad, withPath(fmt.Sprintf("[%d]", i), err)...)
					continue
				}
				all = append(all, v)
			}
			return all, bad.orNil()
		},
	}
}

// record is the kind of a map with the keys of settings. An absent key keeps its
// value in init. The text form is JSON.
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
					bad = append(bad, withPath("."+s.key, err)...)
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

// parseJSON returns raw if it is a T, and parses it as JSON if it is a text. typeName
// is the name of T in errors.
func parseJSON[T any](raw any, typeName string) (T, error) {
	if v, ok := raw.(T); ok {
		return v, nil
	}
	var parsed T
	s, ok := raw.(string)
	if !ok {
		return parsed, fmt.Errorf("must be %s, got %s", typeName, quote(raw))
	}
	if err := json.Unmarshal([]byte(s), &parsed); err != nil {
		return parsed, fmt.Errorf("must be %s in JSON, got %s", typeName, quote(s))
	}
	return parsed, nil
}

// freeMap is the kind of a map with any keys. Its faults do not show values, because
// values may be secrets.
var freeMap = kind[map[string]any]{show: func(m map[string]any) any { return m }, parse: func(raw any) (map[string]any, error) {
	m, err := parseJSON[map[string]any](raw, "a map")
	if err != nil {
		return nil, errors.New("must be a map (in the environment: in JSON)")
	}
	if m == nil {
		m = map[string]any{}
	}
	return m, checkPlain(m)
}}

// checkPlain refuses values that JSON cannot express, and that a plugin therefore
// cannot get.
func checkPlain(v any) error {
	var bad faults
	switch v := v.(type) {
	case nil, bool, string, int, int64, uint64:
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("must be a finite number")
		}
	case []any:
		for i, below := range v {
			if err := checkPlain(below); err != nil {
				bad = append(bad, withPath(fmt.Sprintf("[%d]", i), err)...)
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := checkPlain(v[key]); err != nil {
				bad = append(bad, withPath("."+key, err)...)
			}
		}
	case time.Time:
		return errors.New("must be text, got a date or time; put it in quotes")
	case map[any]any:
		return errors.New("must be a map whose keys are text; put the keys in quotes")
	default:
		return fmt.Errorf("must be a value that JSON can express, got a %T", v)
	}
	return bad.orNil()
}

// pluginList is the kind of a list of plugin names. Its text form is JSON, or names
// separated by commas. A name may end in .lua.
var pluginList = kind[[]string]{
	show: listOf(nonEmpty).show,
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
		all, err := listOf(nonEmpty).parse(raw)
		for i := range all {
			all[i] = strings.TrimSuffix(all[i], ".lua")
		}
		return all, err
	},
}
