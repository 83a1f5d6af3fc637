package scan

import (
	"hash/maphash"
	"math"
	"math/bits"

	"nearside/matcher"
	"nearside/matcher/memory/table"
)

// counter counts the rows, or the groups, that pass the threshold of a search.
type counter struct {
	field int // index in records of the text by which rows are grouped; -1: rows are counted
	n     int // rows, or groups

	// slots is a hash table of the values of groups, with linear probing. A slot has 32
	// bits of the hash and the number of a row with the value. The lowest of these bits is
	// always set. The memory does not depend on the length of values.
	slots []uint64
	used  int // number of slots in use
	seed  maphash.Seed
	full  bool // there are more values than slots may hold; n is too small
}

// SlotBytes is the memory of a slot for the value of a group.
const SlotBytes = 8

// Slots returns the smallest number of slots that is enough for that many values.
func Slots(values int) int { return 1 << bits.Len(uint(max(3, values+values/3))) }

// NewCount prepares a search that counts all rows, or groups, of a sub-request in snap
// that pass the threshold. It finds no rows. farthest is Farthest(sub). slots is a power
// of two. It limits the memory for the values of groups, and is not used for rows.
func NewCount(snap *table.Snapshot, sub *matcher.SubRequest, farthest float64, slots int) *Search {
	ranking := *sub.Candidates
	ranking.Order, ranking.Group, ranking.Limit, ranking.Offset = matcher.BySimilarity, nil, 1, 0
	counted := *sub
	counted.Candidates = &ranking
	p := NewSearch(snap, &counted, farthest)
	p.batch = batchMax
	p.counter = &counter{field: -1}
	if sub.Candidates.Group != nil {
		p.counter.field = groupText(sub.Candidates)
		p.counter.slots, p.counter.seed = make([]uint64, slots), maphash.MakeSeed()
	}
	return p
}

// Count returns the number of rows or groups. ok is false if there are more values of
// groups than the slots may hold. The job must be done.
func (p *Search) Count() (n int, ok bool) { return p.counter.n, !p.counter.full }

// countHit counts a row.
func (p *Search) countHit(h Hit) {
	c := p.counter
	if c.full || !p.measure(&h) {
		return
	}
	if c.field >= 0 {
		if value := p.text(h, c.field); value != "" && !p.addValue(h, value) {
			return
		}
	}
	c.n++
}

// addValue adds the value of a row to the slots. It returns false if the value is known
// or there is no room.
func (p *Search) addValue(h Hit, value string) bool {
	c := p.counter
	hash := maphash.String(c.seed, value)
	tag, mask := (hash>>32|1)<<32, uint64(len(c.slots)-1)
	at := hash & mask
	for ; c.slots[at] != 0; at = (at + 1) & mask {
		if s := c.slots[at]; s&^math.MaxUint32 == tag && p.text(Hit{Row: uint32(s)}, c.field) == value {
			return false
		}
	}
	if c.used >= len(c.slots)-len(c.slots)/4 {
		c.full = true
		return false
	}
	c.slots[at] = tag | uint64(h.Row)
	c.used++
	return true
}

// bound returns the value above which rows need not be offered. It is 0 if the count
// cannot be right any more, so that the rest of the scan is fast.
func (c *counter) bound(cut float64) float64 {
	if c.full {
		return 0
	}
	return cut
}
