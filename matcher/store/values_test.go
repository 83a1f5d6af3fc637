package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// valuesOf returns the values that a store has.
func valuesOf(t *testing.T, s *Store) map[matcher.ID]string {
	t.Helper()
	all := map[matcher.ID]string{}
	testkit.Check(t, s.EachValue(ctx, func(v Value) error {
		all[v.Key] = string(v.Data)
		return nil
	}))
	return all
}

// TestValues compares values with a map, between writes of objects. Each round ends as a
// killed process does or with Close, and starts from the cache or from the database.
func TestValues(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	live := smallDisk(vfs.NewCrashableMem())
	c := &modelCache{}
	want := map[matcher.ID]string{}
	for round := range 10 {
		s, warnings, err := c.open(Options{Dir: "/data", fs: live, tableBytes: 20_000})
		testkit.Check(t, err)
		if round > 0 && len(warnings) > 0 {
			t.Errorf("round %d: %q", round, warnings)
		}
		if got := valuesOf(t, s); !maps.Equal(got, want) {
			t.Fatalf("round %d: %v, want %v", round, got, want)
		}
		for n := range 20 {
			var values []Value
			for range 1 + rng.IntN(3) {
				v := Value{Key: id(rng.IntN(15))}
				if rng.IntN(4) > 0 {
					v.Data = bytes.Repeat([]byte{byte(n)}, rng.IntN(20_000)) // some groups are added as a table
				}
				values = append(values, v)
			}
			testkit.Check(t, s.PutValues(ctx, values))
			for _, v := range values {
				if v.Data == nil {
					delete(want, v.Key)
				} else {
					want[v.Key] = string(v.Data)
				}
			}
			if _, err := s.PutObject(ctx, nil, face(rng, id(rng.IntN(10)))); err != nil {
				t.Fatal(err)
			}
		}
		if got := valuesOf(t, s); !maps.Equal(got, want) {
			t.Fatalf("round %d: %v, want %v", round, got, want)
		}
		objects := c.clone()
		if round%3 == 2 { // simulates a killed process
			live = smallDisk(live.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}))
			sealed, mark := c.sealed, c.mark
			testkit.Check(t, s.Close())
			c.sealed, c.mark = sealed, mark
		} else {
			testkit.Check(t, s.Close())
		}
		if round%2 == 0 {
			c.sealed, c.mark = nil, nil // the next start reads the database
		}
		if err := s.EachValue(ctx, nil); matcher.CodeOf(err) != matcher.CodeUnavailable {
			t.Errorf("a closed store: %v", err)
		}
		if round == 9 {
			c.equal(t, objects)
		}
	}
}

// TestValuesAreSealed: commits of values trim the journal, although they change no object.
func TestValuesAreSealed(t *testing.T) {
	noLeaks(t)
	c := &modelCache{events: make(chan struct{}, 1)}
	s, _, err := c.open(Options{Dir: "/data", fs: vfs.NewMem(), SealAfter: 10})
	testkit.Check(t, err)
	for n := range 10 {
		testkit.Check(t, s.PutValues(ctx, []Value{{Key: id(n), Data: []byte("x")}}))
	}
	<-c.events
	testkit.Check(t, s.Close())
}

// recordedChanges is a Watcher that records changes as texts.
type recordedChanges struct {
	origins [matcher.Origins]bool
	seen    []string
}

func (r *recordedChanges) Watches(o matcher.Origin) bool { return r.origins[o] }

func (r *recordedChanges) Changed(changes []Change) {
	for _, c := range changes {
		text := fmt.Sprint(c.Kind, " ", c.Cause, " ")
		switch {
		case c.Object != nil:
			text += fmt.Sprint(c.Object.ID, c.Object.Lists, c.Object.Account.IsZero(), c.Object.Descriptors[0].IsZero())
		case c.List != nil:
			text += fmt.Sprint(c.List.ID, c.List.UserData)
		default:
			text += fmt.Sprint(c.ID, " without content")
		}
		r.seen = append(r.seen, text)
	}
}

// TestWatcher: the watcher receives all changes in the order of commits, with their cause.
// Deleted objects of watched origins have their content.
func TestWatcher(t *testing.T) {
	noLeaks(t)
	w := &recordedChanges{origins: [matcher.Origins]bool{matcher.Faces: true}}
	s, _ := open(t, Options{Dir: t.TempDir(), Watcher: w})
	rng := seeded()
	plugin := matcher.WithCause(ctx, matcher.PluginCause("p"))
	testkit.Check(t, s.CreateList(plugin, &matcher.List{ID: id(100), UserData: "u"}))
	testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(1), id(100))))
	testkit.Check(t, s.CreateObject(plugin, nil, &matcher.Object{Origin: matcher.Attributes, ID: id(2), Account: id(9)}))
	testkit.Check(t, s.Link(ctx, nil, id(100), []matcher.ID{id(1)}, true)) // it is in the list already
	failed := errors.New("failed")
	if err := s.Commit(plugin, func(tx *Tx) error { return errors.Join(tx.Put(face(rng, id(3))), failed) }); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	testkit.Check(t, errors.Join(s.Import(plugin, nil, []ImportLine{{Object: face(rng, id(4))}})...))
	_, err := s.DeleteObjects(matcher.WithCause(ctx, matcher.CauseExpiry), matcher.Attributes, func() ([]matcher.ID, error) { return []matcher.ID{id(2), id(3)}, nil })
	testkit.Check(t, err)
	testkit.Check(t, s.DeleteList(ctx, nil, id(100), nil))
	testkit.Check(t, s.DeleteObject(plugin, nil, matcher.Faces, id(1)))
	want := []string{
		fmt.Sprint(PutList, " plugin:p ", id(100), "u"),
		fmt.Sprint(PutObject, "  ", id(1), []matcher.ID{id(100)}, true, false),
		fmt.Sprint(PutObject, " plugin:p ", id(2), []matcher.ID(nil), false, true),
		fmt.Sprint(PutObject, " plugin:p ", id(4), []matcher.ID(nil), true, false),
		fmt.Sprint(DeleteObject, " expiry ", id(2), " without content"),
		fmt.Sprint(DeleteList, "  ", id(100), "u"),
		fmt.Sprint(DeleteObject, " plugin:p ", id(1), []matcher.ID(nil), true, true),
	}
	if fmt.Sprint(w.seen) != fmt.Sprint(want) {
		t.Errorf("%q\nwant\n%q", w.seen, want)
	}
}
