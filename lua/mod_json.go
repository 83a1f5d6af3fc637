package lua

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"nearside/lua/vm"
)

// jsonModule turns tables into JSON and back.
func jsonModule() vm.Module {
	return vm.Module{
		Name: "json", Doc: "JSON.",
		Functions: []vm.Function{
			{
				Name: "encode", Params: []string{"value: any"}, Returns: []string{"string"},
				Doc: "Writes a value as JSON; an empty table is {} unless json.array marked it, or it came as an empty list.",
				Run: func(c *vm.Call) error {
					v := c.Value(1)
					if err := chargeJSON(c, v); err != nil {
						return err
					}
					text, err := encodeJSON(v)
					if err != nil {
						return err
					}
					return c.Return(text)
				},
			},
			{
				Name: "decode", Params: []string{"text: string"}, Returns: []string{"any", "string? err"},
				Doc: "Reads JSON; null becomes json.null, integers beyond 2^53 boxed ones (see int64).",
				Run: func(c *vm.Call) error { return returnJSON(c, c.Text(1)) },
			},
			{
				Name: "array", Params: []string{"t: table"}, Returns: []string{"table"},
				Doc: "Marks a table to be written as [], also when it is empty.",
				Run: func(c *vm.Call) error { return c.ReturnMarked(1, true) },
			},
			{
				Name: "object", Params: []string{"t: table"}, Returns: []string{"table"},
				Doc: "Marks a table to be written as {}, also when it is empty.",
				Run: func(c *vm.Call) error { return c.ReturnMarked(1, false) },
			},
		},
		Values: []vm.Value{{Name: "null", Type: "userdata", Doc: "JSON's null.", Get: func(*vm.Call) any { return vm.Null{} }}},
	}
}

// encodeJSON writes what vm.Call.Value returns. It changes v.
func encodeJSON(v any) ([]byte, error) {
	plain, err := jsonValue(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(plain); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// jsonValue replaces what encoding/json does not know, in place. It refuses
// text that is not UTF-8, which encoding/json would replace without an error.
func jsonValue(v any) (_ any, err error) {
	switch v := v.(type) {
	case vm.Null:
		return nil, nil
	case vm.Empty:
		return struct{}{}, nil
	case float64:
		return jsonNumber(v)
	case string:
		if !utf8.ValidString(v) {
			return nil, errNotUTF8
		}
	case []any:
		for i := range v {
			if v[i], err = jsonValue(v[i]); err != nil {
				return nil, fmt.Errorf("[%d]: %w", i+1, err)
			}
		}
	case map[string]any:
		for k := range v {
			if !utf8.ValidString(k) {
				return nil, fmt.Errorf("key %q: %w", clip(k), errNotUTF8)
			}
			if v[k], err = jsonValue(v[k]); err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
		}
	case nil, bool, vm.Integer:
	default:
		return nil, errors.New("functions, coroutines and objects have no form in JSON")
	}
	return v, nil
}

var errNotUTF8 = errors.New("text that is not UTF-8 has no form in JSON: encode bytes with ns.base64")

// jsonNumber writes whole numbers without an exponent and with all their
// digits, as far as they are 64-bit integers.
func jsonNumber(f float64) (any, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, fmt.Errorf("%v has no form in JSON", f)
	case f == 0 && math.Signbit(f):
		return json.Number("-0.0"), nil // many read "-0" as an integer, which has no sign
	case f == math.Trunc(f) && f >= math.MinInt64 && f < math.MaxInt64:
		return int64(f), nil
	case f == math.Trunc(f) && f > 0 && f < math.MaxUint64:
		return uint64(f), nil
	}
	return f, nil
}

// decodeJSON reads one JSON value and nothing behind it.
func decodeJSON(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("json: the text is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("json: unexpected end")
		}
		return nil, fmt.Errorf("json: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("json: there is more behind the value")
	}
	return luaValue(v)
}

// decoded returns value with JSON decoded as ns.json.decode does it.
func decoded(value func() any) func() any {
	return func() any {
		v := value()
		text, ok := v.(json.RawMessage)
		if !ok {
			return v
		}
		v, err := decodeJSON(text)
		if err != nil { // the host wrote it: this is a mistake of the host
			return map[string]any{"error": err.Error()}
		}
		return v
	}
}

// luaValue replaces null and numbers, in place.
func luaValue(v any) (_ any, err error) {
	switch v := v.(type) {
	case nil:
		return vm.Null{}, nil
	case json.Number:
		return luaNumber(string(v))
	case []any:
		for i := range v {
			if v[i], err = luaValue(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = luaValue(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// luaNumber is a number of JSON: a float64, or a [vm.Integer] if it is an
// integer that a float64 does not hold.
func luaNumber(text string) (any, error) {
	if n, ok := vm.ParseInteger(text); ok {
		f, small := n.Small()
		switch {
		case !small:
			return n, nil
		case f == 0 && text[0] == '-':
			return math.Copysign(0, -1), nil
		}
		return f, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("json: %s is beyond the range of numbers", clip(text))
	}
	return f, nil
}
