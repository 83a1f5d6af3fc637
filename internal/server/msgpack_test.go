package server_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"

	"nearside/internal/oracle"
	"nearside/internal/testkit"
)

// pack is an encoder of MessagePack that shares no code with the server. All lengths
// take four bytes. Numbers are floats unless they are integers.
func pack(b []byte, v any) []byte {
	length := func(kind byte, n int) []byte { return binary.BigEndian.AppendUint32(append(b, kind), uint32(n)) }
	switch v := v.(type) {
	case nil:
		return append(b, 0xc0)
	case bool:
		if v {
			return append(b, 0xc3)
		}
		return append(b, 0xc2)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(int64(v)))
		}
		return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(v))
	case oracle.Integer:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(n))
		}
		return binary.BigEndian.AppendUint64(append(b, 0xcf), testkit.Must(strconv.ParseUint(string(v), 10, 64)))
	case string:
		return append(length(0xdb, len(v)), v...)
	case []byte:
		return append(length(0xc6, len(v)), v...)
	case []any:
		b = length(0xdd, len(v))
		for _, x := range v {
			b = pack(b, x)
		}
		return b
	case map[string]any:
		b = length(0xdf, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = pack(pack(b, key), v[key])
		}
		return b
	}
	panic(v)
}

// packed turns JSON into MessagePack, in which "data" is binary.
func packed(t testing.TB, text string) string {
	t.Helper()
	return string(pack(nil, withBinary(value(t, text))))
}

func withBinary(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withBinary(v[i])
		}
	case map[string]any:
		for key, x := range v {
			v[key] = withBinary(x)
		}
		if text, ok := v["data"].(string); ok {
			v["data"] = testkit.Must(base64.StdEncoding.DecodeString(text))
		}
	}
	return v
}

// unpack decodes the first value of b. Numbers are float64 or [oracle.Integer],
// binary data is base64.
func unpack(t testing.TB, b []byte) (v any, rest []byte) {
	t.Helper()
	take := func(n int) []byte {
		if n > len(b) {
			t.Fatalf("a value of %d bytes, but %d are left", n, len(b))
		}
		head := b[:n]
		b = b[n:]
		return head
	}
	number := func(size int) uint64 { return binary.BigEndian.Uint64(append(make([]byte, 8-size), take(size)...)) }
	values := func(n int) any {
		all := make([]any, n)
		for i := range all {
			all[i], b = unpack(t, b)
		}
		return all
	}
	fields := func(n int) any {
		all := map[string]any{}
		for range n {
			var key any
			key, b = unpack(t, b)
			all[key.(string)], b = unpack(t, b)
		}
		return all
	}
	kind := take(1)[0]
	switch {
	case kind < 0x80:
		v = float64(kind)
	case kind < 0x90:
		v = fields(int(kind & 15))
	case kind < 0xa0:
		v = values(int(kind & 15))
	case kind < 0xc0:
		v = string(take(int(kind & 31)))
	case kind == 0xc0:
	case kind == 0xc2 || kind == 0xc3:
		v = kind == 0xc3
	case kind >= 0xc4 && kind <= 0xc6:
		v = base64.StdEncoding.EncodeToString(take(int(number(1 << (kind - 0xc4)))))
	case kind == 0xca:
		v = float64(math.Float32frombits(uint32(number(4))))
	case kind == 0xcb:
		v = math.Float64frombits(number(8))
	case kind >= 0xcc && kind <= 0xcf:
		v = oracle.PlainNumbers(json.Number(strconv.FormatUint(number(1<<(kind-0xcc)), 10)))
	case kind >= 0xd0 && kind <= 0xd3:
		size := 1 << (kind - 0xd0)
		v = oracle.PlainNumbers(json.Number(strconv.FormatInt(int64(number(size)<<(64-8*size))>>(64-8*size), 10)))
	case kind >= 0xd9 && kind <= 0xdb:
		v = string(take(int(number(1 << (kind - 0xd9)))))
	case kind == 0xdc || kind == 0xdd:
		v = values(int(number(2 << (kind - 0xdc))))
	case kind == 0xde || kind == 0xdf:
		v = fields(int(number(2 << (kind - 0xde))))
	case kind >= 0xe0:
		v = float64(int8(kind))
	default:
		t.Fatalf("no value begins with %#x", kind)
	}
	return v, b
}
