package filter

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"nearside/matcher/memory/table"
	"nearside/simd"
)

// BenchmarkOneOf reports ns per row for a full chunk of 200 different values, by the number
// of wanted values. "lookup" never uses simd.OneOf, so it shows from which number on a
// lookup is faster.
func BenchmarkOneOf(b *testing.B) {
	random := rand.New(rand.NewPCG(7, 1))
	different := make([]uint32, 200)
	for i := range different {
		different[i] = random.Uint32()
	}
	rows := make([]uint32, table.ChunkRowsMax)
	for i := range rows {
		rows[i] = different[random.IntN(len(different))]
	}
	column := func(*table.Chunk) []uint32 { return rows }
	for _, k := range simd.Kernels() {
		if !k.Usable() {
			continue
		}
		for _, count := range []int{2, 4, 8, 16, 32, 64, 128} {
			b.Run(fmt.Sprintf("%s/%d", k.Name(), count), func(b *testing.B) { benchPredicate(b, k, oneOf(column, different[:count])) })
			b.Run(fmt.Sprintf("%s/%d/lookup", k.Name(), count), func(b *testing.B) { benchPredicate(b, k, lookedUp(column, different[:count])) })
		}
		b.Run(k.Name()+"/range", func(b *testing.B) { benchPredicate(b, k, Within(column, 1<<30, 1<<31)) })
	}
}

func benchPredicate(b *testing.B, k *simd.Kernel, p Predicate) {
	b.Helper()
	v := &table.View{Chunk: &table.Chunk{}, Rows: table.ChunkRowsMax}
	words := make([]uint64, table.ChunkRowsMax/64)
	for b.Loop() {
		fill(words, v.Rows)
		p.All(k, v, words)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/table.ChunkRowsMax, "ns/row")
}
