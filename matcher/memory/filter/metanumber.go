package filter

import (
	"math"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// metaNumber returns the predicate of a filter on a declared number. The column holds the
// nearest float64 of each value. If several integers have the same nearest float64, the
// exact value is read from the record of the row.
func metaNumber(field int, f *matcher.MetaFilter) Predicate {
	column := func(c *table.Chunk) []table.Number { return c.Events.Meta[field].Numbers }
	exact := func(v *table.View, i int) matcher.Number {
		n, _ := table.MetaNumberOf(table.ValueAt(table.ParseMeta(string(v.Meta(i))), f.Field.Path))
		return n
	}
	if f.Op == matcher.MetaEQ || f.Op == matcher.MetaIn {
		return metaNumberIn(column, f.Values, exact)
	}
	bound := f.Values[0].Number
	key := table.NumberOf(bound.Float)
	wide := Within(column, key, table.Number(math.MaxInt64))
	if f.Op == matcher.MetaLT {
		wide = Within(column, table.NoNumber+1, key)
		if !bound.IsShared() {
			return Within(column, table.NoNumber+1, key-1)
		}
	}
	if !bound.IsShared() {
		return wide
	}
	return withTestAt(wide, column, key, func(v *table.View, i int) bool {
		return exact(v, i).Compare(bound) >= 0 == (f.Op == matcher.MetaGTE)
	})
}

// withTestAt returns wide with one more condition: rows whose column value is key must
// also pass test.
func withTestAt(wide Predicate, column func(*table.Chunk) []table.Number, key table.Number, test func(v *table.View, i int) bool) Predicate {
	return Predicate{
		One: func(v *table.View, i int) bool {
			return wide.One(v, i) && (column(v.Chunk)[i] != key || test(v, i))
		},
		All: func(k *simd.Kernel, v *table.View, words []uint64) {
			wide.All(k, v, words)
			at := make([]uint64, len(words))
			copy(at, words)
			keepWithin(k, at, column(v.Chunk)[:v.Rows], key, key)
			for w := range words {
				words[w] &^= at[w]
			}
			ClearUnless(v, at, test)
			for w := range words {
				words[w] |= at[w]
			}
		},
	}
}

// metaNumberIn returns a predicate that passes rows whose number is one of values.
func metaNumberIn(column func(*table.Chunk) []table.Number, values []matcher.MetaValue, exact func(v *table.View, i int) matcher.Number) Predicate {
	keys, set, shared := make([]table.Number, len(values)), map[matcher.Number]struct{}{}, false
	for i := range values {
		n := values[i].Number
		keys[i] = table.NumberOf(n.Float)
		if n.IsShared() {
			set[n] = struct{}{}
			shared = true
		}
	}
	find := oneOf(column, keys)
	if !shared {
		return find
	}
	test := func(v *table.View, i int) bool {
		if n := (matcher.Number{Float: column(v.Chunk)[i].Float()}); !n.IsShared() {
			return true
		}
		_, ok := set[exact(v, i)]
		return ok
	}
	return Predicate{
		One: func(v *table.View, i int) bool { return find.One(v, i) && test(v, i) },
		All: func(k *simd.Kernel, v *table.View, words []uint64) {
			find.All(k, v, words)
			ClearUnless(v, words, test)
		},
	}
}
