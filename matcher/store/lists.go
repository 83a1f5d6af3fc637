package store

import (
	"iter"

	"nearside/matcher"
	"nearside/matcher/idindex"
)

// listEntry is a list and the number by which face records refer to it.
type listEntry struct {
	list   *matcher.List // nil: the entry does not exist
	number uint64
	// imported is set if an import of all accounts created the list, in the account
	// that its first line named. It is not stored, because only later lines of the
	// same import need it.
	imported bool
}

// listPartSize is the number of places in a listPart, which then fills 8 KiB. The
// allocator would round other sizes up.
const listPartSize = 227

// listPart holds lists in little memory, by place.
type listPart struct {
	ids      [listPartSize]matcher.ID
	times    [listPartSize]matcher.Time
	numbers  [listPartSize]uint64
	accounts [listPartSize]uint32  // index in listTable.accounts; listImported may be set
	texts    *[listPartSize]string // user data; nil while no list has any
}

// listImported is set in listPart.accounts for listEntry.imported.
const listImported = 1 << 31

// listTable holds all lists. The writer goroutine owns it. There may be very many lists,
// so each has a place in a part instead of memory of its own.
type listTable struct {
	parts    []*listPart
	free     []uint32 // places without a list
	byID     *idindex.Index[matcher.ID]
	byNumber *idindex.Index[uint64]
	accounts []matcher.ID // of lists; the first one is zero: no account
	account  *idindex.Index[matcher.ID]
	next     uint64 // number of the next new list; numbers are never reused
}

func newLists() *listTable {
	l := &listTable{accounts: []matcher.ID{{}}, next: 1}
	l.byID = idindex.New(l.idAt)
	l.byNumber = idindex.New(func(place uint32) uint64 { p, i := l.at(place); return p.numbers[i] })
	l.account = idindex.New(func(account uint32) matcher.ID { return l.accounts[account] })
	l.account.Add(0)
	return l
}

// at returns the part of a place, and the index there.
func (l *listTable) at(place uint32) (p *listPart, i int) {
	return l.parts[place/listPartSize], int(place % listPartSize)
}

func (l *listTable) idAt(place uint32) matcher.ID {
	p, i := l.at(place)
	return p.ids[i]
}

// get returns the entry of id, or an entry without a list if the table does not have it.
func (l *listTable) get(id matcher.ID) (e listEntry) {
	place, ok := l.byID.Find(id)
	if !ok {
		return e
	}
	p, i := l.at(place)
	e.list = &matcher.List{ID: id, Account: l.accounts[p.accounts[i]&^listImported], CreateTime: p.times[i]}
	if p.texts != nil {
		e.list.UserData = p.texts[i]
	}
	e.number, e.imported = p.numbers[i], p.accounts[i]&listImported != 0
	return e
}

// numberOf returns the number of a list, or 0 if it does not exist.
func (l *listTable) numberOf(id matcher.ID) uint64 {
	place, ok := l.byID.Find(id)
	if !ok {
		return 0
	}
	p, i := l.at(place)
	return p.numbers[i]
}

// idOf returns the ID of the list with a number. Deleted lists have none.
func (l *listTable) idOf(number uint64) (id matcher.ID, ok bool) {
	place, ok := l.byNumber.Find(number)
	if !ok {
		return id, false
	}
	return l.idAt(place), true
}

// all calls yield with the number and the ID of each list.
func (l *listTable) all() iter.Seq2[uint64, matcher.ID] {
	return func(yield func(uint64, matcher.ID) bool) {
		for place := range l.byID.All() {
			if p, i := l.at(place); !yield(p.numbers[i], p.ids[i]) {
				return
			}
		}
	}
}

// set makes e the entry of id. An entry without a list removes the list. It
// returns the old entry; a call of set with the old entry reverts the change.
func (l *listTable) set(id matcher.ID, e listEntry) (old listEntry) {
	old = l.get(id)
	place, exists := l.byID.Find(id)
	switch {
	case e.list == nil && !exists:
	case e.list == nil:
		l.byID.Remove(id)
		l.byNumber.Remove(old.number)
		l.write(place, listEntry{list: &matcher.List{}})
		l.free = append(l.free, place)
	case exists && e.number == old.number:
		l.write(place, e)
	case exists:
		l.byNumber.Remove(old.number)
		l.write(place, e)
		l.byNumber.Add(place)
	default:
		place = l.takePlace()
		l.write(place, e)
		l.byID.Add(place)
		l.byNumber.Add(place)
	}
	return old
}

// takePlace returns a place without a list.
func (l *listTable) takePlace() uint32 {
	if len(l.free) == 0 {
		first := uint32(len(l.parts)) * listPartSize
		l.parts = append(l.parts, new(listPart))
		for i := range uint32(listPartSize) {
			l.free = append(l.free, first+listPartSize-1-i)
		}
	}
	last := len(l.free) - 1
	place := l.free[last]
	l.free = l.free[:last]
	return place
}

// write writes the fields of e to a place.
func (l *listTable) write(place uint32, e listEntry) {
	p, i := l.at(place)
	p.ids[i], p.times[i], p.numbers[i] = e.list.ID, e.list.CreateTime, e.number
	account, ok := l.account.Find(e.list.Account)
	if !ok {
		account = uint32(len(l.accounts))
		l.accounts = append(l.accounts, e.list.Account)
		l.account.Add(account)
	}
	if p.accounts[i] = account; e.imported {
		p.accounts[i] |= listImported
	}
	if p.texts == nil && e.list.UserData != "" {
		p.texts = new([listPartSize]string)
	}
	if p.texts != nil {
		p.texts[i] = e.list.UserData
	}
}
