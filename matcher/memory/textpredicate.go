package memory

import (
	"nearside/matcher"
	"nearside/simd"
)

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

// textIn makes a predicate over a text of the record that has a column of
// hashes. Origins without that text have no row that passes.
func (q *query) textIn(field int, want []string) predicate {
	if q.origin == matcher.Attributes {
		return nothing
	}
	return textIn(field, want, q.lexicons.of(q.origin, field))
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
