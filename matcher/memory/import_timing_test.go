package memory

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/simd"
)

// importGroup is the number of lines in a group of a large import.
const importGroup = 12_000

// BenchmarkStoreImport measures what an import costs after its lines are decoded: the
// store, the rows in memory and the segments. It reports rows per second and the CPU time
// of the process per row, background work included.
func BenchmarkStoreImport(b *testing.B) {
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(Options{Registry: registry, Kernel: simd.Kernels()[0]})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	s, err := store.Open(b.Context(), store.Options{Dir: b.TempDir(), Applier: m, Cache: m, Warn: func(msg string, args ...any) { b.Log(append([]any{msg}, args...)...) }})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	data := make([]byte, 64<<20)
	if _, err := rand.NewChaCha8([32]byte{1}).Read(data); err != nil {
		b.Fatal(err)
	}
	rng := rand.NewChaCha8([32]byte{2})
	rows, at, cpu := 0, 0, time.Duration(0)
	list, now := matcher.NewID(), matcher.TimeOf(time.Now())
	for b.Loop() {
		b.StopTimer()
		lines := make([]store.ImportLine, importGroup)
		for i := range lines {
			if at+benchLength > len(data) {
				at = 0
			}
			o := &matcher.Object{Origin: matcher.Faces, CreateTime: now + matcher.Time(rows+i)}
			_, _ = rng.Read(o.ID[:])
			o.Descriptors[0] = matcher.Descriptor{Version: 59, Data: data[at:][:benchLength:benchLength]}
			at += benchLength
			lines[i] = store.ImportLine{Object: o, AddList: list}
		}
		used := cpuTime()
		b.StartTimer()
		for _, err := range s.Import(b.Context(), nil, lines) {
			if err != nil {
				b.Fatal(err)
			}
		}
		cpu += cpuTime() - used
		rows += importGroup
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(rows)/1000, "us-cpu/row")
	b.ReportMetric(0, "ns/op")
}

// cpuTime returns the CPU time that the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
