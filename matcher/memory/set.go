package memory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"runtime"
	"slices"

	"nearside/matcher"
)

// The operations on a Selection give new ones, of the same snapshot. Columns
// are the fields of the object (API.md 4); values are float64 and string, as
// Lua has them: IDs and times as text, times also as seconds since 1970.

// Where keeps the rows whose column compares so with value; op is one of
// = != < <= > >=, also written == and ~=.
func (s *Selection) Where(name, op string, value any) (*Selection, error) {
	c, err := columnOf(s.origin, name)
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
		return s.join(found, func(a, b uint64) uint64 { return a &^ b }), nil
	}
	p, err := c.where(s, op, value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s.apply(p), nil
}

// Between keeps the rows whose column is at least lo and at most hi.
func (s *Selection) Between(name string, lo, hi any) (*Selection, error) {
	kept, err := s.Where(name, ">=", lo)
	if err != nil {
		return nil, err
	}
	return kept.Where(name, "<=", hi)
}

// OneOf keeps the rows whose column equals one of values.
func (s *Selection) OneOf(name string, values []any) (*Selection, error) {
	c, err := columnOf(s.origin, name)
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
	kept := s.empty()
	for _, value := range values {
		p, err := c.where(s, "=", value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		kept = kept.join(s.apply(p), func(a, b uint64) uint64 { return a | b })
	}
	return kept, nil
}

// apply keeps the rows that pass p.
func (s *Selection) apply(p predicate) *Selection {
	defer runtime.KeepAlive(s.snap)
	kept := s.empty()
	table := s.snap.tables[s.origin]
	for c := range table {
		words := s.own(uint32(c))
		if words == nil {
			continue
		}
		v := &table[c]
		if popcount(words)*sparse < v.n {
			clearUnless(v, words, p.one)
		} else {
			p.all(s.memory.options.Kernel, v, words)
		}
		kept.put(c, words)
	}
	return kept
}

// empty returns a selection of no rows that put can fill.
func (s *Selection) empty() *Selection {
	return &Selection{memory: s.memory, snap: s.snap, origin: s.origin, chunks: make([][]uint64, len(s.snap.tables[s.origin]))}
}

// own returns a copy of the words of a chunk; nil: none is selected.
func (s *Selection) own(chunk uint32) []uint64 {
	words, all := s.words(chunk)
	switch n := s.snap.tables[s.origin][chunk].n; {
	case all && n > 0:
		words = make([]uint64, (n+63)/64)
		fill(words, n)
	case s.all: // made for us
	default:
		words = slices.Clone(words)
	}
	return words
}

// put gives a chunk that has none its words, which s then owns.
func (s *Selection) put(chunk int, words []uint64) {
	if n := popcount(words); n > 0 {
		s.chunks[chunk], s.n = words, s.n+n
	}
}

func popcount(words []uint64) int {
	n := 0
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}

// errOtherSnapshot is the error of sets that show different moments.
var errOtherSnapshot = errors.New("the sets were not made from one candidate set")

// Union returns the rows of either set. Both must come from one.
func (s *Selection) Union(other *Selection) (*Selection, error) {
	return s.with(other, func(a, b uint64) uint64 { return a | b })
}

// Intersect returns the rows of both sets, which must come from one.
func (s *Selection) Intersect(other *Selection) (*Selection, error) {
	return s.with(other, func(a, b uint64) uint64 { return a & b })
}

// Minus returns the rows that other has not. Both must come from one set.
func (s *Selection) Minus(other *Selection) (*Selection, error) {
	return s.with(other, func(a, b uint64) uint64 { return a &^ b })
}

func (s *Selection) with(other *Selection, op func(a, b uint64) uint64) (*Selection, error) {
	if s.snap != other.snap || s.origin != other.origin {
		return nil, errOtherSnapshot
	}
	return s.join(other, op), nil
}

// join combines the words of two sets of one snapshot.
func (s *Selection) join(other *Selection, op func(a, b uint64) uint64) *Selection {
	result := s.empty()
	for c := range result.chunks {
		a, b := s.own(uint32(c)), other.own(uint32(c))
		if a == nil && b == nil {
			continue
		}
		if a == nil {
			a = make([]uint64, len(b))
		}
		for w := range a {
			with := uint64(0)
			if b != nil {
				with = b[w]
			}
			a[w] = op(a[w], with)
		}
		result.put(c, a)
	}
	return result
}

// ByID keeps the rows of the given objects.
func (s *Selection) ByID(ids []matcher.ID) *Selection {
	defer runtime.KeepAlive(s.snap)
	kept := s.empty()
	add := func(row uint32) {
		words := &kept.chunks[row>>16]
		if *words == nil {
			*words = make([]uint64, (s.snap.tables[s.origin][row>>16].n+63)/64)
		}
		(*words)[row&0xffff>>6] |= 1 << (row & 63)
	}
	missing := map[matcher.ID]struct{}{}
	m := s.memory
	m.mu.RLock()
	stale := m.snap != s.snap
	for _, id := range ids {
		if row, ok := m.rows[s.origin][id]; ok && s.is(row, id) {
			add(row)
		} else if stale {
			missing[id] = struct{}{} // it may have moved since
		}
	}
	m.mu.RUnlock()
	if len(missing) > 0 {
		for e := range s.eachEntry {
			if _, ok := missing[e.id]; ok {
				add(e.row)
			}
		}
	}
	for c := range kept.chunks {
		kept.n += popcount(kept.chunks[c])
	}
	return kept
}

// is reports whether s selects row, and it is that of id.
func (s *Selection) is(row uint32, id matcher.ID) bool {
	table := s.snap.tables[s.origin]
	c, i := int(row>>16), int(row&0xffff)
	if c >= len(table) || i >= table[c].n || table[c].ids[i] != id {
		return false
	}
	words, all := s.words(uint32(c))
	return all || words != nil && words[i>>6]>>(i&63)&1 == 1
}

// Exclude drops the rows of the given objects.
func (s *Selection) Exclude(ids []matcher.ID) *Selection {
	return s.join(s.ByID(ids), func(a, b uint64) uint64 { return a &^ b })
}

// Row is a row of a Selection; it is of use only with that.
type Row uint32

// Rows yields the rows of s in no particular order.
func (s *Selection) Rows() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for e := range s.eachEntry {
			if !yield(Row(e.row)) {
				return
			}
		}
	}
}

// Object returns the fields of a row, without descriptors.
func (s *Selection) Object(r Row) matcher.Object {
	defer runtime.KeepAlive(s.snap)
	return s.snap.object(s.origin, uint32(r))
}

// Reader returns a function that reads columns of a row into dst, which has
// room for as many: nil where the row has no such field, else uint8, string,
// [matcher.Time], [matcher.ID] or []matcher.ID.
func (s *Selection) Reader(names ...string) (func(r Row, dst []any), error) {
	read := make([]column, len(names))
	for i, name := range names {
		var err error
		if read[i], err = columnOf(s.origin, name); err != nil {
			return nil, err
		}
	}
	return func(r Row, dst []any) {
		v, i := s.snap.at(s.origin, uint32(r))
		for n := range read {
			dst[n] = read[n].value(s.snap, v, i)
		}
		runtime.KeepAlive(s.snap)
	}, nil
}

// Keep keeps the rows that test passes. It ends at the first error, and when
// ctx does.
func (s *Selection) Keep(ctx context.Context, test func(Row) (bool, error)) (*Selection, error) {
	kept := s.empty()
	table := s.snap.tables[s.origin]
	for c := range table {
		words := s.own(uint32(c))
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
			kept.put(c, words)
		}
	}
	return kept, nil
}
