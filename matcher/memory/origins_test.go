package memory

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearside/matcher"
	"nearside/matcher/store"
)

// metaFields are declared in the tests of events.
var metaFields = []matcher.MetaField{
	{Path: "shop.floor", Type: matcher.MetaNumber}, {Path: "name", Type: matcher.MetaString}, {Path: "a.vip", Type: matcher.MetaBoolean},
}

// place is where an object is in the brute-force model.
type place struct {
	origin matcher.Origin
	id     matcher.ID
}

// plain is all objects of all origins as plain structs, and a clock.
type plain struct {
	oracle
	objects map[place]*matcher.Object
	clock   matcher.Time
}

func (p *plain) apply(changes []store.Change) {
	for _, c := range changes {
		switch c.Kind {
		case store.PutObject:
			p.objects[place{c.Object.Origin, c.Object.ID}] = c.Object
		case store.DeleteObject:
			delete(p.objects, place{c.Origin, c.ID})
		default:
			panic("no lists here")
		}
	}
}

// there reports whether x exists for the filter.
func (p *plain) there(o matcher.Origin, f *matcher.Filter, account *matcher.ID, x *matcher.Object) bool {
	if x.Origin != o || x.Origin == matcher.Attributes && x.Expires != 0 && x.Expires <= p.clock {
		return false
	}
	common, ids := *f, *f
	common.FaceIDs, common.EventIDs, common.AttributeIDs = nil, nil, nil
	common.Event = matcher.EventFilter{}
	is := func(want []matcher.ID, id matcher.ID) bool {
		return want == nil || !id.IsZero() && slices.Contains(want, id)
	}
	switch o {
	case matcher.Faces:
		return p.passes(&ids, account, x)
	case matcher.Attributes:
		return p.passes(&common, account, x) && is(f.AttributeIDs, x.ID)
	default:
		return p.passes(&common, account, x) && is(f.EventIDs, x.ID) && is(f.FaceIDs, x.Event.FaceID) && p.passesEvent(&f.Event, x.Event)
	}
}

func (p *plain) passesEvent(f *matcher.EventFilter, e *matcher.Event) bool {
	text := func(want []string, s string) bool { return want == nil || s != "" && slices.Contains(want, s) }
	id := func(want []matcher.ID, x matcher.ID) bool {
		return want == nil || !x.IsZero() && slices.Contains(want, x)
	}
	small := func(want []uint8, s matcher.Small) bool {
		v, ok := s.Get()
		return want == nil || ok && slices.Contains(want, v)
	}
	tag := f.Tags == nil
	for _, s := range e.Tags {
		tag = tag || slices.Contains(f.Tags, s)
	}
	place := f.Position == nil
	if l := e.Location.Position; l != nil && f.Position != nil {
		place = math.Abs(l.Longitude-f.Position.Longitude) <= f.Position.LongitudeDelta && math.Abs(l.Latitude-f.Position.Latitude) <= f.Position.LatitudeDelta
	}
	end := f.EndTime.IsZero() || e.EndTime != nil && matcher.InRange(f.EndTime, *e.EndTime)
	similar := f.TopMatchSimilarity.IsZero() || e.TopMatch.Similarity != nil && matcher.InRange(f.TopMatchSimilarity, *e.TopMatch.Similarity)
	for i := range f.Meta {
		if !passesMeta(&f.Meta[i], e.Meta) {
			return false
		}
	}
	l := &e.Location
	return tag && place && end && similar && text(f.Sources, e.Source) && text(f.TrackIDs, e.TrackID) && text(f.Cities, l.City) && text(f.Areas, l.Area) &&
		text(f.Districts, l.District) && text(f.Streets, l.Street) && text(f.HouseNumbers, l.HouseNumber) && text(f.TopMatchExternalIDs, e.TopMatch.ExternalID) &&
		id(f.HandlerIDs, e.HandlerID) && id(f.StreamIDs, e.StreamID) && id(f.TopMatchObjectIDs, e.TopMatch.ObjectID) &&
		small(f.Emotions, e.Emotion) && small(f.Masks, e.Mask)
}

func passesMeta(f *matcher.MetaFilter, meta string) bool {
	var value any
	if meta != "" {
		if err := json.Unmarshal([]byte(meta), &value); err != nil {
			panic(err)
		}
	}
	for name := range strings.SplitSeq(f.Field.Path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	for _, want := range f.Values {
		var sign int
		switch x := value.(type) {
		case float64:
			if f.Field.Type != matcher.MetaNumber {
				return false
			}
			sign = int(math.Copysign(1, x-want.Number))
			if x == want.Number {
				sign = 0
			}
		case string:
			if f.Field.Type != matcher.MetaString {
				return false
			}
			sign = strings.Compare(x, want.Text)
		case bool:
			if f.Field.Type != matcher.MetaBoolean {
				return false
			}
			sign = 1
			if x == (want.Number == 1) {
				sign = 0
			}
		default:
			return false
		}
		if (f.Op == matcher.MetaEQ || f.Op == matcher.MetaIn) && sign == 0 || f.Op == matcher.MetaGTE && sign >= 0 || f.Op == matcher.MetaLT && sign < 0 {
			return true
		}
	}
	return false
}

// selected returns the objects of a filter, by ID.
func (p *plain) selected(o matcher.Origin, f *matcher.Filter, account *matcher.ID) []*matcher.Object {
	var all []*matcher.Object
	for _, x := range p.objects {
		if p.there(o, f, account, x) {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b *matcher.Object) int { return a.ID.Compare(b.ID) })
	return all
}

func (w *world) text(prefix string, n int) string {
	if w.IntN(4) == 0 {
		return ""
	}
	return fmt.Sprint(prefix, w.IntN(n))
}

func (w *world) maybeID(from []matcher.ID) (id matcher.ID) {
	if w.IntN(4) > 0 {
		id = pick(w, from)
	}
	return id
}

// of makes an object of any origin.
func (w *world) of(o matcher.Origin, now matcher.Time, versions []*matcher.Version, body *matcher.Version) *matcher.Object {
	x := w.face(nil, versions)
	x.Origin, x.Lists = o, nil
	switch o {
	case matcher.Events:
		x.Avatar, x.EventID = "", matcher.ID{}
		x.Event = w.event()
		switch w.IntN(3) {
		case 0:
			x.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
			fallthrough
		case 1:
			x.Descriptors[matcher.BodyDescriptor] = w.descriptor(body)
		}
	case matcher.Attributes:
		x.Avatar, x.EventID, x.ExternalID, x.UserData = "", matcher.ID{}, "", ""
		if w.IntN(3) > 0 {
			x.Expires = now + matcher.Time(w.IntN(20)-4)
		}
	}
	return x
}

func (w *world) event() *matcher.Event {
	small := func() matcher.Small {
		if w.IntN(3) == 0 {
			return 0
		}
		return matcher.SmallOf(uint8(w.IntN(4)))
	}
	e := &matcher.Event{
		Source: w.text("s", 5), HandlerID: w.maybeID(w.events), StreamID: w.maybeID(w.events), TrackID: w.text("t", 9), FaceID: w.maybeID(w.ids[:9]),
		Emotion: small(), Mask: small(),
		Location: matcher.Location{City: w.text("c", 4), Area: w.text("a", 4), District: w.text("d", 4), Street: w.text("r", 4), HouseNumber: w.text("", 9)},
		TopMatch: matcher.TopMatch{ObjectID: w.maybeID(w.ids[:9]), ExternalID: w.text("x", 5)},
	}
	tags, most := 3, 4 // names in use; with 90, not all have bits of their own
	if w.IntN(2) == 0 {
		tags, most = 90, 20
	}
	for range w.IntN(most) {
		e.Tags = append(e.Tags, fmt.Sprint("tag", w.IntN(tags)))
	}
	if w.IntN(3) > 0 {
		e.EndTime = new(matcher.Time(w.IntN(20)*1000 - 5000))
	}
	if w.IntN(3) > 0 {
		e.Location.Position = &matcher.Position{Longitude: float64(w.IntN(9)) - 4.5, Latitude: float64(w.IntN(9)) / 8}
	}
	if w.IntN(3) > 0 {
		e.TopMatch.Similarity = new(float64(w.IntN(5)) / 4)
	}
	e.Meta = pick(w, []string{
		"", `{}`, `{"shop":{"floor":3},"name":"n1","a":{"vip":true}}`, `{"shop":{"floor":-0.5},"name":"n2","a":{"vip":false}}`,
		`{"shop":{"floor":"3"},"name":3,"a":{"vip":1}}`, `{"shop":3,"name":"","a":[true]}`, `{"shop":{"floor":1e300},"name":"\u00e9"}`,
		`{"shop":{"floor":3.0000000001},"name":null}`,
	})
	return e
}

// filterOf makes a filter of an origin.
func (w *world) filterOf(o matcher.Origin) matcher.Filter {
	f := w.filter()
	f.ListID, f.Lists = nil, nil
	if o != matcher.Faces {
		f.FaceID, f.FaceIDs, f.EventIDs = matcher.Range[matcher.ID]{}, nil, nil
	}
	if o == matcher.Attributes {
		if w.IntN(3) == 0 {
			f.AttributeIDs = subset(w, w.ids)
		}
		return f
	}
	if o != matcher.Events {
		return f
	}
	e := &f.Event
	texts := func(prefix string, n int) (all []string) {
		all = []string{}
		for i := range n {
			if w.IntN(3) == 0 {
				all = append(all, fmt.Sprint(prefix, i))
			}
		}
		if w.IntN(9) == 0 {
			all = append(all, "", "none")
		}
		return all
	}
	for range 1 + w.IntN(2) {
		switch w.IntN(21) {
		case 0:
			f.EventIDs = subset(w, w.ids)
		case 1:
			f.FaceIDs = subset(w, w.ids[:9])
		case 2:
			e.Sources = texts("s", 6)
		case 3:
			e.HandlerIDs = subset(w, w.events)
		case 4:
			e.StreamIDs = subset(w, w.events)
		case 5:
			e.TrackIDs = texts("t", 10)
		case 6:
			e.Tags = texts("tag", pick(w, []int{4, 100}))
		case 7:
			e.Emotions = subset(w, []uint8{0, 1, 2, 9})
		case 8:
			e.Masks = subset(w, []uint8{0, 1, 2, 9})
		case 9:
			e.Cities = texts("c", 5)
		case 10:
			e.Areas = texts("a", 5)
		case 11:
			e.Districts = texts("d", 5)
		case 12:
			e.Streets = texts("r", 5)
		case 13:
			e.HouseNumbers = texts("", 30)
		case 14:
			e.Position = &matcher.GeoBox{Longitude: float64(w.IntN(9)) - 4, Latitude: w.Float64(), LongitudeDelta: float64(w.IntN(4)) / 2, LatitudeDelta: w.Float64() / 2}
		case 15:
			e.EndTime = matcher.Range[matcher.Time]{GTE: new(matcher.Time(w.IntN(20)*1000 - 5000))}
		case 16:
			e.EndTime.LT = new(matcher.Time(w.IntN(20)*1000 - 5000))
		case 17:
			e.TopMatchObjectIDs = subset(w, w.ids[:9])
		case 18:
			e.TopMatchExternalIDs = texts("x", 6)
		case 19:
			e.TopMatchSimilarity = matcher.Range[float64]{GTE: new(w.Float64()), LT: pick(w, []*float64{nil, new(0.75), new(2.0)})}
		case 20:
			e.Meta = append(e.Meta, w.metaFilter())
		}
	}
	return f
}

func (w *world) metaFilter() matcher.MetaFilter {
	f := matcher.MetaFilter{Field: pick(w, metaFields), Op: matcher.MetaOp(w.IntN(4))}
	if f.Field.Type == matcher.MetaBoolean {
		f.Op %= 2
	}
	value := func() matcher.MetaValue {
		switch f.Field.Type {
		case matcher.MetaNumber:
			return matcher.MetaValue{Number: pick(w, []float64{3, -0.5, 1e300, 7, 3.0000000001})}
		case matcher.MetaString:
			return matcher.MetaValue{Text: pick(w, []string{"n1", "n2", "", "é", "z"})}
		default:
			return matcher.MetaValue{Number: float64(w.IntN(2))}
		}
	}
	if f.Op != matcher.MetaIn {
		f.Values = []matcher.MetaValue{value()}
		return f
	}
	for range w.IntN(4) {
		f.Values = append(f.Values, value())
	}
	return f
}

// originsPair is a Memory beside the model.
type originsPair struct {
	*Memory
	plain
	*world
	faces []*matcher.Version
	body  *matcher.Version
	dir   string
}

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
	p.plain = plain{oracle: oracle{registry: registry}, objects: map[place]*matcher.Object{}, clock: 1_000_000}
	p.start(t, metaFields)
	return p
}

// start puts an empty Memory in place.
func (p *originsPair) start(t *testing.T, meta []matcher.MetaField) {
	t.Helper()
	m, err := New(Options{
		Registry: p.oracle.registry, Kernel: p.kernel(), Workers: 2, Cost: 100, chunkRows: 128, MetaFields: meta,
		now: func() time.Time { return time.UnixMilli(int64(p.clock)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	p.Memory = m
}

// restart takes all through segments.
func (p *originsPair) restart(t *testing.T) {
	t.Helper()
	dir := p.dir // one for all times: what has not changed is not sealed again
	seal(t, p.Memory, dir, "mark")
	p.start(t, nil)
	if _, err := p.Restore(t.Context(), dir); len(p.objects) > 0 && (err == nil || !strings.Contains(err.Error(), "the configuration changed")) {
		t.Fatalf("other declared fields: %v", err)
	}
	p.start(t, metaFields)
	if mark, err := p.Restore(t.Context(), dir); err != nil || string(mark) != "mark" || p.Records() != uint64(len(p.objects)) {
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
			changes = append(changes, store.Change{Kind: store.DeleteObject, Origin: o, ID: pick(p.world, p.ids)})
			continue
		}
		changes = append(changes, store.Change{Kind: store.PutObject, Object: p.of(o, p.clock, p.faces, p.body)})
	}
	if err := p.Admit(changes); err != nil {
		t.Fatal(err)
	}
	p.apply(changes)
	p.Apply(changes)
	if p.IntN(6) == 0 {
		p.compact(func(v *view) bool { return v.deaths > 0 })
	}
	p.clock += matcher.Time(p.IntN(5))
}

// apply is of the model: both embedded types have one.
func (p *originsPair) apply(changes []store.Change) { p.plain.apply(changes) }

// same compares two objects.
func same(t *testing.T, got, want *matcher.Object) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return // cmp is slow
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
}

// check compares selections, pages and matches.
func (p *originsPair) check(t *testing.T) {
	t.Helper()
	o := matcher.Origin(p.IntN(int(matcher.Origins)))
	f := p.filterOf(o)
	var account *matcher.ID
	if p.IntN(5) == 0 {
		account = new(pick(p.world, p.world.accounts))
	}
	want := p.selected(o, &f, account)
	got, n, err := p.Page(t.Context(), o, &f, account, 0, 1000, true)
	if err != nil || n != len(want) {
		t.Fatalf("%v: %d objects of %s, want %d: %s", err, n, o, len(want), show(f))
	}
	for i := range got {
		same(t, &got[i], want[i])
	}
	v := pick(p.world, []*matcher.Version{p.faces[0], p.faces[1], p.body})
	c := &matcher.Candidates{Origin: o, Filter: f, Limit: 1 + p.IntN(9), Order: matcher.Order(p.IntN(3))}
	sub := reference(v, p.descriptor(v).Data, c)
	sub.Account = account
	p.checkMatch(t, &sub, want)
}

// checkMatch compares a match with one over the objects that pass the filter.
func (p *originsPair) checkMatch(t *testing.T, sub *matcher.SubRequest, selected []*matcher.Object) {
	t.Helper()
	few := oracle{registry: p.oracle.registry, faces: map[matcher.ID]*matcher.Object{}}
	for _, x := range selected {
		few.faces[x.ID] = x
	}
	all := *sub
	all.Account, all.Candidates = nil, &matcher.Candidates{Limit: sub.Candidates.Limit, Order: sub.Candidates.Order}
	want, n, scanned := few.match(&all)
	r := p.Match(t.Context(), []matcher.SubRequest{*sub})[0]
	if r.Err != nil || r.Scan.RowsSelected != n || r.Scan.RowsScanned != scanned {
		t.Fatalf("%v: scan %+v, want %d selected, %d scanned", r.Err, r.Scan, n, scanned)
	}
	if got := answers(r.Matches); !slices.Equal(got, want) {
		t.Fatalf("%s:\n got %v\nwant %v", show(sub.Candidates.Filter), got, want)
	}
	for _, m := range r.Matches {
		plain := *few.faces[m.ID]
		plain.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
		same(t, m.Object, &plain)
	}
}

func show(f matcher.Filter) string {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestOriginsEqualBruteForce: random writes, filters and matches of all origins,
// attributes that expire meanwhile.
func TestOriginsEqualBruteForce(t *testing.T) {
	for seed := range uint64(4) {
		p := newOriginsPair(t, seed)
		switch seed {
		case 1: // lexicons that overflow
			for _, l := range append(p.lexicons.texts[:], p.lexicons.meta...) {
				if l != nil {
					l.most = 2
				}
			}
		case 2: // hashes that do not tell anything
			for _, l := range append(p.lexicons.texts[:], p.lexicons.meta...) {
				if l == nil {
					continue
				}
				for _, prefix := range []string{"s", "c", "a", "d", "r", "", "n"} {
					for i := range 9 {
						l.clashes[hashString(fmt.Sprint(prefix, i))] = true
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
			if want := p.there(place.origin, &matcher.Filter{}, nil, x); ok != want {
				t.Errorf("Get: %v, want %v", ok, want)
			} else if ok {
				same(t, &got, x)
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

// TestLexiconClash: texts of one hash are told apart.
func TestLexiconClash(t *testing.T) {
	a, b := clash(t)
	p := newOriginsPair(t, 9)
	for i, source := range []string{a, b, a} {
		x := p.of(matcher.Events, 0, p.faces, p.body)
		x.ID, x.Event.Source = matcher.ID{byte(i + 1)}, source
		change := []store.Change{{Kind: store.PutObject, Object: x}}
		p.apply(change)
		p.Apply(change)
	}
	for _, want := range []string{a, b} {
		f := matcher.Filter{Event: matcher.EventFilter{Sources: []string{want}}}
		ids, err := p.IDs(t.Context(), matcher.Events, &f, nil)
		if err != nil || len(ids) != len(p.selected(matcher.Events, &f, nil)) {
			t.Errorf("%q: %v, %v", want, ids, err)
		}
	}
}

// clash returns two texts with one hash.
func clash(t *testing.T) (a, b string) {
	t.Helper()
	seen := map[uint32]string{}
	for i := range 1 << 20 {
		s := fmt.Sprint("clash ", i)
		if other, ok := seen[hashString(s)]; ok {
			return other, s
		}
		seen[hashString(s)] = s
	}
	t.Fatal("no two of a million texts have one hash")
	return "", ""
}

// TestOneClock: sub-requests of one request see an attribute all, or none.
func TestOneClock(t *testing.T) {
	p := newOriginsPair(t, 3)
	x := p.of(matcher.Attributes, 0, p.faces, p.body)
	x.Expires = p.clock + 50
	p.Apply([]store.Change{{Kind: store.PutObject, Object: x}})
	p.options.now = func() time.Time { p.clock++; return time.UnixMilli(int64(p.clock)) } // each look at the clock moves it
	v := p.oracle.registry.Version(x.Descriptors[matcher.FaceDescriptor].Version)
	for range 60 {
		var subs []matcher.SubRequest
		for range 3 {
			subs = append(subs, reference(v, p.descriptor(v).Data, &matcher.Candidates{Origin: matcher.Attributes, Limit: 1}))
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
