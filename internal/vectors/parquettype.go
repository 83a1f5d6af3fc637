package vectors

import (
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"nearside/matcher"
)

// leafType reads values of one type of columns. number is nil for types that are not
// numbers.
type leafType struct {
	value  func(parquet.Value) any
	number func(parquet.Value) float64
	bytes  bool // whether values are texts or binary
}

// numbers returns the leafType of a type of numbers.
func numbers[T int64 | float64](read func(parquet.Value) T) *leafType {
	return &leafType{
		value:  func(v parquet.Value) any { return read(v) },
		number: func(v parquet.Value) float64 { return float64(read(v)) },
	}
}

// rawBytes is a value of bytes that are not known to be a text.
type rawBytes []byte

// leafTypeOf returns how values of a column are read. It returns nil if its type is not
// supported.
func leafTypeOf(t parquet.Type) *leafType {
	var logical format.LogicalTypeValue
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	switch logical := logical.(type) {
	case nil:
		return physicalType(t.Kind())
	case *format.StringType, *format.EnumType, *format.JsonType:
		return &leafType{value: func(v parquet.Value) any { return string(v.ByteArray()) }, bytes: true}
	case *format.UUIDType:
		return &leafType{value: func(v parquet.Value) any { return matcher.ID(v.ByteArray()).String() }}
	case *format.IntType:
		return integerType(logical, t.Kind())
	case *format.DateType:
		return timeType(func(v parquet.Value) time.Time { return time.Unix(int64(v.Int32())*24*60*60, 0) })
	case *format.TimestampType:
		return timestampType(logical)
	}
	return nil
}

// physicalType returns how values without a logical type are read.
func physicalType(kind parquet.Kind) *leafType {
	switch kind {
	case parquet.Boolean:
		return &leafType{value: func(v parquet.Value) any { return v.Boolean() }}
	case parquet.Int32:
		return numbers(func(v parquet.Value) int64 { return int64(v.Int32()) })
	case parquet.Int64:
		return numbers(parquet.Value.Int64)
	case parquet.Float:
		return numbers(func(v parquet.Value) float64 { return float64(v.Float()) })
	case parquet.Double:
		return numbers(parquet.Value.Double)
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return &leafType{value: func(v parquet.Value) any { return rawBytes(v.ByteArray()) }, bytes: true}
	}
	return nil
}

func integerType(t *format.IntType, kind parquet.Kind) *leafType {
	switch {
	case t.IsSigned:
		return physicalType(kind)
	case kind == parquet.Int32:
		return numbers(func(v parquet.Value) int64 { return int64(v.Uint32()) })
	}
	large := numbers(func(v parquet.Value) float64 { return float64(v.Uint64()) })
	large.value = func(v parquet.Value) any {
		if n := v.Int64(); n >= 0 {
			return n
		}
		return strconv.FormatUint(v.Uint64(), 10)
	}
	return large
}

// timestampType returns how times are read. A time without a zone is taken as UTC.
func timestampType(t *format.TimestampType) *leafType {
	switch t.Unit.Value.(type) {
	case *format.MilliSeconds:
		return timeType(func(v parquet.Value) time.Time { return time.UnixMilli(v.Int64()) })
	case *format.MicroSeconds:
		return timeType(func(v parquet.Value) time.Time { return time.UnixMicro(v.Int64()) })
	case *format.NanoSeconds:
		return timeType(func(v parquet.Value) time.Time { return time.Unix(0, v.Int64()) })
	}
	return nil
}

func timeType(read func(parquet.Value) time.Time) *leafType {
	return &leafType{value: func(v parquet.Value) any { return read(v).UTC().Format(time.RFC3339Nano) }}
}
