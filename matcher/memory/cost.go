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
// rows is the number of rows of the set that prefilters left. Without prefilters, it is
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
	value, known := uint32(0), true // value of the account in the column of accounts
	if account != nil {
		value, known = m.tables.Accounts[*account]
		value++
	}
	if !known {
		return 0
	}
	bound := m.tables.Newest.Live(o)
	if account != nil {
		bound = m.tables.Tallies[o].Of(value)
	}
	if f.IDs != nil {
		bound = min(bound, len(f.IDs))
	}
	if f.ListID != nil {
		bound = min(bound, m.rowsOfLists([]matcher.ID{*f.ListID}, account != nil, value))
	}
	if f.Lists != nil && len(f.Lists) <= costLists {
		bound = min(bound, m.rowsOfLists(f.Lists, account != nil, value))
	}
	return bound
}

// rowsOfLists adds up the faces of lists. If byAccount is set, it counts only the faces
// of account. A face that is in two lists counts twice.
func (m *Memory) rowsOfLists(lists []matcher.ID, byAccount bool, account uint32) int {
	n := 0
	for _, id := range lists {
		ordinal, ok := m.tables.FindList(id)
		switch {
		case !ok:
		case byAccount:
			n += m.tables.ListTally(ordinal).Of(account)
		default:
			n += m.tables.ListRowCount(ordinal)
		}
	}
	return n
}
