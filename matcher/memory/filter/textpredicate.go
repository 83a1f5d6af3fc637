package filter

import (
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// Hashed returns a predicate on a column of hashes. It finds rows by hash, then tests
// them with same. If same is nil, the hash is sufficient.
func Hashed(column func(*table.Chunk) []uint32, hashes []uint32, same func(v *table.View, i int) bool) Predicate {
	find := oneOf(column, hashes)
	if same == nil {
		return find
	}
	return Predicate{
		One: func(v *table.View, i int) bool { return find.One(v, i) && same(v, i) },
		All: func(k *simd.Kernel, v *table.View, words []uint64) {
			find.All(k, v, words)
			ClearUnless(v, words, same)
		},
	}
}

// textIn returns a predicate on a text or UUID that has a column of hashes. If the origin
// does not have the field, no row passes.
func (q *Query) textIn(f *matcher.Field, want []string) Predicate {
	slot := slices.Index(table.Shapes[q.origin].Texts, f)
	if slot < 0 {
		return Nothing
	}
	return TextIn(slot, want, q.tables.Lexicons.ForText(q.origin, slot))
}

// TextIn returns a predicate that passes rows whose text is one of want. The text must
// have a column of hashes. lex is its lexicon, or nil.
func TextIn(field int, want []string, lex *table.Lexicon) Predicate {
	hashes, unsure := make([]uint32, 0, len(want)), false
	set := make(map[string]struct{}, len(want))
	for _, s := range want {
		if s == "" { // an absent field passes no filter
			continue
		}
		h := table.HashString(s)
		maybe, exact := lex.Find(h, s)
		if maybe {
			hashes = append(hashes, h)
			set[s] = struct{}{}
			unsure = unsure || !exact
		}
	}
	column := func(c *table.Chunk) []uint32 { return c.Hashes[field] }
	if !unsure {
		return Hashed(column, hashes, nil)
	}
	return Hashed(column, hashes, func(v *table.View, i int) bool {
		_, ok := set[string(v.Text(i, field))]
		return ok
	})
}

// smallsIn returns a predicate on a field of small numbers. It passes rows that have one
// of want. If the origin does not have the field, no row passes.
func (q *Query) smallsIn(f *matcher.Field, want []uint8) Predicate {
	slot := slices.Index(table.Shapes[q.origin].Texts, f)
	if slot < 0 {
		return Nothing
	}
	return SmallsThat(slot, q.tables.Lexicons.ForText(q.origin, slot), func(n uint8) bool { return slices.Contains(want, n) })
}

// SmallsThat returns a predicate that passes rows with a number, in a field of small
// numbers, for which passes returns true. The field must have a column of hashes. lex is
// its lexicon, or nil.
func SmallsThat(field int, lex *table.Lexicon, passes func(uint8) bool) Predicate {
	column := func(c *table.Chunk) []uint32 { return c.Hashes[field] }
	if texts, ok := lex.All(); ok {
		var hashes []uint32
		for hash, text := range texts {
			if matcher.Smalls(text).Any(passes) {
				hashes = append(hashes, hash)
			}
		}
		return Hashed(column, hashes, nil)
	}
	return ByRow(func(v *table.View, i int) bool {
		return column(v.Chunk)[i] != 0 && matcher.Smalls(v.Text(i, field)).Any(passes)
	})
}

// IDTexts returns ids in the form in which records store them.
func IDTexts(ids []matcher.ID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = table.IDText(id)
	}
	return texts
}
