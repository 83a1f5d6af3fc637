package filter

import (
	"math"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// endRange returns a predicate that passes events that ended in r.
func endRange(r matcher.Range[matcher.Time]) Predicate {
	lo, hi := table.NoTime+1, matcher.Time(math.MaxInt64)
	if r.GTE != nil {
		lo = max(lo, *r.GTE)
	}
	if r.LT != nil {
		if *r.LT <= lo {
			return Nothing
		}
		hi = *r.LT - 1
	}
	return Within(func(c *table.Chunk) []matcher.Time { return c.Events.End }, lo, hi)
}

// numberRange returns a predicate that passes numbers in r.
func numberRange(column func(*table.Chunk) []table.Number, r matcher.Range[float64]) Predicate {
	lo, hi := table.NoNumber+1, table.Number(math.MaxInt64)
	if r.GTE != nil {
		lo = table.NumberOf(*r.GTE)
	}
	if r.LT != nil {
		hi = table.NumberOf(*r.LT) - 1
	}
	return Within(column, lo, hi)
}

// inBox returns a predicate that passes events with a position in b.
func inBox(b matcher.GeoBox) Predicate {
	south, north := near(b.Latitude, b.LatitudeDelta)
	x := inSpans(func(c *table.Chunk) []table.Number { return c.Events.Longitude }, around(b.Longitude, b.LongitudeDelta))
	y := Within(func(c *table.Chunk) []table.Number { return c.Events.Latitude }, south, north)
	return Predicate{
		One: func(v *table.View, i int) bool { return x.One(v, i) && y.One(v, i) },
		All: func(k *simd.Kernel, v *table.View, words []uint64) { x.All(k, v, words); y.All(k, v, words) },
	}
}

// Tagged returns a predicate that passes events with at least one of the tags.
func Tagged(want []string) Predicate {
	set := make(map[string]struct{}, len(want))
	for _, s := range want {
		set[s] = struct{}{}
	}
	one := func(v *table.View, i int) bool {
		for tag := range v.Layout.TagsIn(v.RecordFrom(i)) {
			if _, ok := set[string(tag)]; ok {
				return true
			}
		}
		return false
	}
	return Predicate{One: one, All: func(_ *simd.Kernel, v *table.View, words []uint64) {
		mask, found := uint64(0), 0 // bits of wanted tags, and their number
		for b, name := range v.TagNames {
			if _, ok := set[name]; ok {
				mask |= 1 << b
				found++
			}
		}
		// Until the chunk has used up its bits, every tag in it has its own bit. A wanted
		// tag without a bit then occurs in no row.
		readOther := len(v.TagNames) == table.TagOther && found < len(set)
		values := v.Events.Tags[:v.Rows]
		for w, word := range words {
			if word == 0 {
				continue
			}
			part := values[w*64 : min(w*64+64, len(values))]
			pass, other := withAnyBit(part, mask), uint64(0)
			if readOther {
				other = withAnyBit(part, 1<<table.TagOther)
			}
			words[w] &= pass | other
			if other &^= pass; other&words[w] != 0 {
				clearFailed(v, words, w, other, one)
			}
		}
	}}
}

// withAnyBit returns one bit for each of up to 64 values, set if the value has a bit of
// mask. It has no branch that depends on the data. It handles eight values at a time to
// use the processor's parallel units.
func withAnyBit(values []uint64, mask uint64) (found uint64) {
	if len(values) < 64 {
		var padded [64]uint64
		copy(padded[:], values)
		values = padded[:]
	}
	for i, all := 0, (*[64]uint64)(values); i < 64; i += 8 {
		a, b, c, d := all[i]&mask, all[i+1]&mask, all[i+2]&mask, all[i+3]&mask
		e, f, g, h := all[i+4]&mask, all[i+5]&mask, all[i+6]&mask, all[i+7]&mask
		found |= (isSet(a) | isSet(b)<<1 | isSet(c)<<2 | isSet(d)<<3 | isSet(e)<<4 | isSet(f)<<5 | isSet(g)<<6 | isSet(h)<<7) << i
	}
	return found
}

// isSet returns 0 if x is 0, and otherwise 1.
func isSet(x uint64) uint64 {
	if x != 0 {
		return 1
	}
	return 0
}

// clearFailed clears those bits of words[w] that are set in tested and whose rows fail
// test.
func clearFailed(v *table.View, words []uint64, w int, tested uint64, test func(v *table.View, i int) bool) {
	for i := range 64 {
		if b := uint64(1) << i; words[w]&tested&b != 0 && !test(v, w*64+i) {
			words[w] &^= b
		}
	}
}

// Meta returns the predicate of a filter on a declared field.
func Meta(t *table.Tables, f *matcher.MetaFilter) Predicate {
	i := slices.Index(t.Layouts[matcher.Events].Meta, f.Field)
	if i < 0 {
		return Nothing // fields are declared only at program start, and this one was not
	}
	switch f.Field.Type {
	case matcher.MetaNumber:
		return metaNumber(i, f)
	case matcher.MetaBoolean:
		var flags []uint8
		for _, v := range f.Values {
			flags = append(flags, uint8(v.Number.Float))
		}
		return SmallOneOf(func(c *table.Chunk) []matcher.Small { return c.Events.Meta[i].Flags }, flags)
	default:
		return metaText(i, f, t.Lexicons.Meta[i])
	}
}

// metaText returns a predicate on a declared text. It compares hashes. For a range, these
// are the hashes of all texts of the lexicon that are in the range. If the lexicon is
// incomplete, every row with a text is read.
func metaText(field int, f *matcher.MetaFilter, lex *table.Lexicon) Predicate {
	column := func(c *table.Chunk) []uint32 { return c.Events.Meta[field].Hashes }
	path := f.Field.Path
	testOf := func(pass func(string) bool) func(v *table.View, i int) bool {
		return func(v *table.View, i int) bool {
			s, ok := table.ValueAt(table.ParseMeta(string(v.Meta(i))), path).(string)
			return ok && pass(s)
		}
	}
	if f.Op == matcher.MetaGTE || f.Op == matcher.MetaLT {
		bound := f.Values[0].Text
		pass := func(s string) bool { return s >= bound == (f.Op == matcher.MetaGTE) }
		texts, ok := lex.All()
		if !ok {
			return Predicate{
				One: testOf(pass),
				All: func(k *simd.Kernel, v *table.View, words []uint64) {
					keepWithin(k, words, column(v.Chunk)[:v.Rows], 1, math.MaxUint32)
					ClearUnless(v, words, testOf(pass))
				},
			}
		}
		var hashes []uint32
		for h, s := range texts {
			if pass(s) {
				hashes = append(hashes, h)
			}
		}
		return Hashed(column, hashes, nil)
	}
	hashes, unsure := make([]uint32, 0, len(f.Values)), false
	set := make(map[string]struct{}, len(f.Values))
	for _, v := range f.Values {
		h := table.HashPresent(v.Text)
		if maybe, exact := lex.Find(h, v.Text); maybe {
			hashes = append(hashes, h)
			set[v.Text] = struct{}{}
			unsure = unsure || !exact
		}
	}
	if !unsure {
		return Hashed(column, hashes, nil)
	}
	return Hashed(column, hashes, testOf(func(s string) bool { _, ok := set[s]; return ok }))
}

// addEvent adds the conditions on fields that only events have and that are not plain
// fields.
func (q *Query) addEvent(f *matcher.EventFilter) {
	if !f.EndTime.IsZero() {
		q.add(endRange(f.EndTime))
	}
	if !f.TopMatchSimilarity.IsZero() {
		q.add(numberRange(func(c *table.Chunk) []table.Number { return c.Events.Similarity }, f.TopMatchSimilarity))
	}
	if f.Position != nil {
		q.add(inBox(*f.Position))
	}
	if f.Tags != nil {
		q.add(Tagged(f.Tags))
	}
	for i := range f.Meta {
		q.add(Meta(q.tables, &f.Meta[i]))
	}
}
