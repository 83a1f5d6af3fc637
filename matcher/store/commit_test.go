package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// storedObserver records the IDs of stored objects.
type storedObserver struct {
	matcher.Observers
	stored []matcher.ID
}

func (c *storedObserver) Stored(o *matcher.Object) { c.stored = append(c.stored, o.ID) }

func TestConcurrentCommits(t *testing.T) {
	noLeaks(t)
	s, m := open(t, Options{Dir: t.TempDir()})
	const writers, steps, own = 8, 150, 10
	// Each writer has its own IDs and knows their final content. All writers share a
	// list and a counter object.
	counter := &matcher.Object{Origin: matcher.Events, ID: id(9999)}
	testkit.Check(t, s.CreateObject(ctx, nil, counter))
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(5000)}))
	expected := make([]map[matcher.ID]string, writers)
	var wg sync.WaitGroup
	for w := range writers {
		want := map[matcher.ID]string{}
		expected[w] = want
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(w)))
			for step := range steps {
				which := id(w*100 + rng.IntN(own))
				switch rng.IntN(4) {
				case 0:
					err := s.DeleteObject(ctx, nil, matcher.Faces, which)
					if _, there := want[which]; there == (err != nil) {
						t.Errorf("delete of %s, which exists: %v: error %v", which, there, err)
					}
					delete(want, which)
				case 1:
					err := s.Commit(ctx, func(tx *Tx) error {
						o, err := tx.Object(matcher.Events, counter.ID)
						if err != nil {
							return err
						}
						o.CreateTime++
						return tx.Put(o)
					})
					if err != nil {
						t.Error(err)
					}
				default:
					o := face(rng, which, id(5000))
					o.UserData = fmt.Sprint(w, step)
					if _, err := s.PutObject(ctx, nil, o); err != nil {
						t.Error(err)
					}
					want[which] = o.UserData
				}
			}
		})
	}
	wg.Wait()
	_, m = reopen(t, s, m)
	faces := 0
	for _, want := range expected {
		for id, text := range want {
			faces++
			if o := m.object(matcher.Faces, id); o == nil || o.UserData != text {
				t.Errorf("%s is %v, want %q", id, o, text)
			}
		}
	}
	if len(m.objects) != faces+1 || len(m.faces(id(5000))) != faces {
		t.Errorf("%d objects, %d in the list; want %d faces", len(m.objects), len(m.faces(id(5000))), faces)
	}
	increments := 0
	for w := range writers { // repeats the random numbers of the writers
		rng := rand.New(rand.NewPCG(7, uint64(w)))
		for range steps {
			which := id(w*100 + rng.IntN(own))
			switch rng.IntN(4) {
			case 0:
			case 1:
				increments++
			default:
				face(rng, which)
			}
		}
	}
	if o := m.object(matcher.Events, counter.ID); int(o.CreateTime) != increments {
		t.Errorf("the counter is %d after %d increments", o.CreateTime, increments)
	}
}

func TestTransactionsFailAlone(t *testing.T) {
	noLeaks(t)
	seen := &storedObserver{}
	s, m := open(t, Options{Dir: t.TempDir(), Observer: seen})
	release := blockWriter(t, s)
	var wg sync.WaitGroup
	mine := errors.New("mine")
	errs := make([]error, 4)
	run := func(i int, fn func(tx *Tx) error) {
		wg.Go(func() { errs[i] = s.Commit(ctx, fn) })
	}
	run(0, func(tx *Tx) error { return tx.Put(face(seeded(), id(1))) })
	run(1, func(tx *Tx) error {
		tx.PutList(&matcher.List{ID: id(100)})
		return errors.Join(tx.Put(face(seeded(), id(2), id(100))), mine)
	})
	run(2, func(tx *Tx) error {
		tx.PutList(&matcher.List{ID: id(101)})
		panic("bad plugin")
	})
	run(3, func(tx *Tx) error { return tx.Put(face(seeded(), id(4))) })
	release()
	wg.Wait()
	if errs[0] != nil || !errors.Is(errs[1], mine) || errs[2] == nil || !strings.Contains(errs[2].Error(), "bad plugin") || errs[3] != nil {
		t.Errorf("got %v", errs)
	}
	if len(m.objects) != 2 || len(m.lists) != 0 || len(seen.stored) != 2 {
		t.Errorf("%d objects, %d lists, %d observed", len(m.objects), len(m.lists), len(seen.stored))
	}
	wantCode(t, s.CreateObject(ctx, nil, face(seeded(), id(5), id(101))), matcher.CodeListNotFound) // the table of lists was rolled back
	s, m = reopen(t, s, m)
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(101)}))
	reopen(t, s, m)
}

// blockWriter blocks the writer goroutine until the returned function is called.
func blockWriter(t *testing.T, s *Store) (release func()) {
	t.Helper()
	started, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.CommitAlone(ctx, func(*Tx) error {
			close(started)
			<-end
			return nil
		})
	}()
	<-started
	return func() {
		close(end)
		testkit.Check(t, <-done)
	}
}

func TestAdmit(t *testing.T) {
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
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = s.CreateObject(ctx, nil, face(seeded(), id(i))) })
	}
	release()
	wg.Wait()
	wantCode(t, errs[2], matcher.CodeFull)
	if err := errors.Join(errs[0], errs[1], errs[3]); err != nil || len(m.objects) != 3 {
		t.Errorf("errors of the other transactions: %v; %d objects, want 3", err, len(m.objects))
	}
	reopen(t, s, m)
}

func TestContextOfCommit(t *testing.T) {
	noLeaks(t)
	s, m := open(t, Options{Dir: t.TempDir()})
	release := blockWriter(t, s)
	short, cancel := context.WithCancel(ctx)
	result := make(chan error)
	go func() { result <- s.CreateObject(short, nil, face(seeded(), id(1))) }()
	cancel()
	err := <-result
	wantCode(t, err, matcher.CodeDeadline)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not wrap its cause", err)
	}
	release()
	testkit.Check(t, s.CreateObject(ctx, nil, face(seeded(), id(2))))
	if m.object(matcher.Faces, id(1)) != nil {
		t.Error("a transaction ran after its context ended")
	}
	// Once fn runs, Commit waits for the result.
	short, cancel = context.WithCancel(ctx)
	testkit.Check(t, s.Commit(short, func(tx *Tx) error {
		cancel()
		return tx.Put(face(seeded(), id(3)))
	}))
	if m.object(matcher.Faces, id(3)) == nil {
		t.Error("the write was not applied")
	}
}

func TestCommitAloneSeesTheCommittedState(t *testing.T) {
	noLeaks(t)
	s, m := open(t, Options{Dir: t.TempDir()})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 50 {
				if err := s.CreateObject(ctx, nil, face(rand.New(rand.NewPCG(1, 1)), id(w*100+n))); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				err := s.CommitAlone(ctx, func(tx *Tx) error {
					if len(tx.group.overlay) != 0 {
						return errors.New("the transaction sees uncommitted writes")
					}
					for n := range 400 {
						there, err := tx.Has(matcher.Faces, id(n))
						if err != nil {
							return err
						}
						if there != (m.object(matcher.Faces, id(n)) != nil) {
							return fmt.Errorf("face %d exists in the store: %v, but not so in the applier", n, there)
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestClose(t *testing.T) {
	noLeaks(t)
	s, m := open(t, Options{Dir: t.TempDir()})
	release := blockWriter(t, s)
	errs := make([]error, 20)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = s.CreateObject(ctx, nil, face(seeded(), id(i))) })
	}
	wg.Go(func() { testkit.Check(t, s.Close()) })
	release()
	wg.Wait()
	acked := 0
	for _, err := range errs { // each write was either stored or refused
		if err == nil {
			acked++
		} else {
			wantCode(t, err, matcher.CodeUnavailable)
		}
	}
	if acked != len(m.objects) {
		t.Errorf("%d acknowledged, %d applied", acked, len(m.objects))
	}
	wantCode(t, s.CreateObject(ctx, nil, face(seeded(), id(30))), matcher.CodeUnavailable)
	testkit.Check(t, s.Close())
	reopen(t, s, m)
}
