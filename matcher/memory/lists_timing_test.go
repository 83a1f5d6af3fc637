package memory

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/store"
	"nearside/simd"
)

// listRows is the number of rows of a small list.
const listRows = 100

// numberedID returns the ID of the list or face with a number.
func numberedID(kind byte, n int) (id matcher.ID) {
	id[0] = kind
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	binary.BigEndian.PutUint32(id[1:], uint32(n)*2654435761)
	return id
}

// smallLists returns a Memory with rows in lists of listRows rows. The rows of a list are
// consecutive, or as far apart as possible.
func smallLists(b *testing.B, rows int, scattered bool) *Memory {
	b.Helper()
	v := matcher.Version{Number: 32, Length: 32, Scale: 128, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 8}}
	registry, err := matcher.NewRegistry([]matcher.Version{v})
	if err != nil {
		b.Fatal(err)
	}
	k, err := simd.Select("auto")
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(Options{Registry: registry, Kernel: k, Workers: 1})
	if err != nil {
		b.Fatal(err)
	}
	lists := rows / listRows
	var changes []store.Change
	for i := range lists {
		changes = append(changes, store.Change{Kind: store.PutList, List: &matcher.List{ID: numberedID(1, i)}})
	}
	m.Apply(changes)
	rng := rand.NewChaCha8([32]byte{})
	changes = nil
	for i := range rows {
		data := make([]byte, v.Length)
		if _, err := rng.Read(data); err != nil {
			b.Fatal(err)
		}
		c := memorytest.Put(numberedID(2, i), v.Number, data)
		list := i / listRows
		if scattered {
			list = i % lists
		}
		c.Object.Lists = []matcher.ID{numberedID(1, list)}
		if changes = append(changes, c); len(changes) == 8192 || i == rows-1 {
			m.Apply(changes)
			changes = nil
		}
	}
	runtime.GC()
	return m
}

// BenchmarkSmallList reports the median time of a match within a list of 100 rows among
// 10 million, or among 1 million with -short.
func BenchmarkSmallList(b *testing.B) {
	rows := 10_000_000
	if testing.Short() {
		rows = 1_000_000
	}
	for _, scattered := range []bool{false, true} {
		var m *Memory
		for _, same := range []bool{true, false} {
			b.Run(fmt.Sprintf("scattered=%v/same=%v", scattered, same), func(b *testing.B) {
				if m == nil {
					m = smallLists(b, rows, scattered)
				}
				benchSmallList(b, m, rows/listRows, same)
			})
		}
		if m != nil {
			m.Close()
		}
	}
}

// benchSmallList matches within one list, or within other lists each time.
func benchSmallList(b *testing.B, m *Memory, lists int, same bool) {
	b.Helper()
	v := m.options.Registry.Version(32)
	var took []time.Duration
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		id := numberedID(1, 77)
		if !same {
			id = numberedID(1, n*7919%lists)
		}
		c := &matcher.Candidates{Limit: 10, Filter: matcher.Filter{ListID: &id}, Targets: []string{"face_id", "similarity"}}
		subs := []matcher.SubRequest{memorytest.Reference(v, make([]byte, v.Length), c)}
		start := time.Now()
		r := m.Match(b.Context(), subs)
		took = append(took, time.Since(start))
		if r[0].Err != nil || r[0].Scan.RowsScanned != listRows {
			b.Fatal(r[0])
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}

// BenchmarkListWrites reports the time to create, rename and delete a list beside 100,000
// others, through the store, in commits of 100 lists.
func BenchmarkListWrites(b *testing.B) {
	const lists, batch = 100_000, 100
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(Options{Registry: registry, Kernel: simd.Kernels()[0]})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	s, err := store.Open(b.Context(), store.Options{Dir: b.TempDir(), Applier: m})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	next := 0
	write := func(first, n int, text string) {
		err := s.Commit(b.Context(), func(tx *store.Tx) error {
			for i := first; i < first+n; i++ {
				if id := numberedID(1, i); text == "" {
					tx.DeleteList(id)
				} else {
					tx.PutList(&matcher.List{ID: id, UserData: text, CreateTime: 1_777_593_600_000})
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for ; next < lists; next += 1000 {
		write(next, 1000, "name")
	}
	var create, rename, remove []time.Duration
	for b.Loop() {
		begin := time.Now()
		write(next, batch, "name")
		created := time.Now()
		write(next, batch, "other name")
		renamed := time.Now()
		write(next, batch, "")
		create, rename, remove = append(create, created.Sub(begin)), append(rename, renamed.Sub(created)), append(remove, time.Since(renamed))
		next += batch
	}
	for unit, took := range map[string][]time.Duration{"ns/create": create, "ns/rename": rename, "ns/delete": remove} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/batch, unit)
	}
}
