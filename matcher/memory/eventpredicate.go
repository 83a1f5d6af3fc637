package memory

import (
	"math"
	"slices"

	"nearside/matcher"
	"nearside/simd"
)

// endRange passes events that ended in r.
func endRange(r matcher.Range[matcher.Time]) predicate {
	lo, hi := noTime+1, matcher.Time(math.MaxInt64)
	if r.GTE != nil {
		lo = max(lo, *r.GTE)
	}
	if r.LT != nil {
		if *r.LT <= lo {
			return nothing
		}
		hi = *r.LT - 1
	}
	return within(func(c *chunk) []matcher.Time { return c.events.end }, lo, hi)
}

// numberRange passes numbers in r.
func numberRange(column func(*chunk) []number, r matcher.Range[float64]) predicate {
	lo, hi := noNumber+1, number(math.MaxInt64)
	if r.GTE != nil {
		lo = numberOf(*r.GTE)
	}
	if r.LT != nil {
		hi = numberOf(*r.LT) - 1
	}
	return within(column, lo, hi)
}

// inBox passes events that happened in b.
func inBox(b matcher.GeoBox) predicate {
	west, east := near(b.Longitude, b.LongitudeDelta)
	south, north := near(b.Latitude, b.LatitudeDelta)
	x := within(func(c *chunk) []number { return c.events.longitude }, west, east)
	y := within(func(c *chunk) []number { return c.events.latitude }, south, north)
	return predicate{
		one: func(v *view, i int) bool { return x.one(v, i) && y.one(v, i) },
		all: func(k *simd.Kernel, v *view, words []uint64) { x.all(k, v, words); y.all(k, v, words) },
	}
}

// tagged passes events that have one of the tags.
func tagged(want []string) predicate {
	set := make(map[string]struct{}, len(want))
	for _, s := range want {
		set[s] = struct{}{}
	}
	one := func(v *view, i int) bool {
		for tag := range tagsIn(v.at(i)) {
			if _, ok := set[string(tag)]; ok {
				return true
			}
		}
		return false
	}
	return predicate{one: one, all: func(_ *simd.Kernel, v *view, words []uint64) {
		mask, named := uint64(0), 0
		for b, name := range v.tagNames {
			if _, ok := set[name]; ok {
				mask |= 1 << b
				named++
			}
		}
		// When all names have bits of their own, tags without one are not there.
		look := len(v.tagNames) == tagOther && named < len(set)
		values := v.events.tags[:v.n]
		for w, word := range words {
			if word == 0 {
				continue
			}
			part := values[w*64 : min(w*64+64, len(values))]
			pass, other := withAny(part, mask), uint64(0)
			if look {
				other = withAny(part, 1<<tagOther)
			}
			words[w] &= pass | other
			if other &^= pass; other&words[w] != 0 {
				clearSome(v, words, w, other, one)
			}
		}
	}}
}

// withAny returns a bit for each of up to 64 values, set when the value has a
// bit of mask. It has no branch that depends on the data, and eight values at a
// time keep the processor busy.
func withAny(values []uint64, mask uint64) (found uint64) {
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

// isSet returns 1 unless x is 0.
func isSet(x uint64) uint64 {
	if x != 0 {
		return 1
	}
	return 0
}

// clearSome clears the bits of words[w] that are among some and fail test.
func clearSome(v *view, words []uint64, w int, some uint64, test func(v *view, i int) bool) {
	for i := range 64 {
		if b := uint64(1) << i; words[w]&some&b != 0 && !test(v, w*64+i) {
			words[w] &^= b
		}
	}
}

// meta makes the predicate of a filter on a declared field.
func (q *query) meta(f *matcher.MetaFilter) predicate {
	i := slices.Index(q.declared, f.Field)
	if i < 0 {
		return nothing // it was declared when the program started, or never
	}
	switch f.Field.Type {
	case matcher.MetaNumber:
		return metaNumber(i, f)
	case matcher.MetaBoolean:
		var flags []uint8
		for _, v := range f.Values {
			flags = append(flags, uint8(v.Number))
		}
		return smallOneOf(func(c *chunk) []matcher.Small { return c.events.meta[i].flags }, flags)
	default:
		return metaText(i, f, q.lexicons.meta[i])
	}
}

func metaNumber(field int, f *matcher.MetaFilter) predicate {
	column := func(c *chunk) []number { return c.events.meta[field].numbers }
	switch f.Op {
	case matcher.MetaGTE:
		return numberRange(column, matcher.Range[float64]{GTE: &f.Values[0].Number})
	case matcher.MetaLT:
		return numberRange(column, matcher.Range[float64]{LT: &f.Values[0].Number})
	}
	values := make([]number, len(f.Values))
	for i, v := range f.Values {
		values[i] = numberOf(v.Number)
	}
	return oneOf(column, values)
}

// metaText looks for hashes of texts: those that are wanted, or of a range
// those of the lexicon that are in it.
func metaText(field int, f *matcher.MetaFilter, lex *lexicon) predicate {
	column := func(c *chunk) []uint32 { return c.events.meta[field].hashes }
	path := f.Field.Path
	test := func(pass func(string) bool) func(v *view, i int) bool {
		return func(v *view, i int) bool {
			s, ok := valueAt(parseMeta(string(v.text(i, eventMeta))), path).(string)
			return ok && pass(s)
		}
	}
	if f.Op == matcher.MetaGTE || f.Op == matcher.MetaLT {
		bound := f.Values[0].Text
		pass := func(s string) bool { return s >= bound == (f.Op == matcher.MetaGTE) }
		texts, ok := lex.all()
		if !ok {
			return predicate{
				one: test(pass),
				all: func(k *simd.Kernel, v *view, words []uint64) {
					keepWithin(k, words, column(v.chunk)[:v.n], 1, math.MaxUint32)
					clearUnless(v, words, test(pass))
				},
			}
		}
		var hashes []uint32
		for h, s := range texts {
			if pass(s) {
				hashes = append(hashes, h)
			}
		}
		return hashed(column, hashes, nil)
	}
	hashes, unsure := make([]uint32, 0, len(f.Values)), false
	set := make(map[string]struct{}, len(f.Values))
	for _, v := range f.Values {
		h := hashPresent(v.Text)
		if maybe, exact := lex.find(h, v.Text); maybe {
			hashes = append(hashes, h)
			set[v.Text] = struct{}{}
			unsure = unsure || !exact
		}
	}
	if !unsure {
		return hashed(column, hashes, nil)
	}
	return hashed(column, hashes, test(func(s string) bool { _, ok := set[s]; return ok }))
}

// eventColumns adds the filters that only events have.
func (q *query) eventColumns(f *matcher.EventFilter, add func(predicate), texts func(int, []string), ids func(int, []matcher.ID)) {
	texts(eventSource, f.Sources)
	ids(eventHandler, f.HandlerIDs)
	ids(eventStream, f.StreamIDs)
	texts(eventTrack, f.TrackIDs)
	texts(eventCity, f.Cities)
	texts(eventArea, f.Areas)
	texts(eventDistrict, f.Districts)
	texts(eventStreet, f.Streets)
	texts(eventHouse, f.HouseNumbers)
	ids(eventTopObject, f.TopMatchObjectIDs)
	texts(eventTopExternal, f.TopMatchExternalIDs)
	if f.Emotions != nil {
		add(smallOneOf(func(c *chunk) []matcher.Small { return c.events.emotion }, f.Emotions))
	}
	if f.Masks != nil {
		add(smallOneOf(func(c *chunk) []matcher.Small { return c.events.mask }, f.Masks))
	}
	if !f.EndTime.IsZero() {
		add(endRange(f.EndTime))
	}
	if !f.TopMatchSimilarity.IsZero() {
		add(numberRange(func(c *chunk) []number { return c.events.similarity }, f.TopMatchSimilarity))
	}
	if f.Position != nil {
		add(inBox(*f.Position))
	}
	if f.Tags != nil {
		add(tagged(f.Tags))
	}
	for i := range f.Meta {
		add(q.meta(&f.Meta[i]))
	}
}
