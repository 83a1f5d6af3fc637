package filter

import (
	"context"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// sparse is the inverse of a share of rows. A set with less than 1/sparse of all rows is
// tested row by row rather than in whole words.
const sparse = 32

// Query is a filter bound to a snapshot: the rows that the indexes found, and the
// predicates that remain to be tested.
type Query struct {
	tables     *table.Tables
	kernel     *simd.Kernel
	snap       *table.Snapshot
	origin     matcher.Origin
	base       *table.Bitmap // nil: all rows
	predicates []Predicate
}

// Bind looks up the IDs, lists and account that f names in the indexes of t. The query
// selects rows of the newest snapshot that have not expired at now. If account is not
// nil, it selects only rows of that account. The caller must hold the lock of t, at least
// for reading, and must call [Query.AddColumns] next.
func Bind(t *table.Tables, k *simd.Kernel, o matcher.Origin, f *matcher.Filter, account *matcher.ID, now matcher.Time) *Query {
	q := &Query{tables: t, kernel: k, snap: t.Newest, origin: o}
	narrow := func(rows *table.Bitmap) {
		if q.base == nil {
			q.base = rows
		} else {
			q.base = q.base.And(rows)
		}
	}
	if f.IDs != nil {
		narrow(t.RowsOf(o, f.IDs))
	}
	if f.ListID != nil {
		narrow(t.RowsIn([]matcher.ID{*f.ListID}))
	}
	if f.Lists != nil {
		narrow(t.RowsIn(f.Lists))
	}
	if o == matcher.Attributes {
		q.predicates = append(q.predicates, Within(func(c *table.Chunk) []matcher.Time { return c.Expires }, now+1, table.Never))
	}
	for _, id := range []*matcher.ID{account, f.Account} {
		if id == nil {
			continue
		}
		ordinal, ok := t.Accounts[*id]
		if !ok {
			q.predicates = append(q.predicates, Nothing)
			continue
		}
		q.predicates = append(q.predicates, Within(func(c *table.Chunk) []uint32 { return c.Accounts }, ordinal+1, ordinal+1))
	}
	return q
}

// UseSnapshot makes q select rows of another snapshot. The filter of q must not name
// lists or IDs.
func (q *Query) UseSnapshot(snap *table.Snapshot) { q.snap = snap }

// AddColumns adds the conditions that are tested on columns. Conditions on the
// creation time and on small numbers come first, because they are the fastest per row. It
// needs no lock.
func (q *Query) AddColumns(f *matcher.Filter) {
	if !f.CreateTime.IsZero() {
		q.add(TimeRange(f.CreateTime))
	}
	for i := range f.Fields {
		if f.Fields[i].Field.Kind == matcher.SmallField {
			q.addSmall(&f.Fields[i])
		}
	}
	if !f.IDRange.IsZero() {
		q.add(idRange(f.IDRange))
	}
	for i := range f.Fields {
		switch f := &f.Fields[i]; f.Field.Kind {
		case matcher.TextField:
			q.add(q.textIn(f.Field, f.Texts))
		case matcher.UUIDField:
			q.add(q.textIn(f.Field, IDTexts(f.UUIDs)))
		case matcher.SmallsField:
			q.add(q.smallsIn(f.Field, f.Smalls))
		}
	}
	if q.origin == matcher.Events {
		q.addEvent(&f.Event)
	}
}

func (q *Query) add(p Predicate) { q.predicates = append(q.predicates, p) }

// addSmall adds a condition on a small number. If the origin does not have the field, no
// row passes.
func (q *Query) addSmall(f *matcher.FieldFilter) {
	slot := slices.Index(table.Shapes[q.origin].Smalls, f.Field)
	if slot < 0 {
		q.add(Nothing)
		return
	}
	column := func(c *table.Chunk) []matcher.Small { return c.Smalls[slot] }
	switch {
	case len(f.Smalls) == 1:
		value := matcher.SmallOf(f.Smalls[0])
		q.add(Within(column, value, value))
	case f.Smalls != nil:
		q.add(SmallOneOf(column, f.Smalls))
	}
	if !f.Range.IsZero() {
		q.add(smallRange(column, f.Range))
	}
}

// Select evaluates the query.
func (q *Query) Select(ctx context.Context) (*Selection, error) {
	s := &Selection{snap: q.snap, origin: q.origin}
	live := q.snap.Live(q.origin)
	switch {
	case q.base == nil && len(q.predicates) == 0:
		s.all, s.n = true, live
	case q.base != nil && q.base.Count()*sparse < live:
		q.selectByRow(s)
	default:
		return s, q.selectByChunk(ctx, s)
	}
	return s, nil
}

// selectByRow tests the rows of base one by one. It is used when base is small.
func (q *Query) selectByRow(s *Selection) {
	if rows, ok := q.base.Few(); ok {
		s.few = make([]uint32, 0, len(rows))
		for _, row := range rows {
			if v, i := q.snap.At(q.origin, row); v.Alive(i) && q.passes(v, i) {
				s.few = append(s.few, row)
			}
		}
		s.n = len(s.few)
		return
	}
	s.chunks = make([][]uint64, len(q.snap.Views[q.origin]))
	for it := q.base.Iterate(); it.Next(); {
		for _, row := range it.Rows {
			v, i := q.snap.At(q.origin, row)
			if !v.Alive(i) || !q.passes(v, i) {
				continue
			}
			s.AddRow(row)
		}
	}
}

// passes reports whether row i passes all predicates.
func (q *Query) passes(v *table.View, i int) bool {
	for _, p := range q.predicates {
		if !p.One(v, i) {
			return false
		}
	}
	return true
}

// selectByChunk evaluates whole columns, chunk by chunk.
func (q *Query) selectByChunk(ctx context.Context, s *Selection) error {
	const perChunk = table.ChunkRowsMax / 64
	views := q.snap.Views[q.origin]
	dense := make([]uint64, len(views)*perChunk)
	if q.base != nil {
		q.base.FillWords(dense)
	}
	s.chunks = make([][]uint64, len(views))
	for c := range views {
		if err := ctx.Err(); err != nil {
			return err
		}
		v := &views[c]
		if v.Rows == 0 {
			continue // the chunk was dropped
		}
		words := dense[c*perChunk:][:(v.Rows+63)/64]
		if q.base == nil {
			fill(words, v.Rows)
		}
		for w := range v.Dead[:min(len(v.Dead), len(words))] {
			words[w] &^= v.Dead[w]
		}
		for _, p := range q.predicates {
			if p.All(q.kernel, v, words); !anySet(words) {
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
