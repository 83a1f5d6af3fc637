package simd

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestRowsOfBlocks(t *testing.T) {
	r := seeded(16)
	for n := 1; n <= 130; n++ {
		bytes, floats := make([]byte, BlockBytesU8(n)), make([]byte, BlockBytesF32(n))
		randomBytes(r, bytes) // what was there before must not show
		rows := randomRows(r, BlockRows, n)
		rowsF := make([][]float32, BlockRows)
		for _, i := range r.Perm(BlockRows) {
			before, beforeF := slices.Clone(bytes), slices.Clone(floats)
			PutRowU8(bytes, i, rows[i])
			rowsF[i] = make([]float32, n)
			for j := range rowsF[i] {
				rowsF[i][j] = math.Float32frombits(r.Uint32() &^ (1 << 23)) // never NaN
			}
			PutRowF32(floats, i, rowsF[i])
			for at := range bytes {
				if own := at/4%BlockRows == i; !own && bytes[at] != before[at] {
					t.Fatalf("%d dimensions: row %d changed byte %d", n, i, at)
				}
			}
			for at := range floats {
				if own := at/4%BlockRows == i; !own && floats[at] != beforeF[at] {
					t.Fatalf("%d float dimensions: row %d changed byte %d", n, i, at)
				}
			}
		}
		for i := range BlockRows {
			row, rowF := make([]uint8, n), make([]float32, n)
			GetRowU8(row, bytes, i)
			GetRowF32(rowF, floats, i)
			if !slices.Equal(row, rows[i]) || !slices.Equal(rowF, rowsF[i]) {
				t.Fatalf("%d dimensions: row %d is another one", n, i)
			}
			for j := n; j < BlockBytesU8(n)/BlockRows; j++ {
				if bytes[j/4*64+4*i+j%4] != 0 {
					t.Fatalf("%d dimensions: row %d is padded with a value", n, i)
				}
			}
		}
		for name, call := range map[string]func(){
			"put": func() { PutRowU8(bytes[1:], 0, rows[0]) }, "get": func() { GetRowU8(rows[0], bytes, 16) },
			"put float": func() { PutRowF32(floats, -1, rowsF[0]) }, "get float": func() { GetRowF32(rowsF[0], floats[4:], 0) },
		} {
			if message := fmt.Sprint(panicOf(call)); !strings.HasPrefix(message, "simd: row ") {
				t.Fatalf("%s: panic %q", name, message)
			}
		}
	}
}
