package vectors

import (
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"strings"
)

// npyType is a type of values in a .npy file.
type npyType struct {
	name    string  // NumPy's name
	element Element // type of the values that the reader returns
	size    int     // bytes of a value in the file
	// value decodes the value at the beginning of b. It is nil if the file has the
	// bytes of element, so that no conversion is needed.
	value func(b []byte) float64
}

// npyTypes are the supported types, by their name in the header.
var npyTypes = map[string]npyType{
	"|u1": {name: "uint8", element: Uint8, size: 1},
	"u1":  {name: "uint8", element: Uint8, size: 1},
	"<u1": {name: "uint8", element: Uint8, size: 1},
	">u1": {name: "uint8", element: Uint8, size: 1},
	"<f4": {name: "float32", element: Float32, size: 4},
	">f4": {"big-endian float32", Float32, 4, func(b []byte) float64 {
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	}},
	"<f8": {"float64", Float32, 8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }},
	">f8": {"big-endian float64", Float32, 8, func(b []byte) float64 { return math.Float64frombits(binary.BigEndian.Uint64(b)) }},
	"<f2": {"float16", Float32, 2, func(b []byte) float64 { return halfFloat(binary.LittleEndian.Uint16(b)) }},
	">f2": {"big-endian float16", Float32, 2, func(b []byte) float64 { return halfFloat(binary.BigEndian.Uint16(b)) }},
}

// otherType matches the names of NumPy's numeric types, including unsupported ones.
var otherType = regexp.MustCompile(`^[<>|=]?([iufcb])(\d+)$`)

// npyTypeOf returns the type for descr, the type's name in the header.
func npyTypeOf(descr string) (npyType, error) {
	if t, ok := npyTypes[strings.Trim(descr, `'"`)]; ok {
		return t, nil
	}
	name := ""
	if m := otherType.FindStringSubmatch(strings.Trim(descr, `'"`)); m != nil {
		size := 0
		_, _ = fmt.Sscan(m[2], &size) // m[2] has only digits
		kind := map[string]string{"i": "int", "u": "uint", "f": "float", "c": "complex", "b": "bool"}[m[1]]
		name = fmt.Sprintf(" (%s%d)", kind, 8*size)
		if kind == "bool" {
			name = " (bool)"
		}
	}
	return npyType{}, fmt.Errorf(`type must be uint8, float16, float32 or float64, got %.40s%s; convert the array with astype("uint8") or astype("float32")`, descr, name)
}

// ValueError reports a value that a float32 cannot hold. The following rows can still
// be read.
type ValueError struct {
	Row    int64 // from 0
	Column int   // from 0
	Value  float64
}

func (e *ValueError) Error() string { return fmt.Sprintf("vectors: row %d: %s", e.Row, e.Detail()) }

// Detail returns the text of the error without the row.
func (e *ValueError) Detail() string {
	return fmt.Sprintf("column %d: %g is beyond the range of float32 (±%.8g)", e.Column, e.Value, math.MaxFloat32)
}

// convert writes the values of a row of the file to dst as float32. If a finite value
// is not finite as a float32, it returns the column of the first such value and false.
func (t *npyType) convert(dst, row []byte) (column int, ok bool) {
	for i := range len(row) / t.size {
		v := t.value(row[i*t.size:])
		single := float32(v)
		if math.IsInf(float64(single), 0) && !math.IsInf(v, 0) {
			return i, false
		}
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(single))
	}
	return 0, true
}

// halfFloat returns the value of an IEEE 754 float16.
func halfFloat(bits uint16) float64 {
	fraction, exponent := float64(bits&0x3ff), int(bits>>10&0x1f)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 0x1f:
		v = math.Inf(1)
		if fraction != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(1024+fraction, exponent-25)
	}
	if bits>>15 != 0 {
		return math.Copysign(v, -1)
	}
	return v
}
