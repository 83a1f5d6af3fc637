package store

import (
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// ownedStore returns a store with objects that were written before remotes became the
// owners of list 200, all events and all attributes. Face 1 is in lists 100 and 200.
func ownedStore(t *testing.T) (*Store, *model) {
	t.Helper()
	noLeaks(t)
	s, m := open(t, Options{Dir: "/data", fs: smallDisk(vfs.NewMem())})
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100)}))
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(200)}))
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(1), id(100), id(200))))
	for _, o := range []matcher.Origin{matcher.Events, matcher.Attributes} {
		_, err := s.PutObject(ctx, nil, &matcher.Object{Origin: o, ID: id(1), CreateTime: 5})
		testkit.Check(t, err)
	}
	owners := &matcher.Owners{Lists: map[matcher.ID][]string{id(200): {"east"}, id(201): {"east", "west"}}}
	owners.Origins[matcher.Events], owners.Origins[matcher.Attributes] = []string{"events"}, []string{"attributes"}
	s.SetOwners(owners)
	return s, m
}

// writeCase is one way to write.
type writeCase struct {
	name, refused string // refused is the start of the error; "" if the write is allowed
	call          func(s *Store) error
}

func patchNothing(*matcher.Object) error { return nil }

// objectWrites returns the ways to write an object of an origin that remotes own.
func objectWrites(o matcher.Origin) []writeCase {
	object := func(n int) *matcher.Object { return &matcher.Object{Origin: o, ID: id(n)} }
	refused := o.String() + " are owned by remote " + o.String() + ": "
	selectFirst := func() ([]matcher.ID, error) { return []matcher.ID{id(1)}, nil }
	name := o.String() + " "
	ours := func() *matcher.Object {
		if o == matcher.Faces {
			return &matcher.Object{Origin: matcher.Events, ID: id(9)}
		}
		return face(seeded(), id(9))
	}
	return []writeCase{
		{name + "create", refused, func(s *Store) error { return s.CreateObject(ctx, nil, object(2)) }},
		{name + "put", refused, func(s *Store) error { _, err := s.PutObject(ctx, nil, object(1)); return err }},
		{name + "put new", refused, func(s *Store) error { _, err := s.PutObject(ctx, nil, object(2)); return err }},
		{name + "patch", refused, func(s *Store) error { return s.PatchObject(ctx, nil, o, id(1), patchNothing) }},
		{name + "delete", refused, func(s *Store) error { return s.DeleteObject(ctx, nil, o, id(1)) }},
		{name + "delete all", refused, func(s *Store) error { _, err := s.DeleteObjects(ctx, o, selectFirst); return err }},
		{name + "delete found", refused, func(s *Store) error {
			_, err := s.DeleteFound(ctx, o, func([]matcher.ID) ([]matcher.ID, error) { return selectFirst() })
			return err
		}},
		{name + "create many", refused, func(s *Store) error {
			i, err := s.CreateObjects(ctx, nil, []*matcher.Object{ours(), object(2)})
			return atIndex(i, 1, err)
		}},
		{name + "put many", refused, func(s *Store) error {
			i, err := s.PutObjects(ctx, nil, []*matcher.Object{ours(), object(1)})
			return atIndex(i, 1, err)
		}},
		{name + "import", refused, func(s *Store) error { return s.Import(ctx, nil, []ImportLine{{Object: object(2)}})[0] }},
	}
}

// atIndex returns err, or a different error if err belongs to the wrong object.
func atIndex(got, want int, err error) error {
	if err != nil && got != want {
		return matcher.Errorf(matcher.CodeInternal, "error of object %d, want one of object %d: %w", got, want, err)
	}
	return err
}

// listWrites returns the ways to write a list that remotes own, or to add faces to it.
func listWrites() []writeCase {
	const refused = "list_id: "
	inList := func(n int) string { return "lists[" + string(rune('0'+n)) + "]: " }
	faceIn := func(n int, lists ...matcher.ID) *matcher.Object { return face(seeded(), id(n), lists...) }
	patch := func(lists ...matcher.ID) func(*Store) error {
		return func(s *Store) error {
			return s.PatchObject(ctx, nil, matcher.Faces, id(1), func(o *matcher.Object) error { o.Lists = lists; return nil })
		}
	}
	selectFirst := func([]matcher.ID) ([]matcher.ID, error) { return []matcher.ID{id(1)}, nil }
	return []writeCase{
		{"create list", refused, func(s *Store) error { return s.CreateList(ctx, &matcher.List{ID: id(201)}) }},
		{"patch list", refused, func(s *Store) error { return s.PatchList(ctx, nil, id(200), func(*matcher.List) error { return nil }) }},
		{"delete list", refused, func(s *Store) error { return s.DeleteList(ctx, nil, id(200), nil) }},
		{"delete list and faces", refused, func(s *Store) error { return s.DeleteList(ctx, nil, id(200), selectFirst) }},
		{"attach", refused, func(s *Store) error { return s.Link(ctx, nil, id(200), []matcher.ID{id(1)}, true) }},
		{"detach", refused, func(s *Store) error { return s.Link(ctx, nil, id(200), []matcher.ID{id(1)}, false) }},
		{"create", inList(1), func(s *Store) error { return s.CreateObject(ctx, nil, faceIn(2, id(100), id(200))) }},
		{"put into", inList(1), func(s *Store) error { _, err := s.PutObject(ctx, nil, faceIn(1, id(200), id(201))); return err }},
		{"put new", inList(0), func(s *Store) error { _, err := s.PutObject(ctx, nil, faceIn(2, id(200))); return err }},
		{"patch into another", inList(2), patch(id(100), id(200), id(201))},
		{"import into", inList(1), func(s *Store) error {
			return s.Import(ctx, nil, []ImportLine{{Object: faceIn(1, id(100), id(201)), HasLists: true}})[0]
		}},
		{"import with a list", inList(0), func(s *Store) error {
			return s.Import(ctx, nil, []ImportLine{{Object: faceIn(2), AddList: id(200)}})[0]
		}},
		{"patch that leaves the lists", "", func(s *Store) error { return s.PatchObject(ctx, nil, matcher.Faces, id(1), patchNothing) }},
		{"put that leaves the lists", "", func(s *Store) error { _, err := s.PutObject(ctx, nil, faceIn(1, id(100), id(200))); return err }},
		{"import that leaves the lists", "", func(s *Store) error { return s.Import(ctx, nil, []ImportLine{{Object: faceIn(1)}})[0] }},
		{"patch out of the list", "", patch(id(100))},
		{"create in another list", "", func(s *Store) error { return s.CreateObject(ctx, nil, faceIn(2, id(100))) }},
		{"create another list", "", func(s *Store) error { return s.CreateList(ctx, &matcher.List{ID: id(101)}) }},
		{"delete", "", func(s *Store) error { return s.DeleteObject(ctx, nil, matcher.Faces, id(1)) }},
	}
}

// TestOwnersRefuseWrites checks that every write to data of a remote fails and writes
// nothing, and that it is allowed when no remote owns anything any more.
func TestOwnersRefuseWrites(t *testing.T) {
	all := slices.Concat(objectWrites(matcher.Events), objectWrites(matcher.Attributes), listWrites())
	for _, w := range all {
		t.Run(w.name, func(t *testing.T) {
			s, m := ownedStore(t)
			before := m.clone()
			err := w.call(s)
			if w.refused == "" {
				testkit.Check(t, err)
				return
			}
			wantCode(t, err, matcher.CodeForbidden)
			if err != nil && (!strings.HasPrefix(err.Error(), w.refused) || !strings.Contains(err.Error(), "owned by remote ")) {
				t.Errorf("got error %q, want one that starts with %q and names the owner", err, w.refused)
			}
			m.equal(t, before)
			if s.SetOwners(nil); s.Owners() != nil {
				t.Error("Owners is not nil after SetOwners(nil)")
			}
			if err := w.call(s); matcher.CodeOf(err) == matcher.CodeForbidden {
				t.Error(err)
			}
		})
	}
}

// TestOwnerOfFaces checks that a remote that owns the faces owns all lists, too.
func TestOwnerOfFaces(t *testing.T) {
	s, m := ownedStore(t)
	owners := &matcher.Owners{}
	owners.Origins[matcher.Faces] = []string{"faces"}
	s.SetOwners(owners)
	before := m.clone()
	for _, w := range objectWrites(matcher.Faces) {
		wantCode(t, w.call(s), matcher.CodeForbidden)
	}
	for _, w := range listWrites() {
		wantCode(t, w.call(s), matcher.CodeForbidden)
	}
	m.equal(t, before)
	testkit.Check(t, s.CreateObject(ctx, nil, &matcher.Object{Origin: matcher.Events, ID: id(7)}))
}

// TestOwnersAndGoodLines checks that an import line with data of a remote does not
// stop the other lines, and that objects stored before stay.
func TestOwnersAndGoodLines(t *testing.T) {
	s, m := ownedStore(t)
	rng := seeded()
	errs := s.Import(ctx, nil, []ImportLine{{Object: face(rng, id(5)), AddList: id(200)}, {Object: face(rng, id(6)), AddList: id(300)}})
	wantCode(t, errs[0], matcher.CodeForbidden)
	testkit.Check(t, errs[1])
	if m.object(matcher.Faces, id(5)) != nil || m.object(matcher.Faces, id(6)) == nil || m.list(id(300)) == nil {
		t.Error("want only the second line stored")
	}
	if o := m.object(matcher.Faces, id(1)); !slices.Equal(o.Lists, []matcher.ID{id(100), id(200)}) || m.object(matcher.Events, id(1)) == nil {
		t.Error("an object that was stored before is gone")
	}
	reopen(t, s, m)
}
