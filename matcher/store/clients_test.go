package store

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// client writes faces that no other client writes. So it knows what must be stored.
type client struct {
	store   *Store
	applier *model
	rng     *rand.Rand
	number  int
	list    matcher.ID
	want    map[matcher.ID]string // user data of its faces, by ID
}

// clientFaces is the number of faces of a client. It is small, so that writes depend on the
// writes before them.
const clientFaces = 12

func (c *client) faceID(n int) matcher.ID { return id(1000*c.number + n) }

func (c *client) pick() matcher.ID { return c.faceID(c.rng.IntN(clientFaces)) }

// put puts a face in a transaction.
func (c *client) put(tx *Tx, want map[matcher.ID]string) error {
	o := face(c.rng, c.pick(), c.list)
	want[o.ID] = o.UserData
	return tx.Put(o)
}

// write runs a random write. After an error, c.want has what must be stored nevertheless.
func (c *client) write() error {
	want := maps.Clone(c.want)
	var err error
	switch c.rng.IntN(5) {
	case 0:
		err = c.store.Commit(ctx, func(tx *Tx) error { return errors.Join(c.put(tx, want), c.put(tx, want), c.put(tx, want)) })
	case 1:
		err = c.replace(want)
	case 2:
		err = c.deleteMany(want)
	case 3:
		return c.importGroups()
	case 4:
		err = c.store.DeleteList(ctx, nil, c.list, nil)
	}
	if err == nil {
		c.want = want
	}
	return err
}

// replace deletes a face, and creates a face in the same transaction.
func (c *client) replace(want map[matcher.ID]string) error {
	return c.store.Commit(ctx, func(tx *Tx) error {
		deleted := c.pick()
		_, wanted := c.want[deleted]
		if got, err := tx.Has(matcher.Faces, deleted); err != nil || got != wanted {
			return fmt.Errorf("face %s: exists: %v, want %v, error %w", deleted, got, wanted, err)
		}
		delete(want, deleted)
		return errors.Join(tx.Delete(matcher.Faces, deleted), c.put(tx, want))
	})
}

// deleteMany deletes some faces in a group of their own.
func (c *client) deleteMany(want map[matcher.ID]string) error {
	_, err := c.store.DeleteObjects(ctx, matcher.Faces, func() ([]matcher.ID, error) {
		if err := c.check(); err != nil {
			return nil, err
		}
		ids := []matcher.ID{c.pick(), c.pick(), c.pick()}
		for _, id := range ids {
			delete(want, id)
		}
		return ids, nil
	})
	return err
}

// importGroups imports three groups without waiting for the groups before.
func (c *client) importGroups() (err error) {
	want, after := maps.Clone(c.want), [3]map[matcher.ID]string{}
	var waits [3]func() []error
	target := c.store.NewImport(nil)
	for i := range waits {
		var lines []ImportLine
		for range 1 + c.rng.IntN(6) {
			o := face(c.rng, c.pick())
			lines = append(lines, ImportLine{Object: o, AddList: c.list})
			want[o.ID] = o.UserData
		}
		after[i], waits[i] = maps.Clone(want), target.Start(ctx, lines)
	}
	for i, wait := range waits {
		group := errors.Join(wait()...)
		switch {
		case err == nil && group == nil:
			c.want = after[i]
		case err == nil:
			err = group
		case group == nil:
			return fmt.Errorf("group %d was stored after a group that failed", i)
		}
	}
	return err
}

// check compares the faces of the client in the applier with c.want.
func (c *client) check() error {
	for n := range clientFaces {
		id := c.faceID(n)
		o := c.applier.object(matcher.Faces, id)
		if want, wanted := c.want[id]; (o != nil) != wanted || wanted && o.UserData != want {
			return fmt.Errorf("face %s: got %v, want %q, exists: %v", id, o, want, wanted)
		}
	}
	return nil
}

// makeList creates the list of the client if it does not exist, and tries again while the
// disk is full. A new list must be empty.
func (c *client) makeList() error {
	if c.applier.list(c.list) != nil {
		return nil
	}
	for {
		err := c.store.CreateList(ctx, &matcher.List{ID: c.list})
		if matcher.CodeOf(err) == matcher.CodeFull {
			continue
		}
		if faces := c.applier.faces(c.list); err == nil && len(faces) > 0 {
			return fmt.Errorf("the new list %s has faces", c.list)
		}
		return err
	}
}

// run writes until a result is wrong. A write may fail only because the disk is full.
func (c *client) run(writes int) error {
	for range writes {
		if err := c.makeList(); err != nil {
			return err
		}
		if err := c.write(); err != nil && matcher.CodeOf(err) != matcher.CodeFull {
			return err
		}
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}

// TestClientsWhileTablesFail checks that each answer of a write is true while many clients
// write, the cache is sealed, and some groups cannot be written: after an answer without an
// error the write is visible and durable, and after an error nothing of it is stored.
func TestClientsWhileTablesFail(t *testing.T) {
	for _, tableBytes := range []int{1, 3000} { // all groups are tables, or large groups
		t.Run(strconv.Itoa(tableBytes), func(t *testing.T) {
			noLeaks(t)
			var on atomic.Bool
			var syncs atomic.Int64
			fs := errorfs.Wrap(smallDisk(vfs.NewMem()), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if on.Load() && op.Kind == errorfs.OpFileSyncData && path.Base(op.Path) == nameTable && syncs.Add(1)%4 == 0 {
					return syscall.ENOSPC
				}
				return nil
			}))
			cache := &modelCache{}
			s, m := open(t, Options{Dir: "/data", fs: fs, tableBytes: tableBytes, Cache: cache, SealAfter: 50})
			cache.model = m
			on.Store(true)
			var clients sync.WaitGroup
			for n := range 8 {
				clients.Go(func() {
					c := &client{store: s, applier: m, rng: rand.New(rand.NewPCG(uint64(n), uint64(tableBytes))), number: n, list: id(30_000 + n)}
					c.want = map[matcher.ID]string{}
					if err := c.run(60); err != nil {
						t.Errorf("client %d: %v", n, err)
					}
				})
			}
			clients.Wait()
			on.Store(false)
			if syncs.Load() < 4 {
				t.Error("no group failed")
			}
			want := m.clone()
			testkit.Check(t, s.Close())
			if m.held != 0 {
				t.Errorf("the applier was told of %d groups that were neither applied nor dropped", m.held)
			}
			s, warnings, err := cache.open(Options{Dir: "/data", fs: fs})
			testkit.Check(t, err)
			cache.equal(t, want)
			<-s.verifier.ended
			if s.Err() != nil || len(warnings) > 0 {
				t.Errorf("error %v, warnings %q", s.Err(), warnings)
			}
			testkit.Check(t, s.Close())
			_, fromDatabase := open(t, Options{Dir: "/data", fs: fs})
			fromDatabase.equal(t, want)
		})
	}
}
