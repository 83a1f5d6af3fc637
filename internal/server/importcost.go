package server

import (
	"unsafe"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

// lineCost is the memory of lines that were decoded, in bytes: an upper bound of what
// objects, their lines and their results need until they are stored, and about what the
// store allocates in addition to commit them.
type lineCost struct{ object, commit int }

// add adds the cost of other lines.
func (c *lineCost) add(other lineCost) {
	c.object += other.object
	c.commit += other.commit
}

const (
	// blockWaste is how much larger than its contents a small block of memory may be:
	// blocks have fixed sizes, and slices grow in steps. Large blocks may be a quarter
	// larger.
	blockWaste = 16
	// lineObject is the cost of an object without contents: the object, its line in a
	// block and in a group, its number, and its result.
	lineObject = int(unsafe.Sizeof(wire.ObjectInput{})) + 3*int(unsafe.Sizeof(store.ImportLine{})) + 4*int(unsafe.Sizeof(0)) + 2*blockWaste
	// eventObject is the cost of the part that only events have.
	eventObject = int(unsafe.Sizeof(matcher.Event{})+unsafe.Sizeof(matcher.Position{})+unsafe.Sizeof(matcher.Time(0))+unsafe.Sizeof(float64(0))) + 4*blockWaste
	// listAccountObject is the cost of an entry of a map that is half empty, and
	// listAccountsObject that of the smallest map, which has room for 8 entries.
	listAccountObject  = 80
	listAccountsObject = 336
	// lineCommit is the cost of a commit for a line without contents: the entries of
	// its record in the maps and slices of a transaction, and its part of a table.
	lineCommit = 1536
	// listCommit is the cost of a commit for each list of a face, and newListCommit that
	// of a list that the commit may have to create.
	listCommit    = 8 * len(matcher.ID{})
	newListCommit = 2304
)

// costOf returns the cost of one line.
func costOf(in *wire.ObjectInput) lineCost {
	obj := &in.Object
	cost := lineCost{lineObject, lineCommit}
	for _, d := range obj.Descriptors {
		cost.addBytes(len(d.Data), 1)
	}
	for _, f := range matcher.Fields(obj.Origin) {
		if f.Kind == matcher.TextField {
			cost.addBytes(len(f.Text(obj)), 2)
		}
	}
	lists := len(obj.Lists)
	cost.addBytes(lists*len(matcher.ID{}), 0)
	cost.commit += listCommit * lists
	if n := len(in.ListAccounts); n > 0 {
		cost.object += max(listAccountObject*n, listAccountsObject)
	}
	if e := obj.Event; e != nil {
		cost.object += eventObject
		cost.addBytes(len(e.Meta), 2)
		cost.addBytes(len(e.Tags)*int(unsafe.Sizeof("")), 1)
		for _, tag := range e.Tags {
			cost.addBytes(len(tag), 2)
		}
	}
	return cost
}

// addBytes adds the cost of a block of memory, which a commit copies that many times.
func (c *lineCost) addBytes(bytes, copies int) {
	if bytes > 0 {
		c.object += bytes + bytes/4 + blockWaste
		c.commit += copies * bytes
	}
}

// objectsBound returns an upper bound of the memory of the objects that lines with that
// much text become.
func objectsBound(o matcher.Origin, text, lines int) int {
	if o == matcher.Events {
		// A tag of one character needs 4 bytes of text. It becomes a string header and
		// a block of memory.
		const tagMax = (16 + 16/4 + 1 + blockWaste + 3) / 4
		return tagMax*text + (lineObject+eventObject+32*blockWaste)*lines
	}
	// A float32 number of a descriptor needs 2 bytes of text, as in "1,", and becomes 4
	// bytes. The entry of a list with an account needs 83 bytes of text, and becomes
	// listAccountObject and 20 bytes. Other contents are smaller than their text.
	return 2*text + 2*text/4 + (lineObject+listAccountsObject+8*blockWaste)*lines
}
