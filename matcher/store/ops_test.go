package store

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
)

var (
	accountA = matcher.MustID("aaaaaaaa-0000-4000-8000-000000000000")
	accountB = matcher.MustID("bbbbbbbb-0000-4000-8000-000000000000")
)

func TestObjects(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	s, m := open(t, Options{Dir: t.TempDir()})

	testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(1))))
	wantCode(t, s.CreateObject(ctx, nil, face(rng, id(1))), matcher.CodeFaceExists)
	wantCode(t, s.CreateObject(ctx, nil, face(rng, id(2), id(100))), matcher.CodeListNotFound)
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100)}))
	testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(2), id(100))))
	event := &matcher.Object{Origin: matcher.Events, ID: id(1), CreateTime: 5}
	testkit.Check(t, s.CreateObject(ctx, nil, event)) // IDs are per origin
	wantCode(t, s.CreateObject(ctx, nil, &matcher.Object{Origin: matcher.Events, ID: id(3), Lists: []matcher.ID{id(100)}}), matcher.CodeBadInput)

	created, err := s.PutObject(ctx, nil, face(rng, id(3)))
	if err != nil || !created {
		t.Errorf("PutObject: created %v, %v", created, err)
	}
	created, err = s.PutObject(ctx, nil, face(rng, id(3), id(100), id(100)))
	if err != nil || created {
		t.Errorf("PutObject: created %v, %v", created, err)
	}
	if o := m.object(matcher.Faces, id(3)); !slices.Equal(o.Lists, []matcher.ID{id(100)}) {
		t.Errorf("lists of a face put with the same list twice: %v", o.Lists)
	}

	testkit.Check(t, s.PatchObject(ctx, nil, matcher.Faces, id(3), func(o *matcher.Object) error {
		o.UserData, o.ID = "patched", id(99)
		return nil
	}))
	if o := m.object(matcher.Faces, id(3)); o.UserData != "patched" || m.object(matcher.Faces, id(99)) != nil {
		t.Error("the patch was not stored, or it changed the ID")
	}
	mine := errors.New("mine")
	if err := s.PatchObject(ctx, nil, matcher.Faces, id(3), func(o *matcher.Object) error { o.UserData = "no"; return mine }); !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
	wantCode(t, s.PatchObject(ctx, nil, matcher.Faces, id(4), nil), matcher.CodeFaceNotFound)
	wantCode(t, s.PatchObject(ctx, nil, matcher.Faces, id(3), func(o *matcher.Object) error {
		o.Lists = []matcher.ID{id(101)}
		return nil
	}), matcher.CodeListNotFound)

	testkit.Check(t, s.DeleteObject(ctx, nil, matcher.Events, id(1)))
	wantCode(t, s.DeleteObject(ctx, nil, matcher.Events, id(1)), matcher.CodeEventNotFound)
	s, m = reopen(t, s, m)

	n, err := s.DeleteObjects(ctx, matcher.Faces, func() ([]matcher.ID, error) {
		return append(m.faces(id(100)), id(50), id(2)), nil // 50 does not exist, 2 occurs twice
	})
	if err != nil || n != 2 {
		t.Errorf("deleted %d, %v; want 2", n, err)
	}
	if _, err := s.DeleteObjects(ctx, matcher.Faces, func() ([]matcher.ID, error) { return []matcher.ID{id(1)}, mine }); !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
	if len(m.objects) != 1 || m.object(matcher.Faces, id(1)) == nil {
		t.Errorf("%d objects are left", len(m.objects))
	}
	reopen(t, s, m)
}

// TestPutObjectsIsAllOrNothing checks that PutObjects stores objects in order, all or
// none, and returns the index of the object that failed.
func TestPutObjectsIsAllOrNothing(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	s, m := open(t, Options{Dir: t.TempDir()})
	put := func(account *matcher.ID, objects ...*matcher.Object) (int, error) {
		return s.PutObjects(ctx, account, objects)
	}
	i, err := put(nil, face(rng, id(1)), face(rng, id(2), id(100)))
	wantCode(t, err, matcher.CodeListNotFound)
	if i != 1 || m.object(matcher.Faces, id(1)) != nil {
		t.Errorf("index %d", i)
	}
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100)}))
	theirs := face(rng, id(3))
	theirs.Account = accountB
	last := face(rng, id(1), id(100))
	if i, err := put(nil, face(rng, id(1)), theirs, last); i != -1 || err != nil {
		t.Errorf("index %d, %v", i, err)
	}
	if o := m.object(matcher.Faces, id(1)); o == nil || o.ExternalID != last.ExternalID || !slices.Equal(o.Lists, last.Lists) {
		t.Error("of two objects with the same ID, the last one was not stored")
	}
	mine := face(rng, id(4))
	mine.Account = accountA
	over := face(rng, id(3))
	over.Account = accountA
	i, err = put(&accountA, mine, over)
	wantCode(t, err, matcher.CodeForbidden)
	if i != 1 || m.object(matcher.Faces, id(4)) != nil {
		t.Errorf("index %d", i)
	}
}

func TestCreateObjectsIsAllOrNothing(t *testing.T) {
	noLeaks(t)
	s, m := open(t, Options{Dir: t.TempDir()})
	event := func(n int) *matcher.Object { return &matcher.Object{Origin: matcher.Events, ID: id(n)} }
	i, err := s.CreateObjects(ctx, nil, []*matcher.Object{event(1), event(2), event(1)})
	wantCode(t, err, matcher.CodeEventExists)
	if i != 2 || len(m.objects) != 0 {
		t.Errorf("index %d, %d objects; want 2 and 0", i, len(m.objects))
	}
	if i, err := s.CreateObjects(ctx, nil, []*matcher.Object{event(1), event(2)}); i != -1 || err != nil {
		t.Errorf("got %d, %v", i, err)
	}
	reopen(t, s, m)
}

func TestListCreatedAgainIsEmpty(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	s, m := open(t, Options{Dir: t.TempDir()})
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100), UserData: "first"}))
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(101)}))
	wantCode(t, s.CreateList(ctx, &matcher.List{ID: id(100)}), matcher.CodeListExists)
	for n := range 5 {
		testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(n), id(100), id(101))))
	}
	testkit.Check(t, s.PatchList(ctx, nil, id(100), func(l *matcher.List) error { l.UserData, l.ID = "patched", id(7); return nil }))
	if l := m.list(id(100)); l.UserData != "patched" || len(m.faces(id(100))) != 5 {
		t.Errorf("after the patch: %+v with %d faces", l, len(m.faces(id(100))))
	}
	testkit.Check(t, s.DeleteList(ctx, nil, id(100), nil))
	wantCode(t, s.DeleteList(ctx, nil, id(100), nil), matcher.CodeListNotFound)
	wantCode(t, s.PatchList(ctx, nil, id(100), nil), matcher.CodeListNotFound)
	s, m = reopen(t, s, m)
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100)}))
	testkit.Check(t, s.Link(ctx, nil, id(100), []matcher.ID{id(3)}, true))
	s, m = reopen(t, s, m)
	if got := m.faces(id(100)); !slices.Equal(got, []matcher.ID{id(3)}) {
		t.Errorf("the list that was created again has faces %v, want only face 3", got)
	}
	// One transaction deletes the list, creates it again and reads a face.
	testkit.Check(t, s.Commit(ctx, func(tx *Tx) error {
		tx.DeleteList(id(100))
		tx.PutList(&matcher.List{ID: id(100)})
		o, err := tx.Object(matcher.Faces, id(3))
		if err == nil && !slices.Equal(o.Lists, []matcher.ID{id(101)}) {
			err = errors.New("the face is still in the list that was deleted and created again")
		}
		return err
	}))
	testkit.Check(t, s.DeleteList(ctx, nil, id(101), func([]matcher.ID) ([]matcher.ID, error) { return m.faces(id(101)), nil }))
	if len(m.objects) != 0 || len(m.lists) != 1 {
		t.Errorf("%d objects and %d lists are left", len(m.objects), len(m.lists))
	}
	reopen(t, s, m)
}

func TestLink(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	s, m := open(t, Options{Dir: t.TempDir()})
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100)}))
	for n := range 4 {
		testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(n))))
	}
	err := s.Link(ctx, nil, id(100), []matcher.ID{id(0), id(9)}, true)
	wantCode(t, err, matcher.CodeFaceNotFound)
	if !strings.Contains(err.Error(), id(9).String()) || !strings.Contains(err.Error(), "face_ids[1]") {
		t.Errorf("error %q does not name the face and its index", err)
	}
	if len(m.faces(id(100))) != 0 {
		t.Error("a failed Link added faces")
	}
	wantCode(t, s.Link(ctx, nil, id(101), []matcher.ID{id(0)}, true), matcher.CodeListNotFound)
	testkit.Check(t, s.Link(ctx, nil, id(100), []matcher.ID{id(0), id(1), id(1), id(2)}, true))
	testkit.Check(t, s.Link(ctx, nil, id(100), []matcher.ID{id(1), id(3)}, false))
	got := m.faces(id(100))
	slices.SortFunc(got, matcher.ID.Compare)
	if !slices.Equal(got, []matcher.ID{id(0), id(2)}) {
		t.Errorf("faces in the list: %v, want 0 and 2", got)
	}
	reopen(t, s, m)
}

func TestAccounts(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	s, m := open(t, Options{Dir: t.TempDir()})
	of := func(account matcher.ID, n int, lists ...matcher.ID) *matcher.Object {
		o := face(rng, id(n), lists...)
		o.Account = account
		return o
	}
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100), Account: accountA}))
	testkit.Check(t, s.CreateObject(ctx, nil, of(accountA, 1, id(100))))
	wantCode(t, s.CreateObject(ctx, nil, of(accountB, 2, id(100))), matcher.CodeForbidden)
	testkit.Check(t, s.CreateObject(ctx, nil, of(accountB, 2)))

	_, err := s.PutObject(ctx, &accountB, of(accountB, 1))
	wantCode(t, err, matcher.CodeForbidden)
	_, err = s.PutObject(ctx, &accountB, of(accountB, 2, id(100)))
	wantCode(t, err, matcher.CodeListNotFound)
	wantCode(t, s.PatchObject(ctx, &accountB, matcher.Faces, id(1), nil), matcher.CodeFaceNotFound)
	wantCode(t, s.PatchObject(ctx, &accountB, matcher.Faces, id(2), func(o *matcher.Object) error {
		o.Lists = []matcher.ID{id(100)}
		return nil
	}), matcher.CodeListNotFound)
	wantCode(t, s.DeleteObject(ctx, &accountB, matcher.Faces, id(1)), matcher.CodeFaceNotFound)
	wantCode(t, s.PatchList(ctx, &accountB, id(100), nil), matcher.CodeListNotFound)
	wantCode(t, s.DeleteList(ctx, &accountB, id(100), nil), matcher.CodeListNotFound)
	wantCode(t, s.Link(ctx, &accountB, id(100), []matcher.ID{id(2)}, true), matcher.CodeListNotFound)
	wantCode(t, s.Link(ctx, &accountA, id(100), []matcher.ID{id(2)}, true), matcher.CodeFaceNotFound)
	wantCode(t, s.Link(ctx, nil, id(100), []matcher.ID{id(2)}, true), matcher.CodeForbidden)
	testkit.Check(t, s.DeleteObject(ctx, &accountA, matcher.Faces, id(1)))
	testkit.Check(t, s.DeleteObject(ctx, nil, matcher.Faces, id(2)))
	reopen(t, s, m)
}

func TestImport(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	s, m := open(t, Options{Dir: t.TempDir()})
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100), Account: accountB}))
	foreign := face(rng, id(50))
	foreign.Account = accountB
	testkit.Check(t, s.CreateObject(ctx, nil, foreign))

	line := func(n int, has bool, add matcher.ID, lists ...matcher.ID) ImportLine {
		o := face(rng, id(n), lists...)
		o.Account = accountA
		return ImportLine{Object: o, HasLists: has, AddList: add}
	}
	none := matcher.ID{}
	errs := s.Import(ctx, &accountA, []ImportLine{
		line(1, true, id(103), id(102), id(101)), // new lists, in any order
		line(2, false, id(101)),
		line(50, true, none),   // another account's object
		line(3, true, id(100)), // another account's list
		line(4, true, none, id(104), id(100)),
		line(1, false, id(105)), // the same object again, which keeps its lists
		{Object: &matcher.Object{Origin: matcher.Events, ID: id(1), Account: accountA}},
		{Object: &matcher.Object{Origin: matcher.Events, ID: id(2), Account: accountA}, AddList: id(101)},
	})
	for i, want := range []matcher.Code{0, 0, matcher.CodeForbidden, matcher.CodeListNotFound, matcher.CodeListNotFound, 0, 0, matcher.CodeBadInput} {
		if want != 0 {
			wantCode(t, errs[i], want)
		} else if errs[i] != nil {
			t.Errorf("line %d: %v", i, errs[i])
		}
	}
	if got := m.object(matcher.Faces, id(1)).Lists; !slices.Equal(got, []matcher.ID{id(101), id(102), id(103), id(105)}) {
		t.Errorf("lists of the face imported twice: %v", got)
	}
	if m.list(id(104)) != nil {
		t.Error("a rejected line created a list")
	}
	if l := m.list(id(101)); l == nil || l.Account != accountA {
		t.Errorf("list created by the import: %+v, want account %s", l, accountA)
	}
	s, m = reopen(t, s, m)
	errs = s.Import(ctx, nil, []ImportLine{line(1, true, none, id(102)), line(2, true, none)})
	testkit.Check(t, errors.Join(errs...))
	if a, b := m.object(matcher.Faces, id(1)).Lists, m.object(matcher.Faces, id(2)).Lists; !slices.Equal(a, []matcher.ID{id(102)}) || len(b) != 0 {
		t.Errorf("lists after lines that replace them: %v, %v; want only 102, and none", a, b)
	}
	reopen(t, s, m)
}

func TestDeletingManyIsOneCommit(t *testing.T) {
	noLeaks(t)
	s, m := open(t, Options{Dir: t.TempDir()})
	const n = 40_000
	ids := make([]matcher.ID, n)
	testkit.Check(t, s.Commit(ctx, func(tx *Tx) error {
		for i := range ids {
			ids[i] = matcher.NewID()
			if err := tx.Put(&matcher.Object{Origin: matcher.Events, ID: ids[i], CreateTime: 1}); err != nil {
				return err
			}
		}
		return nil
	}))
	before := m.applies
	got, err := s.DeleteObjects(ctx, matcher.Events, func() ([]matcher.ID, error) { return ids, nil })
	if err != nil || got != n || len(m.objects) != 0 || m.applies != before+1 {
		t.Errorf("deleted %d, %v; %d objects are left, %d calls of Apply, want 1", got, err, len(m.objects), m.applies-before)
	}
	reopen(t, s, m)
}
