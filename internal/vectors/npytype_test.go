package vectors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// readValues returns the rows of a file as text, and the note about their conversion.
// For a row with a value that does not fit, the text is the error.
func readValues(t *testing.T, file []byte) (rows []string, note string) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file), Npy)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]byte, r.RowSize())
	for {
		err := r.Next(row)
		if _, ok := errors.AsType[*ValueError](err); ok {
			rows = append(rows, err.Error())
			continue
		}
		if errors.Is(err, io.EOF) {
			return rows, r.Conversion()
		}
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for i := range r.Dim() {
			v := math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:]))
			values = append(values, strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		rows = append(rows, strings.Join(values, " "))
	}
}

// floats encodes values of size bytes, 4 or 8, as NumPy does.
func floats(order binary.AppendByteOrder, size int, values ...float64) []byte {
	var data []byte
	for _, v := range values {
		if size == 8 {
			data = order.AppendUint64(data, math.Float64bits(v))
		} else {
			data = order.AppendUint32(data, math.Float32bits(float32(v)))
		}
	}
	return data
}

func TestConversion(t *testing.T) {
	check := func(descr, shape string, data []byte, wantNote string, want ...string) {
		t.Helper()
		file := npyFile(1, fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape), data)
		rows, note := readValues(t, file)
		if note != wantNote || strings.Join(rows, "|") != strings.Join(want, "|") {
			t.Errorf("%s: %q %q, want %q %q", descr, note, rows, wantNote, want)
		}
	}
	little, big := binary.LittleEndian, binary.BigEndian
	check("<f4", "(1, 2)", floats(little, 4, 1.5, -2), "", "1.5 -2")
	check(">f4", "(2, 1)", floats(big, 4, 1.5, -2), "big-endian float32 values are converted to float32", "1.5", "-2")
	check("<f8", "(1, 3)", floats(little, 8, 0.1, -1e300/1e280, 1e-60), "float64 values are rounded to float32", "0.1 -1e+20 0")
	check(">f8", "(2,)", floats(big, 8, 0.1, 3), "big-endian float64 values are rounded to float32", "0.1 3")
	check("<f2", "(3,)", []byte{0x00, 0x3c, 0x01, 0x00, 0xff, 0x7b}, "float16 values are converted to float32", "1 5.9604645e-08 65504")
	check(">f2", "(1, 2)", []byte{0xc0, 0x00, 0xfc, 0x00}, "big-endian float16 values are converted to float32", "-2 -Inf")

	// The nearest float32, ties to even: 1+2^-24 lies between 1 and 1+2^-23.
	check("<f8", "(1, 3)", floats(little, 8, 1+0x1p-24, 1+0x1.8p-23, 1+0x1.1p-24), "float64 values are rounded to float32", "1 1.0000002 1.0000001")

	// The error names a value that does not fit, and the next row can be read.
	check("<f8", "(3, 2)", floats(little, 8, 1, 2, 3, -1e39, 5, 6), "float64 values are rounded to float32",
		"1 2", "vectors: row 1: column 1: -1e+39 is beyond the range of float32 (±3.4028235e+38)", "5 6")
	check("<f8", "(1, 1)", floats(little, 8, math.MaxFloat32), "float64 values are rounded to float32", "3.4028235e+38")
	check("<f8", "(1, 1)", floats(little, 8, math.Inf(1)), "float64 values are rounded to float32", "+Inf") // an infinity in the file is kept

	// Both orders of an array with one row or one column are the same.
	rows, _ := readValues(t, npyFile(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", floats(little, 4, 7, 8)))
	if strings.Join(rows, "|") != "7 8" {
		t.Error(rows)
	}
}

// TestHalfFloat compares halfFloat with the definition of IEEE 754, written in another
// form.
func TestHalfFloat(t *testing.T) {
	for bits := range 1 << 16 {
		sign, exponent, fraction := bits>>15, bits>>10&31, bits&1023
		want := float64(fraction) / 1024
		switch {
		case exponent == 31 && fraction > 0:
			want = math.NaN()
		case exponent == 31:
			want = math.Inf(1)
		case exponent == 0:
			want *= math.Pow(2, -14)
		default:
			want = (1 + want) * math.Pow(2, float64(exponent-15))
		}
		if sign == 1 {
			want = -want
		}
		got := halfFloat(uint16(bits))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != (sign == 1) {
			t.Fatalf("%#04x: %v, want %v", bits, got, want)
		}
	}
}
