package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// value is a field of the configuration. It can be set from a plain YAML value (text,
// number, boolean, list or map) and returned as one. The environment and flags give
// texts, so every kind can also read its text form.
type value interface {
	set(raw any) error
	get() any
	copyFrom(other value) // other belongs to the same setting
}

// kind parses and shows values of a type.
type kind[T any] struct {
	parse func(raw any) (T, error)
	show  func(T) any
}

// field is a field of a struct, with the kind of its value.
type field[T any] struct {
	p *T
	kind[T]
}

// as returns the field at p as a value of kind k.
func as[T any](p *T, k kind[T]) value { return field[T]{p, k} }

func (f field[T]) get() any { return f.show(*f.p) }

func (f field[T]) copyFrom(other value) { *f.p = *other.(field[T]).p }

func (f field[T]) set(raw any) error {
	v, err := f.parse(raw)
	if err != nil {
		return err
	}
	*f.p = v
	return nil
}

// plain shows a value that already is a plain YAML value.
func plain[T any](v T) any { return v }

func parseText(raw any) (string, error) {
	s, ok := raw.(string)
	if !ok {
		return "", fmt.Errorf("must be text, got %s; put it in quotes", quote(raw))
	}
	return s, nil
}

// text is the kind of a string that check accepts.
func text(check func(string) error) kind[string] {
	return kind[string]{show: plain[string], parse: func(raw any) (string, error) {
		s, err := parseText(raw)
		if err == nil {
			err = check(s)
		}
		return s, err
	}}
}

var nonEmpty = text(func(s string) error {
	if strings.TrimSpace(s) == "" || strings.ContainsRune(s, 0) {
		return fmt.Errorf("must be text without zero bytes and must not be empty, got %s", quote(s))
	}
	return nil
})

// choice is the kind of a text that is one of all.
func choice(all ...string) kind[string] {
	return text(func(s string) error {
		if !slices.Contains(all, s) {
			return fmt.Errorf("must be one of %s, got %s", strings.Join(all, ", "), quote(s))
		}
		return nil
	})
}

// enum is the kind of a value that is one of all. Its text form is that of String.
func enum[T fmt.Stringer](all ...T) kind[T] {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = v.String()
	}
	return kind[T]{
		show: func(v T) any { return v.String() },
		parse: func(raw any) (T, error) {
			if s, ok := raw.(string); ok {
				if i := slices.Index(texts, s); i >= 0 {
					return all[i], nil
				}
			}
			var zero T
			return zero, fmt.Errorf("must be one of %s, got %s", strings.Join(texts, ", "), quote(raw))
		},
	}
}

var boolean = kind[bool]{show: plain[bool], parse: func(raw any) (bool, error) {
	switch raw {
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return false, fmt.Errorf("must be true or false, got %s", quote(raw))
}}

// parseInt reads an integer. JSON and YAML may give it as a float.
func parseInt(raw any) (int64, bool) {
	switch v := raw.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), true
		}
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	}
	return 0, false
}

// count is the kind of an integer from lo to hi.
func count(lo, hi int) kind[int] {
	return kind[int]{show: plain[int], parse: func(raw any) (int, error) {
		n, ok := parseInt(raw)
		if !ok || n < int64(lo) || n > int64(hi) {
			return 0, fmt.Errorf("must be an integer from %d to %d, got %s", lo, hi, quote(raw))
		}
		return int(n), nil
	}}
}

var versionNumber = kind[uint32]{show: func(n uint32) any { return int(n) }, parse: func(raw any) (uint32, error) {
	n, ok := parseInt(raw)
	if !ok || n < 1 || n > math.MaxUint32 {
		return 0, fmt.Errorf("must be an integer from 1 to %d, got %s", uint32(math.MaxUint32), quote(raw))
	}
	return uint32(n), nil
}}

// number is the kind of a finite number from lo to hi.
func number(lo, hi float64) kind[float64] {
	return kind[float64]{show: plain[float64], parse: func(raw any) (float64, error) {
		v, ok := raw.(float64)
		switch x := raw.(type) {
		case int:
			v, ok = float64(x), true
		case string:
			parsed, err := strconv.ParseFloat(x, 64)
			v, ok = parsed, err == nil
		}
		switch {
		case !ok || math.IsNaN(v) || math.IsInf(v, 0):
			return 0, fmt.Errorf("must be a finite number, got %s", quote(raw))
		case v < lo && lo == math.SmallestNonzeroFloat64:
			return 0, fmt.Errorf("must be above 0, got %s", quote(raw))
		case v < lo:
			return 0, fmt.Errorf("must be at least %v, got %s", lo, quote(raw))
		case v > hi:
			return 0, fmt.Errorf("must be at most %v, got %s", hi, quote(raw))
		}
		return v, nil
	}}
}
