package store

import "nearside/matcher"

// listEntry is a list and the number by which face records refer to it.
type listEntry struct {
	list   *matcher.List
	number uint64
	// imported is set if an import of all accounts created the list, in the account
	// that its first line named. It is not stored, because only later lines of the
	// same import need it.
	imported bool
}

// listTable holds all lists. The writer goroutine owns it.
type listTable struct {
	byID map[matcher.ID]listEntry
	ids  map[uint64]matcher.ID // by number; numbers of deleted lists are missing
	next uint64                // number of the next new list; numbers are never reused
}

func newLists() *listTable {
	return &listTable{byID: map[matcher.ID]listEntry{}, ids: map[uint64]matcher.ID{}, next: 1}
}

// set makes e the entry of id. An entry without a list removes the list. It
// returns the old entry; a call of set with the old entry reverts the change.
func (l *listTable) set(id matcher.ID, e listEntry) (old listEntry) {
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
