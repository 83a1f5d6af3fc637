package wire

import (
	"fmt"
	"maps"
	"slices"

	"nearside/matcher"
)

// AppendValue appends a value made of the types below, for small answers such
// as {"face_id": id}. Keys are written in their order. It panics on any other
// type, which is a mistake of the caller.
func AppendValue(dst []byte, f Format, v any) []byte {
	w := NewWriter(dst, f)
	w.any(v)
	return w.Done()
}

func (w *Writer) any(v any) {
	switch v := v.(type) {
	case nil:
		w.Null()
	case bool:
		w.Bool(v)
	case int:
		w.Int(int64(v))
	case int64:
		w.Int(v)
	case uint32:
		w.Uint(uint64(v))
	case uint64:
		w.Uint(v)
	case float64:
		w.Float(v)
	case string:
		w.String(v)
	case []byte:
		w.Bytes(v)
	case matcher.ID:
		w.ID(v)
	case matcher.Time:
		w.Time(v)
	case []string:
		list(w, v)
	case []matcher.ID:
		list(w, v)
	case []any:
		list(w, v)
	case []map[string]any:
		list(w, v)
	case map[string]any:
		w.Object()
		for _, key := range slices.Sorted(maps.Keys(v)) {
			w.Key(key)
			w.any(v[key])
		}
		w.EndObject()
	default:
		panic(fmt.Sprintf("wire: %T has no form on the wire", v))
	}
}

func list[T any](w *Writer, all []T) {
	w.Array(len(all))
	for _, v := range all {
		w.any(v)
	}
	w.EndArray()
}
