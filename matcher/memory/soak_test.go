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

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
	"nearside/simd"
)

// soakTime returns how long TestSoak runs: SOAK_TIME, or a few seconds by default.
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

// soak is a store over a Memory, with a history between them.
type soak struct {
	t        *testing.T
	world    *world
	versions []*matcher.Version
	body     *matcher.Version
	compared []*matcher.Version // versions of all types
	memory   *Memory
	store    *store.Store
	history  *history
	clock    atomic.Int64 // clock for the expiry of attributes, in ms; the store considers all of them alive

	written, refused, answered, ambiguous atomic.Int64
}

// TestSoak runs writers, deleters and matchers of all origins concurrently, with a clock
// that makes attributes expire. Every answer must match some state and time between its
// start and its end, and all candidate sets of a request must match the same one. At the
// end, the Memory must equal what was written and what the store reads when it is opened
// again.
func TestSoak(t *testing.T) {
	kernel, err := simd.Select("auto")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(11)
	s := &soak{t: t, world: w, versions: w.versions[:6], body: w.registry.Version(110)}
	s.compared = append(slices.Clone(s.versions), s.body)
	s.clock.Store(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	m, err := New(Options{
		Registry: w.registry, Kernel: kernel, Workers: 2, chunkRows: 2048, MetaFields: metaFields,
		Now: func() time.Time { return time.UnixMilli(s.clock.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s.memory, s.history = m, newHistory(m)
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
	run(2, s.write)
	run(1, s.writeOthers)
	run(1, s.writeMany)
	run(1, s.disturb)
	run(2, s.match)
	run(1, s.read)
	all.Wait()

	t.Logf("%d states, %d writes, %d refused, %d answers, of which %d could come from several states",
		s.history.done.Load(), s.written.Load(), s.refused.Load(), s.answered.Load(), s.ambiguous.Load())
	s.checkEnd(dir)
}

// countWrite counts a write. It accepts errors that can result from earlier writes.
func (s *soak) countWrite(err error) {
	switch matcher.CodeOf(err) {
	case matcher.CodeFaceExists, matcher.CodeFaceNotFound, matcher.CodeListExists, matcher.CodeListNotFound, matcher.CodeFull,
		matcher.CodeForbidden, matcher.CodeEventExists, matcher.CodeEventNotFound, matcher.CodeAttrNotFound:
		s.refused.Add(1)
	default:
		if changesAccount(err) {
			s.refused.Add(1)
			return
		}
		if err != nil {
			s.t.Error(err)
		}
		s.written.Add(1)
	}
}

func (s *soak) face(w *world) *matcher.Object { return w.face(w.lists, s.versions) }

// object returns a random object of any origin. Two of three attributes expire after a
// short time on the clock.
func (s *soak) object(w *world, o matcher.Origin) *matcher.Object {
	if o == matcher.Faces {
		return s.face(w)
	}
	return w.object(o, matcher.Time(s.clock.Load()), s.versions, s.body)
}

// filter returns a random filter for any origin, including lists.
func (s *soak) filter(w *world, o matcher.Origin) matcher.Filter {
	if o == matcher.Faces {
		return w.filter()
	}
	return w.filterOf(o)
}

func (w *world) origin() matcher.Origin { return matcher.Origin(w.IntN(int(matcher.Origins))) }

// write does one random write of the kinds that clients do.
func (s *soak) write(w *world) {
	ctx := s.t.Context()
	list, id := testkit.Pick(w.Rand, w.lists...), testkit.Pick(w.Rand, w.ids...)
	switch w.IntN(12) {
	case 0:
		s.countWrite(s.store.CreateList(ctx, &matcher.List{ID: list}))
	case 1:
		var faces store.FindFunc
		if w.IntN(2) == 0 {
			faces = s.memory.Finder(ctx, matcher.Faces, &matcher.Filter{ListID: &list}, nil)
		}
		s.countWrite(s.store.DeleteList(ctx, nil, list, faces))
	case 2, 3:
		s.countWrite(s.store.Link(ctx, nil, list, []matcher.ID{id, testkit.Pick(w.Rand, w.ids...)}, w.IntN(3) > 0))
	case 4:
		o := s.face(w)
		o.Lists = nil
		s.countWrite(s.store.CreateObject(ctx, nil, o))
	case 5, 6:
		o := s.face(w)
		s.countWrite(s.store.PatchObject(ctx, nil, matcher.Faces, o.ID, func(old *matcher.Object) error {
			old.Descriptors, old.Age, old.UserData = o.Descriptors, o.Age, o.UserData
			return nil
		}))
	case 7, 8, 9:
		s.countWrite(s.store.DeleteObject(ctx, nil, matcher.Faces, id))
	default:
		_, err := s.store.PutObject(ctx, nil, s.face(w))
		s.countWrite(err)
	}
}

// writeOthers writes events and attributes, and deletes expired attributes, as the
// service does.
func (s *soak) writeOthers(w *world) {
	ctx := s.t.Context()
	o := matcher.Events
	if w.IntN(2) == 0 {
		o = matcher.Attributes
	}
	switch w.IntN(10) {
	case 0:
		_, err := s.store.DeleteObjects(ctx, matcher.Attributes, func() ([]matcher.ID, error) { return s.memory.Expired(50), nil })
		s.countWrite(err)
	case 1:
		f := matcher.Filter{CreateTime: matcher.Range[matcher.Time]{LT: new(matcher.Time(w.IntN(5) * 1000))}}
		_, err := s.store.DeleteObjects(ctx, matcher.Events, func() ([]matcher.ID, error) { return s.memory.IDs(ctx, matcher.Events, &f, nil) })
		s.countWrite(err)
	case 2, 3:
		s.countWrite(s.store.DeleteObject(ctx, nil, o, testkit.Pick(w.Rand, w.ids...)))
	case 4, 5:
		events := make([]*matcher.Object, 1+w.IntN(20))
		for i := range events {
			events[i] = s.object(w, matcher.Events)
		}
		_, err := s.store.CreateObjects(ctx, nil, events)
		s.countWrite(err)
	default:
		_, err := s.store.PutObject(ctx, nil, s.object(w, o))
		s.countWrite(err)
	}
	s.clock.Add(w.Int64N(2))
}

// writeMany imports and deletes many objects at once.
func (s *soak) writeMany(w *world) {
	ctx := s.t.Context()
	if w.IntN(4) == 0 {
		f := matcher.Filter{ListID: new(testkit.Pick(w.Rand, w.lists...)), Fields: []matcher.FieldFilter{matcher.Within("age", matcher.Range[uint8]{LT: new(uint8(40))})}}
		_, err := s.store.DeleteFound(ctx, matcher.Faces, s.memory.Finder(ctx, matcher.Faces, &f, nil))
		s.countWrite(err)
		return
	}
	var lines []store.ImportLine
	for range w.IntN(200) {
		line := store.ImportLine{Object: s.face(w), HasLists: w.IntN(2) == 0}
		switch w.IntN(6) {
		case 0, 1:
			line.AddList = testkit.Pick(w.Rand, w.lists...)
		case 2:
			line = store.ImportLine{Object: s.object(w, matcher.Events)}
		}
		lines = append(lines, line)
	}
	for _, err := range s.store.Import(ctx, nil, lines) {
		s.countWrite(err)
	}
}

// disturb simulates a shortage of memory, so that the Memory reclaims and refuses, and
// runs the garbage collector, so that dropped chunks are unmapped. Then it reads all
// objects of an origin, which would fault if a chunk in use had been unmapped.
func (s *soak) disturb(w *world) {
	switch w.IntN(4) {
	case 0:
		s.memory.SetBytesMax(s.memory.Stats().Bytes + w.Int64N(20_000))
	case 1:
		runtime.GC()
	default:
		s.memory.SetBytesMax(0)
	}
	if _, err := s.memory.Find(s.t.Context(), w.origin(), &matcher.Filter{}, nil); err != nil {
		s.t.Error(err)
	}
}

// match sends one request with several sets and references.
func (s *soak) match(w *world) {
	var subs []matcher.SubRequest
	for range 1 + w.IntN(3) {
		o := w.origin()
		c := &matcher.Candidates{Origin: o, Filter: s.filter(w, o), Limit: 1 + w.IntN(12), Order: matcher.Order(w.IntN(3))}
		if w.IntN(2) == 0 {
			c.Threshold = w.Float64()
		}
		for range 1 + w.IntN(2) {
			v := testkit.Pick(w.Rand, s.compared...)
			subs = append(subs, memorytest.Reference(v, w.descriptor(v).Data, c))
		}
	}
	var results []matcher.Result
	read := func() { results = s.memory.Match(s.t.Context(), subs) }
	if w.IntN(4) == 0 { // like a prefilter: the set is selected first
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
	s.ask(read, fmt.Sprintf("match of %d, first %s by %s", len(subs), subs[0].Candidates.Origin, show(subs[0].Candidates.Filter)), func(p *originsModel) bool {
		for i := range subs {
			if results[i].Err != nil || !sameMatches(p, &subs[i], &results[i]) {
				return false
			}
		}
		return true
	})
}

// sameMatches reports whether an answer equals that of the model in all fields.
func sameMatches(p *originsModel, sub *matcher.SubRequest, r *matcher.Result) bool {
	oracle := *memorytest.NewOracle(p.Registry)
	for _, x := range p.selected(sub.Candidates.Origin, &sub.Candidates.Filter, nil) {
		oracle.Faces[x.ID] = x
	}
	all, c := *sub, *sub.Candidates
	c.Filter = matcher.Filter{}
	all.Candidates = &c
	rows, selected, scanned := oracle.Answer(&all)
	if r.Scan.RowsSelected != selected || r.Scan.RowsScanned != scanned || !slices.Equal(memorytest.AnswersOf(r.Matches), rows) {
		return false
	}
	return !slices.ContainsFunc(r.Matches, func(m matcher.Match) bool { return !sameObject(m.Object, oracle.Faces[m.ID], false) })
}

// sameObject reports whether an object that was read equals the one that was written.
func sameObject(got, want *matcher.Object, descriptors bool) bool {
	plain := *want
	if !descriptors {
		plain.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
	}
	return reflect.DeepEqual(*got, plain) || cmp.Equal(*got, plain, cmpopts.EquateEmpty()) // cmp is slow
}

// read reads all objects that a filter selects.
func (s *soak) read(w *world) {
	o := w.origin()
	f := s.filter(w, o)
	var objects []matcher.Object
	s.ask(func() {
		var err error
		if objects, err = s.memory.Find(s.t.Context(), o, &f, nil); err != nil {
			s.t.Error(err)
		}
	}, "find", func(p *originsModel) bool { return sameObjects(objects, p.selected(o, &f, nil)) })
}

func sameObjects(got []matcher.Object, want []*matcher.Object) bool {
	return slices.EqualFunc(got, want, func(got matcher.Object, want *matcher.Object) bool { return sameObject(&got, want, true) })
}

// ask calls read. The answer must be right in one of the states, and at one of the times,
// from the start of read to its end.
func (s *soak) ask(read func(), what string, right func(*originsModel) bool) {
	begin := s.clock.Load()
	s.history.ask(read, func(first, last int64) {
		end := s.clock.Load()
		s.answered.Add(1)
		if first != last {
			s.ambiguous.Add(1)
		}
		for state := first; state <= last; state++ {
			for clock := begin; clock <= end; clock++ {
				if right(s.model(state, clock)) {
					return
				}
			}
		}
		s.t.Errorf("%s: the answer is wrong in all states %d..%d, at all times %d..%d", what, first, last, begin, end)
	})
}

// model returns the state of the history at a time.
func (s *soak) model(state, clock int64) *originsModel {
	return &originsModel{Oracle: memorytest.Oracle{Registry: s.world.registry}, objects: s.history.at(state), clock: matcher.Time(clock)}
}

// checkEnd compares the Memory with the last state and with the contents of the store.
func (s *soak) checkEnd(dir string) {
	t := s.t
	invariants(t, s.memory)
	compare := func(name string, m *Memory, clock int64) {
		t.Helper()
		want := s.model(s.history.done.Load(), clock)
		for o := range matcher.Origins {
			all := want.selected(o, &matcher.Filter{}, nil)
			if got, err := m.Find(t.Context(), o, &matcher.Filter{}, nil); err != nil || !sameObjects(got, all) {
				t.Errorf("%s: %d %s, want %d, or they differ (%v)", name, len(got), o, len(all), err)
			}
		}
	}
	compare("memory", s.memory, s.clock.Load())
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	again := newMemory(t, s.world, s.memory.options.Kernel, 1)
	reopened, err := store.Open(t.Context(), store.Options{Dir: dir, Applier: again})
	if err != nil {
		t.Fatal(err)
	}
	compare("store", again, 0) // nothing has expired on the clock of the store
	invariants(t, again)
	if err := reopened.Close(); err != nil {
		t.Fatal(err)
	}
}
