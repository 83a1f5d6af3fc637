package memory

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
	"nearside/simd"
)

// benchEvents returns a Memory with events of 60 days, ordered by time, and 200 MB of
// descriptors.
var benchEvents = sync.OnceValues(func() (*Memory, error) {
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		return nil, err
	}
	kernel, err := simd.Select("auto")
	if err != nil {
		return nil, err
	}
	m, err := New(Options{Registry: registry, Kernel: kernel, MetaFields: metaFields})
	if err != nil {
		return nil, err
	}
	rng, random := rand.NewChaCha8([32]byte{1}), rand.New(rand.NewPCG(1, 1))
	var changes []store.Change
	for i := range benchEventRows {
		data := make([]byte, benchLength)
		if _, err := rng.Read(data); err != nil {
			return nil, err
		}
		o := &matcher.Object{Origin: matcher.Events, ID: matcher.ID{1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}, CreateTime: matcher.Time(i * (60 * dayMs / benchEventRows))}
		o.Age = matcher.SmallOf(uint8(random.IntN(80)))
		o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: 59, Data: data}
		o.Event = &matcher.Event{
			Emotion: matcher.SmallOf(uint8(random.IntN(7))), Source: fmt.Sprint("cam-", random.IntN(200)), TrackID: fmt.Sprint("track-", i/4), Tags: []string{fmt.Sprint("tag", random.IntN(20)), fmt.Sprint("tag", random.IntN(20))},
			Location: matcher.Location{City: fmt.Sprint("city ", random.IntN(10)), Position: &matcher.Position{Longitude: random.Float64()*360 - 180, Latitude: random.Float64()*180 - 90}},
			Meta:     fmt.Sprintf(`{"shop":{"floor":%d},"name":"shop %d"}`, random.IntN(10), random.IntN(50)),
		}
		if changes = append(changes, store.Change{Kind: store.PutObject, Object: o}); len(changes) == 1000 {
			m.Apply(changes)
			changes = nil
		}
	}
	return m, nil
})

const (
	benchEventRows = 400_000
	dayMs          = 24 * 60 * 60 * 1000
)

// eventFilters are the filters that the benchmarks use.
var eventFilters = map[string]matcher.Filter{
	"all":         {},
	"city":        matcher.Where(matcher.AnyOf("location.city", "city 3")),
	"cities":      matcher.Where(matcher.AnyOf("location.city", "city 3", "city 4", "city 5")),
	"sources":     matcher.Where(matcher.AnyOf("source", someSources(20)...)),
	"emotions":    matcher.Where(matcher.AnyOf("emotion", uint8(1), 4, 6)),
	"tag":         {Event: matcher.EventFilter{Tags: []string{"tag7"}}},
	"track":       matcher.Where(matcher.AnyOf("track_id", "track-777")),
	"position":    {Event: matcher.EventFilter{Position: &matcher.GeoBox{LongitudeDelta: 18, LatitudeDelta: 90}}},
	"meta number": {Event: matcher.EventFilter{Meta: []matcher.MetaFilter{{Field: metaFields[0], Op: matcher.MetaGTE, Values: []matcher.MetaValue{{Number: matcher.IntNumber(9)}}}}}},
	"meta text":   {Event: matcher.EventFilter{Meta: []matcher.MetaFilter{{Field: metaFields[1], Values: []matcher.MetaValue{{Text: "shop 7"}}}}}},
	"day, city, ages": {
		CreateTime: matcher.Range[matcher.Time]{GTE: new(matcher.Time(30 * dayMs)), LT: new(matcher.Time(31 * dayMs))},
		Fields: []matcher.FieldFilter{
			matcher.Within("age", matcher.Range[uint8]{GTE: new(uint8(20)), LT: new(uint8(40))}), matcher.AnyOf("location.city", "city 3"),
		},
	},
}

func someSources(n int) []string {
	var sources []string
	for i := range n {
		sources = append(sources, fmt.Sprint("cam-", i*7))
	}
	return sources
}

// BenchmarkEventFilter reports ns per row of the table for selecting alone.
func BenchmarkEventFilter(b *testing.B) {
	m, err := benchEvents()
	if err != nil {
		b.Fatal(err)
	}
	for name, f := range eventFilters {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				s, err := m.selection(b.Context(), matcher.Events, &f, nil)
				if err != nil {
					b.Fatal(err)
				}
				n = s.Len()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEventRows, "ns/row")
			b.ReportMetric(float64(n), "rows")
		})
	}
}

// BenchmarkEventMatch matches one reference against the events of each filter.
func BenchmarkEventMatch(b *testing.B) {
	m, err := benchEvents()
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, benchLength)
	for name, f := range eventFilters {
		b.Run(name, func(b *testing.B) {
			sub := memorytest.Reference(m.options.Registry.Version(59), data, &matcher.Candidates{Origin: matcher.Events, Filter: f, Limit: 5, Targets: []string{"similarity"}})
			for b.Loop() {
				if r := m.Match(b.Context(), []matcher.SubRequest{sub}); r[0].Err != nil {
					b.Fatal(r[0].Err)
				}
			}
		})
	}
}

// BenchmarkEventApply reports ns per event that replaces another, including the rewriting
// of chunks.
func BenchmarkEventApply(b *testing.B) {
	m, err := benchEvents()
	if err != nil {
		b.Fatal(err)
	}
	const events = 1000
	var objects [events]matcher.Object
	for i := range objects {
		objects[i] = m.tables.Newest.Object(matcher.Events, uint32(i))
		m.tables.Newest.WithDescriptors(&objects[i], uint32(i))
	}
	for b.Loop() {
		changes := make([]store.Change, events)
		for i := range changes {
			changes[i] = store.Change{Kind: store.PutObject, Object: &objects[i]}
		}
		m.Apply(changes)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}
