package store

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"nearside/matcher"
)

func drawID(t *rapid.T, label string) (id matcher.ID) {
	if rapid.Bool().Draw(t, label+"?") {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	}
	return id
}

func drawSmall(t *rapid.T, label string) matcher.Small {
	return matcher.Small(rapid.Uint16Range(0, 256).Draw(t, label))
}

func drawObject(t *rapid.T, table *lists) *matcher.Object {
	o := &matcher.Object{
		Origin:      matcher.Origin(rapid.IntRange(0, int(matcher.Origins)-1).Draw(t, "origin")),
		ID:          drawID(t, "id"),
		Account:     drawID(t, "account"),
		CreateTime:  matcher.Time(rapid.Int64().Draw(t, "create_time")),
		ExternalID:  rapid.String().Draw(t, "external_id"),
		UserData:    rapid.String().Draw(t, "user_data"),
		Age:         drawSmall(t, "age"),
		Gender:      drawSmall(t, "gender"),
		EthnicGroup: drawSmall(t, "ethnic_group"),
		EventID:     drawID(t, "event_id"),
		Avatar:      rapid.String().Draw(t, "avatar"),
	}
	for i := range o.Descriptors {
		if v := rapid.Uint32Range(0, 3).Draw(t, "version"); v > 0 {
			if v == 3 {
				v = math.MaxUint32
			}
			o.Descriptors[i] = matcher.Descriptor{Version: v, Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")}
		}
	}
	for id := range table.byID {
		if rapid.Bool().Draw(t, "in list") {
			o.Lists = append(o.Lists, id)
		}
	}
	slices.SortFunc(o.Lists, matcher.ID.Compare)
	return o
}

func drawLists(t *rapid.T) *lists {
	table := newLists()
	for _, number := range rapid.SliceOfNDistinct(rapid.Uint64Range(1, math.MaxUint64), 0, 12, rapid.ID).Draw(t, "numbers") {
		var l matcher.List
		copy(l.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "list"))
		table.set(l.ID, listEntry{&l, number})
	}
	return table
}

func TestObjectsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawLists(t)
		o := drawObject(t, table)
		rec, err := appendObject([]byte("x"), o, table)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeObject(rec[1:], o.Origin, o.ID, table)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(o, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
		for n := range len(rec) - 1 { // what is cut short is never taken for something whole and different
			if short, err := decodeObject(rec[1:1+n], o.Origin, o.ID, table); err == nil {
				again, err := appendObject(nil, short, table)
				if err != nil || !bytes.Equal(again, rec[1:1+n]) {
					t.Fatalf("the first %d of %d bytes were read as %+v", n, len(rec)-1, short)
				}
			}
		}
	})
}

func TestListsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &matcher.List{ID: drawID(t, "id"), Account: drawID(t, "account"), UserData: rapid.String().Draw(t, "user_data"), CreateTime: matcher.Time(rapid.Int64().Draw(t, "time"))}
		e := listEntry{l, rapid.Uint64Range(1, math.MaxUint64).Draw(t, "number")}
		got, err := decodeList(appendList(nil, e), l.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(l, got.list); d != "" || got.number != e.number {
			t.Fatalf("number %d, want %d; (-want +got):\n%s", got.number, e.number, d)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	check := func(why string, rec ...byte) {
		t.Helper()
		if o, err := decodeObject(rec, matcher.Faces, matcher.ID{}, newLists()); err == nil {
			t.Errorf("%s: %x was read as %+v", why, rec, o)
		}
	}
	check("no version")
	check("a version to come", 2)
	check("a field to come", 1, 99)
	check("a field of lists", 1, tagNumber, 1)
	check("a field twice", 1, tagAge, 1, tagAge, 1)
	check("fields out of order", 1, tagGender, 1, tagAge, 1)
	check("a number without end", 1, tagCreateTime, 0x80)
	check("text longer than the record", 1, tagUserData, 200, 'x')
	check("a descriptor without version", 1, tagDescriptor0, 0, 0)
	check("more lists than bytes", 1, tagLists, 200)
	check("list numbers that do not ascend", 1, tagLists, 2, 1, 0)
}

// FuzzDecode: no input panics, and what can be read is written the same way.
func FuzzDecode(f *testing.F) {
	table := newLists()
	table.set(id(1), listEntry{&matcher.List{ID: id(1)}, 7})
	rec, err := appendObject(nil, face(seeded(), id(2), id(1)), table)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rec)
	f.Add(appendList(nil, listEntry{&matcher.List{UserData: "x", CreateTime: -1}, 3}))
	f.Fuzz(func(t *testing.T, rec []byte) {
		if e, err := decodeList(rec, id(3)); err == nil {
			again, err := decodeList(appendList(nil, e), id(3))
			if err != nil || *again.list != *e.list || again.number != e.number {
				t.Fatalf("%x: %+v became %+v: %v", rec, e, again, err)
			}
		}
		o, err := decodeObject(rec, matcher.Faces, id(3), table)
		if err != nil {
			return
		}
		again, err := appendObject(nil, o, table)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeObject(again, matcher.Faces, id(3), table)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(o, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	})
}
