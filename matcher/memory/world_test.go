package memory

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/simd"
)

// world makes random but reproducible objects and requests.
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

func subset[T any](w *world, from []T) []T {
	some := []T{}
	for _, x := range from {
		if w.IntN(3) == 0 {
			some = append(some, x)
		}
	}
	return some
}

// descriptor returns a random row, often one of a few, so that ties are common, and
// sometimes an extreme one.
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
			f = 1 + float32(w.IntN(3))*0x1p-23 // gives distances close to each other
		}
		if f == 0 {
			f = 1
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
	}
	return matcher.Descriptor{Version: v.Number, Data: data}
}

// changesAccount reports whether err is that of a write that was refused because it would
// change the account of an object.
func changesAccount(err error) bool {
	return matcher.CodeOf(err) == matcher.CodeBadInput && strings.HasPrefix(err.Error(), "account_id: ") && strings.Contains(err.Error(), " cannot be changed to ")
}

// face returns a random face in some of the lists.
func (w *world) face(lists []matcher.ID, versions []*matcher.Version) *matcher.Object {
	o := &matcher.Object{ID: testkit.Pick(w.Rand, w.ids...), CreateTime: matcher.Time(w.IntN(20) * 1000), Avatar: "a"}
	if w.IntN(3) > 0 {
		o.Account = testkit.Pick(w.Rand, w.accounts...)
		o.ExternalID = fmt.Sprint("e", w.IntN(6))
		o.Age = matcher.SmallOf(uint8(w.IntN(90)))
		o.Gender = matcher.SmallOf(uint8(w.IntN(2)))
	}
	if w.IntN(3) > 0 {
		o.UserData = fmt.Sprint("u", w.IntN(6))
		o.EthnicGroup = matcher.SmallOf(uint8(w.IntN(5)))
		o.EventID = testkit.Pick(w.Rand, w.events...)
	}
	o.Lists = subset(w, lists)
	slices.SortFunc(o.Lists, matcher.ID.Compare)
	o.Descriptors[matcher.FaceDescriptor] = w.descriptor(testkit.Pick(w.Rand, versions...))
	return o
}

// filter returns a random filter for faces.
func (w *world) filter() (f matcher.Filter) {
	for range w.IntN(4) {
		switch w.IntN(14) {
		case 0:
			f.Account = new(testkit.Pick(w.Rand, w.accounts...))
		case 1:
			f.CreateTime.GTE = new(matcher.Time(w.IntN(20) * 1000))
		case 2:
			f.CreateTime.LT = new(matcher.Time(w.IntN(20) * 1000))
		case 3:
			on(&f, "user_data").Texts = []string{fmt.Sprint("u", w.IntN(7))}
		case 4:
			on(&f, "external_id").Texts = subset(w, []string{"e0", "e1", "e2", "none"})
		case 5:
			on(&f, "age").Range = matcher.Range[uint8]{GTE: new(uint8(w.IntN(60)))}
		case 6:
			on(&f, "age").Range.LT = new(uint8(w.IntN(90)))
		case 7:
			on(&f, "gender").Smalls = []uint8{uint8(w.IntN(3))}
		case 8:
			on(&f, "ethnic_group").Smalls = subset(w, []uint8{0, 1, 2, 9})
		case 9:
			on(&f, "event_id").UUIDs = subset(w, w.events)
		case 10:
			f.IDs = subset(w, w.ids)[:w.IntN(50)]
		case 11:
			f.IDRange = matcher.Range[matcher.ID]{GTE: new(testkit.Pick(w.Rand, w.ids...)), LT: new(testkit.Pick(w.Rand, w.ids...))}
		case 12:
			f.ListID = new(testkit.Pick(w.Rand, w.lists...))
		case 13:
			f.Lists = subset(w, w.lists)
		}
	}
	return f
}

// matchBoth compares the answers of m to a random request with those of o.
func matchBoth(t *testing.T, w *world, m *Memory, o *memorytest.Oracle, versions []*matcher.Version) {
	t.Helper()
	var subs []matcher.SubRequest
	for range 1 + w.IntN(3) {
		c := &matcher.Candidates{Filter: w.filter(), Limit: 1 + w.IntN(12), Order: matcher.Order(w.IntN(3))}
		if w.IntN(2) == 0 {
			c.Threshold = w.Float64()
		}
		w.rankingFields(c)
		var account *matcher.ID
		if w.IntN(4) == 0 {
			account = new(testkit.Pick(w.Rand, w.accounts...))
		}
		for range 1 + w.IntN(3) {
			v := testkit.Pick(w.Rand, versions...)
			ref := w.reference(testkit.Pick(w.Rand, w.ids...))
			ref.Descriptor = w.descriptor(v)
			subs = append(subs, matcher.SubRequest{Reference: ref, Candidates: c, Version: v, Account: account})
		}
	}
	for i, r := range m.Match(context.Background(), subs) {
		want, selected, scanned := o.Answer(&subs[i])
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.Scan.RowsSelected != selected || r.Scan.RowsScanned != scanned || r.Scan.RowsOtherVersion != selected-scanned {
			t.Fatalf("scan %+v, want %d selected, %d scanned; filter %+v", r.Scan, selected, scanned, subs[i].Candidates.Filter)
		}
		if n := o.Count(&subs[i]); subs[i].Candidates.Count && r.Count != n {
			t.Fatalf("version %d, %+v: counted %d, want %d", subs[i].Version.Number, *subs[i].Candidates, r.Count, n)
		}
		got := memorytest.AnswersOf(r.Matches)
		for _, x := range r.Matches {
			checkFields(t, x.Object, o.Faces[x.ID])
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

// kernel returns the best kernel of this machine.
func (w *world) kernel() *simd.Kernel {
	k, err := simd.Select("auto")
	if err != nil {
		panic(err)
	}
	return k
}

// on returns the filter of the plain field at path.
func on(f *matcher.Filter, path string) *matcher.FieldFilter {
	for o := range matcher.Origins {
		for _, field := range matcher.Fields(o) {
			if field.Path() == path {
				return f.On(field)
			}
		}
	}
	panic("there is no field " + path)
}
