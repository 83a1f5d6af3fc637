package main

import (
	"strconv"

	"nearside/matcher"
)

// filter selects a part of a dataset, and knows which without asking the
// engine.
type filter struct {
	name       string
	percent    float64
	contiguous bool // the rows lie side by side
	filter     matcher.Filter
	has        func(i int) bool
}

// Attributes of row i, from which filters select. Scattered ones are spread by
// mix, each with bits of its own.
func ageOf(i int) uint8         { return uint8(mix(uint64(i)*8+1) % 100) }
func genderOf(i int) uint8      { return uint8(mix(uint64(i)*8+2) % 2) }
func ethnicGroupOf(i int) uint8 { return uint8(mix(uint64(i)*8+3) % 10) }
func userDataOf(i int) string   { return "u" + strconv.Itoa(userNumberOf(i)) }
func userNumberOf(i int) int    { return int(mix(uint64(i)*8+4) % 10_000) }
func timeOf(i int) matcher.Time { return firstTime + matcher.Time(i) }

const firstTime matcher.Time = 1_777_593_600_000 // 2026-05-01

// lists are contiguous parts, in percent of the rows. Each begins at a third of
// the rows, away from the edges.
var lists = []float64{0.01, 0.1, 1, 10}

func listID(k int) matcher.ID { return matcher.NameID("nearside bench list " + strconv.Itoa(k)) }

// span returns the rows of a contiguous part: at least one.
func span(n int, percent float64) (lo, hi int) {
	size := max(1, int(float64(n)*percent/100))
	lo = min(n/3, n-size)
	return lo, lo + size
}

// listsOf returns the lists of row i.
func listsOf(i, n int) []matcher.ID {
	var in []matcher.ID
	for k, percent := range lists {
		if lo, hi := span(n, percent); lo <= i && i < hi {
			in = append(in, listID(k))
		}
	}
	return in
}

// everything lets all rows pass.
var everything = &filter{name: "no filter", percent: 100, contiguous: true, has: func(int) bool { return true }}

// filtersOf returns the filters that are measured on n rows.
func filtersOf(n int) []*filter {
	var all []*filter
	for k, percent := range lists {
		lo, hi := span(n, percent)
		id := listID(k)
		all = append(all, &filter{
			name: "list", percent: percent, contiguous: true, filter: matcher.Filter{ListID: &id},
			has: func(i int) bool { return lo <= i && i < hi },
		})
	}
	for _, percent := range []float64{1, 10} {
		lo, hi := span(n, percent)
		from, to := timeOf(lo), timeOf(hi)
		all = append(all, &filter{
			name: "time range", percent: percent, contiguous: true,
			filter: matcher.Filter{CreateTime: matcher.Range[matcher.Time]{GTE: &from, LT: &to}},
			has:    func(i int) bool { return lo <= i && i < hi },
		})
	}
	return append(all, scatteredFilters()...)
}

func scatteredFilters() []*filter {
	user, gender := "u77", uint8(1)
	ages := func(from, to uint8) matcher.Range[uint8] { return matcher.Range[uint8]{GTE: &from, LT: &to} }
	return []*filter{
		{name: "user_data", percent: 0.01, filter: matcher.Filter{UserData: &user}, has: func(i int) bool { return userNumberOf(i) == 77 }},
		{
			name: "age and ethnic group", percent: 0.1,
			filter: matcher.Filter{Age: ages(30, 31), EthnicGroups: []uint8{4}},
			has:    func(i int) bool { return ageOf(i) == 30 && ethnicGroupOf(i) == 4 },
		},
		{name: "age", percent: 1, filter: matcher.Filter{Age: ages(30, 31)}, has: func(i int) bool { return ageOf(i) == 30 }},
		{
			name: "ages", percent: 10, filter: matcher.Filter{Age: ages(30, 40)},
			has: func(i int) bool { return ageOf(i) >= 30 && ageOf(i) < 40 },
		},
		{name: "gender", percent: 50, filter: matcher.Filter{Gender: &gender}, has: func(i int) bool { return genderOf(i) == 1 }},
	}
}

// find returns the filter of a name and a part.
func (d *dataset) find(name string, percent float64) *filter {
	for _, f := range d.filters {
		if f.name == name && f.percent == percent {
			return f
		}
	}
	return nil
}

// count returns how many rows pass.
func (f *filter) count(n int) int {
	count := 0
	for i := range n {
		if f.has(i) {
			count++
		}
	}
	return count
}
