package memory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/simd"
)

// soakTime is how long TestSoak runs: SOAK_TIME, or a few seconds.
func soakTime(t *testing.T) time.Duration {
	text := os.Getenv("SOAK_TIME")
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOAK_TIME: %v", err)
	}
	return d
}

// soak is a store over a memory, with a history between them.
type soak struct {
	t        *testing.T
	world    *world
	versions []*matcher.Version
	memory   *Memory
	store    *store.Store
	history  *history

	written, refused, answered, ambiguous atomic.Int64
}

// TestSoak lets writers, deleters and matchers work at once. Every answer must
// be that of some state between its start and its end, all candidate sets of a
// request that of the same state; in the end, what is in memory is what was
// written, and what the store opens again.
func TestSoak(t *testing.T) {
	kernel, err := simd.Select("auto")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(11)
	m, err := New(Options{Registry: w.registry, Kernel: kernel, Workers: 2, chunkRows: 2048})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := &soak{t: t, world: w, versions: w.versions[:6], memory: m, history: newHistory(m)}
	dir := t.TempDir()
	if s.store, err = store.Open(t.Context(), store.Options{Dir: dir, Applier: s.history}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), soakTime(t))
	defer cancel()
	var all sync.WaitGroup
	run := func(n int, step func(w *world)) {
		for i := range n {
			own := *w
			own.Rand = rand.New(rand.NewPCG(uint64(i), uint64(reflect.ValueOf(step).Pointer())))
			all.Go(func() {
				for ctx.Err() == nil && !t.Failed() {
					step(&own)
				}
			})
		}
	}
	run(3, s.write)
	run(1, s.writeMany)
	run(1, s.disturb)
	run(2, s.match)
	run(1, s.read)
	all.Wait()

	t.Logf("%d states, %d writes, %d refused, %d answers, %d of them with several states to come from",
		s.history.done.Load(), s.written.Load(), s.refused.Load(), s.answered.Load(), s.ambiguous.Load())
	s.end(dir)
}

// must counts a write; those that an earlier one made impossible are fine.
func (s *soak) must(err error) {
	switch matcher.CodeOf(err) {
	case matcher.CodeFaceExists, matcher.CodeFaceNotFound, matcher.CodeListExists, matcher.CodeListNotFound, matcher.CodeFull,
		matcher.CodeForbidden:
		s.refused.Add(1)
	default:
		if err != nil {
			s.t.Error(err)
		}
		s.written.Add(1)
	}
}

func (s *soak) face(w *world) *matcher.Object { return w.face(w.lists, s.versions) }

// write does one of the writes that clients do.
func (s *soak) write(w *world) {
	ctx := s.t.Context()
	list, id := pick(w, w.lists), pick(w, w.ids)
	switch w.IntN(12) {
	case 0:
		s.must(s.store.CreateList(ctx, &matcher.List{ID: list}))
	case 1:
		var faces func() ([]matcher.ID, error)
		if w.IntN(2) == 0 {
			faces = func() ([]matcher.ID, error) {
				return s.memory.IDs(ctx, matcher.Faces, &matcher.Filter{ListID: &list}, nil)
			}
		}
		s.must(s.store.DeleteList(ctx, nil, list, faces))
	case 2, 3:
		s.must(s.store.Link(ctx, nil, list, []matcher.ID{id, pick(w, w.ids)}, w.IntN(3) > 0))
	case 4:
		o := s.face(w)
		o.Lists = nil
		s.must(s.store.CreateObject(ctx, nil, o))
	case 5, 6:
		o := s.face(w)
		s.must(s.store.PatchObject(ctx, nil, matcher.Faces, o.ID, func(old *matcher.Object) error {
			old.Descriptors, old.Age, old.UserData = o.Descriptors, o.Age, o.UserData
			return nil
		}))
	case 7, 8, 9:
		s.must(s.store.DeleteObject(ctx, nil, matcher.Faces, id))
	default:
		_, err := s.store.PutObject(ctx, nil, s.face(w))
		s.must(err)
	}
}

// writeMany imports and deletes many at once.
func (s *soak) writeMany(w *world) {
	ctx := s.t.Context()
	if w.IntN(4) == 0 {
		f := matcher.Filter{ListID: new(pick(w, w.lists)), Age: matcher.Range[uint8]{LT: new(uint8(40))}}
		_, err := s.store.DeleteObjects(ctx, matcher.Faces, func() ([]matcher.ID, error) {
			return s.memory.IDs(ctx, matcher.Faces, &f, nil)
		})
		s.must(err)
		return
	}
	var lines []store.ImportLine
	for range w.IntN(200) {
		line := store.ImportLine{Object: s.face(w), HasLists: w.IntN(2) == 0}
		if w.IntN(3) == 0 {
			line.AddList = pick(w, w.lists)
		}
		lines = append(lines, line)
	}
	for _, err := range s.store.Import(ctx, nil, lines) {
		s.must(err)
	}
}

// disturb makes memory short, so that it reclaims and refuses, and collects
// garbage, so that dropped chunks are unmapped.
func (s *soak) disturb(w *world) {
	switch w.IntN(4) {
	case 0:
		s.memory.SetBytesMax(s.memory.Stats().Bytes + w.Int64N(20_000))
	case 1:
		runtime.GC()
	default:
		s.memory.SetBytesMax(0)
	}
	if _, err := s.memory.Find(s.t.Context(), matcher.Faces, &matcher.Filter{}, nil); err != nil {
		s.t.Error(err)
	}
}

// match sends one request of several sets and references.
func (s *soak) match(w *world) {
	var subs []matcher.SubRequest
	for range 1 + w.IntN(3) {
		c := &matcher.Candidates{Filter: w.filter(), Limit: 1 + w.IntN(12), Order: matcher.Order(w.IntN(3))}
		if w.IntN(2) == 0 {
			c.Threshold = w.Float64()
		}
		for range 1 + w.IntN(2) {
			v := pick(w, s.versions)
			subs = append(subs, reference(v, w.descriptor(v).Data, c))
		}
	}
	var results []matcher.Result
	read := func() { results = s.memory.Match(s.t.Context(), subs) }
	if w.IntN(4) == 0 { // as with a prefilter: the set is chosen first
		subs = subs[:1]
		read = func() {
			selection, err := s.memory.Select(s.t.Context(), subs[0].Candidates, nil)
			if err != nil {
				s.t.Error(err)
				return
			}
			subs[0].Selection = selection
			results = s.memory.Match(s.t.Context(), subs)
		}
	}
	s.history.ask(read, func(first, last int64) {
		s.explain(first, last, fmt.Sprint("match ", len(subs)), func(o *oracle) bool {
			for i := range subs {
				if results[i].Err != nil || !sameMatches(o, &subs[i], &results[i]) {
					return false
				}
			}
			return true
		})
	})
}

// sameMatches reports whether an answer is that of the oracle, in all fields.
func sameMatches(o *oracle, sub *matcher.SubRequest, r *matcher.Result) bool {
	rows, selected, scanned := o.match(sub)
	if r.Scan.RowsSelected != selected || r.Scan.RowsScanned != scanned || !slices.Equal(answers(r.Matches), rows) {
		return false
	}
	return !slices.ContainsFunc(r.Matches, func(m matcher.Match) bool { return !sameObject(m.Object, o.faces[m.ID], false) })
}

// sameObject compares what memory gives with what was written.
func sameObject(got, want *matcher.Object, descriptors bool) bool {
	plain := *want
	if !descriptors {
		plain.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
	}
	if len(plain.Lists) == 0 {
		plain.Lists = got.Lists[:0]
	}
	return reflect.DeepEqual(*got, plain)
}

// read reads all objects of a filter.
func (s *soak) read(w *world) {
	f := w.filter()
	var objects []matcher.Object
	s.history.ask(func() {
		var err error
		if objects, err = s.memory.Find(s.t.Context(), matcher.Faces, &f, nil); err != nil {
			s.t.Error(err)
		}
	}, func(first, last int64) {
		s.explain(first, last, "find", func(o *oracle) bool {
			n := 0
			for _, x := range o.faces {
				if o.passes(&f, nil, x) {
					n++
				}
			}
			return n == len(objects) && !slices.ContainsFunc(objects, func(x matcher.Object) bool {
				want := o.faces[x.ID]
				return want == nil || !o.passes(&f, nil, want) || !sameObject(&x, want, true)
			})
		})
	})
}

// explain fails the test when an answer is right in none of the states that it
// may come from.
func (s *soak) explain(first, last int64, what string, right func(*oracle) bool) {
	s.answered.Add(1)
	if first != last {
		s.ambiguous.Add(1)
	}
	for state := first; state <= last; state++ {
		if right(&oracle{registry: s.world.registry, faces: s.history.at(state)}) {
			return
		}
	}
	s.t.Errorf("%s: the answer is wrong in all states %d..%d", what, first, last)
}

// end compares memory with the last state, and with what the store has.
func (s *soak) end(dir string) {
	t := s.t
	invariants(t, s.memory)
	want := s.history.at(s.history.done.Load())
	compare := func(name string, m *Memory) {
		t.Helper()
		got, err := m.Find(t.Context(), matcher.Faces, &matcher.Filter{}, nil)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d objects, want %d (%v)", name, len(got), len(want), err)
		}
		for i := range got {
			if w := want[got[i].ID]; w == nil || !sameObject(&got[i], w, true) {
				t.Errorf("%s: %+v, want %+v", name, got[i], w)
			}
		}
	}
	compare("memory", s.memory)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	again := newMemory(t, s.world, s.memory.options.Kernel, 1)
	reopened, err := store.Open(t.Context(), store.Options{Dir: dir, Applier: again})
	if err != nil {
		t.Fatal(err)
	}
	compare("store", again)
	invariants(t, again)
	if err := reopened.Close(); err != nil {
		t.Fatal(err)
	}
}
