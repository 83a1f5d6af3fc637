package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
	"nearside/simd"
)

// setOracle evaluates the operations of a Selection over plain objects.
type setOracle struct {
	faces map[matcher.ID]*matcher.Object // as of the snapshot
	rows  map[matcher.ID]bool
}

// field returns a field as an ordered value; ok is false if it is absent.
func field(x *matcher.Object, name string) (value any, ok bool) {
	text := func(s string) (any, bool) { return s, s != "" }
	id := func(id matcher.ID) (any, bool) { return id.String(), !id.IsZero() }
	small := func(s matcher.Small) (any, bool) { v, ok := s.Get(); return float64(v), ok }
	switch name {
	case "face_id":
		return id(x.ID)
	case "account_id":
		return id(x.Account)
	case "event_id":
		return id(x.EventID)
	case "create_time":
		return float64(x.CreateTime), true
	case "external_id":
		return text(x.ExternalID)
	case "user_data":
		return text(x.UserData)
	case "avatar":
		return text(x.Avatar)
	case "age":
		return small(x.Age)
	case "gender":
		return small(x.Gender)
	case "ethnic_group":
		return small(x.EthnicGroup)
	}
	panic(name)
}

// holds reports whether "have op want" is true.
func holds(have any, op string, want any) bool {
	var c int
	if s, ok := have.(string); ok {
		c = cmp.Compare(s, want.(string))
	} else {
		c = cmp.Compare(have.(float64), want.(float64))
	}
	return map[string]bool{
		"=": c == 0, "==": c == 0, "!=": c != 0, "~=": c != 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0,
	}[op]
}

func (o *setOracle) keep(test func(*matcher.Object) bool) *setOracle {
	kept := &setOracle{o.faces, map[matcher.ID]bool{}}
	for id := range o.rows {
		if test(o.faces[id]) {
			kept.rows[id] = true
		}
	}
	return kept
}

func (o *setOracle) where(name, op string, want any) *setOracle {
	return o.keep(func(x *matcher.Object) bool {
		if name == "lists" {
			return slices.ContainsFunc(x.Lists, func(l matcher.ID) bool { return l.String() == want }) == (op == "=")
		}
		have, ok := field(x, name)
		return ok && holds(have, op, want)
	})
}

func (o *setOracle) top(name string, n int) *setOracle {
	type row struct {
		rank float64
		id   matcher.ID
	}
	var rows []row
	for id := range o.rows {
		if v, ok := field(o.faces[id], name); ok {
			rows = append(rows, row{v.(float64), id})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(b.rank, a.rank), a.id.Compare(b.id)) })
	kept := &setOracle{o.faces, map[matcher.ID]bool{}}
	for _, r := range rows[:min(n, len(rows))] {
		kept.rows[r.id] = true
	}
	return kept
}

// check compares the rows of s with the expected rows.
func (o *setOracle) check(t *testing.T, what string, s *Selection) {
	t.Helper()
	got := map[matcher.ID]bool{}
	for r := range s.Rows() {
		x := s.Object(r)
		got[x.ID] = true
		if want := o.faces[x.ID]; want == nil || !sameObject(&x, want, false) {
			t.Fatalf("%s: row %v, want %v", what, x, want)
		}
	}
	if !maps.Equal(got, o.rows) || s.Len() != len(got) {
		t.Fatalf("%s: %d rows, Len %d, want %d", what, len(got), s.Len(), len(o.rows))
	}
}

// comparison returns a random comparison.
func (w *world) comparison() (name, op string, value any) {
	op = testkit.Pick(w.Rand, []string{"=", "==", "!=", "~=", "<", "<=", ">", ">="}...)
	switch w.IntN(10) {
	case 0:
		return "face_id", op, testkit.Pick(w.Rand, w.ids...).String()
	case 1:
		return "account_id", op, testkit.Pick(w.Rand, w.accounts...).String()
	case 2:
		return "event_id", op, testkit.Pick(w.Rand, w.events...).String()
	case 3:
		return "create_time", op, float64(w.IntN(20))
	case 4:
		return "external_id", op, testkit.Pick(w.Rand, []string{"e0", "e1", "e2", "none", ""}...)
	case 5:
		return "user_data", op, fmt.Sprint("u", w.IntN(7))
	case 6:
		return "avatar", op, testkit.Pick(w.Rand, []string{"a", "", "b"}...)
	case 7:
		return "gender", op, float64(w.IntN(4)) - 0.5*float64(w.IntN(2))
	case 8:
		return "lists", testkit.Pick(w.Rand, []string{"=", "!="}...), testkit.Pick(w.Rand, w.lists...).String()
	default:
		return "age", op, float64(w.IntN(300)) - 20.25*float64(w.IntN(2))
	}
}

// TestSets runs random operations on selections of random states, some of which are not
// the newest.
func TestSets(t *testing.T) {
	w := newWorld(31)
	p := newPair(t, Options{chunkRows: 64}, versionsOf(w)...)
	for range 60 {
		step(w, p.Memory, &p.Oracle, w.versions[:3])
	}
	for range 60 {
		step(w, p.Memory, &p.Oracle, w.versions[:3])
		whole, err := p.Select(t.Context(), &matcher.Candidates{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		base := &setOracle{map[matcher.ID]*matcher.Object{}, map[matcher.ID]bool{}}
		maps.Copy(base.faces, p.Faces)
		for id := range p.Faces {
			base.rows[id] = true
		}
		if w.IntN(2) == 0 { // lists are not changed: deleting one changes the objects of the oracle
			p.commit(t, store.Change{Kind: store.PutObject, Object: w.face(nil, w.versions[:3])}, store.Change{Kind: store.DeleteObject, ID: testkit.Pick(w.Rand, w.ids...)})
			p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
		}
		s, o := whole.(*Selection), base
		for range 6 {
			s, o = w.operate(t, s, o, whole.(*Selection), base)
		}
	}
}

// operate applies one random operation to a selection and to its oracle.
func (w *world) operate(t *testing.T, s *Selection, o *setOracle, whole *Selection, base *setOracle) (*Selection, *setOracle) {
	t.Helper()
	name, op, value := w.comparison()
	wanted := value
	if name == "create_time" {
		wanted = value.(float64) * 1000
	}
	var what string
	var err error
	switch w.IntN(9) {
	case 0, 1, 2:
		what = fmt.Sprint("where ", name, op, value)
		s, err = s.Where(name, op, value)
		o = o.where(name, op, wanted)
	case 3:
		lo, hi := float64(w.IntN(60)), float64(w.IntN(100))
		what = fmt.Sprint("between ", lo, hi)
		s, err = s.Between("age", lo, hi)
		o = o.where("age", ">=", lo).where("age", "<=", hi)
	case 4:
		values := []any{value, value}
		with := o.where(name, "=", wanted)
		for range w.IntN(4) { // other comparisons with the same column
			if other, _, more := w.comparison(); other == name {
				values = append(values, more)
				if name == "create_time" {
					more = more.(float64) * 1000
				}
				maps.Copy(with.rows, o.where(name, "=", more).rows)
			}
		}
		what = fmt.Sprint("one of ", name, values)
		s, err = s.OneOf(name, values)
		o = with
	case 5:
		ids := subset(w, w.ids)
		what = "ids"
		in := func(x *matcher.Object) bool { return slices.Contains(ids, x.ID) }
		if w.IntN(2) == 0 {
			s, o = s.ByID(ids), o.keep(in)
		} else {
			s, o = s.Exclude(ids), o.keep(func(x *matcher.Object) bool { return !in(x) })
		}
	case 6:
		n := w.IntN(40)
		column := testkit.Pick(w.Rand, []string{"age", "create_time", "gender"}...)
		what = fmt.Sprint("top ", column, n)
		s, err = s.Top(column, n)
		o = o.top(column, n)
	case 7:
		what = "keep"
		s, err = s.Keep(t.Context(), func(r Row) (bool, error) { x := s.Object(r); return x.ID[15]%2 == 0, nil })
		o = o.keep(func(x *matcher.Object) bool { return x.ID[15]%2 == 0 })
	case 8:
		other, err := whole.Where(name, op, value)
		if err != nil {
			t.Fatal(err)
		}
		with := base.where(name, op, wanted)
		what = "union, intersection or difference"
		left := s
		switch w.IntN(3) {
		case 0:
			s, err = left.Union(other)
			o = base.keep(func(x *matcher.Object) bool { return o.rows[x.ID] || with.rows[x.ID] })
		case 1:
			s, err = left.Intersect(other)
			o = o.keep(func(x *matcher.Object) bool { return with.rows[x.ID] })
		case 2:
			s, err = left.Minus(other)
			o = o.keep(func(x *matcher.Object) bool { return !with.rows[x.ID] })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	o.check(t, what, s)
	return s, o
}

// TestListsOfOldSets selects by the column lists, in selections whose lists and chunks
// have changed since, and compares with the records of the rows.
func TestListsOfOldSets(t *testing.T) {
	w := newWorld(37)
	p := newPair(t, Options{chunkRows: 64}, versionsOf(w)...)
	for range 40 {
		step(w, p.Memory, &p.Oracle, w.versions[:3])
	}
	var old []*Selection
	for round := range 40 {
		whole, err := p.Select(t.Context(), &matcher.Candidates{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		old = append(old, whole.(*Selection))
		if round%4 == 1 {
			id := testkit.Pick(w.Rand, w.lists...)
			p.Apply([]store.Change{{Kind: store.DeleteList, ID: id}})
			if w.IntN(2) == 0 {
				p.Apply([]store.Change{{Kind: store.PutList, List: &matcher.List{ID: id}}})
			}
		}
		p.Apply([]store.Change{{Kind: store.PutObject, Object: w.face(nil, w.versions[:3])}, {Kind: store.DeleteObject, ID: testkit.Pick(w.Rand, w.ids...)}})
		if round%3 == 0 {
			p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
		}
		s := testkit.Pick(w.Rand, old...)
		wanted := []matcher.ID{testkit.Pick(w.Rand, w.lists...), testkit.Pick(w.Rand, w.lists...)}
		var want []matcher.ID
		for r := range s.Rows() {
			x := s.Object(r)
			if slices.ContainsFunc(x.Lists, func(l matcher.ID) bool { return slices.Contains(wanted, l) }) {
				want = append(want, x.ID)
			}
		}
		found, err := s.OneOf("lists", []any{wanted[0].String(), wanted[1].String()})
		if err != nil {
			t.Fatal(err)
		}
		var got []matcher.ID
		for r := range found.Rows() {
			x := found.Object(r)
			got = append(got, x.ID)
		}
		if !slices.Equal(got, want) || found.Len() != len(want) {
			t.Fatalf("round %d: %d rows in %v, want %d", round, len(got), wanted, len(want))
		}
	}
}

// TestSample checks the number of rows, that the same seed picks the same rows in another
// layout, and that another seed picks other rows.
func TestSample(t *testing.T) {
	ids := func(rows int, seed uint64, chunk int) (ids []matcher.ID) {
		p := newPair(t, Options{chunkRows: chunk}, memorytest.Version3())
		changes := memorytest.Rows3(0, 3000)
		if chunk == 64 {
			slices.Reverse(changes)
		}
		p.commit(t, changes...)
		s, err := p.Select(t.Context(), &matcher.Candidates{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for r := range s.(*Selection).Sample(rows, seed).Rows() {
			x := s.(*Selection).Object(r)
			ids = append(ids, x.ID)
		}
		slices.SortFunc(ids, matcher.ID.Compare)
		return ids
	}
	first := ids(100, 1, 4096)
	if len(first) != 100 || !slices.Equal(first, ids(100, 1, 64)) {
		t.Error("the sample depends on the layout of rows")
	}
	if slices.Equal(first, ids(100, 2, 4096)) {
		t.Error("seeds 1 and 2 pick the same rows")
	}
	if n := len(ids(5000, 1, 4096)); n != 3000 {
		t.Errorf("%d of 3000 rows", n)
	}
}

// TestSetFaults checks that an error names what was wrong.
func TestSetFaults(t *testing.T) {
	p := newPair(t, Options{}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 10)...)
	selected := func() *Selection {
		s, err := p.Select(t.Context(), &matcher.Candidates{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.(*Selection)
	}
	s := selected()
	p.commit(t, memorytest.Rows3(10, 1)...)
	later := selected()
	where := func(name, op string, value any) func() error {
		return func() error { _, err := s.Where(name, op, value); return err }
	}
	for want, do := range map[string]func() error{
		`"height" is not one of the columns account_id, age,`: where("height", "=", 1.0),
		`age: "like" is not one of = != < <= > >=`:            where("age", "like", 1.0),
		`age: must be a number, got old`:                      where("age", ">", "old"),
		`create_time: must be a time, got true`:               where("create_time", ">", true),
		`create_time: must be an RFC 3339 time, got "soon"`:   where("create_time", ">", "soon"),
		`face_id: must be a UUID, got "x"`:                    where("face_id", "=", "x"),
		`account_id: must be a UUID, got 1`:                   where("account_id", "=", 1.0),
		`user_data: must be a string, got 1`:                  where("user_data", "=", 1.0),
		`user_data: "~" is not one of`:                        where("user_data", "~", "x"),
		`lists: must be compared with = or !=, got "<"`:       where("lists", "<", matcher.ID{}.String()),
		`user_data: must be a column of numbers`:              func() error { _, err := s.Top("user_data", 1); return err },
		`age: must be a number, got x`:                        func() error { _, err := s.OneOf("age", []any{"x"}); return err },
		`"x" is not one of the columns`:                       func() error { _, err := s.Reader("age", "x"); return err },
		"not made from one candidate set":                     func() error { _, err := s.Union(later); return err },
		"stop": func() error {
			_, err := s.Keep(t.Context(), func(Row) (bool, error) { return true, errors.New("stop") })
			return err
		},
		"context canceled": func() error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := s.Keep(ctx, func(Row) (bool, error) { return true, nil })
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestReader compares every column of every row with the object.
func TestReader(t *testing.T) {
	w := newWorld(41)
	p := newPair(t, Options{chunkRows: 64}, versionsOf(w)...)
	for range 40 {
		step(w, p.Memory, &p.Oracle, w.versions[:3])
	}
	selected, err := p.Select(t.Context(), &matcher.Candidates{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := selected.(*Selection)
	names := append(slices.Sorted(maps.Keys(columns[matcher.Faces])), "face_id")
	read, err := s.Reader(names...)
	if err != nil {
		t.Fatal(err)
	}
	values, rows := make([]any, len(names)), 0
	for r := range s.Rows() {
		read(r, values)
		x := s.Object(r)
		for i, name := range names {
			var want any
			switch name {
			case "lists":
				want = fmt.Sprint(x.Lists)
			default:
				if v, ok := field(p.Faces[x.ID], name); ok {
					want = fmt.Sprint(v)
				}
			}
			got := values[i]
			switch v := got.(type) {
			case nil:
			case matcher.Time:
				got = fmt.Sprint(float64(v))
			default:
				got = fmt.Sprint(v)
			}
			if got != want {
				t.Fatalf("%s of %v: %v, want %v", name, x, got, want)
			}
		}
		rows++
	}
	if rows != len(p.Faces) || rows == 0 {
		t.Errorf("%d rows, want %d", rows, len(p.Faces))
	}
}

// BenchmarkWhere reports ns per row for operations on a selection of all rows.
func BenchmarkWhere(b *testing.B) {
	registry, err := matcher.NewRegistry([]matcher.Version{memorytest.Version3()})
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(Options{Registry: registry, Kernel: simd.Kernels()[0]})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	const rows = 1 << 20
	for at := 0; at < rows; at += 4096 {
		changes := memorytest.Rows3(at, 4096)
		for i, c := range changes {
			c.Object.UserData = ""
			c.Object.Age = matcher.SmallOf(uint8((at + i) * 37 % 100))
			c.Object.CreateTime = matcher.Time((at + i) * 7919 % rows * 1000)
		}
		m.Apply(changes)
	}
	selected, err := m.Select(b.Context(), &matcher.Candidates{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	s := selected.(*Selection)
	for _, column := range []string{"age", "create_time"} {
		b.Run(column, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Where(column, ">=", 18.0); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/rows, "ns/row")
		})
	}
}
