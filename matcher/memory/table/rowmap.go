package table

import (
	"encoding/binary"

	"nearside/matcher"
)

// rowMapShards is the number of maps of a RowMap. With 10 million rows, a map fits into the
// cache of a core while a start adds rows to it, so a row costs fewer cache misses than in
// one map. It is at most 256, because a shard number is a byte.
const rowMapShards = 256

// RowMap finds rows by ID. It is split into shards, so that a start fills it on all cores.
// One goroutine may change it while no other uses it.
type RowMap struct {
	shards [rowMapShards]map[matcher.ID]uint32
}

// shardOf returns the shard of an ID. The Go map of the shard hashes the ID again with a
// random seed. So a client that chooses all its IDs for one shard only makes that map large.
func shardOf(id *matcher.ID) uint8 {
	le := binary.LittleEndian
	mixed := (le.Uint64(id[:8])*0x9e3779b97f4a7c15 + le.Uint64(id[8:])) * 0xd6e8feb86659fd93
	return uint8(mixed >> 56)
}

// Find returns the row of an object.
func (m *RowMap) Find(id matcher.ID) (row uint32, ok bool) {
	row, ok = m.shards[shardOf(&id)][id]
	return row, ok
}

// Set makes row the row of an object.
func (m *RowMap) Set(id matcher.ID, row uint32) {
	shard := &m.shards[shardOf(&id)]
	if *shard == nil {
		*shard = map[matcher.ID]uint32{}
	}
	(*shard)[id] = row
}

// Remove removes an object, if it has a row.
func (m *RowMap) Remove(id matcher.ID) { delete(m.shards[shardOf(&id)], id) }

// Len returns the number of objects.
func (m *RowMap) Len() int {
	n := 0
	for _, shard := range m.shards {
		n += len(shard)
	}
	return n
}

// shardedRows are the live rows of a chunk, ordered by the shard of their IDs.
type shardedRows struct {
	base uint32 // number of the chunk's first row
	ids  []matcher.ID
	rows []uint16                 // in the chunk
	ends [rowMapShards + 1]uint32 // shard s has rows[ends[s]:ends[s+1]]
}

// shardRows sorts the live rows of v by shard. base is the number of its first row.
func shardRows(v *View, base uint32) *shardedRows {
	s := &shardedRows{base: base, ids: v.IDs, rows: make([]uint16, v.Live())}
	shards := make([]uint8, v.Rows)
	for i := range shards {
		if v.Alive(i) {
			shards[i] = shardOf(&v.IDs[i])
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
			s.rows[next[shard]] = uint16(i)
			next[shard]++
		}
	}
	return s
}

// rowsOf returns the rows of a shard.
func (s *shardedRows) rowsOf(shard int) []uint16 { return s.rows[s.ends[shard]:s.ends[shard+1]] }

// fill makes an empty shard the map of the given rows. It may run concurrently for
// different shards. It uses the memory of ids, and returns it for the next call. The IDs are
// first copied, because the processor reads many of them at once only if it does nothing
// else in between.
func (m *RowMap) fill(shard int, chunks []*shardedRows, ids []matcher.ID) []matcher.ID {
	ids = ids[:0]
	for _, c := range chunks {
		for _, i := range c.rowsOf(shard) {
			ids = append(ids, c.ids[i])
		}
	}
	if len(ids) == 0 {
		return ids
	}
	rows := make(map[matcher.ID]uint32, len(ids))
	rest := ids
	for _, c := range chunks {
		for _, i := range c.rowsOf(shard) {
			rows[rest[0]] = c.base | uint32(i)
			rest = rest[1:]
		}
	}
	m.shards[shard] = rows
	return ids
}
