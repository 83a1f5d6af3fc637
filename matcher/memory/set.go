package memory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"runtime"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
)

// The operations on a Selection return new selections of the same snapshot. Columns are
// the fields of the object (docs/api.md, Objects). Values are float64 and string, as in
// Lua: IDs and times are text, and times may also be seconds since 1970. Values of meta may
// also be bool, or int64 and uint64 beyond 2^53.

// Where keeps the rows for which "column op value" is true. op is one of = != < <= > >=;
// == and ~= are accepted for = and !=.
func (s *Selection) Where(name, op string, value any) (*Selection, error) {
	c, err := s.column(name)
	if err != nil {
		return nil, err
	}
	if equal := op == "=" || op == "=="; c.find != nil && (equal || op == "!=" || op == "~=") {
		found, err := c.find(s, []any{value})
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		case equal:
			return found, nil
		}
		return s.with(s.rows.Join(found.rows, func(a, b uint64) uint64 { return a &^ b })), nil
	}
	p, err := c.where(s, op, value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s.apply(p), nil
}

// Between keeps the rows whose column is between lo and hi, both included.
func (s *Selection) Between(name string, lo, hi any) (*Selection, error) {
	kept, err := s.Where(name, ">=", lo)
	if err != nil {
		return nil, err
	}
	return kept.Where(name, "<=", hi)
}

// OneOf keeps the rows whose column equals one of values.
func (s *Selection) OneOf(name string, values []any) (*Selection, error) {
	c, err := s.column(name)
	if err != nil {
		return nil, err
	}
	if c.find != nil {
		found, err := c.find(s, values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return found, nil
	}
	if c.oneOf != nil {
		p, err := c.oneOf(s, values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return s.apply(p), nil
	}
	kept := s.rows.Empty()
	for _, value := range values {
		p, err := c.where(s, "=", value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		kept = kept.Join(s.rows.Apply(s.memory.options.Kernel, p), func(a, b uint64) uint64 { return a | b })
	}
	return s.with(kept), nil
}

// apply keeps the rows that pass p.
func (s *Selection) apply(p filter.Predicate) *Selection {
	return s.with(s.rows.Apply(s.memory.options.Kernel, p))
}

// with returns a selection of the given rows, which are rows of the same snapshot.
func (s *Selection) with(rows *filter.Selection) *Selection { return &Selection{s.memory, rows} }

// errOtherSnapshot is the error for selections that show different moments.
var errOtherSnapshot = errors.New("the sets were not made from one candidate set")

// Union returns the rows of either set. Both must come from the same candidate set.
func (s *Selection) Union(other *Selection) (*Selection, error) {
	return s.combine(other, func(a, b uint64) uint64 { return a | b })
}

// Intersect returns the rows of both sets, which must come from the same candidate set.
func (s *Selection) Intersect(other *Selection) (*Selection, error) {
	return s.combine(other, func(a, b uint64) uint64 { return a & b })
}

// Minus returns the rows that are not in other. Both must come from the same candidate
// set.
func (s *Selection) Minus(other *Selection) (*Selection, error) {
	return s.combine(other, func(a, b uint64) uint64 { return a &^ b })
}

func (s *Selection) combine(other *Selection, op func(a, b uint64) uint64) (*Selection, error) {
	if s.rows.Snapshot() != other.rows.Snapshot() || s.rows.Origin() != other.rows.Origin() {
		return nil, errOtherSnapshot
	}
	return s.with(s.rows.Join(other.rows, op)), nil
}

// ByID keeps the rows of the given objects.
func (s *Selection) ByID(ids []matcher.ID) *Selection {
	defer runtime.KeepAlive(s)
	kept := s.rows.Empty()
	missing := map[matcher.ID]struct{}{}
	t := s.memory.tables
	t.RLock()
	stale := t.Newest != s.rows.Snapshot()
	for _, id := range ids {
		if row, ok := t.Rows[s.rows.Origin()].Find(id); ok && s.rows.Has(row, id) {
			kept.AddRow(row)
		} else if stale {
			missing[id] = struct{}{} // the row may have moved since
		}
	}
	t.RUnlock()
	if len(missing) > 0 {
		for e := range s.rows.Entries {
			if _, ok := missing[e.ID]; ok {
				kept.AddRow(e.Row)
			}
		}
	}
	return s.with(kept)
}

// Exclude drops the rows of the given objects.
func (s *Selection) Exclude(ids []matcher.ID) *Selection {
	return s.with(s.rows.Join(s.ByID(ids).rows, func(a, b uint64) uint64 { return a &^ b }))
}

// Row is a row of a Selection. It is valid only with that selection.
type Row uint32

// Rows yields the rows of s in no particular order.
func (s *Selection) Rows() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for e := range s.rows.Entries {
			if !yield(Row(e.Row)) {
				return
			}
		}
	}
}

// Object returns the fields of a row, without descriptors.
func (s *Selection) Object(r Row) matcher.Object {
	defer runtime.KeepAlive(s)
	return s.rows.Snapshot().Object(s.rows.Origin(), uint32(r))
}

// Reader returns a function that reads the named columns of a row into dst. dst must have
// room for all of them. A value is nil if the row does not have the field. Otherwise it
// is a bool, uint8, []uint8, float64, int64, uint64, string, []string, [matcher.Time],
// [matcher.ID] or []matcher.ID.
func (s *Selection) Reader(names ...string) (func(r Row, dst []any), error) {
	read := make([]column, len(names))
	for i, name := range names {
		var err error
		if read[i], err = s.column(name); err != nil {
			return nil, err
		}
	}
	snap, origin := s.rows.Snapshot(), s.rows.Origin()
	return func(r Row, dst []any) {
		v, i := snap.At(origin, uint32(r))
		for n := range read {
			dst[n] = read[n].value(snap, v, i)
		}
		runtime.KeepAlive(s)
	}, nil
}

// Keep keeps the rows for which test returns true. It stops at the first error, or when
// ctx ends.
func (s *Selection) Keep(ctx context.Context, test func(Row) (bool, error)) (*Selection, error) {
	kept := s.rows.Empty()
	for c := range s.rows.Views() {
		words := s.rows.CopyWords(uint32(c))
		for w, left := range words {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			for ; left != 0; left &= left - 1 {
				i := bits.TrailingZeros64(left)
				ok, err := test(Row(c<<16 | w<<6 | i))
				if err != nil {
					return nil, err
				}
				if !ok {
					words[w] &^= 1 << i
				}
			}
		}
		if words != nil {
			kept.PutWords(c, words)
		}
	}
	return s.with(kept), nil
}
