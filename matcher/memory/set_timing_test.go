package memory

import (
	"fmt"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
	"nearside/simd"
)

// setFaces is the number of faces in BenchmarkSetColumns. Each is in one of ten lists.
const setFaces = 200_000

// BenchmarkSetColumns reports the time of one operation on all rows, by column.
func BenchmarkSetColumns(b *testing.B) {
	registry, err := matcher.NewRegistry([]matcher.Version{{Number: 1, Length: 16, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1000, Steepness: 0.01}}})
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(Options{Registry: registry, Kernel: simd.Kernels()[0]})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	id := func(kind, n int) matcher.ID {
		return matcher.ID{0: byte(kind), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
	}
	var changes []store.Change
	for n := range 10 {
		changes = append(changes, store.Change{Kind: store.PutList, List: &matcher.List{ID: id(1, n)}})
	}
	for n := range setFaces {
		c := memorytest.Put(id(2, n), 1, make([]byte, 16))
		c.Object.Lists, c.Object.EventID, c.Object.Account = []matcher.ID{id(1, n%10)}, id(3, n%1000), id(5, n%2)
		event := &matcher.Object{Origin: matcher.Events, ID: id(4, n), Descriptors: c.Object.Descriptors, Event: &matcher.Event{Source: fmt.Sprint("cam-", n%10), FaceID: id(2, n%1000), HandlerID: id(6, n%10)}}
		if changes = append(changes, c, store.Change{Kind: store.PutObject, Object: event}); len(changes) > 1000 {
			m.Apply(changes)
			changes = nil
		}
	}
	m.Apply(changes)
	for _, c := range []struct {
		origin       matcher.Origin
		column, op   string
		value, other string
	}{
		{matcher.Faces, "lists", "=", id(1, 3).String(), ""},
		{matcher.Faces, "lists", "!=", id(1, 3).String(), ""},
		{matcher.Faces, "lists", "one_of", id(1, 3).String(), id(1, 4).String()},
		{matcher.Faces, "face_id", "=", id(2, 777).String(), ""},
		{matcher.Faces, "face_id", "one_of", id(2, 777).String(), id(2, 778).String()},
		{matcher.Faces, "event_id", "=", id(3, 7).String(), ""},
		{matcher.Faces, "event_id", "!=", id(3, 7).String(), ""},
		{matcher.Faces, "event_id", "one_of", id(3, 7).String(), id(3, 8).String()},
		{matcher.Faces, "account_id", "=", id(5, 1).String(), ""},
		{matcher.Faces, "account_id", "one_of", id(5, 1).String(), id(5, 0).String()},
		{matcher.Events, "face_id", "=", id(2, 7).String(), ""},
		{matcher.Events, "face_id", "one_of", id(2, 7).String(), id(2, 8).String()},
		{matcher.Events, "handler_id", "one_of", id(6, 7).String(), id(6, 8).String()},
		{matcher.Events, "source", "=", "cam-7", ""},
		{matcher.Events, "source", "!=", "cam-7", ""},
		{matcher.Events, "source", ">", "cam-7", ""},
		{matcher.Events, "source", "one_of", "cam-7", "cam-8"},
	} {
		b.Run(fmt.Sprint(c.origin, " ", c.column, " ", c.op), func(b *testing.B) {
			all, err := m.Select(b.Context(), &matcher.Candidates{Origin: c.origin}, nil)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if c.op == "one_of" {
					_, err = all.(*Selection).OneOf(c.column, []any{c.value, c.other})
				} else {
					_, err = all.(*Selection).Where(c.column, c.op, c.value)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
