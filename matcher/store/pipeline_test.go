package store

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// slowWrites is a file system on which the writes of groups wait while hold is set.
type slowWrites struct {
	vfs.FS
	hold    atomic.Bool
	waiting chan struct{} // receives a value for each operation that waits
	results chan error    // what the operation that waits returns
}

// newSlowWrites returns a file system where the syncs of the log wait, or those of tables
// that are added. A group has one of them.
func newSlowWrites(disk vfs.FS, tables bool) *slowWrites {
	f := &slowWrites{waiting: make(chan struct{}), results: make(chan error)}
	f.FS = errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		isSync := slices.Contains([]errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}, op.Kind)
		isTarget := isLog(op.Path)
		if tables {
			isTarget = path.Base(op.Path) == nameTable
		}
		if !f.hold.Load() || !isSync || !isTarget {
			return nil
		}
		f.waiting <- struct{}{}
		return <-f.results
	}))
	return f
}

// start runs fn in a transaction, and returns a channel with its result.
func start(s *Store, fn func(tx *Tx) error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- s.Commit(ctx, fn) }()
	return result
}

// startOnTop writes face 1 in a new list, and waits until the write waits. Then it runs a
// transaction that must see these and replaces them by face 2. When it returns, the second
// transaction has run and its group has not been written.
func startOnTop(t *testing.T, s *Store, f *slowWrites) (first, second <-chan error) {
	t.Helper()
	f.hold.Store(true)
	want := face(seeded(), id(1), id(100))
	first = start(s, func(tx *Tx) error {
		tx.PutList(&matcher.List{ID: id(100)})
		return tx.Put(face(seeded(), id(1), id(100)))
	})
	<-f.waiting
	ran := make(chan struct{})
	second = start(s, func(tx *Tx) error {
		defer close(ran)
		o, err := tx.Object(matcher.Faces, id(1))
		if err != nil || o == nil || o.UserData != want.UserData || len(o.Lists) != 1 || tx.List(id(100)) == nil {
			return fmt.Errorf("face %v, error %w, list %v: the transaction does not see the group before it", o, err, tx.List(id(100)))
		}
		if err := tx.Delete(matcher.Faces, id(1)); err != nil {
			return err
		}
		return tx.Put(face(seeded(), id(2), id(100)))
	})
	<-ran
	return first, second
}

// TestTransactionsRunWhileAGroupIsWritten checks that a transaction runs before the group
// before it was written, and sees its writes, and that nobody else sees them until they
// are durable.
func TestTransactionsRunWhileAGroupIsWritten(t *testing.T) {
	for name, tableBytes := range map[string]int{"log": 1 << 30, "tables": 1} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			f := newSlowWrites(vfs.NewMem(), name == "tables")
			s, m := open(t, Options{Dir: "/data", fs: f, tableBytes: tableBytes})
			first, second := startOnTop(t, s, f)
			if len(first) > 0 || len(second) > 0 || m.object(matcher.Faces, id(1)) != nil || m.list(id(100)) != nil {
				t.Error("a group was answered or applied before it was written")
			}
			f.results <- nil
			testkit.Check(t, <-first)
			<-f.waiting // the second group
			if m.object(matcher.Faces, id(1)) == nil || m.object(matcher.Faces, id(2)) != nil || len(second) > 0 {
				t.Error("want the first group applied, and not the second one")
			}
			f.hold.Store(false)
			f.results <- nil
			testkit.Check(t, <-second)
			if m.object(matcher.Faces, id(1)) != nil || len(m.faces(id(100))) != 1 {
				t.Errorf("the list has the faces %v, want only face 2", m.faces(id(100)))
			}
			reopen(t, s, m)
		})
	}
}

// TestFailedGroupFailsTheNextOne checks that a group that was not written takes the
// transactions with it that have seen its writes, and that later writes work.
func TestFailedGroupFailsTheNextOne(t *testing.T) {
	noLeaks(t)
	f := newSlowWrites(vfs.NewMem(), true)
	s, m := open(t, Options{Dir: "/data", fs: f, tableBytes: 1})
	first, second := startOnTop(t, s, f)
	f.hold.Store(false)
	f.results <- syscall.ENOSPC
	wantCode(t, <-first, matcher.CodeFull)
	wantCode(t, <-second, matcher.CodeFull)
	if s.Err() != nil || m.applies > 0 {
		t.Errorf("the store is poisoned: %v; %d groups were applied", s.Err(), m.applies)
	}
	wantCode(t, s.CreateObject(ctx, nil, face(seeded(), id(3), id(100))), matcher.CodeListNotFound) // the table of lists was rolled back
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100)}))
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(1), id(100))))
	if m.held != 0 {
		t.Errorf("the applier was told of %d groups that were neither applied nor dropped", m.held)
	}
	reopen(t, s, m)
}

// TestPoisonFailsTheNextGroup checks that a transaction that has run on top of a group
// whose write poisons the store fails, too.
func TestPoisonFailsTheNextGroup(t *testing.T) {
	f := newSlowWrites(vfs.NewMem(), false)
	m := newModel()
	s, err := Open(ctx, Options{Dir: "/data", Applier: m, fs: f, tableBytes: 1 << 30})
	testkit.Check(t, err)
	first, second := startOnTop(t, s, f)
	f.hold.Store(false)
	f.results <- syscall.EIO
	wantCode(t, <-first, matcher.CodeUnavailable)
	wantCode(t, <-second, matcher.CodeUnavailable)
	wantCode(t, s.Close(), matcher.CodeUnavailable)
	if m.applies > 0 {
		t.Errorf("%d groups were applied", m.applies)
	}
}

// panickingObserver is an observer that panics.
type panickingObserver struct{ matcher.Observers }

func (panickingObserver) Stored(*matcher.Object) { panic("from Stored") }

// TestPanicWhileTheNextGroupIsWritten checks that a panic of the writer poisons the store and
// answers all callers, also those whose group is being written.
func TestPanicWhileTheNextGroupIsWritten(t *testing.T) {
	f := newSlowWrites(vfs.NewMem(), false)
	m := newModel()
	s, err := Open(ctx, Options{Dir: "/data", Applier: m, Observer: panickingObserver{}, fs: f, tableBytes: 1 << 30})
	testkit.Check(t, err)
	first, second := startOnTop(t, s, f)
	f.results <- nil
	<-f.waiting // the second group
	for _, result := range []<-chan error{first, second} {
		if err := <-result; matcher.CodeOf(err) != matcher.CodeUnavailable || !strings.Contains(err.Error(), "it is unknown whether this write is stored") {
			t.Errorf("error %v", err)
		}
	}
	f.hold.Store(false)
	f.results <- nil
	wantCode(t, s.Close(), matcher.CodeUnavailable)
	<-s.writerEnded
	if m.applies != 1 {
		t.Errorf("%d groups were applied, want only the one whose observer panicked", m.applies)
	}
}

// TestCommitAloneWaitsForTheGroupBefore checks that a transaction of its own group runs
// only when all earlier groups are applied, and before all later ones.
func TestCommitAloneWaitsForTheGroupBefore(t *testing.T) {
	noLeaks(t)
	f := newSlowWrites(vfs.NewMem(), false)
	s, m := open(t, Options{Dir: "/data", fs: f})
	first, second := startOnTop(t, s, f)
	alone := make(chan error, 1)
	r := &request{ctx: ctx, alone: true, done: make(chan struct{}), fn: func(tx *Tx) error {
		if m.object(matcher.Faces, id(2)) == nil || m.object(matcher.Faces, id(3)) != nil {
			return fmt.Errorf("the applier has %d objects, want those of the groups before", len(m.objects))
		}
		if there, err := tx.Has(matcher.Faces, id(3)); err != nil || there {
			return fmt.Errorf("sees a later write (error %w)", err)
		}
		return nil
	}}
	testkit.Check(t, s.enqueue(r))
	go func() { alone <- s.await(r) }()
	third := &request{ctx: ctx, done: make(chan struct{}), fn: func(tx *Tx) error { return tx.Put(face(seeded(), id(3))) }}
	testkit.Check(t, s.enqueue(third))
	f.results <- nil
	<-f.waiting
	f.hold.Store(false)
	f.results <- nil
	for _, result := range []<-chan error{first, second, alone} {
		testkit.Check(t, <-result)
	}
	testkit.Check(t, s.await(third))
	reopen(t, s, m)
}

// TestImportOfGroups imports groups without waiting, and compares with one Import after
// another.
func TestImportOfGroups(t *testing.T) {
	noLeaks(t)
	for _, tableBytes := range []int{1, 10_000} {
		o := func() Options { return Options{Dir: "/data", fs: smallDisk(vfs.NewMem()), tableBytes: tableBytes} }
		s, m := open(t, o())
		inOrder, want := open(t, o())
		rng, same := rand.New(rand.NewPCG(3, 4)), rand.New(rand.NewPCG(3, 4))
		im := s.NewImport(nil)
		var waits []func() []error
		for range 60 {
			waits = append(waits, im.Start(ctx, randomImport(rng)))
		}
		for i, wait := range waits {
			wanted := inOrder.Import(ctx, nil, randomImport(same))
			if got := wait(); fmt.Sprint(got) != fmt.Sprint(wanted) {
				t.Fatalf("group %d: errors %v, want %v", i, got, wanted)
			}
		}
		for _, l := range m.lists { // the times of imports differ
			l.CreateTime = 0
		}
		for _, l := range want.lists {
			l.CreateTime = 0
		}
		m.equal(t, want)
	}
}

// TestImportEndsAfterAFailedGroup checks that no group is stored after one that failed.
func TestImportEndsAfterAFailedGroup(t *testing.T) {
	noLeaks(t)
	s, m := open(t, Options{Dir: t.TempDir()})
	m.admit = func(changes []Change) error {
		for _, c := range changes {
			if c.Kind == PutObject && c.Object.ID == id(2) {
				return matcher.Errorf(matcher.CodeFull, "limits.memory: no room")
			}
		}
		return nil
	}
	release := blockWriter(t, s)
	im := s.NewImport(nil)
	var waits []func() []error
	for i := range 4 {
		waits = append(waits, im.Start(ctx, []ImportLine{{Object: face(seeded(), id(i))}}))
	}
	release()
	for i, wait := range waits {
		if err := wait()[0]; i < 2 {
			testkit.Check(t, err)
		} else {
			wantCode(t, err, matcher.CodeFull)
		}
	}
	if len(m.objects) != 2 {
		t.Errorf("%d objects, want the 2 before the group that failed", len(m.objects))
	}
}
