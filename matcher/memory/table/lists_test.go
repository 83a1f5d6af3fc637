package table

import (
	"testing"
	"unsafe"
)

// TestListPartSize checks that a part of the lists wastes little of its 8 KiB.
func TestListPartSize(t *testing.T) {
	if n := unsafe.Sizeof(listPart{}); n > 8192 || n+unsafe.Sizeof(List{}) <= 8192 {
		t.Errorf("a part has %d bytes, want as many lists as 8 KiB can hold", n)
	}
}
