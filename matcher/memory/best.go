package memory

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
)

// ranked is a row with its rank.
type ranked struct {
	rank int64
	filter.Entry
}

// Top keeps the n rows with the largest values of a column of numbers or times. Among
// equal values, smaller IDs come first.
func (s *Selection) Top(name string, n int) (*Selection, error) {
	c, err := s.column(name)
	if err != nil {
		return nil, err
	}
	if c.rank == nil {
		return nil, fmt.Errorf("%s: must be a column of numbers or times", name)
	}
	snap, origin := s.rows.Snapshot(), s.rows.Origin()
	return s.best(n, func(e filter.Entry) (int64, bool) {
		v, i := snap.At(origin, e.Row)
		return c.rank(v, i)
	}), nil
}

// Sample keeps n pseudo-random rows. The choice depends only on seed and on the IDs of
// the rows.
func (s *Selection) Sample(n int, seed uint64) *Selection {
	return s.best(n, func(e filter.Entry) (int64, bool) { return int64(scramble(e.ID, seed)), true })
}

// scramble returns a pseudo-random number for id: the finalizer of SplitMix64 (Steele,
// Lea, Flood 2014) applied to each half.
func scramble(id matcher.ID, seed uint64) uint64 {
	x := seed
	for _, half := range [2][]byte{id[:8], id[8:]} {
		x += 0x9e3779b97f4a7c15 + binary.LittleEndian.Uint64(half)
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	return x
}

// best keeps the n rows with the largest ranks. It drops rows without a rank.
func (s *Selection) best(n int, rank func(filter.Entry) (int64, bool)) *Selection {
	defer runtime.KeepAlive(s)
	kept := s.rows.Empty()
	for _, r := range firstRanked(s.rows, n, rank) {
		kept.AddRow(r.Row)
	}
	return s.with(kept)
}

// firstRanked returns the n rows of s with the largest ranks, largest first. Rows with
// equal ranks are ordered by ID. Rows without a rank are left out. It holds about 2*n
// rows at a time.
func firstRanked(s *filter.Selection, n int, rank func(filter.Entry) (int64, bool)) []ranked {
	if n = min(n, s.Len()); n <= 0 {
		return nil
	}
	compare := func(a, b ranked) int { return cmp.Or(cmp.Compare(b.rank, a.rank), a.ID.Compare(b.ID)) }
	var rows []ranked
	full := false // the first n rows are sorted, so a row that comes after the n-th can be skipped
	for e := range s.Entries {
		r, ok := rank(e)
		if !ok || full && compare(ranked{r, e}, rows[n-1]) > 0 {
			continue
		}
		if rows = append(rows, ranked{r, e}); len(rows) >= 2*n+1024 {
			slices.SortFunc(rows, compare)
			rows, full = rows[:n], true
		}
	}
	slices.SortFunc(rows, compare)
	return rows[:min(n, len(rows))]
}
