package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
	"nearside/simd"
)

// tee passes commits to a Memory and to an oracle. Changes that a start applies go only
// to the Memory.
type tee struct {
	*Memory
	*memorytest.Oracle
	live atomic.Bool
}

func (x *tee) Apply(changes []store.Change) {
	if x.live.Load() {
		x.ApplyChanges(changes)
	}
	x.Memory.Apply(changes)
}

// node is a store over a Memory, as in a server.
type node struct {
	*store.Store
	*tee
	w        *world
	dir      string
	warnings []string
	cached   bool
	killed   bool // closing does not seal
}

// cache is the cache of a process that may be killed before it seals.
type cache struct {
	*Memory
	killed *bool
}

func (c cache) Capture() store.Seal {
	if *c.killed {
		return func(context.Context, string, []byte, func(int64) error) error { return errors.New("killed") }
	}
	return c.Memory.Capture()
}

func newNode(t *testing.T, w *world) *node {
	o := memorytest.NewOracle(w.registry)
	return &node{w: w, dir: t.TempDir(), cached: true, tee: &tee{Oracle: o}}
}

// start opens the store, with or without its cache, and compares everything with the
// oracle. warnings are parts of the expected warnings. fast is whether the start must use
// segments instead of reading all records.
func (n *node) start(t *testing.T, fast bool, warnings ...string) {
	t.Helper()
	m := newMemory(t, n.w, simd.Kernels()[0], 1)
	o := n.Oracle
	n.tee = &tee{Memory: m, Oracle: o}
	n.warnings = nil
	options := store.Options{Dir: n.dir, Applier: n.tee, SealAfter: 1 << 30, Warn: func(msg string, args ...any) {
		n.warnings = append(n.warnings, fmt.Sprint(msg, args))
	}}
	if n.cached {
		options.Cache = cache{m, &n.killed}
	}
	s, err := store.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	n.Store = s
	t.Cleanup(func() { s.Close() })
	if len(n.warnings) != len(warnings) {
		t.Fatalf("warnings %q, want %q", n.warnings, warnings)
	}
	for i, part := range warnings {
		if !strings.Contains(n.warnings[i], part) {
			t.Fatalf("warning %q does not say %q", n.warnings[i], part)
		}
	}
	if restored := fromSegments(m); restored != fast {
		t.Fatalf("restored from segments: %v, want %v", restored, fast)
	}
	sameFaces(t, m, o.Faces)
	invariants(t, m)
	if _, lists := m.Lists(nil, matcher.Page{Size: 100}); lists != len(o.ListIDs) {
		t.Fatalf("%d lists, want %d", lists, len(o.ListIDs))
	}
	n.live.Store(true)
}

// fromSegments reports whether a store that was just opened used segments instead of
// reading all records.
func fromSegments(m *Memory) bool {
	for i := range m.tables.Newest.Views[matcher.Faces] {
		if v := &m.tables.Newest.Views[matcher.Faces][i]; v.Chunk != nil && v.Segment.Load() != nil {
			return true
		}
	}
	return false
}

func (n *node) stop(t *testing.T) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range n.warnings {
		if !strings.Contains(text, "could not be used") && (!n.killed || !strings.Contains(text, "killed")) {
			t.Fatal(text)
		}
	}
	n.killed = false
}

// write makes random commits of every kind.
func (n *node) write(t *testing.T, commits int) {
	t.Helper()
	w, ctx := n.w, t.Context()
	for range commits {
		var err error
		lists := slices.Sorted(maps.Keys(n.textLists()))
		switch l := testkit.Pick(w.Rand, w.lists...); w.IntN(9) {
		case 0:
			err = n.CreateList(ctx, &matcher.List{ID: l})
		case 1:
			err = n.DeleteList(ctx, nil, l, nil)
		case 2, 3:
			err = n.DeleteObject(ctx, nil, matcher.Faces, testkit.Pick(w.Rand, w.ids...))
		case 4:
			var lines []store.ImportLine
			for range 20 {
				x := w.face(nil, w.versions[3:6])
				x.Account = matcher.ID{}
				lines = append(lines, store.ImportLine{Object: x, AddList: l})
			}
			for _, e := range n.Import(ctx, nil, lines) {
				if e != nil {
					t.Fatal(e)
				}
			}
		default:
			var ids []matcher.ID
			for _, text := range lists {
				ids = append(ids, matcher.MustID(text))
			}
			_, err = n.PutObject(ctx, nil, w.face(ids, w.versions[3:6]))
		}
		switch matcher.CodeOf(err) {
		case matcher.CodeListExists, matcher.CodeListNotFound, matcher.CodeFaceNotFound:
		default:
			if err != nil && !changesAccount(err) {
				t.Fatal(err)
			}
		}
	}
}

func (n *node) textLists() map[string]bool {
	texts := map[string]bool{}
	for id := range n.ListIDs {
		texts[id.String()] = true
	}
	return texts
}

// copyDir copies a folder, like a backup.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestStarts takes one data directory through many starts. Its segments are current, old,
// missing, damaged, from another directory, or from a different history.
func TestStarts(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	w := newWorld(11)
	n := newNode(t, w)
	segments := filepath.Join(n.dir, "segments")
	n.start(t, false)
	n.write(t, 150)
	n.stop(t)
	n.start(t, true) // sealed when it stopped
	n.stop(t)
	old := t.TempDir()
	copyDir(t, segments, old)
	n.start(t, true) // not sealed again, and still valid
	n.write(t, 60)
	n.stop(t)
	copyDir(t, old, segments)
	n.start(t, false, "does not lead from there to commit") // the journal was trimmed
	n.stop(t)

	n.start(t, true)
	n.write(t, 30)
	n.stop(t)
	files := segmentFiles(t, segments)
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	n.start(t, false, files[1])
	n.stop(t)
	n.start(t, true)
	n.stop(t)
	if err := os.RemoveAll(segments); err != nil {
		t.Fatal(err)
	}
	n.start(t, false)
	n.stop(t)

	n.cached = false // like an older program, or one without segments
	n.start(t, false)
	n.write(t, 5)
	n.stop(t)
	n.cached = true
	n.start(t, false, "does not lead from there to commit")
	n.write(t, 5)
	n.stop(t)

	other := newNode(t, w)
	other.start(t, false)
	other.write(t, 150)
	other.stop(t)
	copyDir(t, segments, filepath.Join(other.dir, "segments"))
	other.start(t, false, "belong to the data directory with ID")
	other.stop(t)
	other.start(t, true)
	other.stop(t)
}

// TestJournal starts after commits of every kind that came after the last sealing.
func TestJournal(t *testing.T) {
	for seed := range uint64(6) {
		w := newWorld(20 + seed)
		n := newNode(t, w)
		n.start(t, false)
		n.write(t, 80)
		n.stop(t)
		for round := range 5 {
			n.start(t, true)
			n.write(t, 1+w.IntN(60))
			n.killed = round != 2
			n.stop(t)
		}
		n.start(t, true)
		n.stop(t)
	}
}

// TestSegmentsOfOtherHistory tests segments from a copy of the directory with a different
// history.
func TestSegmentsOfOtherHistory(t *testing.T) {
	w := newWorld(12)
	n := newNode(t, w)
	n.start(t, false)
	n.write(t, 100)
	n.stop(t)
	twin := newNode(t, w)
	copyDir(t, n.dir, twin.dir)
	past := n.Oracle
	twin.Oracle = &memorytest.Oracle{Registry: w.registry, Faces: maps.Clone(past.Faces), ListIDs: maps.Clone(past.ListIDs)}
	n.start(t, true)
	n.write(t, 20)
	n.stop(t)
	twin.start(t, true)
	twin.write(t, 60)
	twin.killed = true // so it keeps its whole journal
	twin.stop(t)
	copyDir(t, filepath.Join(n.dir, "segments"), filepath.Join(twin.dir, "segments"))
	twin.start(t, false, "does not lead from there to commit")
	twin.stop(t)
	// Segments of a later commit than the directory has.
	twin.start(t, true)
	twin.write(t, 60)
	twin.stop(t)
	copyDir(t, filepath.Join(twin.dir, "segments"), filepath.Join(n.dir, "segments"))
	n.start(t, false, "but the last commit of the database is")
	n.stop(t)
}
