package memory

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
	"nearside/simd"
)

// manyLists has faces in many small lists and in one large list.
type manyLists struct {
	*pair
	*rand.Rand
	versions []*matcher.Version
	ids      []matcher.ID // of faces that may exist
	listIDs  []matcher.ID // of lists that may exist; the first list is large
	accounts []matcher.ID // the first one is zero
	infos    map[matcher.ID]*matcher.List
	dir      string
}

func newManyLists(t *testing.T, seed uint64, k *simd.Kernel) *manyLists {
	t.Helper()
	calibration := matcher.Calibration{Midpoint: 1, Steepness: 3}
	versions := []matcher.Version{
		{Number: 1, Length: 9, Scale: 64, Similarity: calibration},
		{Number: 2, Encoding: matcher.Float32, Metric: matcher.Cosine, Length: 9, Similarity: calibration},
	}
	m := &manyLists{Rand: rand.New(rand.NewPCG(seed, 1)), infos: map[matcher.ID]*matcher.List{}, dir: t.TempDir()}
	m.pair = newPair(t, m.options(k), versions...)
	m.versions = []*matcher.Version{m.Registry.Version(1), m.Registry.Version(2)}
	m.accounts = []matcher.ID{{}, numberedID(3, 1), numberedID(3, 2)}
	for i := range 8000 {
		m.ids = append(m.ids, numberedID(2, i))
	}
	for i := range 300 {
		m.listIDs = append(m.listIDs, numberedID(1, i))
	}
	return m
}

func (m *manyLists) options(k *simd.Kernel) Options {
	return Options{Kernel: k, Workers: 2, chunkRows: 512}
}

func (m *manyLists) putList(id matcher.ID) store.Change {
	l := &matcher.List{ID: id, Account: testkit.Pick(m.Rand, m.accounts...), UserData: testkit.Pick(m.Rand, "", "a", "long text"), CreateTime: matcher.Time(m.IntN(9))}
	m.infos[id] = l
	return store.Change{Kind: store.PutList, List: l}
}

func (m *manyLists) descriptor(v *matcher.Version) []byte {
	if v.Encoding == matcher.Float32 {
		return memorytest.Adversary(m.Rand, v.Length, testkit.Pick(m.Rand, 0, 2))
	}
	data := make([]byte, v.Length)
	for i := range data {
		data[i] = byte(m.Uint32())
	}
	return data
}

// face returns a put of a face. It is in up to three small lists, and often in the large
// one.
func (m *manyLists) face(id matcher.ID) store.Change {
	v := testkit.Pick(m.Rand, m.versions...)
	c := memorytest.Put(id, v.Number, m.descriptor(v))
	c.Object.Account = testkit.Pick(m.Rand, m.accounts...)
	c.Object.Age, c.Object.CreateTime = matcher.SmallOf(uint8(m.IntN(4))), matcher.Time(m.IntN(1000))
	for i := range m.IntN(4) {
		list := testkit.Pick(m.Rand, m.listIDs[1:]...)
		if i == 0 && m.IntN(2) == 0 {
			list = m.listIDs[0]
		}
		if m.infos[list] != nil && !slices.Contains(c.Object.Lists, list) {
			c.Object.Lists = append(c.Object.Lists, list)
		}
	}
	slices.SortFunc(c.Object.Lists, matcher.ID.Compare)
	return c
}

// step commits random changes of faces and lists.
func (m *manyLists) step(t *testing.T) {
	t.Helper()
	for range 1 + m.IntN(3) {
		var changes []store.Change
		for range m.IntN(400) {
			if id := testkit.Pick(m.Rand, m.ids...); m.IntN(4) == 0 {
				changes = append(changes, memorytest.Delete(id))
			} else {
				changes = append(changes, m.face(id))
			}
			switch list := testkit.Pick(m.Rand, m.listIDs[1:]...); m.IntN(60) {
			case 0:
				changes = append(changes, store.Change{Kind: store.DeleteList, ID: list})
				delete(m.infos, list)
			case 1:
				changes = append(changes, m.putList(list)) // a new list, or new fields of a list
			}
		}
		m.commit(t, changes...)
	}
	if m.IntN(4) == 0 {
		m.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 && m.IntN(3) == 0 })
	}
}

// restart restores the Memory from segments.
func (m *manyLists) restart(t *testing.T) {
	t.Helper()
	seal(t, m.Memory, m.dir, "mark")
	o := m.options(m.Memory.options.Kernel)
	o.Registry = m.Registry
	restored, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(restored.Close)
	if _, err := restored.Restore(t.Context(), m.dir, noProgress); err != nil {
		t.Fatal(err)
	}
	var lists []store.Change
	for _, l := range m.infos {
		lists = append(lists, store.Change{Kind: store.PutList, List: l})
	}
	restored.Apply(lists)
	m.Memory = restored
}

// filter returns a filter that selects few rows.
func (m *manyLists) filter() (f matcher.Filter) {
	if m.IntN(3) > 0 {
		list := testkit.Pick(m.Rand, m.listIDs...)
		f.ListID = &list
	}
	if f.ListID == nil || m.IntN(4) == 0 {
		for range m.IntN(6) {
			f.Lists = append(f.Lists, testkit.Pick(m.Rand, m.listIDs[1:]...))
		}
	}
	if f.ListID == nil && f.Lists == nil || m.IntN(6) == 0 {
		for range m.IntN(150) {
			f.IDs = append(f.IDs, testkit.Pick(m.Rand, m.ids...))
		}
	}
	if m.IntN(4) == 0 {
		f.Fields = append(f.Fields, matcher.AnyOf("age", uint8(m.IntN(4))))
	}
	return f
}

// checkMatch compares matches within the same rows with brute force.
func (m *manyLists) checkMatch(t *testing.T) {
	t.Helper()
	v := testkit.Pick(m.Rand, m.versions...)
	c := &matcher.Candidates{Limit: 1 + m.IntN(20), Filter: m.filter(), Order: testkit.Pick(m.Rand, matcher.BySimilarity, matcher.ByTimeAsc, matcher.ByTimeDesc)}
	var account *matcher.ID
	if m.IntN(3) == 0 {
		account = &m.accounts[1+m.IntN(2)]
	}
	var subs []matcher.SubRequest
	for range testkit.Pick(m.Rand, 1, 1, 2, 9, 70) {
		sub := memorytest.Reference(v, m.descriptor(v), c)
		sub.Account = account
		subs = append(subs, sub)
	}
	want := m.Expect(subs)
	m.check(t, subs, want)
	cost, _, _ := m.Cost(t.Context(), &subs[0])
	if bound := m.rowsAtMost(matcher.Faces, &c.Filter, account); bound < want[0].Selected || cost < 0 {
		t.Fatalf("%+v: at most %d rows, selected %d", c.Filter, bound, want[0].Selected)
	}
}

// checkSet compares operations on a small selection with brute force.
func (m *manyLists) checkSet(t *testing.T, few *int) {
	t.Helper()
	f := m.filter()
	selected, err := m.Select(t.Context(), &matcher.Candidates{Filter: f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := selected.(*Selection)
	if _, ok := s.rows.Few(); ok {
		*few++
	}
	list, age, id := testkit.Pick(m.Rand, m.listIDs...), uint8(m.IntN(4)), testkit.Pick(m.Rand, m.ids...)
	where := func(name, op string, value any) *Selection {
		kept, err := s.Where(name, op, value)
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	inList := func(x *matcher.Object) bool { return slices.Contains(x.Lists, list) }
	young := func(x *matcher.Object) bool { n, _ := x.Age.Get(); return n < age }
	other := where("lists", "=", list.String())
	both, err := where("age", "<", float64(age)).Intersect(other)
	if err != nil {
		t.Fatal(err)
	}
	for name, check := range map[string]struct {
		got  *Selection
		want func(*matcher.Object) bool
	}{
		"all":       {s, func(*matcher.Object) bool { return true }},
		"in list":   {other, inList},
		"not in":    {where("lists", "!=", list.String()), func(x *matcher.Object) bool { return !inList(x) }},
		"young":     {where("age", "<", float64(age)), young},
		"intersect": {both, func(x *matcher.Object) bool { return young(x) && inList(x) }},
		"excluded":  {s.Exclude([]matcher.ID{id}), func(x *matcher.Object) bool { return x.ID != id }},
		"by ID":     {s.ByID([]matcher.ID{id}), func(x *matcher.Object) bool { return x.ID == id }},
	} {
		var got, want []matcher.ID
		versions := map[uint32]int{}
		for row := range check.got.Rows() {
			got = append(got, check.got.Object(row).ID)
		}
		for _, x := range m.Faces {
			if m.Passes(&f, nil, x) && check.want(x) {
				want = append(want, x.ID)
				versions[x.Descriptors[matcher.FaceDescriptor].Version]++
			}
		}
		slices.SortFunc(got, matcher.ID.Compare)
		slices.SortFunc(want, matcher.ID.Compare)
		if !slices.Equal(got, want) || check.got.Len() != len(want) {
			t.Fatalf("%s of %+v: %d rows %v, want %d rows %v", name, f, check.got.Len(), got, len(want), want)
		}
		if !maps.Equal(check.got.Versions(matcher.FaceDescriptor), versions) || check.got.Comparable(m.versions[0]) != versions[1] {
			t.Fatalf("%s of %+v: versions %v, want %v", name, f, check.got.Versions(matcher.FaceDescriptor), versions)
		}
	}
}

// checkLists compares the fields of all lists, their faces, and a page of a list.
func (m *manyLists) checkLists(t *testing.T) {
	t.Helper()
	all, n := m.Lists(nil, matcher.Page{Size: 1000})
	if n != len(m.infos) || len(all) != n || m.Stats().Lists != n {
		t.Fatalf("%d lists, page of %d, want %d", n, len(all), len(m.infos))
	}
	for _, l := range all {
		if want := m.infos[l.ID]; want == nil || l != *want {
			t.Fatalf("list %+v, want %+v", l, want)
		}
	}
	for _, id := range []matcher.ID{m.listIDs[0], testkit.Pick(m.Rand, m.listIDs...), testkit.Pick(m.Rand, m.listIDs...)} {
		f := matcher.Filter{ListID: &id}
		want := map[matcher.ID]*matcher.Object{}
		for _, x := range m.Faces {
			if m.Passes(&f, nil, x) {
				want[x.ID] = x
			}
		}
		_, faces, ok := m.List(t.Context(), id, nil)
		if ok != (m.infos[id] != nil) || faces != len(want) {
			t.Fatalf("list %v exists: %v, with %d faces; want %v, %d", id, ok, faces, m.infos[id] != nil, len(want))
		}
		objects, err := m.Find(t.Context(), matcher.Faces, &f, nil)
		if err != nil || len(objects) != len(want) || !slices.IsSortedFunc(objects, func(a, b matcher.Object) int { return a.ID.Compare(b.ID) }) {
			t.Fatalf("a page of %d faces, want %d: %v", len(objects), len(want), err)
		}
		for _, x := range objects {
			if !slices.Equal(x.Lists, want[x.ID].Lists) {
				t.Fatalf("%v is in the lists %v, want %v", x.ID, x.Lists, want[x.ID].Lists)
			}
		}
	}
}

// TestManyLists compares many small lists with brute force while faces join and leave
// them, lists come and go, chunks are rewritten, and the Memory is restored.
func TestManyLists(t *testing.T) {
	seed := uint64(0)
	for _, k := range memorytest.Kernels() {
		seed++
		t.Run(k.Name(), func(t *testing.T) {
			if !k.Usable() {
				t.Skip("this CPU cannot run the kernel")
			}
			m, few := newManyLists(t, seed, k), 0
			var lists, faces []store.Change
			for _, id := range m.listIDs {
				lists = append(lists, m.putList(id))
			}
			m.commit(t, lists...)
			for _, id := range m.ids {
				faces = append(faces, m.face(id))
			}
			m.commit(t, faces...)
			if ordinal, _ := m.tables.FindList(m.listIDs[0]); m.tables.ListRowCount(ordinal) < 2500 {
				t.Fatalf("the large list has only %d rows", m.tables.ListRowCount(ordinal))
			}
			for round := range 24 {
				m.step(t)
				if round%8 == 7 {
					m.restart(t)
				}
				for range 4 {
					m.checkMatch(t)
				}
				m.checkSet(t, &few)
				m.checkLists(t)
				if round%5 == 4 {
					invariants(t, m.Memory)
				}
			}
			if few < 12 {
				t.Errorf("only %d of 24 sets were small selections", few)
			}
		})
	}
}

// TestDeletedLists checks that a selection shows the lists of its moment after they were
// deleted or made again.
func TestDeletedLists(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, memorytest.Version3())
	var lists, faces []store.Change
	for i := range 40_000 { // more than a part of the bits of deleted lists
		lists = append(lists, store.Change{Kind: store.PutList, List: &matcher.List{ID: numberedID(1, i)}})
	}
	p.commit(t, lists...)
	kept, gone := numberedID(1, 3), numberedID(1, 33_333)
	for _, c := range memorytest.Rows3(0, 200) {
		c.Object.Lists = []matcher.ID{kept, gone}
		slices.SortFunc(c.Object.Lists, matcher.ID.Compare)
		faces = append(faces, c)
	}
	p.commit(t, faces...)
	p.commit(t, store.Change{Kind: store.DeleteList, ID: numberedID(1, 33_332)}) // its bit is beside the next one
	before, err := p.Select(t.Context(), &matcher.Candidates{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.commit(t, store.Change{Kind: store.DeleteList, ID: gone})
	p.commit(t, store.Change{Kind: store.PutList, List: &matcher.List{ID: gone}})
	after, err := p.Select(t.Context(), &matcher.Candidates{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, check := range map[string]struct {
		in   matcher.Selection
		want int
	}{"before": {before, 200}, "after": {after, 0}} {
		s := check.in.(*Selection)
		in, err := s.Where("lists", "=", gone.String())
		if err != nil || in.Len() != check.want {
			t.Errorf("%s: %d faces in the list, want %d: %v", name, in.Len(), check.want, err)
		}
		for row := range s.Rows() {
			if got := slices.Contains(s.Object(row).Lists, gone); got != (check.want > 0) {
				t.Fatalf("%s: the object names the list: %v", name, got)
			}
		}
	}
	invariants(t, p.Memory)
}
