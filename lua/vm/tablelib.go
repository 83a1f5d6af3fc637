package vm

import (
	"fmt"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// tableLib returns the table library.
func (lib *Library) tableLib() *glua.LTable {
	t := newTable()
	for name, f := range map[string]glua.LGFunction{
		"getn": tableGetn, "maxn": tableMaxn, "concat": tableConcat, "insert": tableInsert, "remove": tableRemove, "sort": tableSort,
	} {
		t.RawSetString(name, lib.goFunction(f))
	}
	return t
}

func tableGetn(l *glua.LState) int {
	l.Push(glua.LNumber(tableLength(l, l.CheckTable(1))))
	return 1
}

// tableMaxn is table.maxn. It returns the largest positive number that is a key, or
// 0.
func tableMaxn(l *glua.LState) int {
	t := l.CheckTable(1)
	a := layoutOf(t)
	executionOf(l).charge(l, trailingNils(t)+2*len(a.dict))
	largest := glua.LNumber(t.MaxN())
	for key, value := range a.dict {
		if n, ok := key.(glua.LNumber); ok && value != glua.LNil {
			largest = max(largest, n)
		}
	}
	l.Push(largest)
	return 1
}

// tableConcat is table.concat. Unlike gopher-lua's function, it does not push every
// item on the stack.
func tableConcat(l *glua.LState) int {
	t, separator := l.CheckTable(1), ""
	if l.Get(2) != glua.LNil {
		separator = checkText(l, 2)
	}
	from := optInt(l, 3, 1)
	to := optInt(l, 4, tableLength(l, t))
	var b strings.Builder
	for i := from; i <= to; i++ {
		v := t.RawGet(glua.LNumber(i))
		s, ok := textOf(v)
		if !ok {
			l.RaiseError("invalid value (%s) at index %d in table for 'concat'", v.Type(), i)
		}
		appendText(l, &b, s)
		if i < to {
			appendText(l, &b, separator)
		}
		executionOf(l).charge(l, 2)
	}
	pushText(l, &b)
	return 1
}

func tableInsert(l *glua.LState) int {
	t := l.CheckTable(1)
	n, before := tableLength(l, t), extentOf(t)
	defer func() { executionOf(l).chargeGrowth(t, before) }()
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
		executionOf(l).charge(l, max(n-at, 0)/2)
		if at >= 1 && at <= n {
			t.Insert(at, l.Get(3))
			break
		}
		if at > n+1 {
			executionOf(l).prepareSet(l, t, glua.LNumber(at), l.Get(3))
			before = extentOf(t)
		}
		for i := n + 1; i > at; i-- { // at < 1: move the items as lua5.1 does
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
	n := tableLength(l, t)
	at := optInt(l, 2, n)
	executionOf(l).charge(l, max(n-at, 0)/4)
	if at < 1 || at > n {
		return 0
	}
	v := t.RawGetInt(at)
	if at == n {
		t.RawSetInt(n, glua.LNil) // even if nils follow it in the array
	} else {
		t.Remove(at)
	}
	l.Push(v)
	return 1
}

// tableSort is table.sort. It sorts a copy of the items and writes it back at the
// end. So the table keeps all its items if a comparison fails, and a comparison can
// change the table without disturbing the sort.
func tableSort(l *glua.LState) int {
	t := l.CheckTable(1)
	n := tableLength(l, t)
	executionOf(l).reserveBytes(l, n*valueBytes)
	items := make([]glua.LValue, n)
	for i := range items {
		items[i] = t.RawGetInt(i + 1)
	}
	ex := executionOf(l)
	ex.charge(l, len(items)/16)
	defer ex.holdBytes(n * valueBytes)()
	less := func(a, b glua.LValue) bool {
		ex.charge(l, compareUnits(a, b))
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
