package table

import (
	"testing"
	"unsafe"

	"nearside/matcher"
)

// TestListPartSize checks that a part of the lists wastes little of its 8 KiB.
func TestListPartSize(t *testing.T) {
	if n := unsafe.Sizeof(listPart{}); n > 8192 || n+unsafe.Sizeof(List{}) <= 8192 {
		t.Errorf("a part has %d bytes, want as many lists as 8 KiB can hold", n)
	}
}

// TestSurveyUnknownList checks that a row whose list does not exist is found, even if its
// ordinal is less than the size of a part.
func TestSurveyUnknownList(t *testing.T) {
	lists := []ListState{{ID: matcher.ID{1}, Live: true}, {ID: matcher.ID{2}, Live: true}}
	for i, unknown := range []bool{false, true} {
		written := NewTables(Options{Registry: emptyRegistry(t), ChunkRows: 64})
		written.RestoreOrdinals(nil, lists)
		u := written.Begin()
		u.Append(&matcher.Object{Lists: []matcher.ID{lists[i].ID}})
		c := u.next.Views[matcher.Faces][0].Chunk
		restored := NewTables(Options{Registry: emptyRegistry(t), ChunkRows: 64})
		restored.RestoreOrdinals(nil, lists[:1])
		var fault any
		func() {
			defer func() { fault = recover() }()
			restored.Survey(c, 1, 0, nil, written.Arenas[c])
		}()
		if (fault != nil) != unknown {
			t.Errorf("a row in list %d of 1: Survey panicked with %v", i, fault)
		}
	}
}
