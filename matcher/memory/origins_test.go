package memory

import (
	stdcmp "cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// originsPair is a Memory and a brute-force model that receive the same changes.
type originsPair struct {
	*Memory
	originsModel
	*world
	faces      []*matcher.Version
	body       *matcher.Version
	dir        string
	lexiconMax int // maximum number of texts in a lexicon; 0: the default
}

// newOriginsPair returns an empty pair. With seed 1, its lexicons overflow.
func newOriginsPair(t *testing.T, seed uint64) *originsPair {
	t.Helper()
	w := newWorld(seed)
	p := &originsPair{world: w, dir: t.TempDir()}
	registry, err := matcher.NewRegistry([]matcher.Version{*w.versions[0], *w.versions[1], {
		Number: 9, Type: matcher.BodyDescriptor, Length: 7, Scale: 128, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p.faces = []*matcher.Version{registry.Version(w.versions[0].Number), registry.Version(w.versions[1].Number)}
	p.body = registry.Version(9)
	p.originsModel = originsModel{Oracle: memorytest.Oracle{Registry: registry}, objects: map[place]*matcher.Object{}, clock: 1_000_000}
	if seed == 1 {
		p.lexiconMax = 2
	}
	p.start(t, metaFields)
	return p
}

// start replaces the Memory by an empty one.
func (p *originsPair) start(t *testing.T, meta []matcher.MetaField) {
	t.Helper()
	m, err := New(Options{
		Registry: p.Registry, Kernel: p.kernel(), Workers: 2, Cost: 100, chunkRows: 128, MetaFields: meta, lexiconMax: p.lexiconMax,
		Now: func() time.Time { return time.UnixMilli(int64(p.clock)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	p.Memory = m
}

// restart seals the Memory and restores it from the segments. It also checks that a
// Memory with other declared fields refuses the segments.
func (p *originsPair) restart(t *testing.T) {
	t.Helper()
	dir := p.dir // always the same folder, so that the segments of unchanged chunks are kept
	seal(t, p.Memory, dir, "mark")
	p.start(t, nil)
	if _, err := p.Restore(t.Context(), dir, noProgress); len(p.objects) > 0 && (err == nil || !strings.Contains(err.Error(), "the configuration or the program changed")) {
		t.Fatalf("restored with other declared fields: %v", err)
	}
	p.start(t, metaFields)
	if mark, err := p.Restore(t.Context(), dir, noProgress); err != nil || string(mark) != "mark" || p.Records() != uint64(len(p.objects)) {
		t.Fatalf("%q, %v: %d records, want %d", mark, err, p.Records(), len(p.objects))
	}
	invariants(t, p.Memory)
}

// step commits random changes of all origins to both.
func (p *originsPair) step(t *testing.T) {
	t.Helper()
	var changes []store.Change
	for range 1 + p.IntN(60) {
		o := matcher.Origin(p.IntN(int(matcher.Origins)))
		if p.IntN(4) == 0 {
			changes = append(changes, store.Change{Kind: store.DeleteObject, Origin: o, ID: testkit.Pick(p.Rand, p.ids...)})
			continue
		}
		changes = append(changes, store.Change{Kind: store.PutObject, Object: p.object(o, p.clock, p.faces, p.body)})
	}
	markCreated(p.Memory, changes)
	if err := p.Admit(changes); err != nil {
		t.Fatal(err)
	}
	p.applyToModel(changes)
	p.Apply(changes)
	if p.IntN(6) == 0 {
		p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })
	}
	p.clock += matcher.Time(p.IntN(5))
}

// mustEqual fails the test unless two objects are equal.
func mustEqual(t *testing.T, got, want *matcher.Object) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return // cmp is slow
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
}

// check compares selections, pages and matches with the model.
func (p *originsPair) check(t *testing.T) {
	t.Helper()
	o := matcher.Origin(p.IntN(int(matcher.Origins)))
	f := p.filterOf(o)
	var account *matcher.ID
	if p.IntN(5) == 0 {
		account = new(testkit.Pick(p.Rand, p.accounts...))
	}
	want := p.selected(o, &f, account)
	got, n, err := p.Page(t.Context(), o, &f, account, matcher.Page{Size: 1000, Descriptors: true})
	if err != nil || n != len(want) {
		t.Fatalf("%v: %d objects of %s, want %d: %s", err, n, o, len(want), show(f))
	}
	for i := range got {
		mustEqual(t, &got[i], want[i])
	}
	page, part := wantedPage(p.world, want)
	got, n, err = p.Page(t.Context(), o, &f, account, page)
	if err != nil || n != len(want) || len(got) != len(part) {
		t.Fatalf("%v: page %+v: %d of %d objects of %s, want %d of %d: %s", err, page, len(got), n, o, len(part), len(want), show(f))
	}
	for i := range got {
		mustEqual(t, &got[i], part[i])
	}
	v := testkit.Pick(p.Rand, []*matcher.Version{p.faces[0], p.faces[1], p.body}...)
	c := &matcher.Candidates{Origin: o, Filter: f, Limit: 1 + p.IntN(9), Order: matcher.Order(p.IntN(3))}
	p.rankingFields(c)
	sub := memorytest.Reference(v, p.descriptor(v).Data, c)
	ref := p.reference(testkit.Pick(p.Rand, p.ids...))
	ref.Descriptor, sub.Reference, sub.Account = sub.Reference.Descriptor, ref, account
	p.checkMatch(t, &sub, want)
}

// wantedPage returns a random page request and its expected objects. all is ordered by
// ID.
func wantedPage(w *world, all []*matcher.Object) (matcher.Page, []*matcher.Object) {
	p := matcher.Page{Order: matcher.PageOrder(w.IntN(3)), Size: 1 + w.IntN(12), Descriptors: true}
	all = slices.Clone(all)
	if w.IntN(2) == 0 {
		p.Order, p.After = matcher.PageByID, new(testkit.Pick(w.Rand, w.ids...))
		all = slices.DeleteFunc(all, func(o *matcher.Object) bool { return o.ID.String() <= p.After.String() })
	} else if p.Offset = w.IntN(20); p.Order != matcher.PageByID {
		slices.SortStableFunc(all, func(a, b *matcher.Object) int {
			if p.Order == matcher.PageByTimeDesc {
				a, b = b, a
			}
			return stdcmp.Compare(a.CreateTime, b.CreateTime)
		})
	}
	all = all[min(p.Offset, len(all)):]
	return p, all[:min(p.Size, len(all))]
}

// checkMatch compares a match with a brute-force match over the objects that pass the
// filter.
func (p *originsPair) checkMatch(t *testing.T, sub *matcher.SubRequest, selected []*matcher.Object) {
	t.Helper()
	oracle := *memorytest.NewOracle(p.Registry)
	for _, x := range selected {
		oracle.Faces[x.ID] = x
	}
	all := *sub
	all.Account = nil
	ranking := *sub.Candidates
	ranking.Filter = matcher.Filter{}
	all.Candidates = &ranking
	want, n, scanned := oracle.Answer(&all)
	r := p.Match(t.Context(), []matcher.SubRequest{*sub})[0]
	if r.Err != nil || r.Scan.RowsSelected != n || r.Scan.RowsScanned != scanned {
		t.Fatalf("%v: scan %+v, want %d selected, %d scanned", r.Err, r.Scan, n, scanned)
	}
	if got := memorytest.AnswersOf(r.Matches); !slices.Equal(got, want) {
		t.Fatalf("%s, %+v:\n got %v\nwant %v", show(sub.Candidates.Filter), *sub.Candidates, got, want)
	}
	if n := oracle.Count(&all); sub.Candidates.Count && r.Count != n {
		t.Fatalf("%s, %+v: counted %d, want %d", show(sub.Candidates.Filter), *sub.Candidates, r.Count, n)
	}
	for _, m := range r.Matches {
		plain := *oracle.Faces[m.ID]
		plain.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
		mustEqual(t, m.Object, &plain)
	}
}

func show(f matcher.Filter) string {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestOriginsEqualBruteForce runs random writes, filters and matches of all origins,
// while attributes expire.
func TestOriginsEqualBruteForce(t *testing.T) {
	for seed := range uint64(4) {
		p := newOriginsPair(t, seed)
		if seed == 2 { // two texts for every hash
			lexicons := slices.Clone(p.tables.Lexicons.Meta)
			for field := range table.Shapes[matcher.Events].Hashes {
				lexicons = append(lexicons, p.tables.Lexicons.ForText(matcher.Events, field))
			}
			for _, l := range lexicons {
				if l == nil {
					continue
				}
				for _, prefix := range []string{"s", "c", "a", "d", "r", "", "n"} {
					for i := range 9 {
						hash := table.HashString(fmt.Sprint(prefix, i))
						l.Add(hash, "one")
						l.Add(hash, "another")
					}
				}
			}
		}
		found := 0
		for round := range 60 {
			p.step(t)
			if seed == 3 && round%6 == 5 {
				p.restart(t)
			}
			for range 12 {
				p.check(t)
			}
			found += len(p.objects)
			if got := len(p.Expired(1000)); got != p.expired() {
				t.Fatalf("%d expired, want %d", got, p.expired())
			}
		}
		for place, x := range p.objects {
			got, ok := p.Get(place.origin, place.id, nil, true)
			if want := p.isSelected(place.origin, &matcher.Filter{}, nil, x); ok != want {
				t.Errorf("Get: %v, want %v", ok, want)
			} else if ok {
				mustEqual(t, &got, x)
			}
		}
		invariants(t, p.Memory)
		if found == 0 {
			t.Error("nothing was stored")
		}
	}
}

func (p *originsPair) expired() (n int) {
	for _, x := range p.objects {
		if x.Origin == matcher.Attributes && x.Expires != 0 && x.Expires <= p.clock {
			n++
		}
	}
	return n
}

// TestLexiconClash checks that a filter distinguishes texts with the same hash.
func TestLexiconClash(t *testing.T) {
	a, b := clash(t)
	p := newOriginsPair(t, 9)
	for i, source := range []string{a, b, a} {
		x := p.object(matcher.Events, 0, p.faces, p.body)
		x.ID, x.Event.Source = matcher.ID{byte(i + 1)}, source
		change := []store.Change{{Kind: store.PutObject, Object: x}}
		p.applyToModel(change)
		p.Apply(change)
	}
	for _, want := range []string{a, b} {
		f := matcher.Where(matcher.AnyOf("source", want))
		ids, err := p.IDs(t.Context(), matcher.Events, &f, nil)
		if err != nil || len(ids) != len(p.selected(matcher.Events, &f, nil)) {
			t.Errorf("%q: %v, %v", want, ids, err)
		}
	}
}

// clash returns two texts with the same hash. It takes about 80,000 texts to find them.
func clash(t *testing.T) (a, b string) {
	t.Helper()
	seen := map[uint32]string{}
	for i := range 1 << 20 {
		s := fmt.Sprint("clash ", i)
		if other, ok := seen[table.HashString(s)]; ok {
			return other, s
		}
		seen[table.HashString(s)] = s
	}
	t.Fatal("found no two texts with the same hash among 2^20")
	return "", ""
}

// TestOneClock checks that either all sub-requests of a request find an attribute, or
// none does.
func TestOneClock(t *testing.T) {
	p := newOriginsPair(t, 3)
	x := p.object(matcher.Attributes, 0, p.faces, p.body)
	x.Expires = p.clock + 50
	p.Apply([]store.Change{{Kind: store.PutObject, Object: x}})
	p.options.Now = func() time.Time { p.clock++; return time.UnixMilli(int64(p.clock)) } // each call advances the clock
	v := p.Registry.Version(x.Descriptors[matcher.FaceDescriptor].Version)
	for range 60 {
		var subs []matcher.SubRequest
		for range 3 {
			subs = append(subs, memorytest.Reference(v, p.descriptor(v).Data, &matcher.Candidates{Origin: matcher.Attributes, Limit: 1}))
		}
		results := p.Match(t.Context(), subs)
		want := 1
		if p.clock >= x.Expires {
			want = 0
		}
		for _, r := range results {
			if r.Scan.RowsSelected != want || len(r.Matches) != want {
				t.Fatalf("at %d: %+v, want %d rows", p.clock, r.Scan, want)
			}
		}
	}
}
