package oracle

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"

	"nearside/internal/testkit"
)

// Integer is a 64-bit integer that float64 may not hold, in decimal digits. In JSON
// it is a number.
type Integer string

// MarshalJSON implements json.Marshaler.
func (n Integer) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// JSON encodes v.
func JSON(v any) string { return string(testkit.Must(json.Marshal(v))) }

// Decode decodes JSON. Numbers are float64 or [Integer].
func Decode(text string) (v any, err error) {
	if !json.Valid([]byte(text)) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return PlainNumbers(v), nil
}

// PlainNumbers replaces each json.Number in v by a float64 or an [Integer].
func PlainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if exact, ok := wideInteger(string(v)); ok {
			return exact
		}
		return testkit.Must(v.Float64())
	case []any:
		for i := range v {
			v[i] = PlainNumbers(v[i])
		}
	case map[string]any:
		for key, x := range v {
			v[key] = PlainNumbers(x)
		}
	}
	return v
}

// wideInteger reports whether text is an integer beyond 2^53 that 64 bits hold.
func wideInteger(text string) (Integer, bool) {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || n.CmpAbs(big.NewInt(1<<53)) <= 0 || !n.IsInt64() && !n.IsUint64() {
		return "", false
	}
	return Integer(text), true
}
