package memory

import (
	"slices"

	"nearside/matcher"
	"nearside/simd"
)

// fewHashes is up to how many hashes are compared with each row one by one:
// more are looked up.
const fewHashes = 8

// hashed makes a predicate over a column of hashes: the hash finds rows, same
// settles them; nil: the hash is enough.
func hashed(column func(*chunk) []uint32, hashes []uint32, same func(v *view, i int) bool) predicate {
	if len(hashes) == 0 {
		return nothing
	}
	find := oneOfHashes(column, hashes)
	if same == nil {
		return find
	}
	return predicate{
		one: func(v *view, i int) bool { return find.one(v, i) && same(v, i) },
		all: func(k *simd.Kernel, v *view, words []uint64) { find.all(k, v, words); clearUnless(v, words, same) },
	}
}

func oneOfHashes(column func(*chunk) []uint32, hashes []uint32) predicate {
	if len(hashes) == 1 {
		return within(column, hashes[0], hashes[0])
	}
	if len(hashes) <= fewHashes {
		return predicate{
			one: func(v *view, i int) bool { return slices.Contains(hashes, column(v.chunk)[i]) },
			all: func(_ *simd.Kernel, v *view, words []uint64) { maskOneOf(words, column(v.chunk)[:v.n], hashes) },
		}
	}
	var low [1 << 16 / 64]uint64 // of the low bits of hashes: it sorts out most rows
	set := make(map[uint32]struct{}, len(hashes))
	for _, h := range hashes {
		low[h&0xffff>>6] |= 1 << (h & 63)
		set[h] = struct{}{}
	}
	return byRow(func(v *view, i int) bool {
		h := column(v.chunk)[i]
		if low[h&0xffff>>6]>>(h&63)&1 == 0 {
			return false
		}
		_, ok := set[h]
		return ok
	})
}

// maskOneOf clears the bits of the values that equal none of set. The loops
// have no branch that depends on the data.
func maskOneOf(words []uint64, values, set []uint32) {
	for w := range words {
		if words[w] == 0 {
			continue
		}
		part := values[w*64 : min(w*64+64, len(values))]
		mask := uint64(0)
		for _, x := range set {
			for i, y := range part {
				mask |= bit(x == y) << i
			}
		}
		words[w] &= mask
	}
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
