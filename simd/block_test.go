package simd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPutRowAndGetRow(t *testing.T) {
	r := seeded(16)
	for n := 1; n <= 130; n++ {
		bytes := make([]byte, BlockBytesU8(n))
		randomBytes(r, bytes) // old content must not remain
		rows := randomRows(r, BlockRows, n)
		for _, i := range r.Perm(BlockRows) {
			before := slices.Clone(bytes)
			PutRowU8(bytes, i, rows[i])
			for at := range bytes {
				if own := at/4%BlockRows == i; !own && bytes[at] != before[at] {
					t.Fatalf("%d dimensions: row %d changed byte %d", n, i, at)
				}
			}
		}
		for i := range BlockRows {
			row := make([]uint8, n)
			GetRowU8(row, bytes, i)
			if !slices.Equal(row, rows[i]) {
				t.Fatalf("%d dimensions: GetRowU8 returned wrong bytes for row %d", n, i)
			}
			for j := n; j < BlockBytesU8(n)/BlockRows; j++ {
				if bytes[j/4*64+4*i+j%4] != 0 {
					t.Fatalf("%d dimensions: the padding of row %d is not 0", n, i)
				}
			}
		}
		for name, call := range map[string]func(){
			"put": func() { PutRowU8(bytes[1:], 0, rows[0]) }, "get": func() { GetRowU8(rows[0], bytes, 16) },
			"row -1": func() { PutRowU8(bytes, -1, rows[0]) },
		} {
			if message := fmt.Sprint(panicOf(call)); !strings.HasPrefix(message, "simd: row ") {
				t.Fatalf("%s: panic %q", name, message)
			}
		}
	}
}
