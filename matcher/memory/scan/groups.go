package scan

import (
	"math"
	"slices"

	"nearside/matcher"
)

// groups finds the first groups of an answer, each by its first row in the order of the
// answer, its best row. It has at most limit groups at a time: those that come first
// among the rows offered so far.
//
// A row that comes after the best row of the limit-th group, the last one, can be
// dropped unseen, because that best row only moves forward in the order:
//
//   - If the row's group is among the first, the row is after the group's best row.
//   - If the row's group is not among the first, the row would have to come before the
//     last best row to bring it there.
//
// The same holds for all rows of a group that was among the first and no longer is. If
// it comes back, its new row is before all of them and is its best row. So the groups
// and their best rows are those that sorting all rows and then grouping them would give,
// and the value of the last best row is a bound.
//
// It does not bound the other rows of the groups. A group may enter when its second row
// has already been dropped. These rows are therefore found by a second scan, of the rows
// of the groups of the answer only (groupRows).
type groups struct {
	field int // index in records of the text by which rows are grouped
	size  int // maximum number of rows of a group in the answer

	all     []group
	last    []int32          // a heap of indexes in all; the group that comes last is at the front
	byValue map[string]int32 // index in all
}

// group is a group of rows. A row without a value is a group of its own.
type group struct {
	best  Hit
	value string // it shares the memory of a record; empty: none
	place int32  // index in groups.last
}

func newGroups(field, size int) *groups {
	return &groups{field: field, size: size, byValue: map[string]int32{}}
}

// pushGrouped adds a row to its group if the row passes the threshold and the group may
// be one of the first.
func (p *Search) pushGrouped(h Hit) {
	g := p.groups
	full := len(g.last) == p.limit
	if full && !p.before(h, g.all[g.last[0]].best) || !p.measure(&h) {
		return
	}
	value := p.text(h, g.field)
	n, known := g.byValue[value]
	switch {
	case value != "" && known:
		if p.before(h, g.all[n].best) {
			g.all[n].best = h
			p.sink(int(g.all[n].place))
		}
		return
	case full:
		n = g.last[0]
		if old := g.all[n].value; old != "" {
			delete(g.byValue, old)
		}
		g.all[n] = group{best: h, value: value}
		p.sink(0)
	default:
		n = int32(len(g.all))
		g.all = append(g.all, group{best: h, value: value, place: n})
		g.last = append(g.last, n)
		p.rise(int(n))
	}
	if value != "" {
		g.byValue[value] = n
	}
}

// groupBound returns the value above which a row cannot become the best row of a group of
// the answer.
func (p *Search) groupBound() float64 {
	g := p.groups
	if len(g.last) < p.limit || p.order != matcher.BySimilarity {
		return p.cut
	}
	return g.all[g.last[0]].best.value
}

// text returns the text of a hit with that index in records. It shares the memory of the
// record.
func (p *Search) text(h Hit, field int) string {
	v, i := p.snap.At(p.origin, h.Row)
	return v.SharedText(i, field)
}

// measure computes the value of h if that is not done yet, and reports whether it
// passes the threshold.
func (p *Search) measure(h *Hit) bool {
	if math.IsNaN(h.value) {
		h.value = p.valueOf(h.Row)
	}
	return h.value <= p.cut
}

// comesLater reports whether the group at place a of the heap comes after the one at
// place b.
func (p *Search) comesLater(a, b int) bool {
	g := p.groups
	return p.before(g.all[g.last[b]].best, g.all[g.last[a]].best)
}

// sink moves the group at a place of the heap back until it comes after those below it.
func (p *Search) sink(at int) {
	g := p.groups
	for {
		below := 2*at + 1
		if below >= len(g.last) {
			break
		}
		if below+1 < len(g.last) && p.comesLater(below+1, below) {
			below++
		}
		if !p.comesLater(below, at) {
			break
		}
		g.swap(at, below)
		at = below
	}
	g.all[g.last[at]].place = int32(at)
}

// rise moves the group at a place of the heap forward until the one above comes later.
func (p *Search) rise(at int) {
	g := p.groups
	for at > 0 && p.comesLater(at, (at-1)/2) {
		g.swap(at, (at-1)/2)
		at = (at - 1) / 2
	}
	g.all[g.last[at]].place = int32(at)
}

// swap swaps two places of the heap.
func (g *groups) swap(a, b int) {
	g.last[a], g.last[b] = g.last[b], g.last[a]
	g.all[g.last[a]].place, g.all[g.last[b]].place = int32(a), int32(b)
}

// page returns the groups of the answer in its order. The heap is sorted after that.
func (p *Search) page() []group {
	g := p.groups
	slices.SortFunc(g.last, func(a, b int32) int { return p.compare(g.all[a].best, g.all[b].best) })
	page := make([]group, 0, len(g.last)-min(p.skip, len(g.last)))
	for _, n := range g.last[len(g.last)-cap(page):] {
		page = append(page, g.all[n])
	}
	return page
}

// groupRows has the rows of the groups of an answer: of each group, the first rows in the
// order of the answer.
type groupRows struct {
	field   int
	size    int
	rows    [][]Hit // by group, in the order of the answer
	values  []string
	byValue map[string]int32
	full    int // number of groups that have size rows, or can have only one
	changes int // since the bound was computed
}

// RowsOfGroups returns a search for all rows of the groups of the answer, and the values of
// these groups. The search must be offered the rows that have one of the values. It
// returns nil if the answer has no more than one row of each group. The job must be done.
func (p *Search) RowsOfGroups() (search *Search, values []string) {
	if p.groups == nil || p.groups.size == 1 {
		return nil, nil
	}
	m := &groupRows{field: p.groups.field, size: p.groups.size, byValue: map[string]int32{}}
	for n, g := range p.page() {
		m.values = append(m.values, g.value)
		if g.value == "" { // a single row
			m.rows = append(m.rows, []Hit{g.best})
			m.full++
			continue
		}
		m.rows = append(m.rows, nil)
		m.byValue[g.value] = int32(n)
		values = append(values, g.value)
	}
	if values == nil {
		return nil, nil
	}
	search = &Search{
		snap: p.snap, origin: p.origin, version: p.version, query: p.query, floats: p.floats, inverse: p.inverse,
		order: p.order, cut: p.cut, batch: max(1, min(len(m.rows)*m.size/16, batchMax)), excluded: p.excluded, groupRows: m,
	}
	if p.fused != nil {
		search.fused = p.fused.copyFor(search)
	}
	search.bound.Store(math.Float64bits(p.cut))
	return search, values
}

// pushGroupRow adds a row to its group if the row is one of the first there.
func (p *Search) pushGroupRow(h Hit) {
	m := p.groupRows
	n, known := m.byValue[p.text(h, m.field)]
	if !known {
		return
	}
	rows := m.rows[n]
	if len(rows) == m.size && !p.before(h, rows[m.size-1]) || !p.measure(&h) {
		return
	}
	at, _ := slices.BinarySearchFunc(rows, h, p.compare)
	if rows = slices.Insert(rows, at, h); len(rows) == m.size {
		m.full++
	}
	m.rows[n] = rows[:min(len(rows), m.size)]
	m.changes++
}

// groupRowsBound returns the value above which no row belongs to the answer, as soon as all
// groups are full. It is computed after as many changes as there are groups.
func (p *Search) groupRowsBound() float64 {
	m := p.groupRows
	if m.full < len(m.rows) || m.changes < len(m.rows) || p.order != matcher.BySimilarity {
		return p.within()
	}
	m.changes = 0
	farthest := 0.0
	for n, rows := range m.rows {
		if m.values[n] != "" {
			farthest = max(farthest, rows[len(rows)-1].value)
		}
	}
	return farthest
}

// takeGroups sets p.hits and p.values to the rows of a grouped answer.
func (p *Search) takeGroups() {
	if m := p.groupRows; m != nil {
		p.hits = slices.Concat(m.rows...)
		for n, rows := range m.rows {
			p.values = append(p.values, slices.Repeat([]string{m.values[n]}, len(rows))...)
		}
		return
	}
	for _, g := range p.page() {
		p.hits, p.values = append(p.hits, g.best), append(p.values, g.value)
	}
}

// Values returns the value of the group of each hit, in the order of Hits; nil: rows are
// not grouped. A value shares the memory of the snapshot. The bytes of a UUID stand for
// it.
func (p *Search) Values() []string { return p.values }
