package memory

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
	"nearside/simd"
)

// benchRows and benchLength give a table of 100 MB, far larger than any cache.
const (
	benchRows   = 200_000
	benchLength = 512
)

// bench returns a Memory in which one row in a hundred has age 1, scattered, and another
// one in a hundred has gender 1, all adjacent.
func bench(k *simd.Kernel) (*Memory, error) {
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		return nil, err
	}
	m, err := New(Options{Registry: registry, Kernel: k})
	if err != nil {
		return nil, err
	}
	rng := rand.NewChaCha8([32]byte{})
	var changes []store.Change
	for i := range benchRows {
		data := make([]byte, benchLength)
		if _, err := rng.Read(data); err != nil {
			return nil, err
		}
		c := memorytest.Put(matcher.ID{1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}, 59, data)
		if i%100 == 50 {
			c.Object.Age = matcher.SmallOf(1)
		}
		if i < benchRows/100 {
			c.Object.Gender = matcher.SmallOf(1)
		}
		if changes = append(changes, c); len(changes) == 1000 {
			m.Apply(changes)
			changes = nil
		}
	}
	return m, nil
}

// BenchmarkMatch reports ns per row and query for a request, by the number of rows that
// pass its filter and by the number of references.
func BenchmarkMatch(b *testing.B) {
	for _, k := range simd.Kernels() {
		if !k.Usable() {
			b.Log(k.Name(), "is not measured: this CPU cannot run it")
			continue
		}
		m, err := bench(k)
		if err != nil {
			b.Fatal(err)
		}
		for _, set := range []struct {
			name   string
			filter matcher.Filter
			rows   int
		}{
			{"all", matcher.Filter{}, benchRows},
			{"scattered", matcher.Where(matcher.Within("age", matcher.Range[uint8]{GTE: new(uint8(1))})), benchRows / 100},
			{"contiguous", matcher.Where(matcher.AnyOf("gender", uint8(1))), benchRows / 100},
		} {
			for _, queries := range []int{1, 64, 256} {
				b.Run(fmt.Sprintf("%s/%s/queries=%d", k.Name(), set.name, queries), func(b *testing.B) {
					benchMatch(b, m, set.filter, set.rows, queries)
				})
			}
		}
		m.Close()
	}
}

func benchMatch(b *testing.B, m *Memory, filter matcher.Filter, rows, queries int) {
	b.Helper()
	c := &matcher.Candidates{Limit: 5, Filter: filter, Targets: []string{"face_id", "similarity"}}
	rng := rand.NewChaCha8([32]byte{1})
	var subs []matcher.SubRequest
	for range queries {
		data := make([]byte, benchLength)
		if _, err := rng.Read(data); err != nil {
			b.Fatal(err)
		}
		subs = append(subs, memorytest.Reference(m.options.Registry.Version(59), data, c))
	}
	b.ReportAllocs()
	b.SetBytes(int64(rows * benchLength))
	for b.Loop() {
		if r := m.Match(b.Context(), subs); r[0].Err != nil || r[0].Scan.RowsScanned != rows {
			b.Fatal(r[0])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows*queries), "ns/row")
}

// BenchmarkCommit reports ns per update, in commits of 100 updates to 100,000 faces of one
// list, including compaction.
func BenchmarkCommit(b *testing.B) {
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(Options{Registry: registry, Kernel: simd.Kernels()[0]})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	const rows = 100_000
	list := matcher.NewID()
	m.Apply([]store.Change{{Kind: store.PutList, List: &matcher.List{ID: list}}})
	data := make([]byte, benchLength)
	n := 0
	commit := func(size int) {
		var changes []store.Change
		for range size {
			n++
			i := n * 7919 % rows
			c := memorytest.Put(matcher.ID{1: byte(i >> 16), 2: byte(i >> 8), 3: byte(i)}, 59, data)
			c.Object.Lists = []matcher.ID{list}
			changes = append(changes, c)
		}
		if err := m.Admit(changes); err != nil {
			b.Fatal(err)
		}
		m.Apply(changes)
	}
	for range rows / 1000 {
		commit(1000)
	}
	runtime.GC()
	b.ReportAllocs()
	for b.Loop() {
		commit(100)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/update")
}
