package store

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"nearside/matcher"
)

// nullApplier is an applier that does nothing, so that it does not count in the
// measured times.
type nullApplier struct{}

func (nullApplier) Has(matcher.Origin, matcher.ID) bool { return false }
func (nullApplier) Admit([]Change) error                { return nil }
func (nullApplier) Hold()                               {}
func (nullApplier) Withdraw()                           {}
func (nullApplier) Apply([]Change)                      {}

func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(ctx, Options{Dir: b.TempDir(), Applier: nullApplier{}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkImport measures the import of new faces into a list.
func BenchmarkImport(b *testing.B) {
	for _, rows := range []int{100, 1000, 10_000, 50_000} {
		b.Run(strconv.Itoa(rows), func(b *testing.B) {
			s := benchStore(b)
			rng := rand.New(rand.NewPCG(1, 2))
			lines := make([]ImportLine, rows)
			imported := 0
			for b.Loop() {
				b.StopTimer()
				for i := range lines {
					lines[i] = ImportLine{Object: face(rng, matcher.NewID()), AddList: id(1)}
				}
				b.StartTimer()
				for _, err := range s.Import(ctx, nil, lines) {
					if err != nil {
						b.Fatal(err)
					}
				}
				imported += rows
			}
			b.ReportMetric(float64(imported)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkCreate measures single writes of many concurrent clients.
func BenchmarkCreate(b *testing.B) {
	s := benchStore(b)
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		rng := rand.New(rand.NewPCG(1, 2))
		for pb.Next() {
			if err := s.CreateObject(ctx, nil, face(rng, matcher.NewID())); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// BenchmarkOpen measures Open with 200,000 faces.
func BenchmarkOpen(b *testing.B) {
	s := benchStore(b)
	const rows = 200_000
	rng := rand.New(rand.NewPCG(1, 2))
	for range rows / 10_000 {
		lines := make([]ImportLine, 10_000)
		for i := range lines {
			lines[i] = ImportLine{Object: face(rng, matcher.NewID()), AddList: id(1)}
		}
		s.Import(ctx, nil, lines)
	}
	for b.Loop() {
		_ = s.Close()
		begin := time.Now()
		var err error
		if s, err = Open(ctx, Options{Dir: s.opts.Dir, Applier: nullApplier{}}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(rows/time.Since(begin).Seconds(), "rows/s")
	}
	_ = s.Close()
}

// BenchmarkCodec measures encoding and decoding of a face with a descriptor of 512
// bytes.
func BenchmarkCodec(b *testing.B) {
	table := newLists()
	table.set(id(1), listEntry{list: &matcher.List{ID: id(1)}, number: 7})
	o := face(seeded(), id(2), id(1))
	rec, err := appendObject(nil, o, table)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rec, _ = appendObject(rec[:0], o, table)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeObject(rec, o.Origin, o.ID, table); err != nil {
				b.Fatal(err)
			}
		}
	})
}
