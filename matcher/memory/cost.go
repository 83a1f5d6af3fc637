package memory

import (
	"context"

	"nearside/matcher"
)

const (
	// costRows is the rows of a set that the configured cost stands for.
	costRows = 100_000
	// costLists is the most lists whose rows are counted.
	costLists = 64
)

// Cost implements [matcher.Matcher]:
//
//	cost = Options.Cost * max(1, rows/100,000)
//
// rows is what prefilters left of the set; otherwise the most that it can
// select, by the objects of the origin, the lists and the IDs that it names.
// Other filters are not evaluated for a cost: that is most of what a small
// selection takes. So small sets cost what is configured, and large ones can be
// cheaper elsewhere.
func (m *Memory) Cost(_ context.Context, sub *matcher.SubRequest) (cost float64, reason string, ok bool) {
	rows := 0
	if sub.Selection != nil {
		rows = sub.Selection.Len()
	} else {
		rows = m.rowsAtMost(sub.Candidates.Origin, &sub.Candidates.Filter)
	}
	return max(m.options.Cost, m.options.Cost*float64(rows)/costRows), "", true
}

// rowsAtMost bounds the rows that a filter selects.
func (m *Memory) rowsAtMost(o matcher.Origin, f *matcher.Filter) int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	most := m.snap.live(o)
	for origin, ids := range [matcher.Origins][]matcher.ID{f.FaceIDs, f.EventIDs, f.AttributeIDs} {
		if ids != nil && matcher.Origin(origin) == o {
			most = min(most, len(ids))
		}
	}
	if f.ListID != nil {
		most = min(most, m.rowsOfLists([]matcher.ID{*f.ListID}))
	}
	if f.Lists != nil && len(f.Lists) <= costLists {
		most = min(most, m.rowsOfLists(f.Lists))
	}
	return most
}

// rowsOfLists adds up the faces of lists; one that is in two counts twice.
func (m *Memory) rowsOfLists(lists []matcher.ID) int {
	n := 0
	for _, id := range lists {
		if l := m.lists[id]; l != nil {
			n += int(l.rows.GetCardinality())
		}
	}
	return n
}
