package vm

import (
	glua "github.com/yuin/gopher-lua"
)

// extent is what decides the size of a table.
type extent struct {
	array, keys int
	strings     bool // whether there is a map of string keys
}

func sizeNow(table *glua.LTable) extent {
	t := layoutOf(table)
	return extent{cap(t.array), len(t.keys), t.strdict != nil}
}

// Bytes that a table takes for a new key, with what its maps leave behind when
// they grow, and for its first string key: gopher-lua makes room for 32.
const (
	keyBytes   = 200
	firstBytes = 2400
)

// grown counts what a table has grown since before.
func (t *task) grown(table *glua.LTable, before extent) {
	now := sizeNow(table)
	if now == before {
		return
	}
	bytes := 0
	if now.array != before.array {
		bytes = now.array * valueBytes
	}
	if now.keys > before.keys {
		bytes += (now.keys - before.keys) * keyBytes
	}
	if now.strings && !before.strings {
		bytes += firstBytes
	}
	t.allocated(bytes)
}

// assigned is the table that an assignment to table[key] changes, when
// __newindex leads to another one; nil when it is none that can be known
// beforehand.
func assigned(table *glua.LTable, key glua.LValue) *glua.LTable {
	for range glua.MaxTableGetLoop {
		meta, ok := table.Metatable.(*glua.LTable)
		if !ok || table.RawGet(key) != glua.LNil {
			return table
		}
		switch next := meta.RawGetString("__newindex").(type) {
		case *glua.LNilType:
			return table
		case *glua.LTable:
			table = next
		default:
			return nil
		}
	}
	return nil
}

// prepareSet charges for the assignment table[key] = value before it happens,
// makes room for it, and raises when the slice may not allocate that much.
func (t *task) prepareSet(l *glua.LState, table *glua.LTable, key, value glua.LValue) {
	switch key := key.(type) {
	case glua.LString:
		if len(key) > longText {
			t.left -= len(key) / 64
		}
	case glua.LNumber:
		a := layoutOf(table)
		index := int(key)
		if gap := index - 1 - len(a.array); gap > 0 && glua.LNumber(index) == key && index < glua.MaxArrayIndex {
			t.fill(l, a, index-1, gap)
			return
		}
	}
	t.forget(table, key, value)
}

// fill puts nils in front of index n of an array: gopher-lua has no sparse
// ones. It would append them one by one, which copies the array again and
// again.
func (t *task) fill(l *glua.LState, a *tableLayout, n, gap int) {
	if n >= cap(a.array) {
		size := max(n+n/4, 32)
		t.charge(l, gap/16)
		t.reserve(l, size*valueBytes)
		array := make([]glua.LValue, len(a.array), size)
		copy(array, a.array)
		a.array = array
	}
	t.left -= gap / 16
	for len(a.array) < n {
		a.array = append(a.array, glua.LNil)
	}
}

// compactAt is how many keys a table has before removed ones matter.
const compactAt = 64

// forget drops the removed keys of a table, which gopher-lua keeps: `next`
// looks at each of them, and they fill memory. It does so when more than half
// of the keys are removed ones and table[key] = value adds a key. Lua forbids
// to add keys to a table that is being traversed, so no traversal notices.
func (t *task) forget(table *glua.LTable, key, value glua.LValue) {
	a := layoutOf(table)
	live := len(a.dict) + len(a.strdict)
	if len(a.keys) <= compactAt || len(a.keys) <= 2*live || value == glua.LNil || table.RawGet(key) != glua.LNil {
		return
	}
	t.left -= len(a.keys)
	t.allocated(live * keyBytes)
	fresh := tableLayout{
		keys:    make([]glua.LValue, 0, live+live/2+8),
		k2i:     make(map[glua.LValue]int, live),
		dict:    make(map[glua.LValue]glua.LValue, len(a.dict)),
		strdict: make(map[string]glua.LValue, len(a.strdict)),
	}
	for _, key := range a.keys {
		if s, ok := key.(glua.LString); ok {
			v, there := a.strdict[string(s)]
			if !there {
				continue
			}
			fresh.strdict[string(s)] = v
		} else {
			v, there := a.dict[key]
			if !there {
				continue
			}
			fresh.dict[key] = v
		}
		fresh.k2i[key] = len(fresh.keys)
		fresh.keys = append(fresh.keys, key)
	}
	a.keys, a.k2i, a.dict, a.strdict = fresh.keys, fresh.k2i, fresh.dict, fresh.strdict
}
