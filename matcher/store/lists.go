package store

import "nearside/matcher"

// listEntry is a list and the number that stands for it in face records.
type listEntry struct {
	list   *matcher.List
	number uint64
}

// lists is the table of all lists. The writer goroutine owns it.
type lists struct {
	byID map[matcher.ID]listEntry
	ids  map[uint64]matcher.ID // by number; a number that is not here is of a deleted list
	next uint64                // number of the next new list; numbers are never used again
}

func newLists() *lists {
	return &lists{byID: map[matcher.ID]listEntry{}, ids: map[uint64]matcher.ID{}, next: 1}
}

// set makes e the entry of id; an entry without a list removes it. It returns
// the entry before, with which set undoes the step.
func (l *lists) set(id matcher.ID, e listEntry) (old listEntry) {
	old = l.byID[id]
	if old.list != nil {
		delete(l.ids, old.number)
		delete(l.byID, id)
	}
	if e.list != nil {
		l.byID[id] = e
		l.ids[e.number] = id
	}
	return old
}
