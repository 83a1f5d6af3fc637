package vm

import (
	glua "github.com/yuin/gopher-lua"
)

// extent holds the properties of a table that determine its size.
type extent struct {
	array   int  // capacity of the array part
	keys    int  // keys of the maps, removed ones included
	strings bool // whether there is a map of string keys
}

func extentOf(table *glua.LTable) extent {
	t := layoutOf(table)
	return extent{cap(t.array), len(t.keys), t.strdict != nil}
}

const (
	keyBytes       = 200  // bytes of a new key, with the garbage of growing maps
	stringMapBytes = 2400 // bytes of the map of string keys, which gopher-lua makes for 32 keys
)

// The work of a new key, in addition to the work for its bytes. In a table with
// more than manyKeys keys, a string key also costs textKeyUnits, because it is
// hashed again each time that the maps grow.
const (
	keyUnits     = 4
	textKeyUnits = 14
	manyKeys     = 32
)

// chargeGrowth charges for the growth of a table. before is the table's extent before
// the change.
func (ex *execution) chargeGrowth(table *glua.LTable, before extent) {
	now := extentOf(table)
	if now == before {
		return
	}
	bytes := 0
	if now.array != before.array {
		bytes = now.array * valueBytes
	}
	if now.keys > before.keys {
		bytes += (now.keys - before.keys) * keyBytes
		ex.unitsLeft -= (now.keys - before.keys) * keyUnits
		if now.strings && now.keys > manyKeys {
			ex.unitsLeft -= (now.keys - before.keys) * textKeyUnits
		}
	}
	if now.strings && !before.strings {
		bytes += stringMapBytes
	}
	ex.countAllocated(bytes)
}

// newindexUnits is the work of following a chain of __newindex to one more table,
// here and in the instruction itself.
const newindexUnits = 2

// assignedTable returns the table that an assignment to table[key] changes. It
// follows __newindex and charges for each table of the chain. It returns nil if
// the table is not known before the assignment.
func (ex *execution) assignedTable(table *glua.LTable, key glua.LValue) *glua.LTable {
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
			ex.unitsLeft -= newindexUnits
		default:
			return nil
		}
	}
	return nil
}

// prepareSet prepares the assignment table[key] = value. It charges for the work,
// makes room for the value, and raises an error if the slice exceeds its
// allocation limit.
func (ex *execution) prepareSet(l *glua.LState, table *glua.LTable, key, value glua.LValue) {
	switch key := key.(type) {
	case glua.LString:
		if len(key) > freeTextBytes {
			ex.unitsLeft -= len(key) / 64
		}
	case glua.LNumber:
		a := layoutOf(table)
		index := int(key)
		if gap := index - 1 - len(a.array); index > 0 && gap > 0 && glua.LNumber(index) == key && index < glua.MaxArrayIndex {
			ex.fillNils(l, a, index-1, gap)
			return
		}
	}
	ex.dropRemovedKeys(table, key, value)
}

// fillNils appends nils to an array up to index n, because gopher-lua has no
// sparse arrays. gopher-lua itself would append them one by one, which copies the
// array many times. gap is the number of nils.
func (ex *execution) fillNils(l *glua.LState, a *tableLayout, n, gap int) {
	if n >= cap(a.array) {
		size := max(n+n/4, 32)
		ex.charge(l, gap/16)
		ex.reserveBytes(l, size*valueBytes)
		array := make([]glua.LValue, len(a.array), size)
		copy(array, a.array)
		a.array = array
	}
	ex.unitsLeft -= gap / 16
	for len(a.array) < n {
		a.array = append(a.array, glua.LNil)
	}
}

// compactAt is the number of keys up to which removed keys are kept.
const compactAt = 64

// dropRemovedKeys drops the removed keys of a table. gopher-lua keeps them: they
// use memory, and `next` looks at each of them. Keys are dropped if more than
// half of them are removed and table[key] = value adds a key. Lua does not allow
// adding keys to a table during a traversal, so this does not disturb traversals.
func (ex *execution) dropRemovedKeys(table *glua.LTable, key, value glua.LValue) {
	a := layoutOf(table)
	live := len(a.dict) + len(a.strdict)
	if len(a.keys) <= compactAt || len(a.keys) <= 2*live || value == glua.LNil || table.RawGet(key) != glua.LNil {
		return
	}
	ex.unitsLeft -= len(a.keys)
	ex.countAllocated(live * keyBytes)
	fresh := tableLayout{
		keys:    make([]glua.LValue, 0, live+live/2+8),
		k2i:     make(map[glua.LValue]int, live),
		dict:    make(map[glua.LValue]glua.LValue, len(a.dict)),
		strdict: make(map[string]glua.LValue, len(a.strdict)),
	}
	for _, key := range a.keys {
		if s, ok := key.(glua.LString); ok {
			v, found := a.strdict[string(s)]
			if !found {
				continue
			}
			fresh.strdict[string(s)] = v
		} else {
			v, found := a.dict[key]
			if !found {
				continue
			}
			fresh.dict[key] = v
		}
		fresh.k2i[key] = len(fresh.keys)
		fresh.keys = append(fresh.keys, key)
	}
	a.keys, a.k2i, a.dict, a.strdict = fresh.keys, fresh.k2i, fresh.dict, fresh.strdict
}
