package memory

import (
	"math/bits"
	"testing"

	"nearside/matcher"
)

// invariants checks what must hold between all indexes after every commit.
// Nothing may be written meanwhile.
func invariants(t *testing.T, m *Memory) {
	t.Helper()
	var bytes, dead int64
	chunks := 0
	for o := range m.snap.tables {
		rows := map[uint32]matcher.ID{}
		for id, row := range m.rows[o] {
			rows[row] = id
		}
		if len(rows) != len(m.rows[o]) {
			t.Fatalf("%d IDs have %d rows", len(m.rows[o]), len(rows))
		}
		if live := m.snap.live(matcher.Origin(o)); live != len(rows) {
			t.Fatalf("%d live rows, %d IDs", live, len(rows))
		}
		for c := range m.snap.tables[o] {
			v := &m.snap.tables[o][c]
			if v.chunk == nil {
				if v.n != 0 || v.deadBytes != 0 {
					t.Fatalf("chunk %d is dropped and has %d rows", c, v.n)
				}
				continue
			}
			chunks++
			if m.arenas[v.chunk] == nil {
				t.Fatalf("chunk %d has no arena", c)
			}
			deaths, deadBytes := 0, int64(0)
			for _, word := range v.dead {
				deaths += bits.OnesCount64(word)
			}
			for i := range v.n {
				id, is := rows[uint32(c<<16|i)]
				if is != v.alive(i) || is && id != v.ids[i] {
					t.Fatalf("row %d of chunk %d is alive: %v, and has an ID: %v", i, c, v.alive(i), is)
				}
				bytes += v.rowBytes(i)
				if !v.alive(i) {
					deadBytes += v.rowBytes(i)
				}
			}
			if deaths != v.deaths || deadBytes != v.deadBytes {
				t.Fatalf("chunk %d: %d dead rows of %d bytes, counted %d of %d", c, deaths, deadBytes, v.deaths, v.deadBytes)
			}
			dead += deadBytes
		}
	}
	if chunks != len(m.arenas) {
		t.Fatalf("%d chunks, %d arenas", chunks, len(m.arenas))
	}
	if bytes != m.bytes.Load() || dead != m.deadBytes.Load() {
		t.Fatalf("%d bytes, %d dead; counted %d, %d", bytes, dead, m.bytes.Load(), m.deadBytes.Load())
	}
	for k, index := range m.open {
		if v := m.snap.tables[k.origin][index]; v.chunk == nil || v.versions != k.versions {
			t.Fatalf("chunk %d is open for rows of another kind", index)
		}
	}
	for id, l := range m.lists {
		for it := l.rows.Iterator(); it.HasNext(); {
			row := it.Next()
			v, i := m.snap.at(matcher.Faces, row)
			d, in := v.details(i), false
			for ordinal := range d.ordinals {
				in = in || ordinal == l.ordinal
			}
			if i >= v.n || !in || m.snap.lists[l.ordinal] != l || l.info.ID != id {
				t.Fatalf("list %v has row %d, which is not in it", id, row)
			}
		}
	}
}
