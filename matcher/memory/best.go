package memory

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"

	"nearside/matcher"
)

// ranked is a row with what orders it.
type ranked struct {
	rank int64
	entry
}

// Top keeps the n rows with the largest values of a column of numbers or
// times; of equal ones those with the least IDs.
func (s *Selection) Top(name string, n int) (*Selection, error) {
	c, err := columnOf(s.origin, name)
	if err != nil {
		return nil, err
	}
	if c.rank == nil {
		return nil, fmt.Errorf("%s: is no column of numbers or times", name)
	}
	return s.best(n, func(e entry) (int64, bool) {
		v, i := s.snap.at(s.origin, e.row)
		return c.rank(v, i)
	}), nil
}

// Sample keeps n rows that seed picks; which, depends only on seed and on the
// IDs of the rows.
func (s *Selection) Sample(n int, seed uint64) *Selection {
	return s.best(n, func(e entry) (int64, bool) { return int64(scramble(e.id, seed)), true })
}

// scramble returns a number of id that looks random: the finalizer of
// SplitMix64 (Steele, Lea, Flood 2014) over each half.
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

// best keeps the n rows with the largest ranks; those without one are left out.
func (s *Selection) best(n int, rank func(entry) (int64, bool)) *Selection {
	defer runtime.KeepAlive(s.snap)
	kept := s.empty()
	if n = min(n, s.n); n <= 0 {
		return kept
	}
	var rows []ranked
	cut := func() {
		slices.SortFunc(rows, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.rank, a.rank), a.id.Compare(b.id)) })
		rows = rows[:min(n, len(rows))]
	}
	for e := range s.eachEntry {
		if r, ok := rank(e); ok {
			if rows = append(rows, ranked{r, e}); len(rows) >= 2*n+1024 {
				cut()
			}
		}
	}
	cut()
	for _, r := range rows {
		words := &kept.chunks[r.row>>16]
		if *words == nil {
			*words = make([]uint64, (s.snap.tables[s.origin][r.row>>16].n+63)/64)
		}
		(*words)[r.row&0xffff>>6] |= 1 << (r.row & 63)
	}
	kept.n = len(rows)
	return kept
}
