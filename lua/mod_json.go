package lua

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

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
					text, err := encodeJSON(c.Value(1))
					if err != nil {
						return err
					}
					return c.Return(text)
				},
			},
			{
				Name: "decode", Params: []string{"text: string"}, Returns: []string{"any", "string? err"},
				Doc: "Reads JSON; null becomes json.null, integers beyond 2^53 strings.",
				Run: func(c *vm.Call) error {
					text := c.Text(1)
					c.Charge(len(text) / 16)
					v, err := decodeJSON([]byte(text))
					if err != nil {
						return c.Fail(err)
					}
					return c.Return(v)
				},
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

// encodeJSON writes what vm.Call.Value returns.
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

// jsonValue replaces what encoding/json does not know, in place.
func jsonValue(v any) (_ any, err error) {
	switch v := v.(type) {
	case vm.Null:
		return nil, nil
	case vm.Empty:
		return struct{}{}, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%v has no form in JSON", v)
		}
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
	case []any:
		for i := range v {
			if v[i], err = jsonValue(v[i]); err != nil {
				return nil, fmt.Errorf("[%d]: %w", i+1, err)
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = jsonValue(v[k]); err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
		}
	case nil, bool, string:
	default:
		return nil, errors.New("functions, coroutines and objects have no form in JSON")
	}
	return v, nil
}

// decodeJSON reads one JSON value and nothing behind it.
func decodeJSON(text []byte) (any, error) {
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
	return luaValue(v), nil
}

// luaValue replaces null and numbers, in place.
func luaValue(v any) any {
	switch v := v.(type) {
	case nil:
		return vm.Null{}
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil || f == math.Trunc(f) && math.Abs(f) > 1<<53 && !bytes.ContainsAny([]byte(v), ".eE") {
			return string(v)
		}
		return f
	case []any:
		for i := range v {
			v[i] = luaValue(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = luaValue(v[k])
		}
	}
	return v
}
