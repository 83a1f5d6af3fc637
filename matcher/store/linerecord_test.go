package store

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// TestLineRecord checks that a prepared record becomes the record and the checksum that
// are computed at once, whatever lists the object gets.
func TestLineRecord(t *testing.T) {
	table := newLists()
	for n := range 12 { // more numbers than one byte has, and more lists than a buffer for few
		table.set(id(n+1), listEntry{list: &matcher.List{ID: id(n + 1)}, number: uint64(n*100 + 1)})
	}
	rapid.Check(t, func(t *rapid.T) {
		o := drawObject(t, table)
		var prepared lineRecord
		prepared.prepare(o, nil)
		c := *o
		if o.Origin == matcher.Faces {
			c.Lists = nil
			for n := range 12 {
				if rapid.Bool().Draw(t, "in list") {
					c.Lists = append(c.Lists, id(n+1))
				}
			}
		}
		want := testkit.Must(appendObject(nil, &c, table))
		rec, sum, err := prepared.complete(&c, table)
		if err != nil || !bytes.Equal(rec, want) {
			t.Fatalf("%v: got record\n%x, want\n%x", err, rec, want)
		}
		if want := recordSum(objectKey(c.Origin, c.ID), want); sum != want {
			t.Fatalf("checksum %x, want %x", sum, want)
		}
	})
}

// TestRecordsOf checks that many records stay in the order of their lines, and that the
// lines can be imported again.
func TestRecordsOf(t *testing.T) {
	table := newLists()
	table.set(id(1), listEntry{list: &matcher.List{ID: id(1)}, number: 300})
	rng, lines := seeded(), make([]ImportLine, 5*partMin)
	for i := range lines {
		lines[i].Object = face(rng, id(i), id(1))
	}
	for range 2 {
		records := recordsOf(lines)
		for i := range lines {
			o := lines[i].Object
			want := testkit.Must(appendObject(nil, o, table))
			if rec, _, err := records[i].complete(o, table); err != nil || !bytes.Equal(rec, want) {
				t.Fatalf("%v: line %d has the record\n%x, want\n%x", err, i, rec, want)
			}
			if f := records[i].face; f.ID != o.ID || f.Lists != nil {
				t.Fatalf("line %d has the face %s in lists %v", i, f.ID, f.Lists)
			}
		}
	}
}
