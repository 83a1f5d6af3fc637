package vm

import glua "github.com/yuin/gopher-lua"

// readsNumber charges for reading a number from a text, parts of which are
// copied.
func readsNumber(l *glua.LState, v glua.LValue) {
	if n := textLength(v); n > longText {
		taskOf(l).charge(l, n/8)
		taskOf(l).reserve(l, 4*n)
	}
}

func textLength(v glua.LValue) int {
	s, _ := v.(glua.LString)
	return len(s)
}

// luaNext is next. gopher-lua looks at every key that was removed, so each of
// them is charged for.
func luaNext(l *glua.LState) int {
	table, key := l.CheckTable(1), l.Get(2)
	a, t := layoutOf(table), taskOf(l)
	units := 0
	from := a.k2i[key] + 1
	if index, ok := key.(glua.LNumber); key == glua.LNil || ok && index >= 0 && int(index) <= len(a.array) {
		from = 0
		for i := int(index); i < len(a.array) && a.array[i] == glua.LNil; i++ {
			units++
		}
		units /= 16
		if int(index)+16*units < len(a.array) {
			from = len(a.keys) // the next one is in the array
		}
	}
	for i := from; i < len(a.keys) && table.RawGetH(a.keys[i]) == glua.LNil; i++ {
		units++
	}
	t.charge(l, units)
	k, v := table.Next(key)
	if k == glua.LNil {
		l.Push(glua.LNil)
		return 1
	}
	l.Push(k)
	l.Push(v)
	return 2
}
