package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
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
	fault  error // of the next Restore
	seals  chan struct{}
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

func (c *modelCache) Capture() func(context.Context, string, []byte, int64) error {
	captured := c.clone()
	return func(_ context.Context, _ string, mark []byte, bytesMax int64) error {
		if bytesMax <= 0 {
			return errors.New("no space")
		}
		c.sealed, c.mark = captured, mark
		select {
		case c.seals <- struct{}{}:
		default:
		}
		return nil
	}
}

// open opens o with a new model and the cache, and returns what it warned of.
func (c *modelCache) open(o Options) (*Store, []string, error) {
	var warnings []string
	c.model = newModel()
	o.Applier, o.Cache = c.model, c
	o.Warn = func(msg string, args ...any) { warnings = append(warnings, fmt.Sprint(msg, args)) }
	s, err := Open(ctx, o)
	return s, warnings, err
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
			if s.restored == (round == 7) || (len(warnings) > 0) != (round == 7) {
				t.Fatalf("round %d: restored: %v, warnings %q", round, s.restored, warnings)
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
	c := &modelCache{seals: make(chan struct{}, 1)}
	s, _, err := c.open(Options{Dir: "/data", fs: vfs.NewMem(), SealAfter: 10})
	must(t, err)
	rng := seeded()
	for n := range 10 {
		must(t, s.CreateObject(ctx, nil, face(rng, id(n))))
	}
	<-c.seals
	must(t, s.Close())
	if len(c.sealed.objects) != 10 {
		t.Errorf("%d objects are sealed", len(c.sealed.objects))
	}
}

// TestDamageWithACache: a directory that is damaged and has a cache is refused
// untouched, or all is there and, when what the cache spared the start from
// reading is damaged, the store says so and writes nothing more.
func TestDamageWithACache(t *testing.T) { // a poisoned store leaves goroutines
	live := smallDisk(vfs.NewCrashableMem())
	c := &modelCache{}
	s, _, err := c.open(Options{Dir: "/data", fs: live})
	must(t, err)
	rng := seeded()
	var lines []ImportLine
	for n := range 600 {
		lines = append(lines, ImportLine{Object: face(rng, id(n))})
	}
	must(t, errors.Join(s.Import(ctx, nil, lines)...))
	must(t, s.Close())
	s, _, err = c.open(Options{Dir: "/data", fs: live})
	must(t, err)
	sealed, mark := c.sealed, c.mark
	for n := range 60 {
		must(t, s.CreateObject(ctx, nil, face(rng, id(1000+n))))
		if n == 20 {
			must(t, s.db.Flush())
		}
	}
	want := c.clone()
	base := smallDisk(live.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})) // of one moment: Pebble works on
	must(t, s.Close())

	tally := map[string]int{}
	damage := func(name string, change func(fs vfs.FS)) {
		fs := cloneFS(t, base)
		change(fs)
		before := hashOf(t, fs)
		c := &modelCache{sealed: sealed, mark: mark}
		s, _, err := c.open(Options{Dir: "/data", fs: fs})
		if err != nil {
			if tally["refused"]++; name == "nothing" {
				t.Fatal(err)
			}
			if hashOf(t, fs) != before {
				t.Errorf("%s: refused, but the directory was changed: %v", name, err)
			}
			return
		}
		c.equal(t, want)
		if !s.restored {
			tally["read as a whole"]++
		} else {
			<-s.verified
			if err := s.Err(); err == nil {
				tally["sound"]++
			} else if tally["found later"]++; !strings.Contains(err.Error(), "/data is damaged") || !strings.Contains(err.Error(), "export") {
				t.Errorf("%s: %v", name, err)
			}
		}
		_ = s.Close() // says it again, if so
	}
	damage("nothing", func(vfs.FS) {})
	if tally["sound"] != 1 {
		t.Fatalf("undamaged: %v", tally)
	}
	files := filesOf(t, base)
	flips := rand.New(rand.NewPCG(3, 4))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b := files[name]
		damage(path.Base(name)+" removed", func(fs vfs.FS) { must(t, fs.Remove(name)) })
		for range min(len(b), 12) {
			c := slices.Clone(b)
			c[flips.IntN(len(b))] ^= 1 << flips.IntN(8)
			damage(path.Base(name)+" flipped", func(fs vfs.FS) { setFile(t, fs, name, c) })
		}
	}
	t.Log(tally)
	if tally["refused"] == 0 || tally["found later"] == 0 {
		t.Errorf("%v", tally)
	}
}
