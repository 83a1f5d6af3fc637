package ns

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"nearside/lua/vm"
	"nearside/matcher"
)

// kvVersion is the first byte of the records of kept values. A record then has the name of
// the plugin, the key, the time of expiry in nanoseconds (0: never), and the value.
const kvVersion = 1

// Tags of values in records. A text is a uvarint length and bytes.
const (
	tagNull    = 0
	tagFalse   = 1
	tagTrue    = 2
	tagNumber  = 3 // 8 bytes, IEEE 754, little-endian
	tagText    = 4 // text
	tagInteger = 5 // text of its digits
	tagList    = 6 // uvarint count, values
	tagMap     = 7 // uvarint count, then texts and values, sorted by text
	tagEmpty   = 8
)

// kvDepth is the largest depth of a value in a record.
const kvDepth = 128

// kvRecordKey returns the key of a record in the store.
func kvRecordKey(plugin, key string) matcher.ID {
	sum := sha256.Sum256([]byte(plugin + "\x00" + key))
	return matcher.ID(sum[:len(matcher.ID{})])
}

// appendKVRecord appends the record of an entry.
func appendKVRecord(dst []byte, plugin, key string, e kvEntry) []byte {
	dst = append(dst, kvVersion)
	dst = appendKVText(appendKVText(dst, plugin), key)
	expires := int64(0)
	if !e.expires.IsZero() {
		expires = e.expires.UnixNano()
	}
	return appendKVValue(binary.AppendVarint(dst, expires), e.value)
}

func appendKVText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendKVValue appends a value that storable accepts.
func appendKVValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		if v {
			return append(dst, tagTrue)
		}
		return append(dst, tagFalse)
	case float64:
		return binary.LittleEndian.AppendUint64(append(dst, tagNumber), math.Float64bits(v))
	case string:
		return appendKVText(append(dst, tagText), v)
	case vm.Integer:
		return appendKVText(append(dst, tagInteger), string(v))
	case vm.Empty:
		return append(dst, tagEmpty)
	case []any:
		dst = binary.AppendUvarint(append(dst, tagList), uint64(len(v)))
		for _, item := range v {
			dst = appendKVValue(dst, item)
		}
		return dst
	case map[string]any:
		dst = binary.AppendUvarint(append(dst, tagMap), uint64(len(v)))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			dst = appendKVValue(appendKVText(dst, k), v[k])
		}
		return dst
	}
	return append(dst, tagNull)
}

// readKVRecord reads a record.
func readKVRecord(data []byte) (plugin, key string, e kvEntry, err error) {
	r := kvReader{rest: data}
	if version := r.byte(); r.err == nil && version != kvVersion {
		return "", "", e, fmt.Errorf("version %d of a kept value is unknown", version)
	}
	plugin, key = r.text(), r.text()
	if expires := r.varint(); expires != 0 {
		e.expires = time.Unix(0, expires)
	}
	e.value = r.value(0)
	if r.err == nil && len(r.rest) > 0 {
		r.err = errors.New("a kept value has bytes after its end")
	}
	e.bytes = len(key) + weight(e.value)
	return plugin, key, e, r.err
}

// errKVTruncated means that a record ends before its value.
var errKVTruncated = errors.New("a kept value is truncated")

// kvReader reads a record. After an error, it returns zero values.
type kvReader struct {
	rest []byte
	err  error
}

// take returns the next n bytes.
func (r *kvReader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.rest)) {
		r.err = errKVTruncated
	}
	if r.err != nil {
		return nil
	}
	part := r.rest[:n]
	r.rest = r.rest[n:]
	return part
}

func (r *kvReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *kvReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.err = errKVTruncated
	}
	if r.err != nil {
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *kvReader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.err = errKVTruncated
	}
	if r.err != nil {
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *kvReader) text() string { return string(r.take(r.uvarint())) }

// count reads the number of the items of a list or a map. Each has at least size bytes.
func (r *kvReader) count(size uint64) int {
	n := r.uvarint()
	if r.err == nil && n > uint64(len(r.rest))/size {
		r.err = errKVTruncated
		return 0
	}
	return int(n) //nolint:gosec // n is at most the length of a slice
}

func (r *kvReader) value(depth int) any {
	if depth > kvDepth {
		r.err = errors.New("a kept value is nested too deeply")
	}
	if r.err != nil {
		return nil
	}
	switch tag := r.byte(); tag {
	case tagNull:
		return vm.Null{}
	case tagFalse:
		return false
	case tagTrue:
		return true
	case tagNumber:
		if b := r.take(8); b != nil {
			return math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
		return nil
	case tagText:
		return r.text()
	case tagInteger:
		n, ok := vm.ParseInteger(r.text())
		if !ok && r.err == nil {
			r.err = errors.New("a kept value has an invalid integer")
		}
		return n
	case tagList:
		list := make([]any, r.count(1))
		for i := range list {
			list[i] = r.value(depth + 1)
		}
		return list
	case tagMap:
		n := r.count(2)
		m := make(map[string]any, n)
		for range n {
			k := r.text()
			m[k] = r.value(depth + 1)
		}
		return m
	case tagEmpty:
		return vm.Empty{}
	default:
		if r.err == nil {
			r.err = fmt.Errorf("a kept value has the unknown tag %d", tag)
		}
		return nil
	}
}
