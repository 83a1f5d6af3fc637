package table

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"nearside/matcher"
)

func TestRowMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var ids []matcher.ID // by row
	m, want := newRowMap(func(row uint32) *matcher.ID { return &ids[row] }), map[matcher.ID]uint32{}
	randomID := func() (id matcher.ID) {
		binary.BigEndian.PutUint64(id[rng.IntN(2)*8:], uint64(rng.IntN(2000)))
		return id
	}
	for range 50_000 {
		id := randomID()
		switch rng.IntN(3) {
		case 0:
			m.Remove(id)
			delete(want, id)
		case 1:
			row := uint32(len(ids))
			ids = append(ids, id)
			m.Set(id, row)
			want[id] = row
		default:
			row, ok := m.Find(id)
			if wantRow, wantOK := want[id]; row != wantRow || ok != wantOK {
				t.Fatalf("%s: row %d, %v; want %d, %v", id, row, ok, wantRow, wantOK)
			}
		}
		if m.Len() != len(want) {
			t.Fatalf("%d objects, want %d", m.Len(), len(want))
		}
	}
}

// TestShardsAreEven checks that IDs which are not random fill all shards.
func TestShardsAreEven(t *testing.T) {
	const n = 100_000
	for name, idOf := range map[string]func(i uint64) (id matcher.ID){
		"counting from the end":   func(i uint64) (id matcher.ID) { binary.BigEndian.PutUint64(id[8:], i); return id },
		"counting from the start": func(i uint64) (id matcher.ID) { binary.BigEndian.PutUint64(id[:], i); return id },
		"counting milliseconds":   func(i uint64) (id matcher.ID) { binary.BigEndian.PutUint64(id[:], i<<16); return id },
		"both halves": func(i uint64) (id matcher.ID) {
			binary.LittleEndian.PutUint64(id[:], i)
			copy(id[8:], id[:8])
			return id
		},
	} {
		var counts [rowMapShards]int
		m := newRowMap(nil)
		for i := range uint64(n) {
			id := idOf(i)
			shard, _ := m.hash(&id)
			counts[shard]++
		}
		for shard, count := range counts {
			if count < n/rowMapShards/2 || count > n/rowMapShards*2 {
				t.Errorf("%s: shard %d has %d of %d IDs", name, shard, count, n)
			}
		}
	}
}

// restoredChunk returns a chunk of rows without descriptors, as a segment has it.
func restoredChunk(t *testing.T, tables *Tables, index uint32, dead []uint64, ids ...matcher.ID) *Restored {
	t.Helper()
	c, err := tables.NewChunk(Kind{Origin: matcher.Faces})
	if err != nil {
		t.Fatal(err)
	}
	a := &Arena{}
	for i, id := range ids {
		c.IDs[i] = id
		c.records[i] = a.addRecord(appendRecord(nil, &matcher.Object{ID: id}, nil))
	}
	return tables.Survey(c, len(ids), index, dead, a)
}

// TestAdoptedRowsAreFound checks that all live rows of adopted chunks are found, and that
// an object with two live rows is refused.
func TestAdoptedRowsAreFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	ids := make([]matcher.ID, 3*640)
	for i := range ids {
		binary.LittleEndian.PutUint64(ids[i][:], rng.Uint64())
	}
	for _, twice := range []bool{false, true} {
		tables := NewTables(Options{ChunkRows: 640})
		tables.RestoreOrdinals(nil, nil)
		want := map[matcher.ID]uint32{}
		for _, index := range []int{2, 0, 1} {
			part := ids[640*index : 640*(index+1)]
			dead := make([]uint64, 10)
			for i, id := range part {
				if rng.IntN(4) == 0 {
					dead[i/64] |= 1 << (i % 64)
				} else {
					want[id] = uint32(index<<16 | i)
				}
			}
			if twice && index == 1 {
				part[5] = ids[0]
				part[6] = ids[0]
				dead[0] &^= 3 << 5
			}
			tables.Adopt(restoredChunk(t, tables, uint32(index), dead, part...))
		}
		err := tables.FinishAdopting(t.Context())
		if twice {
			if err == nil || !strings.Contains(err.Error(), "stored twice") {
				t.Errorf("two live rows of one object: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			_, got, found := tables.Find(matcher.Faces, id)
			if row, ok := want[id]; got != row || found != ok {
				t.Errorf("%s: row %x, %v; want %x, %v", id, got, found, row, ok)
			}
		}
	}
}
