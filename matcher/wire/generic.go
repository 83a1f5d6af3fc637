package wire

import (
	"fmt"
	"maps"
	"slices"

	"nearside/matcher"
)

// AppendValue appends a value made of the types that anyValue lists, for small
// answers such as {"face_id": id}. Keys are sorted. Any other type is a mistake of
// the caller and panics.
func AppendValue(dst []byte, f Format, v any) []byte {
	w := NewWriter(dst, f)
	w.anyValue(v)
	return w.Done()
}

func (w *Writer) anyValue(v any) {
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
		writeList(w, v)
	case []matcher.ID:
		writeList(w, v)
	case []any:
		writeList(w, v)
	case []map[string]any:
		writeList(w, v)
	case map[string]any:
		w.Object()
		for _, key := range slices.Sorted(maps.Keys(v)) {
			w.Key(key)
			w.anyValue(v[key])
		}
		w.EndObject()
	default:
		panic(fmt.Sprintf("wire: %T has no form on the wire", v))
	}
}

func writeList[T any](w *Writer, all []T) {
	w.Array(len(all))
	for _, v := range all {
		w.anyValue(v)
	}
	w.EndArray()
}
