package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// value is a field that can be set from and shown as plain YAML values
// (texts, numbers, booleans, lists, maps). Environment and flags give texts,
// so every kind also reads its text form.
type value interface {
	set(raw any) error
	get() any
}

// kind says how values of a type are read and shown.
type kind[T any] struct {
	parse func(raw any) (T, error)
	show  func(T) any
}

// field is a value of some kind in a struct.
type field[T any] struct {
	p *T
	kind[T]
}

func as[T any](p *T, k kind[T]) value { return field[T]{p, k} }

func (f field[T]) get() any { return f.show(*f.p) }

func (f field[T]) set(raw any) error {
	v, err := f.parse(raw)
	if err != nil {
		return err
	}
	*f.p = v
	return nil
}

// itself shows a value that is plain already.
func itself[T any](v T) any { return v }

func parseText(raw any) (string, error) {
	s, ok := raw.(string)
	if !ok {
		return "", fmt.Errorf("%s is not a text (put it in quotes)", quote(raw))
	}
	return s, nil
}

// text is a string that check accepts.
func text(check func(string) error) kind[string] {
	return kind[string]{show: itself[string], parse: func(raw any) (string, error) {
		s, err := parseText(raw)
		if err == nil {
			err = check(s)
		}
		return s, err
	}}
}

var nonEmpty = text(func(s string) error {
	if strings.TrimSpace(s) == "" || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%s is empty or has a zero byte", quote(s))
	}
	return nil
})

// choice is one of a few texts.
func choice(all ...string) kind[string] {
	return text(func(s string) error {
		if !slices.Contains(all, s) {
			return fmt.Errorf("%s is not one of %s", quote(s), strings.Join(all, ", "))
		}
		return nil
	})
}

// enum is one of a few values that are written as their String.
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
			var none T
			return none, fmt.Errorf("%s is not one of %s", quote(raw), strings.Join(texts, ", "))
		},
	}
}

var boolean = kind[bool]{show: itself[bool], parse: func(raw any) (bool, error) {
	switch raw {
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return false, fmt.Errorf("%s is not true or false", quote(raw))
}}

// parseInt reads a whole number. JSON and YAML may bring one as a float.
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

// count is a whole number in least..most.
func count(least, most int) kind[int] {
	return kind[int]{show: itself[int], parse: func(raw any) (int, error) {
		n, ok := parseInt(raw)
		if !ok || n < int64(least) || n > int64(most) {
			return 0, fmt.Errorf("%s is not a whole number in %d..%d", quote(raw), least, most)
		}
		return int(n), nil
	}}
}

var versionNumber = kind[uint32]{show: func(n uint32) any { return int(n) }, parse: func(raw any) (uint32, error) {
	n, ok := parseInt(raw)
	if !ok || n < 1 || n > math.MaxUint32 {
		return 0, fmt.Errorf("%s is not a whole number in 1..%d", quote(raw), uint32(math.MaxUint32))
	}
	return uint32(n), nil
}}

// number is a finite number in least..most.
func number(least, most float64) kind[float64] {
	return kind[float64]{show: itself[float64], parse: func(raw any) (float64, error) {
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
			return 0, fmt.Errorf("%s is not a finite number", quote(raw))
		case v < least && least == math.SmallestNonzeroFloat64:
			return 0, fmt.Errorf("%s is not above 0", quote(raw))
		case v < least:
			return 0, fmt.Errorf("%s is below %v", quote(raw), least)
		case v > most:
			return 0, fmt.Errorf("%s is above %v", quote(raw), most)
		}
		return v, nil
	}}
}
