package memory

import (
	"context"

	"nearside/matcher"
)

const (
	// costRows is the number of rows in a set that has exactly the configured cost.
	costRows = 100_000
	// costLists is the maximum number of lists whose rows are counted.
	costLists = 64
)

// Cost implements [matcher.Matcher]:
//
//	cost = Options.Cost * max(1, rows/100,000)
//
// rows is the number of rows that prefilters left of the set. Without prefilters, it is
// an upper bound of the selected rows, derived from the objects of the origin and from
// the lists and IDs that the filter names. For a request of an account, only rows of that
// account count, so that a cost reveals nothing about other accounts.
//
// Other filters are not evaluated for a cost, because evaluating them is most of the work
// of a small selection. Small sets therefore have the configured cost, and large sets may
// be cheaper on another matcher.
func (m *Memory) Cost(_ context.Context, sub *matcher.SubRequest) (cost float64, reason string, ok bool) {
	rows := 0
	if sub.Selection != nil {
		rows = sub.Selection.Len()
	} else {
		rows = m.rowsAtMost(sub.Candidates.Origin, &sub.Candidates.Filter, sub.Account)
	}
	return max(m.options.Cost, m.options.Cost*float64(rows)/costRows), "", true
}

// rowsAtMost returns an upper bound of the rows that a filter selects. account is the
// account of the request, or nil.
func (m *Memory) rowsAtMost(o matcher.Origin, f *matcher.Filter, account *matcher.ID) int {
	m.tables.RLock()
	defer m.tables.RUnlock()
	column, known := uint32(0), true
	if account != nil {
		column, known = m.tables.Accounts[*account]
		column++
	}
	if !known {
		return 0
	}
	most := m.tables.Newest.Live(o)
	if account != nil {
		most = m.tables.Tallies[o].Of(column)
	}
	if f.IDs != nil {
		most = min(most, len(f.IDs))
	}
	if f.ListID != nil {
		most = min(most, m.rowsOfLists([]matcher.ID{*f.ListID}, account != nil, column))
	}
	if f.Lists != nil && len(f.Lists) <= costLists {
		most = min(most, m.rowsOfLists(f.Lists, account != nil, column))
	}
	return most
}

// rowsOfLists adds up the faces of lists: all of them, or if one is set, those of one
// account. A face that is in two lists counts twice.
func (m *Memory) rowsOfLists(lists []matcher.ID, one bool, account uint32) int {
	n := 0
	for _, id := range lists {
		switch l := m.tables.Lists[id]; {
		case l == nil:
		case one:
			n += l.Tally.Of(account)
		default:
			n += l.Rows.Count()
		}
	}
	return n
}
