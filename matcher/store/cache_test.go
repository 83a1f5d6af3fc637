package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/matcher"
)

// modelCache is a cache of a model, in memory. It outlives the stores.
type modelCache struct {
	*model // of the store that is open
	sealed *model
	mark   []byte
	fault  error         // of the next Restore
	events chan struct{} // nil, or told of each sealing and dropping
}

func (c *modelCache) Restore(context.Context, string) ([]byte, error) {
	if c.sealed == nil || c.fault != nil {
		return nil, c.fault
	}
	c.objects, c.lists = maps.Clone(c.sealed.objects), maps.Clone(c.sealed.lists)
	return c.mark, nil
}

func (c *modelCache) Records() uint64 { return uint64(len(c.objects) + len(c.lists)) }

func (c *modelCache) Discard() { c.objects, c.lists = newModel().objects, newModel().lists }

func (c *modelCache) Capture() Seal {
	captured := c.clone()
	return func(_ context.Context, _ string, mark []byte, room func(int64) error) error {
		if err := room(1 << 20); err != nil {
			return err
		}
		c.sealed, c.mark = captured, mark
		c.tell()
		return nil
	}
}

func (c *modelCache) Drop(string) error {
	c.sealed, c.mark = nil, nil
	c.tell()
	return nil
}

func (c *modelCache) tell() {
	select {
	case c.events <- struct{}{}:
	default:
	}
}

// copyOf returns a cache with the same copy, whatever becomes of c.
func (c *modelCache) copyOf() *modelCache { return &modelCache{sealed: c.sealed, mark: c.mark} }

// open opens o with a new model and the cache, and returns what it warned of.
func (c *modelCache) open(o Options) (*Store, []string, error) {
	var warnings []string
	c.model = newModel()
	o.Applier, o.Cache = c.model, c
	o.Warn = func(msg string, args ...any) { warnings = append(warnings, fmt.Sprint(msg, args)) }
	s, err := Open(ctx, o)
	return s, warnings, err
}

// openCached is open with a cache that is sealed by sealNow and at the end.
func openCached(t *testing.T, o Options) (*Store, *modelCache) {
	t.Helper()
	c := &modelCache{}
	o.Cache, o.SealAfter = c, math.MaxInt
	s, m := open(t, o)
	c.model = m
	return s, c
}

func sealNow(t *testing.T, s *Store) {
	t.Helper()
	var seal Seal
	must(t, s.CommitAlone(ctx, func(*Tx) error {
		seal = s.sealer.capture()
		return nil
	}))
	must(t, s.sealer.seal(ctx, seal))
}

// TestCacheIsFollowed: each start is the state, from the cache and the journal
// when they fit, whatever was written since.
func TestCacheIsFollowed(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	live := smallDisk(vfs.NewCrashableMem())
	c := &modelCache{}
	var want *model
	for round := range 12 {
		s, warnings, err := c.open(Options{Dir: "/data", fs: live})
		must(t, err)
		if round > 0 {
			c.equal(t, want)
			if s.sealer.current == (round == 7) || (len(warnings) > 0) != (round == 7) {
				t.Fatalf("round %d: restored: %v, warnings %q", round, s.sealer.current, warnings)
			}
		}
		for n := range 30 {
			switch list := id(200 + rng.IntN(3)); rng.IntN(4) {
			case 0:
				if err := s.DeleteList(ctx, nil, list, nil); err != nil {
					must(t, s.CreateList(ctx, &matcher.List{ID: list, UserData: strconv.Itoa(n)}))
				}
			case 1:
				err := s.DeleteObject(ctx, nil, matcher.Faces, id(rng.IntN(40)))
				if err != nil {
					wantCode(t, err, matcher.CodeFaceNotFound)
				}
			default:
				must(t, errors.Join(s.Import(ctx, nil, []ImportLine{{Object: face(rng, id(rng.IntN(40))), AddList: list}})...))
			}
		}
		want = c.clone()
		if round%3 == 2 { // killed
			live = smallDisk(live.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}))
			sealed, mark := c.sealed, c.mark
			must(t, s.Close())
			c.sealed, c.mark = sealed, mark
		} else {
			must(t, s.Close())
		}
		if round == 6 {
			c.fault = errors.New("damaged")
		} else {
			c.fault = nil
		}
	}
}

// TestSealing: the cache is sealed after so many changes, and the journal
// trimmed.
func TestSealing(t *testing.T) {
	noLeaks(t)
	c := &modelCache{events: make(chan struct{}, 1)}
	s, _, err := c.open(Options{Dir: "/data", fs: vfs.NewMem(), SealAfter: 10})
	must(t, err)
	rng := seeded()
	for n := range 10 {
		must(t, s.CreateObject(ctx, nil, face(rng, id(n))))
	}
	<-c.events
	must(t, s.Close())
	if len(c.sealed.objects) != 10 {
		t.Errorf("%d objects are sealed", len(c.sealed.objects))
	}
}

// TestNoRoomToSeal: writes come before the cache; one that is too old to be
// followed is dropped, with its journal.
func TestNoRoomToSeal(t *testing.T) {
	noLeaks(t)
	disk := &diskFS{FS: vfs.NewMem()}
	disk.free.Store(1 << 40)
	disk.total.Store(64 << 20)
	c := &modelCache{events: make(chan struct{}, 1)}
	o := Options{Dir: "/data", fs: disk, SealAfter: 10}
	s, _, err := c.open(o)
	must(t, err)
	rng := seeded()
	for n := range 10 {
		must(t, s.CreateObject(ctx, nil, face(rng, id(n))))
	}
	<-c.events
	disk.free.Store(9 << 19) // the reserve is 2 MiB
	s.sealer.changes.Add(journalKeysMin)
	for n := range 10 {
		must(t, s.CreateObject(ctx, nil, face(rng, id(100+n))))
	}
	<-c.events
	want := c.clone()
	must(t, s.Close())
	if c.sealed != nil {
		t.Error("a copy was kept that is of no use")
	}
	disk.free.Store(1 << 40)
	o.SealAfter = 0 // not at once
	s, warnings, err := c.open(o)
	must(t, err)
	c.equal(t, want)
	if s.sealer.current || len(warnings) > 0 {
		t.Errorf("the start was from %v, with the warnings %q", c.mark, warnings)
	}
	entries := 0
	it, err := s.db.NewIter(nil)
	must(t, err)
	for it.First(); it.Valid(); it.Next() {
		entries += strings.Count(string(it.Key()[:1]), string(rune(kindJournal)))
	}
	must(t, it.Close())
	if entries > 10 {
		t.Errorf("%d entries of the journal are left", entries)
	}
	must(t, s.Close())
}
