package memory

import (
	"slices"

	"nearside/matcher"
	"nearside/simd"
)

// fewValues is up to how many values are compared with each row one by one:
// more are looked up.
const fewValues = 8

// hashed makes a predicate over a column of hashes: the hash finds rows, same
// settles them; nil: the hash is enough.
func hashed(column func(*chunk) []uint32, hashes []uint32, same func(v *view, i int) bool) predicate {
	find := oneOf(column, hashes)
	if same == nil {
		return find
	}
	return predicate{
		one: func(v *view, i int) bool { return find.one(v, i) && same(v, i) },
		all: func(k *simd.Kernel, v *view, words []uint64) { find.all(k, v, words); clearUnless(v, words, same) },
	}
}

// oneOf passes the given values.
func oneOf[T ~uint32 | ~int64](column func(*chunk) []T, values []T) predicate {
	switch {
	case len(values) == 0:
		return nothing
	case len(values) == 1:
		return within(column, values[0], values[0])
	case len(values) <= fewValues:
		return predicate{
			one: func(v *view, i int) bool { return slices.Contains(values, column(v.chunk)[i]) },
			all: func(k *simd.Kernel, v *view, words []uint64) { keepFew(k, words, column(v.chunk)[:v.n], values) },
		}
	}
	var low [1 << 16 / 64]uint64 // of the low bits of values: it sorts out most rows
	set := make(map[T]struct{}, len(values))
	for _, x := range values {
		low[x&0xffff>>6] |= 1 << (x & 63)
		set[x] = struct{}{}
	}
	return byRow(func(v *view, i int) bool {
		x := column(v.chunk)[i]
		if low[x&0xffff>>6]>>(x&63)&1 == 0 {
			return false
		}
		_, ok := set[x]
		return ok
	})
}

// keepFew clears the bits of words whose values equal none of few.
func keepFew[T ~uint32 | ~int64](k *simd.Kernel, words []uint64, values, few []T) {
	some, one := make([]uint64, len(words)), make([]uint64, len(words))
	for _, x := range few {
		copy(one, words)
		keepWithin(k, one, values, x, x)
		for w := range some {
			some[w] |= one[w]
		}
	}
	copy(words, some)
}

// textIn makes a predicate over a text of the record that has a column of
// hashes. Origins without that text have no row that passes.
func (q *query) textIn(field int, want []string) predicate {
	if q.origin == matcher.Attributes {
		return nothing
	}
	var lex *lexicon
	if q.origin == matcher.Events {
		lex = q.lexicons.texts[field]
	}
	return textIn(field, want, lex)
}

func textIn(field int, want []string, lex *lexicon) predicate {
	hashes, unsure := make([]uint32, 0, len(want)), false
	set := make(map[string]struct{}, len(want))
	for _, s := range want {
		if s == "" { // an absent field passes no filter
			continue
		}
		h := hashString(s)
		maybe, exact := lex.find(h, s)
		if maybe {
			hashes = append(hashes, h)
			set[s] = struct{}{}
			unsure = unsure || !exact
		}
	}
	column := func(c *chunk) []uint32 { return c.hashes[field] }
	if !unsure {
		return hashed(column, hashes, nil)
	}
	return hashed(column, hashes, func(v *view, i int) bool {
		_, ok := set[string(v.text(i, field))]
		return ok
	})
}

func idTexts(ids []matcher.ID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = idText(id)
	}
	return texts
}
