package memory

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/simd"
)

// oracle answers by brute force over plain objects, with formulas of its own.
type oracle struct {
	registry *matcher.Registry
	faces    map[matcher.ID]*matcher.Object
	lists    map[matcher.ID]bool
}

func (o *oracle) apply(changes []store.Change) {
	for _, c := range changes {
		switch c.Kind {
		case store.PutObject:
			o.faces[c.Object.ID] = c.Object
		case store.DeleteObject:
			delete(o.faces, c.ID)
		case store.PutList:
			o.lists[c.List.ID] = true
		case store.DeleteList:
			delete(o.lists, c.ID)
			for id, f := range o.faces {
				if slices.Contains(f.Lists, c.ID) {
					f := *f
					f.Lists = slices.DeleteFunc(slices.Clone(f.Lists), func(l matcher.ID) bool { return l == c.ID })
					o.faces[id] = &f
				}
			}
		}
	}
}

func (o *oracle) passes(f *matcher.Filter, account *matcher.ID, x *matcher.Object) bool {
	small := func(s matcher.Small, r matcher.Range[uint8]) bool {
		v, ok := s.Get()
		return r.IsZero() || ok && matcher.InRange(r, v)
	}
	in := func(want []matcher.ID, have ...matcher.ID) bool {
		return slices.ContainsFunc(have, func(id matcher.ID) bool { return slices.Contains(want, id) })
	}
	g, hasGender := x.Gender.Get()
	e, hasEthnic := x.EthnicGroup.Get()
	return (account == nil || *account == x.Account) &&
		(f.Account == nil || *f.Account == x.Account) &&
		matcher.InRange(f.CreateTime, x.CreateTime) &&
		(f.UserData == nil || *f.UserData == x.UserData && x.UserData != "") &&
		(f.ExternalIDs == nil || x.ExternalID != "" && slices.Contains(f.ExternalIDs, x.ExternalID)) &&
		small(x.Age, f.Age) &&
		(f.Gender == nil || hasGender && g == *f.Gender) &&
		(f.EthnicGroups == nil || hasEthnic && slices.Contains(f.EthnicGroups, e)) &&
		(f.EventIDs == nil || !x.EventID.IsZero() && in(f.EventIDs, x.EventID)) &&
		(f.FaceIDs == nil || in(f.FaceIDs, x.ID)) &&
		(f.FaceID.GTE == nil || x.ID.String() >= f.FaceID.GTE.String()) &&
		(f.FaceID.LT == nil || x.ID.String() < f.FaceID.LT.String()) &&
		(f.ListID == nil || in([]matcher.ID{*f.ListID}, x.Lists...)) &&
		(f.Lists == nil || in(f.Lists, x.Lists...))
}

// distance follows the text of API.md 2.
func (o *oracle) distance(v *matcher.Version, a, b []byte) float64 {
	if v.Encoding == matcher.Uint8 {
		sum := int64(0)
		for i := range a {
			d := int64(a[i]) - int64(b[i])
			sum += d * d
		}
		return float64(sum) / (float64(v.Scale) * float64(v.Scale))
	}
	at := func(b []byte, i int) float64 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i*4:])))
	}
	var l2, dot, aa, bb float64
	for i := range v.Length {
		x, y := at(a, i), at(b, i)
		l2 += float64((x - y) * (x - y))
		dot += float64(x * y)
		aa += float64(x * x)
		bb += float64(y * y)
	}
	if v.Metric == matcher.L2 {
		return l2
	}
	return math.Max(0, 2-2*dot/math.Sqrt(aa*bb))
}

type answer struct {
	id         matcher.ID
	distance   float64
	similarity float64
	time       matcher.Time
}

// match returns the answer and how many rows pass the filter and have the
// version.
func (o *oracle) match(sub *matcher.SubRequest) (rows []answer, selected, scanned int) {
	c, v := sub.Candidates, sub.Version
	k, m := v.Similarity.Steepness, v.Similarity.Midpoint
	for _, x := range o.faces {
		if !o.passes(&c.Filter, sub.Account, x) {
			continue
		}
		selected++
		d := x.Descriptors[v.Type]
		if d.Version != v.Number {
			continue
		}
		scanned++
		a := answer{id: x.ID, distance: o.distance(v, sub.Reference.Descriptor.Data, d.Data), time: x.CreateTime}
		a.similarity = (1 + math.Exp(-k*m)) / (1 + math.Exp(k*(a.distance-m)))
		if a.similarity >= c.Threshold {
			rows = append(rows, a)
		}
	}
	sort.Slice(rows, func(i, j int) bool {
		a, b := rows[i], rows[j]
		switch {
		case c.Order == matcher.BySimilarity && a.distance != b.distance:
			return a.distance < b.distance
		case c.Order == matcher.ByTimeAsc && a.time != b.time:
			return a.time < b.time
		case c.Order == matcher.ByTimeDesc && a.time != b.time:
			return a.time > b.time
		}
		return bytes.Compare(a.id[:], b.id[:]) < 0
	})
	return rows[:min(len(rows), c.Limit)], selected, scanned
}

// world makes seeded objects and requests.
type world struct {
	*rand.Rand
	registry *matcher.Registry
	versions []*matcher.Version
	ids      []matcher.ID
	lists    []matcher.ID
	accounts []matcher.ID
	events   []matcher.ID
}

func newWorld(seed uint64) *world {
	var custom []matcher.Version
	for i, n := range []int{1, 31, 32, 128, 256, 512, 2048} {
		custom = append(custom,
			matcher.Version{Number: uint32(1000 + i), Encoding: matcher.Uint8, Length: n, Scale: 128, Similarity: matcher.Calibration{Midpoint: float64(n) / 12, Steepness: 40 / float64(n)}},
			matcher.Version{Number: uint32(2000 + i), Encoding: matcher.Float32, Length: n, Metric: matcher.L2, Exact: matcher.Exact(i % 2), Similarity: matcher.Calibration{Midpoint: 2 * float64(n), Steepness: 5 / float64(n)}},
			matcher.Version{Number: uint32(3000 + i), Encoding: matcher.Float32, Length: n, Metric: matcher.Cosine, Exact: matcher.Exact((i + 1) % 2), Similarity: matcher.Calibration{Midpoint: 2, Steepness: 4}})
	}
	registry, err := matcher.NewRegistry(custom)
	if err != nil {
		panic(err)
	}
	w := &world{Rand: rand.New(rand.NewPCG(seed, 7)), registry: registry}
	for _, c := range custom {
		w.versions = append(w.versions, registry.Version(c.Number))
	}
	for _, ids := range []*[]matcher.ID{&w.lists, &w.accounts, &w.events} {
		for range 4 {
			*ids = append(*ids, w.newID())
		}
	}
	for range 400 {
		w.ids = append(w.ids, w.newID())
	}
	return w
}

func (w *world) newID() (id matcher.ID) {
	binary.LittleEndian.PutUint64(id[:], w.Uint64())
	binary.LittleEndian.PutUint64(id[8:], w.Uint64())
	return id
}

func pick[T any](w *world, from []T) T { return from[w.IntN(len(from))] }

func subset[T any](w *world, from []T) []T {
	some := []T{}
	for _, x := range from {
		if w.IntN(3) == 0 {
			some = append(some, x)
		}
	}
	return some
}

// descriptor makes few different rows, so that ties are common, and now and
// then extreme ones.
func (w *world) descriptor(v *matcher.Version) matcher.Descriptor {
	data := make([]byte, 0, v.Size())
	kind, base := w.IntN(8), w.IntN(4)
	for i := 0; len(data) < v.Size(); i++ {
		if v.Encoding == matcher.Uint8 {
			b := byte(w.Uint32())
			switch kind {
			case 0:
				b = 255 * byte(base&1)
			case 1, 2:
				b = byte(i*31 + base)
			}
			data = append(data, b)
			continue
		}
		f := float32(w.NormFloat64())
		switch kind {
		case 0:
			f *= 1e30
		case 1:
			f *= 1e-25
		case 2, 3:
			f = float32(math.Sin(float64(i + base)))
		case 4:
			f = 1 + float32(w.IntN(3))*0x1p-23 // distances next to each other
		}
		if f == 0 {
			f = 1
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
	}
	return matcher.Descriptor{Version: v.Number, Data: data}
}

func (w *world) face(lists []matcher.ID, versions []*matcher.Version) *matcher.Object {
	o := &matcher.Object{ID: pick(w, w.ids), CreateTime: matcher.Time(w.IntN(20) * 1000), Avatar: "a"}
	if w.IntN(3) > 0 {
		o.Account = pick(w, w.accounts)
		o.ExternalID = fmt.Sprint("e", w.IntN(6))
		o.Age = matcher.SmallOf(uint8(w.IntN(90)))
		o.Gender = matcher.SmallOf(uint8(w.IntN(2)))
	}
	if w.IntN(3) > 0 {
		o.UserData = fmt.Sprint("u", w.IntN(6))
		o.EthnicGroup = matcher.SmallOf(uint8(w.IntN(5)))
		o.EventID = pick(w, w.events)
	}
	o.Lists = subset(w, lists)
	slices.SortFunc(o.Lists, matcher.ID.Compare)
	o.Descriptors[matcher.FaceDescriptor] = w.descriptor(pick(w, versions))
	return o
}

//go:fix inline
func (w *world) filter() (f matcher.Filter) {
	for range w.IntN(4) {
		switch w.IntN(14) {
		case 0:
			f.Account = new(pick(w, w.accounts))
		case 1:
			f.CreateTime.GTE = new(matcher.Time(w.IntN(20) * 1000))
		case 2:
			f.CreateTime.LT = new(matcher.Time(w.IntN(20) * 1000))
		case 3:
			f.UserData = new(fmt.Sprint("u", w.IntN(7)))
		case 4:
			f.ExternalIDs = subset(w, []string{"e0", "e1", "e2", "none"})
		case 5:
			f.Age = matcher.Range[uint8]{GTE: new(uint8(w.IntN(60)))}
		case 6:
			f.Age.LT = new(uint8(w.IntN(90)))
		case 7:
			f.Gender = new(uint8(w.IntN(3)))
		case 8:
			f.EthnicGroups = subset(w, []uint8{0, 1, 2, 9})
		case 9:
			f.EventIDs = subset(w, w.events)
		case 10:
			f.FaceIDs = subset(w, w.ids)[:w.IntN(50)]
		case 11:
			f.FaceID = matcher.Range[matcher.ID]{GTE: new(pick(w, w.ids)), LT: new(pick(w, w.ids))}
		case 12:
			f.ListID = new(pick(w, w.lists))
		case 13:
			f.Lists = subset(w, w.lists)
		}
	}
	return f
}

// matchBoth compares the answers of a request of several sub-requests.
func matchBoth(t *testing.T, w *world, m *Memory, o *oracle, versions []*matcher.Version) {
	t.Helper()
	var subs []matcher.SubRequest
	for range 1 + w.IntN(3) {
		c := &matcher.Candidates{Filter: w.filter(), Limit: 1 + w.IntN(12), Order: matcher.Order(w.IntN(3))}
		if w.IntN(2) == 0 {
			c.Threshold = w.Float64()
		}
		var account *matcher.ID
		if w.IntN(4) == 0 {
			account = new(pick(w, w.accounts))
		}
		for range 1 + w.IntN(3) {
			v := pick(w, versions)
			subs = append(subs, matcher.SubRequest{Reference: &matcher.Reference{Descriptor: w.descriptor(v)}, Candidates: c, Version: v, Account: account})
		}
	}
	for i, r := range m.Match(context.Background(), subs) {
		want, selected, scanned := o.match(&subs[i])
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.Scan.RowsSelected != selected || r.Scan.RowsScanned != scanned || r.Scan.RowsOtherVersion != selected-scanned {
			t.Fatalf("scan %+v, want %d selected, %d scanned; filter %+v", r.Scan, selected, scanned, subs[i].Candidates.Filter)
		}
		var got []answer
		for _, x := range r.Matches {
			got = append(got, answer{x.ID, x.Distance, x.Similarity, x.CreateTime})
			checkFields(t, x.Object, o.faces[x.ID])
		}
		if !slices.Equal(got, want) {
			t.Fatalf("version %d, %+v:\n got %v\nwant %v", subs[i].Version.Number, *subs[i].Candidates, got, want)
		}
	}
}

func checkFields(t *testing.T, got, want *matcher.Object) {
	t.Helper()
	plain := *want
	plain.Descriptors = [matcher.DescriptorTypes]matcher.Descriptor{}
	if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", plain) {
		t.Fatalf("fields\n got %+v\nwant %+v", *got, plain)
	}
}

func newMemory(t *testing.T, w *world, k *simd.Kernel, workers int) *Memory {
	t.Helper()
	m, err := New(Options{Registry: w.registry, Kernel: k, Workers: workers, Cost: 100, chunkRows: 64})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// kernel is the best of this machine.
func (w *world) kernel() *simd.Kernel {
	k, err := simd.Select("auto")
	if err != nil {
		panic(err)
	}
	return k
}
