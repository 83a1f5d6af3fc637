package goval

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
	"nearside/matcher/wire"
)

// EncodeJSON encodes a value that vm.Call.Value returned. It modifies the tables in v.
// Positions in its error texts count from 1, as in Lua.
func EncodeJSON(v any) ([]byte, error) { return encodeJSON(v, 1) }

// EncodeRequest is EncodeJSON for the body of a request. Positions in its error texts
// count from 0, as in the HTTP API.
func EncodeRequest(v any) ([]byte, error) { return encodeJSON(v, 0) }

func encodeJSON(v any, firstPosition int) ([]byte, error) {
	plain, err := jsonValue(v, firstPosition)
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

// JSONValue replaces, in place, the types that encoding/json does not know. It
// returns an error for text that is not UTF-8, because encoding/json would
// silently replace the invalid bytes.
func JSONValue(v any) (any, error) { return jsonValue(v, 1) }

// jsonValue is JSONValue. The first item of a list has firstPosition in error texts.
func jsonValue(v any, firstPosition int) (_ any, err error) {
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
			if v[i], err = jsonValue(v[i], firstPosition); err != nil {
				return nil, fmt.Errorf("[%d]: %w", i+firstPosition, err)
			}
		}
	case map[string]any:
		for k := range v {
			if !utf8.ValidString(k) {
				return nil, fmt.Errorf("key %q: %w", Shorten(k), errNotUTF8)
			}
			if v[k], err = jsonValue(v[k], firstPosition); err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
		}
	case nil, bool, vm.Integer:
	default:
		return nil, errors.New("functions, coroutines and objects cannot be encoded as JSON")
	}
	return v, nil
}

var errNotUTF8 = errors.New("text that is not UTF-8 cannot be encoded as JSON: encode bytes with ns.base64")

// jsonNumber converts a number for encoding/json. A whole number that fits into
// 64 bits is written with all its digits and without an exponent.
func jsonNumber(f float64) (any, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, fmt.Errorf("%v cannot be encoded as JSON", f)
	case f == 0 && math.Signbit(f):
		return json.Number("-0.0"), nil // many parsers read "-0" as an integer and lose the sign
	case f == math.Trunc(f) && f >= math.MinInt64 && f < math.MaxInt64:
		return int64(f), nil
	case f == math.Trunc(f) && f > 0 && f < math.MaxUint64:
		return uint64(f), nil
	}
	return f, nil
}

// DecodeJSON decodes text, which must hold exactly one JSON value.
func DecodeJSON(text []byte) (any, error) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	if !utf8.Valid(text) {
		return nil, errors.New("json: the text is not UTF-8")
	}
	if err := wire.CheckSurrogates(text); err != nil { // encoding/json would silently replace lone surrogates
		return nil, fmt.Errorf("json: %w", err)
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
		return nil, errors.New("json: there is more text after the value")
	}
	return LuaValue(v)
}

// Decoded decodes a json.RawMessage of the host as ns.json.decode does. It
// returns a value of any other type unchanged.
func Decoded(value any) any {
	text, ok := value.(json.RawMessage)
	if !ok {
		return value
	}
	v, err := DecodeJSON(text)
	if err != nil { // a bug in the host
		return map[string]any{"error": err.Error()}
	}
	return v
}

// LuaValue converts nulls and numbers of decoded JSON to their Lua form, in place.
func LuaValue(v any) (_ any, err error) {
	switch v := v.(type) {
	case nil:
		return vm.Null{}, nil
	case json.Number:
		return luaNumber(string(v))
	case []any:
		for i := range v {
			if v[i], err = LuaValue(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = LuaValue(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// luaNumber converts a JSON number to a float64, or to a [vm.Integer] if it is
// an integer that a float64 cannot hold exactly.
func luaNumber(text string) (any, error) {
	if n, ok := vm.ParseInteger(text); ok {
		f, exact := n.Float64()
		switch {
		case !exact:
			return n, nil
		case f == 0 && text[0] == '-':
			return math.Copysign(0, -1), nil
		}
		return f, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("json: %s is beyond the range of numbers", Shorten(text))
	}
	return f, nil
}
