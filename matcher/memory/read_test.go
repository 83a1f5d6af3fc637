package memory

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
)

// TestReads compares every method that reads objects with the oracle, after random
// commits.
func TestReads(t *testing.T) {
	w := newWorld(21)
	p := newPair(t, Options{chunkRows: 64}, versionsOf(w)...)
	for range 30 {
		step(w, p.Memory, &p.Oracle, w.versions[:6])
		f := w.filter()
		var account *matcher.ID
		if w.IntN(2) == 0 {
			account = new(testkit.Pick(w.Rand, w.accounts...))
		}
		p.checkReads(t, &f, account)
		for _, id := range w.ids[:50] {
			got, ok := p.Get(matcher.Faces, id, account, true)
			want := p.Faces[id]
			if visible := want != nil && (account == nil || want.Account == *account); ok != visible || ok && !sameObject(&got, want, true) {
				t.Fatalf("get %v: %v %+v, want %+v", id, ok, got, want)
			}
			if p.Has(matcher.Faces, id) != (want != nil) || p.Has(matcher.Events, id) {
				t.Fatalf("has %v", id)
			}
		}
		for _, id := range w.lists {
			_, n, ok := p.List(t.Context(), id, nil)
			want := 0
			for _, x := range p.Faces {
				if slices.Contains(x.Lists, id) {
					want++
				}
			}
			if ok != p.ListIDs[id] || n != want {
				t.Fatalf("list %v: %v, %d faces; want %v, %d", id, ok, n, p.ListIDs[id], want)
			}
		}
	}
}

func versionsOf(w *world) (all []matcher.Version) {
	for _, v := range w.versions {
		all = append(all, *v)
	}
	return all
}

// checkReads compares the pages of a filter, and related reads, with the oracle.
func (p *pair) checkReads(t *testing.T, f *matcher.Filter, account *matcher.ID) {
	t.Helper()
	var want []*matcher.Object
	for _, x := range p.Faces {
		if p.Passes(f, account, x) {
			want = append(want, x)
		}
	}
	slices.SortFunc(want, func(a, b *matcher.Object) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	same := func(descriptors bool) func(matcher.Object, *matcher.Object) bool {
		return func(got matcher.Object, want *matcher.Object) bool { return sameObject(&got, want, descriptors) }
	}
	for offset := 0; offset <= len(want)+1; offset += 7 {
		page, n, err := p.Page(t.Context(), matcher.Faces, f, account, matcher.Page{Offset: offset, Size: 7})
		if err != nil || n != len(want) || !slices.EqualFunc(page, want[min(offset, n):min(offset+7, n)], same(false)) {
			t.Fatalf("page at %d: %d of %d objects, want a part of %d (%v)", offset, len(page), n, len(want), err)
		}
	}
	found, err := p.Find(t.Context(), matcher.Faces, f, account)
	if err != nil || !slices.EqualFunc(found, want, same(true)) {
		t.Fatalf("found %d objects, want %d (%v)", len(found), len(want), err)
	}
	ids, err := p.IDs(t.Context(), matcher.Faces, f, account)
	slices.SortFunc(ids, matcher.ID.Compare)
	if err != nil || !slices.EqualFunc(ids, want, func(id matcher.ID, o *matcher.Object) bool { return id == o.ID }) {
		t.Fatalf("%d IDs, want %d (%v)", len(ids), len(want), err)
	}
	var each []matcher.Object
	err = p.Each(t.Context(), matcher.Faces, f, account, func(o *matcher.Object) error {
		each = append(each, *o)
		return nil
	})
	slices.SortFunc(each, func(a, b matcher.Object) int { return a.ID.Compare(b.ID) })
	if err != nil || !slices.EqualFunc(each, want, same(true)) {
		t.Fatalf("each: %d objects, want %d (%v)", len(each), len(want), err)
	}
}

// TestEachEnds checks that Each ends when the function returns an error or the context
// ends.
func TestEachEnds(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 100)...)
	stop, n := errors.New("enough"), 0
	err := p.Each(t.Context(), matcher.Faces, &matcher.Filter{}, nil, func(*matcher.Object) error {
		if n++; n == 5 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 5 {
		t.Errorf("%v after %d", err, n)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err = p.Each(ctx, matcher.Faces, &matcher.Filter{}, nil, func(*matcher.Object) error { cancel(stop); return nil })
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}

// TestLists checks pages of lists, by account, after the lists were changed.
func TestLists(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64}, memorytest.Version3())
	mine := matcher.ID{9}
	var changes []store.Change
	for n := range byte(10) {
		l := &matcher.List{ID: matcher.ID{n * 7 % 10}, UserData: strconv.Itoa(int(n))}
		if n%2 == 0 {
			l.Account = mine
		}
		changes = append(changes, store.Change{Kind: store.PutList, List: l})
	}
	p.commit(t, changes...)
	renamed := *changes[3].List
	renamed.UserData = "new"
	p.commit(t, store.Change{Kind: store.PutList, List: &renamed}, store.Change{Kind: store.DeleteList, ID: matcher.ID{0}})
	check := func(account *matcher.ID, offset, size, n int, want ...byte) {
		t.Helper()
		page, count := p.Lists(account, matcher.Page{Offset: offset, Size: size})
		var got []byte
		for _, l := range page {
			got = append(got, l.ID[0])
			if info, _, ok := p.List(t.Context(), l.ID, account); !ok || info != l {
				t.Errorf("list %v: %+v", l, info)
			}
		}
		if count != n || !bytes.Equal(got, want) {
			t.Errorf("%d lists, page %v; want %d, %v", count, got, n, want)
		}
	}
	check(nil, 0, 100, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	check(nil, 3, 4, 9, 4, 5, 6, 7)
	check(nil, 8, 4, 9, 9)
	check(nil, 9, 4, 9)
	check(&mine, 0, 100, 4, 2, 4, 6, 8)
	if _, _, ok := p.List(t.Context(), matcher.ID{1}, &mine); ok {
		t.Error("another account's list is visible")
	}
	if l, _, _ := p.List(t.Context(), matcher.ID{1}, nil); l.UserData != "new" {
		t.Errorf("%+v", l)
	}
	// List counts only faces that the account may see. Its lists can have other faces, too.
	for n := range byte(3) {
		face := memorytest.Put(matcher.ID{n}, 1, []byte{1, 2, 3})
		face.Object.Lists = []matcher.ID{{2}}
		if n > 0 {
			face.Object.Account = mine
		}
		p.commit(t, face)
	}
	for account, want := range map[*matcher.ID]int{nil: 3, &mine: 2} {
		if _, n, ok := p.List(t.Context(), matcher.ID{2}, account); !ok || n != want {
			t.Errorf("account %v: %d faces, want %d", account, n, want)
		}
	}
}

// TestRaw compares raw distances with those of the oracle.
func TestRaw(t *testing.T) {
	w := newWorld(31)
	for _, v := range w.versions {
		p := &pair{newMemory(t, w, w.kernel(), 2), memorytest.Oracle{Registry: w.registry}}
		var references, candidates [][]byte
		for range 3 {
			references = append(references, w.descriptor(v).Data)
		}
		for range 300 {
			candidates = append(candidates, w.descriptor(v).Data)
		}
		got, err := p.Raw(t.Context(), v, references, candidates)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range references {
			for j, c := range candidates {
				if want := p.Distance(v, r, c); got[i][j] != want {
					t.Fatalf("version %d: distance %v, want %v", v.Number, got[i][j], want)
				}
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := newMemory(t, w, w.kernel(), 1)
	if _, err := m.Raw(ctx, w.versions[0], [][]byte{{1}}, [][]byte{{2}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestHashCollisions checks that fields are found by hash but compared by value.
func TestHashCollisions(t *testing.T) {
	a, b := clash(t)
	p := newPair(t, Options{chunkRows: 64}, memorytest.Version3())
	changes := memorytest.Rows3(1, 3)
	for i, s := range []string{a, b, ""} {
		changes[i].Object.ExternalID, changes[i].Object.UserData = s, s
	}
	p.commit(t, changes...)
	p.commit(t, memorytest.Rows3(100, 500)...) // enough rows that filters test both words and single rows
	for i, s := range []string{a, b} {
		for _, f := range []matcher.Filter{
			matcher.Where(matcher.AnyOf("user_data", s)),
			matcher.Where(matcher.AnyOf("external_id", s)),
			matcher.Where(matcher.AnyOf("external_id", s, "none")),
			{Fields: matcher.Where(matcher.AnyOf("user_data", s)).Fields, IDs: []matcher.ID{changes[0].Object.ID, changes[1].Object.ID}},
			{Fields: matcher.Where(matcher.AnyOf("external_id", s)).Fields, IDs: []matcher.ID{changes[0].Object.ID, changes[1].Object.ID}},
		} {
			ids, err := p.IDs(t.Context(), matcher.Faces, &f, nil)
			if err != nil || len(ids) != 1 || ids[0] != changes[i].Object.ID {
				t.Errorf("%q: %v, %v", s, ids, err)
			}
		}
	}
}

// TestCopyBytes checks that only accounts that may see an object learn its size.
func TestCopyBytes(t *testing.T) {
	p := newPair(t, Options{})
	mine, other := matcher.NewID(), matcher.NewID()
	o := &matcher.Object{Origin: matcher.Faces, ID: matcher.NewID(), Account: mine, UserData: "12345"}
	p.commit(t, store.Change{Kind: store.PutObject, Object: o})
	for account, want := range map[*matcher.ID]int{nil: 5, &mine: 5, &other: 0} {
		if got := p.CopyBytes(matcher.Faces, o.ID, account, false); got != want {
			t.Errorf("account %v: %d bytes, want %d", account, got, want)
		}
	}
}
