package table

import (
	"iter"
	"unsafe"

	"nearside/matcher"
)

// List is a named set of faces. There may be very many lists, so a List is small, and its
// rows are packed (packed.go). The lock of [Tables] guards the fields after the empty
// line.
type List struct {
	ID matcher.ID

	createTime matcher.Time
	first      *byte  // of the packed rows; nil: no rows, or the list is large
	size       uint32 // of the packed rows
	account    uint32 // ordinal + 1; 0: no account
}

// packed returns the packed rows of a list that is not large.
func (l *List) packed() packedRows { return unsafe.Slice(l.first, l.size) }

func (l *List) setPacked(p packedRows) { l.first, l.size = unsafe.SliceData(p), uint32(len(p)) }

// listPartSize is the number of lists in a listPart, which then fills 8 KiB. The allocator
// would round other sizes up.
const listPartSize = 204

// listPart holds lists with consecutive ordinals. It never moves, so readers of a snapshot
// can use it while lists are added.
type listPart struct {
	lists [listPartSize]List
	texts *[listPartSize]string // user data; nil while no list has any
}

// Lists holds lists by ordinal, deleted ones included. As a part of a snapshot, it never
// changes.
type Lists struct {
	parts []*listPart
	n     int
	gone  [][]uint64 // deleted lists, one bit for each; parts that are missing are zero
}

// The words of a part of gone. The parts are copied when they change.
const (
	goneWords = 256
	goneLists = goneWords * 64
)

// Len returns the number of lists, deleted ones included.
func (l *Lists) Len() int { return l.n }

// At returns the list with an ordinal.
func (l *Lists) At(ordinal uint32) *List {
	return &l.parts[ordinal/listPartSize].lists[ordinal%listPartSize]
}

// Shows reports whether the list with an ordinal exists.
func (l *Lists) Shows(ordinal uint32) bool {
	part := int(ordinal / goneLists)
	return part >= len(l.gone) || l.gone[part] == nil || l.gone[part][ordinal%goneLists/64]>>(ordinal%64)&1 == 0
}

// add adds a list and returns its ordinal. Older snapshots do not show it.
func (l *Lists) add(id matcher.ID) uint32 {
	if l.n%listPartSize == 0 {
		l.parts = append(l.parts, new(listPart))
	}
	ordinal := uint32(l.n)
	l.n++
	l.At(ordinal).ID = id
	return ordinal
}

// remove marks a list as deleted. It copies what older snapshots use. owned has the parts
// of gone, by first word, that are copies already.
func (l *Lists) remove(ordinal uint32, owned map[*uint64]bool) {
	part := int(ordinal / goneLists)
	if part >= len(l.gone) || l.gone[part] == nil || !owned[&l.gone[part][0]] {
		gone := make([][]uint64, max(len(l.gone), part+1))
		copy(gone, l.gone)
		words := make([]uint64, goneWords)
		copy(words, gone[part])
		owned[&words[0]] = true
		gone[part], l.gone = words, gone
	}
	l.gone[part][ordinal%goneLists/64] |= 1 << (ordinal % 64)
}

// text returns the user data of a list. The caller must hold the lock.
func (l *Lists) text(ordinal uint32) string {
	if texts := l.parts[ordinal/listPartSize].texts; texts != nil {
		return texts[ordinal%listPartSize]
	}
	return ""
}

// setText sets the user data of a list. The caller must hold the lock.
func (l *Lists) setText(ordinal uint32, text string) {
	part := l.parts[ordinal/listPartSize]
	if part.texts == nil {
		if text == "" {
			return
		}
		part.texts = new([listPartSize]string)
	}
	part.texts[ordinal%listPartSize] = text
}

// The caller of the following methods must hold the lock, at least for reading.

// FindList returns the ordinal of the list with an ID.
func (t *Tables) FindList(id matcher.ID) (ordinal uint32, ok bool) { return t.listIndex.Find(id) }

// ListCount returns the number of lists.
func (t *Tables) ListCount() int { return t.listIndex.Len() }

// AllLists calls yield with the ordinal of each list, in no particular order.
func (t *Tables) AllLists() iter.Seq[uint32] { return t.listIndex.All() }

// ListInfo returns the fields of a list.
func (t *Tables) ListInfo(ordinal uint32) matcher.List {
	l := t.Newest.Lists.At(ordinal)
	return matcher.List{ID: l.ID, Account: t.ListAccount(ordinal), UserData: t.Newest.Lists.text(ordinal), CreateTime: l.createTime}
}

// ListAccount returns the account of a list, or the zero ID if it has none.
func (t *Tables) ListAccount(ordinal uint32) matcher.ID {
	if a := t.Newest.Lists.At(ordinal).account; a != 0 {
		return t.Newest.Accounts[a-1]
	}
	return matcher.ID{}
}

// ListRows returns the rows of a list. They may include dead rows. A list that was deleted
// has none.
func (t *Tables) ListRows(ordinal uint32) *Bitmap {
	if large := t.large[ordinal]; large != nil {
		return &Bitmap{rows: large.bitmap}
	}
	return &Bitmap{few: t.Newest.Lists.At(ordinal).packed().rows()}
}

// ListRowCount returns how many live rows a list has.
func (t *Tables) ListRowCount(ordinal uint32) int { return t.ListTally(ordinal).total() }

// ListTally returns the live rows of a list by account.
func (t *Tables) ListTally(ordinal uint32) Tally {
	if large := t.large[ordinal]; large != nil {
		return large.tally
	}
	return t.Newest.Lists.At(ordinal).packed().tally()
}
