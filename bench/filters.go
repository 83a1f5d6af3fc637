package main

import (
	"strconv"

	"nearside/matcher"
)

// filter selects a part of a dataset. matches computes that part independently of the
// engine.
type filter struct {
	name       string
	percent    float64
	contiguous bool // the selected rows are consecutive
	filter     matcher.Filter
	matches    func(i int) bool
}

// The attributes of row i, by which filters select. mix makes the scattered ones
// independent of each other.
func ageOf(i int) uint8         { return uint8(mix(uint64(i)*8+1) % 100) }
func genderOf(i int) uint8      { return uint8(mix(uint64(i)*8+2) % 2) }
func ethnicGroupOf(i int) uint8 { return uint8(mix(uint64(i)*8+3) % 10) }
func userDataOf(i int) string   { return "u" + strconv.Itoa(userNumberOf(i)) }
func userNumberOf(i int) int    { return int(mix(uint64(i)*8+4) % 10_000) }
func timeOf(i int) matcher.Time { return firstTime + matcher.Time(i) }

const firstTime matcher.Time = 1_777_593_600_000 // 2026-05-01

// listPercents are the sizes of the lists, in percent of the rows. The rows of a list are
// consecutive and start at one third of all rows.
var listPercents = []float64{0.01, 0.1, 1, 10}

func listID(k int) matcher.ID { return matcher.NameID("nearside bench list " + strconv.Itoa(k)) }

// span returns the range of rows, lo to hi-1, of a consecutive part. It has at least one
// row.
func span(n int, percent float64) (lo, hi int) {
	size := max(1, int(float64(n)*percent/100))
	lo = min(n/3, n-size)
	return lo, lo + size
}

// listsOf returns the lists of row i.
func listsOf(i, n int) []matcher.ID {
	var in []matcher.ID
	for k, percent := range listPercents {
		if lo, hi := span(n, percent); lo <= i && i < hi {
			in = append(in, listID(k))
		}
	}
	return in
}

// everything is the filter that all rows pass.
var everything = &filter{name: "no filter", percent: 100, contiguous: true, matches: func(int) bool { return true }}

// filtersOf returns the filters that are measured on n rows.
func filtersOf(n int) []*filter {
	var all []*filter
	for k, percent := range listPercents {
		lo, hi := span(n, percent)
		id := listID(k)
		all = append(all, &filter{
			name: "list", percent: percent, contiguous: true, filter: matcher.Filter{ListID: &id},
			matches: func(i int) bool { return lo <= i && i < hi },
		})
	}
	for _, percent := range []float64{1, 10} {
		lo, hi := span(n, percent)
		from, to := timeOf(lo), timeOf(hi)
		all = append(all, &filter{
			name: "time range", percent: percent, contiguous: true,
			filter:  matcher.Filter{CreateTime: matcher.Range[matcher.Time]{GTE: &from, LT: &to}},
			matches: func(i int) bool { return lo <= i && i < hi },
		})
	}
	return append(all, scatteredFilters()...)
}

func scatteredFilters() []*filter {
	ages := func(from, to uint8) matcher.FieldFilter {
		return matcher.Within("age", matcher.Range[uint8]{GTE: &from, LT: &to})
	}
	return []*filter{
		{name: "user_data", percent: 0.01, filter: matcher.Where(matcher.AnyOf("user_data", "u77")), matches: func(i int) bool { return userNumberOf(i) == 77 }},
		{
			name: "age and ethnic group", percent: 0.1,
			filter:  matcher.Where(ages(30, 31), matcher.AnyOf("ethnic_group", uint8(4))),
			matches: func(i int) bool { return ageOf(i) == 30 && ethnicGroupOf(i) == 4 },
		},
		{name: "age", percent: 1, filter: matcher.Where(ages(30, 31)), matches: func(i int) bool { return ageOf(i) == 30 }},
		{
			name: "ages", percent: 10, filter: matcher.Where(ages(30, 40)),
			matches: func(i int) bool { return ageOf(i) >= 30 && ageOf(i) < 40 },
		},
		{name: "gender", percent: 50, filter: matcher.Where(matcher.AnyOf("gender", uint8(1))), matches: func(i int) bool { return genderOf(i) == 1 }},
	}
}

// findFilter returns the filter with a name and a percentage, or nil.
func (d *dataset) findFilter(name string, percent float64) *filter {
	for _, f := range d.filters {
		if f.name == name && f.percent == percent {
			return f
		}
	}
	return nil
}

// count returns the number of the n rows that pass the filter.
func (f *filter) count(n int) int {
	count := 0
	for i := range n {
		if f.matches(i) {
			count++
		}
	}
	return count
}
