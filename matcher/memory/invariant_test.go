package memory

import (
	"math/bits"
	"testing"

	"nearside/matcher"
)

// invariants checks the consistency of all indexes. It can be called after every commit,
// but nothing may be written while it runs.
func invariants(t *testing.T, m *Memory) {
	t.Helper()
	var bytes, dead int64
	chunks := 0
	for o := range m.tables.Newest.Views {
		if live, ids := m.tables.Newest.Live(matcher.Origin(o)), m.tables.Rows[o].Len(); live != ids {
			t.Fatalf("%d live rows, %d IDs", live, ids)
		}
		for c := range m.tables.Newest.Views[o] {
			v := &m.tables.Newest.Views[o][c]
			if v.Chunk == nil {
				if v.Rows != 0 || v.DeadBytes != 0 {
					t.Fatalf("chunk %d is dropped and has %d rows", c, v.Rows)
				}
				continue
			}
			chunks++
			if m.tables.Arenas[v.Chunk] == nil {
				t.Fatalf("chunk %d has no arena", c)
			}
			deaths, deadBytes := 0, int64(0)
			for _, word := range v.Dead {
				deaths += bits.OnesCount64(word)
			}
			for i := range v.Rows {
				row, found := m.tables.Rows[o].Find(v.IDs[i])
				if is := found && row == uint32(c<<16|i); is != v.Alive(i) {
					t.Fatalf("row %d of chunk %d is alive: %v, and its ID leads to it: %v", i, c, v.Alive(i), is)
				}
				bytes += v.RowBytes(i)
				if !v.Alive(i) {
					deadBytes += v.RowBytes(i)
				}
			}
			if deaths != v.Deaths || deadBytes != v.DeadBytes {
				t.Fatalf("chunk %d: %d dead rows of %d bytes, counted %d of %d", c, deaths, deadBytes, v.Deaths, v.DeadBytes)
			}
			dead += deadBytes
		}
	}
	if chunks != len(m.tables.Arenas) {
		t.Fatalf("%d chunks, %d arenas", chunks, len(m.tables.Arenas))
	}
	if bytes != m.tables.Bytes.Load() || dead != m.tables.DeadBytes.Load() {
		t.Fatalf("%d bytes, %d dead; counted %d, %d", bytes, dead, m.tables.Bytes.Load(), m.tables.DeadBytes.Load())
	}
	for k, index := range m.tables.Open {
		if v := m.tables.Newest.Views[k.Origin][index]; v.Chunk == nil || v.Versions != k.Versions {
			t.Fatalf("chunk %d is open for rows of another kind", index)
		}
	}
	checkTallies(t, m)
	for list := range m.tables.AllLists() {
		live := 0
		for it := m.tables.ListRows(list).Iterate(); it.Next(); {
			for _, row := range it.Rows {
				v, i := m.tables.Newest.At(matcher.Faces, row)
				in := false
				for ordinal := range v.Ordinals(i) {
					in = in || ordinal == list
				}
				if i >= v.Rows || !in || !m.tables.Newest.Lists.Shows(list) {
					t.Fatalf("list %d has row %d, which is not in it", list, row)
				}
				if v.Alive(i) {
					live++
				}
			}
		}
		if live != m.tables.ListRowCount(list) {
			t.Fatalf("list %d has %d live rows, counted %d", list, live, m.tables.ListRowCount(list))
		}
	}
}

// checkTallies compares the tallies with the records: live rows by account, and by
// account in each list.
func checkTallies(t *testing.T, m *Memory) {
	t.Helper()
	type place struct{ list, account uint32 }
	inLists := map[place]int{}
	for o := range m.tables.Newest.Views {
		all := map[uint32]int{}
		for c := range m.tables.Newest.Views[o] {
			v := &m.tables.Newest.Views[o][c]
			for i := range v.Rows {
				if !v.Alive(i) {
					continue
				}
				all[v.Accounts[i]]++
				for ordinal := range v.Ordinals(i) {
					inLists[place{ordinal, v.Accounts[i]}]++
				}
			}
		}
		if got := m.tables.Tallies[o]; len(got) != len(all) {
			t.Fatalf("the rows are of %d accounts, counted %v", len(all), got)
		}
		for account, n := range all {
			if got := m.tables.Tallies[o].Of(account); got != n {
				t.Fatalf("account %d has %d rows, counted %d", account, n, got)
			}
		}
	}
	lists := &m.tables.Newest.Lists
	for list := range uint32(lists.Len()) {
		ordinal, found := m.tables.FindList(lists.At(list).ID)
		if lists.Shows(list) != (found && ordinal == list) {
			t.Fatalf("list %d exists: %v, but its ID leads to list %d, %v", list, lists.Shows(list), ordinal, found)
		}
		if !lists.Shows(list) && (m.tables.ListRows(list).Count() > 0 || m.tables.ListRowCount(list) > 0) {
			t.Fatalf("list %d was deleted and has rows", list)
		}
	}
	for list := range m.tables.AllLists() {
		accounts, tally := 0, m.tables.ListTally(list)
		for p, n := range inLists {
			if p.list != list {
				continue
			}
			if accounts++; tally.Of(p.account) != n {
				t.Fatalf("list %d has %d rows of account %d, counted %d", list, n, p.account, tally.Of(p.account))
			}
		}
		if len(tally) != accounts {
			t.Fatalf("list %d has rows of %d accounts, counted %v", list, accounts, tally)
		}
	}
}
