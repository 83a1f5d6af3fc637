package vm

import (
	"fmt"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

func (lib *Library) tableLib(stock map[string]*glua.LFunction) *glua.LTable {
	t := lib.pick(stock, "getn", "maxn")
	for name, f := range map[string]glua.LGFunction{
		"concat": tableConcat, "insert": tableInsert, "remove": tableRemove, "sort": tableSort,
	} {
		t.RawSetString(name, lib.goFunction(f))
	}
	return t
}

// tableConcat builds the string aside: gopher-lua pushes every item on the
// stack first.
func tableConcat(l *glua.LState) int {
	t, separator := l.CheckTable(1), ""
	if l.Get(2) != glua.LNil {
		separator = checkText(l, 2)
	}
	from := optInt(l, 3, 1)
	to := optInt(l, 4, length(l, t))
	var b strings.Builder
	for i := from; i <= to; i++ {
		v := t.RawGet(glua.LNumber(i))
		s, ok := textOf(v)
		if !ok {
			l.RaiseError("invalid value (%s) at index %d in table for 'concat'", v.Type(), i)
		}
		addText(l, &b, s)
		if i < to {
			addText(l, &b, separator)
		}
		taskOf(l).charge(l, 2)
	}
	pushText(l, &b)
	return 1
}

func tableInsert(l *glua.LState) int {
	t := l.CheckTable(1)
	n, before := length(l, t), sizeNow(t)
	defer func() { taskOf(l).grown(t, before) }()
	switch l.GetTop() {
	case 2:
		at := n + 1
		if at >= MaxArray {
			l.RaiseError("table.insert: a list holds at most %d items", MaxArray-1)
		}
		t.RawSetInt(at, l.Get(2))
	case 3:
		at := checkInt(l, 2)
		if n+1 >= MaxArray || at < -MaxArray {
			l.RaiseError("table.insert: a list holds at most %d items", MaxArray-1)
		}
		taskOf(l).charge(l, max(n-at, 0)/2)
		if at >= 1 && at <= n {
			t.Insert(at, l.Get(3))
			break
		}
		for i := n + 1; i > at; i-- { // from a position before the list
			t.RawSetInt(i, t.RawGetInt(i-1))
		}
		t.RawSetInt(at, l.Get(3))
	default:
		l.RaiseError("wrong number of arguments to 'insert'")
	}
	return 0
}

func tableRemove(l *glua.LState) int {
	t := l.CheckTable(1)
	n := length(l, t)
	at := optInt(l, 2, n)
	taskOf(l).charge(l, max(n-at, 0)/4)
	if at < 1 || at > n {
		return 0
	}
	v := t.RawGetInt(at)
	if at == n {
		t.RawSetInt(n, glua.LNil) // also when there are nils behind it
	} else {
		t.Remove(at)
	}
	l.Push(v)
	return 1
}

// tableSort sorts a copy and writes it back, so that a comparison which fails
// or changes the table finds and leaves it whole.
func tableSort(l *glua.LState) int {
	t := l.CheckTable(1)
	n := length(l, t)
	taskOf(l).reserve(l, n*valueBytes)
	items := make([]glua.LValue, n)
	for i := range items {
		items[i] = t.RawGetInt(i + 1)
	}
	task := taskOf(l)
	task.charge(l, len(items)/16)
	defer task.hold(n * valueBytes)()
	less := func(a, b glua.LValue) bool {
		task.charge(l, compareUnits(a, b))
		if a.Type() != b.Type() { // as in lua5.1, without a position
			l.Error(glua.LString(fmt.Sprintf("attempt to compare %s with %s", a.Type(), b.Type())), 0)
		}
		return l.LessThan(a, b)
	}
	if l.Get(2) != glua.LNil {
		fn := l.CheckFunction(2)
		top := l.GetTop()
		less = func(a, b glua.LValue) bool {
			l.Push(a)
			l.Push(b)
			r := glua.LVAsBool(runCallback(l, fn, top+1))
			l.SetTop(top)
			return r
		}
	}
	slices.SortFunc(items, func(a, b glua.LValue) int {
		switch {
		case less(a, b):
			return -1
		case less(b, a):
			return 1
		}
		return 0
	})
	for i, v := range items {
		t.RawSetInt(i+1, v)
	}
	return 0
}
