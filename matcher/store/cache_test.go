package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// modelCache is a cache of a model, in memory. It is kept when a store is closed.
type modelCache struct {
	*model // of the open store
	sealed *model
	mark   []byte
	fault  error         // returned by Restore
	events chan struct{} // receives a value after each seal and drop, unless it is nil or full
}

func (c *modelCache) Restore(context.Context, string, Progress) ([]byte, error) {
	if c.sealed == nil || c.fault != nil {
		return nil, c.fault
	}
	c.objects, c.lists = maps.Clone(c.sealed.objects), maps.Clone(c.sealed.lists)
	return c.mark, nil
}

func (c *modelCache) Records() uint64 { return uint64(len(c.objects) + len(c.lists)) }

func (c *modelCache) ListCount() int { return len(c.lists) }

func (c *modelCache) Discard() { c.objects, c.lists = newModel().objects, newModel().lists }

func (c *modelCache) Capture() Seal {
	captured := c.clone()
	return func(_ context.Context, _ string, mark []byte, room func(int64) error) error {
		if err := room(1 << 20); err != nil {
			return err
		}
		c.sealed, c.mark = captured, mark
		c.notify()
		return nil
	}
}

func (c *modelCache) Drop(string) error {
	c.sealed, c.mark = nil, nil
	c.notify()
	return nil
}

func (c *modelCache) notify() {
	select {
	case c.events <- struct{}{}:
	default:
	}
}

// copyOf returns a cache with the same sealed copy. Later changes of c do not affect it.
func (c *modelCache) copyOf() *modelCache { return &modelCache{sealed: c.sealed, mark: c.mark} }

// open opens a store with a new model and the cache c. It returns the warnings of Open.
func (c *modelCache) open(o Options) (*Store, []string, error) {
	var mu sync.Mutex // the verification warns from its own goroutine
	var warnings []string
	c.model = newModel()
	o.Applier, o.Cache = c.model, c
	o.Warn = func(msg string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, fmt.Sprint(msg, args))
	}
	s, err := Open(ctx, o)
	mu.Lock()
	defer mu.Unlock()
	return s, slices.Clone(warnings), err
}

// openCached opens a store with a new cache, which is sealed only by sealNow and by
// Close.
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
	testkit.Check(t, s.CommitAlone(ctx, func(*Tx) error {
		seal = s.sealer.capture()
		return nil
	}))
	testkit.Check(t, s.sealer.seal(ctx, seal, s.sealer.checkSpace))
}

// TestCacheIsFollowed checks that each start restores the state of the data, and that
// it uses the cache and the journal if they are valid.
func TestCacheIsFollowed(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	live := smallDisk(vfs.NewCrashableMem())
	c := &modelCache{}
	var want *model
	for round := range 12 {
		s, warnings, err := c.open(Options{Dir: "/data", fs: live})
		testkit.Check(t, err)
		if round > 0 {
			c.equal(t, want)
			if s.sealer.current == (round == 7) || (len(warnings) > 0) != (round == 7) {
				t.Fatalf("round %d: restored from the cache: %v, warnings %q", round, s.sealer.current, warnings)
			}
		}
		for n := range 30 {
			switch list := id(200 + rng.IntN(3)); rng.IntN(4) {
			case 0:
				if err := s.DeleteList(ctx, nil, list, nil); err != nil {
					testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: list, UserData: strconv.Itoa(n)}))
				}
			case 1:
				err := s.DeleteObject(ctx, nil, matcher.Faces, id(rng.IntN(40)))
				if err != nil {
					wantCode(t, err, matcher.CodeFaceNotFound)
				}
			default:
				testkit.Check(t, errors.Join(s.Import(ctx, nil, []ImportLine{{Object: face(rng, id(rng.IntN(40))), AddList: list}})...))
			}
		}
		want = c.clone()
		if round%3 == 2 { // simulates a killed process
			live = smallDisk(live.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}))
			sealed, mark := c.sealed, c.mark
			testkit.Check(t, s.Close())
			c.sealed, c.mark = sealed, mark
		} else {
			testkit.Check(t, s.Close())
		}
		if round == 6 {
			c.fault = errors.New("damaged")
		} else {
			c.fault = nil
		}
	}
}

// TestSealing checks that the cache is sealed after SealAfter changes.
func TestSealing(t *testing.T) {
	noLeaks(t)
	c := &modelCache{events: make(chan struct{}, 1)}
	s, _, err := c.open(Options{Dir: "/data", fs: vfs.NewMem(), SealAfter: 10})
	testkit.Check(t, err)
	rng := seeded()
	for n := range 10 {
		testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(n))))
	}
	<-c.events
	testkit.Check(t, s.Close())
	if len(c.sealed.objects) != 10 {
		t.Errorf("%d objects are sealed, want 10", len(c.sealed.objects))
	}
}

// TestNoSpaceToSeal checks that the cache is not sealed when disk space is short, and
// that a cache that is too old to be followed is dropped together with its journal.
func TestNoSpaceToSeal(t *testing.T) {
	noLeaks(t)
	disk := &diskFS{FS: vfs.NewMem()}
	disk.free.Store(1 << 40)
	disk.total.Store(64 << 20)
	c := &modelCache{events: make(chan struct{}, 1)}
	o := Options{Dir: "/data", fs: disk, SealAfter: 10}
	s, _, err := c.open(o)
	testkit.Check(t, err)
	rng := seeded()
	for n := range 10 {
		testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(n))))
	}
	<-c.events
	disk.free.Store(9 << 19) // the reserve is 2 MiB
	s.sealer.changes.Add(journalKeysMin)
	for n := range 10 {
		testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(100+n))))
	}
	<-c.events
	want := c.clone()
	testkit.Check(t, s.Close())
	if c.sealed != nil {
		t.Error("a useless copy was kept")
	}
	disk.free.Store(1 << 40)
	o.SealAfter = 0 // the default, so that the cache is not sealed at once
	s, warnings, err := c.open(o)
	testkit.Check(t, err)
	c.equal(t, want)
	if s.sealer.current || len(warnings) > 0 {
		t.Errorf("the start used a cache with mark %v, warnings %q; want no cache and no warnings", c.mark, warnings)
	}
	entries := 0
	it, err := s.db.NewIter(nil)
	testkit.Check(t, err)
	for it.First(); it.Valid(); it.Next() {
		entries += strings.Count(string(it.Key()[:1]), string(rune(kindJournal)))
	}
	testkit.Check(t, it.Close())
	if entries > 10 {
		t.Errorf("%d entries of the journal are left, want at most 10", entries)
	}
	testkit.Check(t, s.Close())
}
