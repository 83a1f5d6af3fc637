package table

import (
	"hash/maphash"

	"nearside/matcher"
)

// rowMapShards is the number of tables of a RowMap. With 10 million rows, a table fits into
// the cache of a core while a start adds rows to it, so a row costs fewer cache misses than
// in one table. It is at most 256, because a shard number is a byte.
const rowMapShards = 256

// RowMap finds rows by ID. It is split into shards, so that a start fills it on all cores.
// One goroutine may change it while no other uses it.
//
// A shard is a hash table with linear probing. It has no IDs, because the rows have them. So
// a row takes 10 to 15 bytes instead of the 30 to 40 of a Go map. The hash has a random seed, so
// clients cannot choose IDs that make a search long.
type RowMap struct {
	idOf   func(row uint32) *matcher.ID // of a row that is in the map
	seed   maphash.Seed
	shards [rowMapShards]rowShard
}

// rowShard is a hash table. The home of a tag is proportional to the tag, so the tags are
// almost in ascending order.
type rowShard struct {
	slots []uint64 // tag in the upper half, row in the lower half; 0: free
	n     int      // slots in use
}

// The share of used slots is at most 4/5, so that a search examines few slots. A shard with
// less than 1/4 of its slots in use becomes smaller.
const (
	shardSlotsMin              = 16
	shardFullOf, shardFullPart = 5, 4
	shardIdleShare             = 4
)

// newRowMap returns an empty map. idOf returns the ID of a row, which must not change while
// the row is in the map.
func newRowMap(idOf func(row uint32) *matcher.ID) *RowMap {
	return &RowMap{idOf: idOf, seed: maphash.MakeSeed()}
}

// hash returns the shard of an ID and its tag, which has 31 bits of its hash. The highest
// bit of a tag is set, so that no used slot is 0.
func (m *RowMap) hash(id *matcher.ID) (shard uint8, tag uint32) {
	h := maphash.Comparable(m.seed, *id)
	return uint8(h >> 56), uint32(h) | 1<<31
}

// Find returns the row of an object.
func (m *RowMap) Find(id matcher.ID) (row uint32, ok bool) {
	shard, tag := m.hash(&id)
	s := &m.shards[shard]
	if s.n == 0 {
		return 0, false
	}
	at, ok := m.slotOf(s, tag, &id)
	return uint32(s.slots[at]), ok
}

// Set makes row the row of an object.
func (m *RowMap) Set(id matcher.ID, row uint32) {
	shard, tag := m.hash(&id)
	s := &m.shards[shard]
	if (s.n+1)*shardFullOf > len(s.slots)*shardFullPart {
		s.resize(max(shardSlotsMin, len(s.slots)+len(s.slots)/2))
	}
	m.setSlot(s, tag, row, &id)
}

// setSlot makes row the row of an object. The shard must have a free slot.
func (m *RowMap) setSlot(s *rowShard, tag, row uint32, id *matcher.ID) {
	at, ok := m.slotOf(s, tag, id)
	if !ok {
		s.n++
	}
	s.slots[at] = uint64(tag)<<32 | uint64(row)
}

// Remove removes an object, if it has a row.
func (m *RowMap) Remove(id matcher.ID) {
	shard, tag := m.hash(&id)
	s := &m.shards[shard]
	if s.n == 0 {
		return
	}
	hole, ok := m.slotOf(s, tag, &id)
	if !ok {
		return
	}
	// Later rows move into the hole unless they would then come before their home.
	for at := s.after(hole); s.slots[at] != 0; at = s.after(at) {
		home := s.home(uint32(s.slots[at] >> 32))
		if s.distance(home, at) >= s.distance(hole, at) {
			s.slots[hole], hole = s.slots[at], at
		}
	}
	s.slots[hole] = 0
	if s.n--; len(s.slots) > shardSlotsMin && s.n*shardIdleShare < len(s.slots) {
		s.resize(max(shardSlotsMin, len(s.slots)/2))
	}
}

// Len returns the number of objects.
func (m *RowMap) Len() int {
	n := 0
	for i := range m.shards {
		n += m.shards[i].n
	}
	return n
}

// slotOf returns the slot of an object. If the object has no row, it returns the free slot in
// which its row would be. The shard must have a free slot.
func (m *RowMap) slotOf(s *rowShard, tag uint32, id *matcher.ID) (at int, ok bool) {
	for at = s.home(tag); s.slots[at] != 0; at = s.after(at) {
		if uint32(s.slots[at]>>32) == tag && *m.idOf(uint32(s.slots[at])) == *id {
			return at, true
		}
	}
	return at, false
}

// home returns the first slot in which a tag may be.
func (s *rowShard) home(tag uint32) int {
	return int(uint64(tag&^(1<<31)) * uint64(len(s.slots)) >> 31)
}

// after returns the slot after at.
func (s *rowShard) after(at int) int {
	if at++; at == len(s.slots) {
		return 0
	}
	return at
}

// distance returns the number of steps from one slot to another.
func (s *rowShard) distance(from, to int) int {
	if to < from {
		to += len(s.slots)
	}
	return to - from
}

// resize moves all rows into a table of the given size.
func (s *rowShard) resize(size int) {
	old := s.slots
	s.slots = make([]uint64, size)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := s.home(uint32(slot >> 32))
		for s.slots[at] != 0 {
			at = s.after(at)
		}
		s.slots[at] = slot
	}
}

// shardedRows are the live rows of a chunk, ordered by the shard of their IDs.
type shardedRows struct {
	base uint32 // number of the chunk's first row
	ids  []matcher.ID
	rows []uint16 // in the chunk
	tags []uint32
	ends [rowMapShards + 1]uint32 // shard s has rows[ends[s]:ends[s+1]], and the same part of tags
}

// shardRows sorts the live rows of v by shard. base is the number of its first row. It may
// run concurrently for different chunks.
func (m *RowMap) shardRows(v *View, base uint32) *shardedRows {
	live := v.Live()
	s := &shardedRows{base: base, ids: v.IDs, rows: make([]uint16, live), tags: make([]uint32, live)}
	shards, tags := make([]uint8, v.Rows), make([]uint32, v.Rows)
	for i := range shards {
		if v.Alive(i) {
			shards[i], tags[i] = m.hash(&v.IDs[i])
			s.ends[int(shards[i])+1]++
		}
	}
	var next [rowMapShards]uint32
	for shard := range next {
		next[shard] = s.ends[shard]
		s.ends[shard+1] += s.ends[shard]
	}
	for i, shard := range shards {
		if v.Alive(i) {
			s.rows[next[shard]], s.tags[next[shard]] = uint16(i), tags[i]
			next[shard]++
		}
	}
	return s
}

// fill makes an empty shard the table of the given rows. It may run concurrently for
// different shards.
func (m *RowMap) fill(shard int, chunks []*shardedRows) {
	n := 0
	for _, c := range chunks {
		n += int(c.ends[shard+1] - c.ends[shard])
	}
	if n == 0 {
		return
	}
	s := &m.shards[shard]
	s.slots = make([]uint64, max(shardSlotsMin, n*shardFullOf/shardFullPart+1))
	for _, c := range chunks {
		for i := c.ends[shard]; i < c.ends[shard+1]; i++ {
			row := c.rows[i]
			m.setSlot(s, c.tags[i], c.base|uint32(row), &c.ids[row])
		}
	}
}
