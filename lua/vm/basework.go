package vm

import glua "github.com/yuin/gopher-lua"

// chargeNumberText charges for converting v to a number, if v is a long string.
// The conversion copies parts of the string.
func chargeNumberText(l *glua.LState, v glua.LValue) {
	if n := textLength(v); n > freeTextBytes {
		executionOf(l).charge(l, n/8)
		executionOf(l).reserveBytes(l, 4*n)
	}
}

// textLength returns the bytes of v if it is a string, or 0.
func textLength(v glua.LValue) int {
	s, _ := v.(glua.LString)
	return len(s)
}

// nextUnits is the work of next when it meets no removed key.
const nextUnits = 3

// luaNext is next. It charges for each removed key, because gopher-lua looks at
// all of them.
func luaNext(l *glua.LState) int {
	table, key := l.CheckTable(1), l.Get(2)
	a, ex := layoutOf(table), executionOf(l)
	units := nextUnits
	from := a.k2i[key] + 1
	if index, ok := key.(glua.LNumber); key == glua.LNil || ok && index >= 0 && index <= glua.LNumber(len(a.array)) {
		from = 0
		nils := 0
		for i := int(index); i < len(a.array) && a.array[i] == glua.LNil; i++ {
			nils++
		}
		units += nils / 16
		if int(index)+nils < len(a.array) {
			from = len(a.keys) // the next key is in the array
		}
	}
	for i := from; i < len(a.keys) && table.RawGetH(a.keys[i]) == glua.LNil; i++ {
		units++
	}
	ex.charge(l, units)
	k, v := table.Next(key)
	if k == glua.LNil {
		l.Push(glua.LNil)
		return 1
	}
	l.Push(k)
	l.Push(v)
	return 2
}
