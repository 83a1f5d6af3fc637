package memory

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"nearside/matcher"
	"nearside/simd"
)

// Selection is a set of live rows of one origin, as of one snapshot. It is
// immutable and keeps its snapshot in memory.
type Selection struct {
	memory *Memory
	snap   *snapshot
	origin matcher.Origin
	all    bool
	chunks [][]uint64 // unless all: by chunk, a bit per row; nil: none of it
	n      int
}

// Len returns the number of rows.
func (s *Selection) Len() int { return s.n }

// Bytes returns how much memory the selection takes, without the rows.
func (s *Selection) Bytes() int {
	n := 128 + 24*len(s.chunks)
	for _, chunk := range s.chunks {
		n += 8 * cap(chunk)
	}
	return n
}

// sparse is the share of rows (one in so many) below which a set is tested and
// scanned row by row rather than in whole words.
const sparse = 32

// query is a filter bound to a snapshot: the rows that indexes give, and the
// predicates that are left to test.
type query struct {
	lexicons   *lexicons
	declared   []matcher.MetaField
	kernel     *simd.Kernel
	snap       *snapshot
	origin     matcher.Origin
	base       *roaring.Bitmap // nil: every row
	predicates []predicate
}

// bind looks up what f names in the indexes. It needs Memory.mu for reading.
// Objects that have expired at now are not selected.
func (m *Memory) bind(o matcher.Origin, f *matcher.Filter, account *matcher.ID, now matcher.Time) *query {
	q := &query{kernel: m.options.Kernel, lexicons: &m.lexicons, declared: m.options.MetaFields, snap: m.snap, origin: o}
	narrow := func(rows *roaring.Bitmap) {
		if q.base == nil {
			q.base = rows
		} else {
			q.base = roaring.And(q.base, rows)
		}
	}
	for origin, ids := range [matcher.Origins][]matcher.ID{f.FaceIDs, f.EventIDs, f.AttributeIDs} {
		if ids != nil && matcher.Origin(origin) == o {
			narrow(m.rowsOf(o, ids))
		}
	}
	if f.ListID != nil {
		narrow(m.rowsIn([]matcher.ID{*f.ListID}))
	}
	if f.Lists != nil {
		narrow(m.rowsIn(f.Lists))
	}
	if o == matcher.Attributes {
		q.predicates = append(q.predicates, within(func(c *chunk) []matcher.Time { return c.expires }, now+1, never))
	}
	for _, id := range []*matcher.ID{account, f.Account} {
		if id == nil {
			continue
		}
		ordinal, ok := m.accounts[*id]
		if !ok {
			q.predicates = append(q.predicates, nothing)
			continue
		}
		q.predicates = append(q.predicates, within(func(c *chunk) []uint32 { return c.accounts }, ordinal+1, ordinal+1))
	}
	return q
}

// now is the clock that objects expire by.
func (m *Memory) now() matcher.Time { return matcher.TimeOf(m.options.Now()) }

// rowsOf returns the rows of ids; unknown ones have none.
func (m *Memory) rowsOf(o matcher.Origin, ids []matcher.ID) *roaring.Bitmap {
	rows := make([]uint32, 0, len(ids))
	for _, id := range ids {
		if row, ok := m.rows[o][id]; ok {
			rows = append(rows, row)
		}
	}
	return roaring.BitmapOf(rows...)
}

// rowsIn returns the rows of all faces in any of the lists.
func (m *Memory) rowsIn(lists []matcher.ID) *roaring.Bitmap {
	var found []*roaring.Bitmap
	for _, id := range lists {
		if l := m.lists[id]; l != nil {
			found = append(found, l.rows)
		}
	}
	if len(found) == 1 {
		return found[0] // published bitmaps never change
	}
	return roaring.FastOr(found...)
}

// columns adds the filters that are tested on columns.
func (q *query) columns(f *matcher.Filter) {
	add := func(p predicate) { q.predicates = append(q.predicates, p) }
	if !f.CreateTime.IsZero() {
		add(timeRange(f.CreateTime))
	}
	if !f.Age.IsZero() {
		add(smallRange(func(c *chunk) []matcher.Small { return c.age }, f.Age))
	}
	if f.Gender != nil {
		g := matcher.SmallOf(*f.Gender)
		add(within(func(c *chunk) []matcher.Small { return c.gender }, g, g))
	}
	if f.EthnicGroups != nil {
		add(smallOneOf(func(c *chunk) []matcher.Small { return c.ethnicGroup }, f.EthnicGroups))
	}
	if !f.FaceID.IsZero() {
		add(idRange(f.FaceID))
	}
	texts := func(field int, want []string) {
		if want != nil {
			add(q.textIn(field, want))
		}
	}
	ids := func(field int, want []matcher.ID) {
		if want != nil {
			add(q.textIn(field, idTexts(want)))
		}
	}
	if f.UserData != nil {
		texts(textUserData, []string{*f.UserData})
	}
	texts(textExternalID, f.ExternalIDs)
	switch q.origin {
	case matcher.Faces:
		ids(faceEventID, f.EventIDs)
	case matcher.Events:
		ids(eventFace, f.FaceIDs)
		q.eventColumns(&f.Event, add, texts, ids)
	}
}

// run evaluates the query.
func (q *query) run(ctx context.Context) (*Selection, error) {
	s := &Selection{snap: q.snap, origin: q.origin}
	live := q.snap.live(q.origin)
	switch {
	case q.base == nil && len(q.predicates) == 0:
		s.all, s.n = true, live
	case q.base != nil && int(q.base.GetCardinality())*sparse < live:
		q.eachRow(s)
	default:
		return s, q.eachChunk(ctx, s)
	}
	return s, nil
}

// eachRow tests the rows of a small base one by one.
func (q *query) eachRow(s *Selection) {
	table := q.snap.tables[q.origin]
	s.chunks = make([][]uint64, len(table))
	for it := q.base.Iterator(); it.HasNext(); {
		row := it.Next()
		v, i := q.snap.at(q.origin, row)
		if !v.alive(i) || !q.passes(v, i) {
			continue
		}
		words := &s.chunks[row>>16]
		if *words == nil {
			*words = make([]uint64, (v.n+63)/64)
		}
		(*words)[i>>6] |= 1 << (i & 63)
		s.n++
	}
}

func (q *query) passes(v *view, i int) bool {
	for _, p := range q.predicates {
		if !p.one(v, i) {
			return false
		}
	}
	return true
}

// eachChunk evaluates whole columns.
func (q *query) eachChunk(ctx context.Context, s *Selection) error {
	const perChunk = chunkRowsMax / 64
	table := q.snap.tables[q.origin]
	dense := make([]uint64, len(table)*perChunk)
	if q.base != nil {
		q.base.WriteDenseTo(dense)
	}
	s.chunks = make([][]uint64, len(table))
	for c := range table {
		if err := ctx.Err(); err != nil {
			return err
		}
		v := &table[c]
		if v.n == 0 {
			continue // dropped
		}
		words := dense[c*perChunk:][:(v.n+63)/64]
		if q.base == nil {
			fill(words, v.n)
		}
		for w := range v.dead[:min(len(v.dead), len(words))] {
			words[w] &^= v.dead[w]
		}
		for _, p := range q.predicates {
			if p.all(q.kernel, v, words); !anySet(words) {
				break
			}
		}
		if n := popcount(words); n > 0 {
			s.chunks[c] = words
			s.n += n
		}
	}
	return nil
}

func anySet(words []uint64) bool {
	return slices.ContainsFunc(words, func(w uint64) bool { return w != 0 })
}

// fill sets the first n bits of words, which are just as many as needed.
func fill(words []uint64, n int) {
	for w := range words {
		words[w] = ^uint64(0)
	}
	if n&63 != 0 {
		words[len(words)-1] = 1<<(n&63) - 1
	}
}

// Select implements [matcher.Selector].
func (m *Memory) Select(ctx context.Context, c *matcher.Candidates, account *matcher.ID) (matcher.Selection, error) {
	return m.selection(ctx, c.Origin, &c.Filter, account)
}

func (m *Memory) selection(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID) (*Selection, error) {
	m.mu.RLock()
	q := m.bind(o, f, account, m.now())
	m.mu.RUnlock()
	q.columns(f)
	s, err := q.run(ctx)
	if err != nil {
		return nil, err
	}
	s.memory = m
	return s, nil
}

// words returns which rows of a chunk are selected, a bit per row, or that all
// are.
func (s *Selection) words(chunk uint32) (words []uint64, all bool) {
	if !s.all {
		return s.chunks[chunk], false
	}
	v := &s.snap.tables[s.origin][chunk]
	if v.dead == nil {
		return nil, true
	}
	words = make([]uint64, (v.n+63)/64)
	fill(words, v.n)
	for w := range words {
		words[w] &^= v.dead[w]
	}
	return words, false
}
