package store

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// TestTableCutShort stops the machine at any file operation of commits that go through
// the log and through tables. Acknowledged commits must survive. Of the commit in
// progress, either all writes or no writes must survive.
func TestTableCutShort(t *testing.T) {
	noLeaks(t)
	for _, unsynced := range []int{0, 100} {
		cuts := 0
		for after := 0; ; after += 1 + after/20 {
			fs := smallDisk(vfs.NewCrashableMem())
			s, _ := open(t, Options{Dir: "/data", fs: fs}) // creates the directory without a cut
			testkit.Check(t, s.Close())
			commits, states := cutShort(t, fs, after, unsynced)
			if commits < 0 {
				break
			}
			cuts++
			var found *model
			t.Run("open", func(t *testing.T) {
				fs := states.crashed
				s, found = open(t, Options{Dir: "/data", fs: smallDisk(fs)})
				if s.state.commits != uint64(commits) && s.state.commits != uint64(commits)+1 {
					t.Fatalf("%d commits were acknowledged, %d were found", commits, s.state.commits)
				}
				found.equal(t, states.after[s.state.commits])
				noOrphans(t, s, fs)
				testkit.Check(t, errors.Join(s.Import(ctx, nil, facesOf(seeded(), 500, 30, id(100)))...))
				reopen(t, s, found)
			})
			if t.Failed() {
				t.Fatalf("cut after %d operations, %d %% of the unsynced data survived", after, unsynced)
			}
		}
		if cuts < 40 {
			t.Errorf("cut at %d places, want at least 40", cuts)
		}
	}
}

// cutStates holds the models after each commit, and the file system at the cut.
type cutStates struct {
	after   []*model
	crashed *vfs.MemFS
}

// cutShort runs a few commits and stops the machine after the given number of write
// operations. It returns the number of commits acknowledged by then, and the states.
// The number is -1 if there were fewer operations.
func cutShort(t *testing.T, fs *vfs.MemFS, after, unsynced int) (commits int, states cutStates) {
	t.Helper()
	var mu sync.Mutex
	left, answered := after, 0
	commits = -1
	injected := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpLock || strings.HasSuffix(op.Path, nameLock) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if left--; left == -1 {
			states.crashed = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(5, 6))})
			commits = answered
		}
		return nil
	}))
	m := newModel()
	s, err := Open(ctx, Options{Dir: "/data", Applier: m, fs: injected, tableBytes: 10_000})
	testkit.Check(t, err)
	rng := seeded()
	states.after = []*model{m.clone()}
	step := func(err error) {
		testkit.Check(t, err)
		mu.Lock()
		defer mu.Unlock()
		answered++
		states.after = append(states.after, m.clone())
	}
	step(s.CreateObject(ctx, nil, face(rng, id(1))))
	for n := range 3 {
		step(errors.Join(s.Import(ctx, nil, facesOf(rng, 10*n, 40, id(100+n)))...))
	}
	step(s.DeleteObject(ctx, nil, matcher.Faces, id(20)))
	step(errors.Join(s.Import(ctx, nil, facesOf(rng, 0, 40, id(100)))...))
	testkit.Check(t, s.Close())
	mu.Lock()
	defer mu.Unlock()
	return commits, states
}
