package vm

import (
	"fmt"

	glua "github.com/yuin/gopher-lua"
)

// chargeBase puts charges in front of those functions of the base library and
// of os that come from gopher-lua and whose work depends on their arguments.
func (lib *Library) chargeBase(stock map[string]map[string]*glua.LFunction) map[string]glua.LGFunction {
	base := stock[""]
	before := func(name string, charge func(l *glua.LState)) glua.LGFunction {
		next := base[name].GFunction
		return func(l *glua.LState) int {
			charge(l)
			return next(l)
		}
	}
	return map[string]glua.LGFunction{
		"tonumber": before("tonumber", func(l *glua.LState) { readsNumber(l, l.Get(1)) }),
		"error":    before("error", func(l *glua.LState) { taskOf(l).reserve(l, 2*textLength(l.Get(1))) }),
		"rawequal": before("rawequal", func(l *glua.LState) { taskOf(l).charge(l, textLength(l.Get(1))/128) }),
		"rawget":   before("rawget", func(l *glua.LState) { taskOf(l).charge(l, textLength(l.Get(2))/128) }),
		"rawset":   before("rawset", chargeRawset),
		"next":     luaNext,
		"pairs":    luaPairs(lib.goFunction(luaNext)),
	}
}

// readsNumber charges for reading a number from a text: a wrong one is copied
// into errors.
func readsNumber(l *glua.LState, v glua.LValue) {
	if n := textLength(v); n > longText {
		taskOf(l).charge(l, n/8)
		taskOf(l).reserve(l, 2*n)
	}
}

func textLength(v glua.LValue) int {
	s, _ := v.(glua.LString)
	return len(s)
}

func chargeRawset(l *glua.LState) {
	t := taskOf(l)
	if table, ok := l.Get(1).(*glua.LTable); ok {
		t.prepareSet(l, table, l.Get(2), l.Get(3))
		t.allocated(keyBytes)
	}
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

func luaPairs(next *glua.LFunction) glua.LGFunction {
	return func(l *glua.LState) int {
		table := l.CheckTable(1)
		l.Push(next)
		l.Push(table)
		l.Push(glua.LNil)
		return 3
	}
}

// boundedOs puts bounds in front of os.date and os.time: their work grows with
// the format and with texts in a table.
func (lib *Library) boundedOs(functions *glua.LTable) *glua.LTable {
	before := func(name string, check func(l *glua.LState)) {
		next := functions.RawGetString(name).(*glua.LFunction).GFunction
		functions.RawSetString(name, lib.goFunction(func(l *glua.LState) int {
			check(l)
			n := next(l)
			taskOf(l).allocated(3 * textLength(l.Get(-1))) // and while it grew
			return n
		}))
	}
	before("date", func(l *glua.LState) {
		n := textLength(l.Get(1))
		taskOf(l).charge(l, 10)
		taskOf(l).reserve(l, 2*n)
	})
	before("time", func(l *glua.LState) {
		table, ok := l.Get(1).(*glua.LTable)
		for _, field := range []string{"sec", "min", "hour", "day", "month", "year"} {
			if ok && textLength(table.RawGetString(field)) > maxNumberText {
				l.RaiseError("%s", fmt.Sprintf("os.time: field %q is not a number", field))
			}
		}
		taskOf(l).charge(l, 10)
	})
	return functions
}
