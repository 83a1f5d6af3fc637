package vm

import (
	"math"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// baseFunctions returns the functions of Lua 5.1's base library for which
// gopher-lua computes other results.
func baseFunctions() map[string]glua.LGFunction {
	return map[string]glua.LGFunction{
		"assert": luaAssert, "error": luaRaise, "pcall": luaPcall, "print": luaPrint, "rawget": luaRawget, "rawset": luaRawset,
		"next": luaNext, "rawequal": luaRawequal, "require": luaRequire, "select": luaSelect, "setmetatable": luaSetmetatable, "pairs": luaPairs,
		"tonumber": luaTonumber, "tostring": luaTostring, "unpack": luaUnpack, "xpcall": luaXpcall,
	}
}

// luaAssert is assert. It puts the position of its caller before the message,
// as Lua 5.1 does.
func luaAssert(l *glua.LState) int {
	if glua.LVAsBool(l.CheckAny(1)) {
		return l.GetTop()
	}
	message := "assertion failed!"
	if l.Get(2) != glua.LNil {
		message = checkText(l, 2)
	}
	executionOf(l).reserveBytes(l, 2*len(message))
	chargeTrace(l)
	l.Error(glua.LString(position(l, 1)+message), 0)
	return 0
}

// luaRaise is error. It puts a position before strings and numbers.
func luaRaise(l *glua.LState) int {
	level := optInt(l, 2, 1)
	v := l.Get(1)
	executionOf(l).reserveBytes(l, 2*textLength(v))
	chargeTrace(l)
	if s, ok := textOf(v); ok && level > 0 {
		v = glua.LString(position(l, level) + s)
	}
	l.Error(v, 0)
	return 0
}

// luaSetmetatable is setmetatable. It accepts only tables. gopher-lua's function
// would set the metatable of all numbers, functions or booleans.
func luaSetmetatable(l *glua.LState) int {
	t := l.CheckTable(1)
	if l.GetTop() < 2 {
		l.ArgError(2, "nil or table expected")
	}
	l.CheckTypes(2, glua.LTNil, glua.LTTable)
	if old, ok := t.Metatable.(*glua.LTable); ok && !isMarked(t) && old.RawGetString("__metatable") != glua.LNil {
		l.RaiseError("cannot change a protected metatable")
	}
	t.Metatable = l.Get(2)
	l.SetTop(1)
	return 1
}

// luaUnpack is unpack.
func luaUnpack(l *glua.LState) int {
	t := l.CheckTable(1)
	from := optInt(l, 2, 1)
	to := optInt(l, 3, tableLength(l, t))
	if from > to {
		return 0
	}
	if uint64(to)-uint64(from) >= maxResults { //nolint:gosec // to >= from
		l.RaiseError("unpack: more than %d results", maxResults)
	}
	executionOf(l).charge(l, (to-from)/4)
	for i := from; i <= to; i++ {
		l.Push(t.RawGet(glua.LNumber(i)))
	}
	return to - from + 1
}

// tostring converts v to text. If v has __tostring, it returns the result of
// that, which may be a value of any type.
func tostring(l *glua.LState, v glua.LValue) glua.LValue {
	if s, ok := textOf(v); ok {
		return glua.LString(s)
	}
	if f := l.GetMetaField(v, "__tostring"); f != glua.LNil {
		l.Push(f)
		l.Push(v)
		l.Call(1, 1)
		result := l.Get(-1)
		l.Pop(1)
		return result
	}
	return glua.LString(v.String())
}

func luaTostring(l *glua.LState) int {
	l.Push(tostring(l, l.CheckAny(1)))
	return 1
}

// printUnits is the work of logging one line.
const printUnits = 80

func luaPrint(l *glua.LState) int {
	var b strings.Builder
	for i := 1; i <= l.GetTop(); i++ {
		if i > 1 {
			b.WriteByte('\t')
		}
		s, ok := textOf(tostring(l, l.Get(i)))
		if !ok {
			l.RaiseError("'tostring' must return a string to 'print'")
		}
		appendText(l, &b, s)
	}
	if p := executionOf(l).state.print; p != nil {
		executionOf(l).charge(l, printUnits+b.Len()/8)
		p(b.String())
	}
	return 0
}

func luaTonumber(l *glua.LState) int {
	base := optInt(l, 2, 10)
	if base == 10 {
		n, ok := toNumber(l, l.CheckAny(1))
		if !ok {
			l.Push(glua.LNil)
			return 1
		}
		l.Push(glua.LNumber(n))
		return 1
	}
	s := checkText(l, 1)
	chargeNumberText(l, glua.LString(s))
	if base < 2 || base > 36 {
		l.ArgError(2, "base out of range")
	}
	n, ok := toUnsigned(s, base)
	if !ok {
		l.Push(glua.LNil)
		return 1
	}
	l.Push(glua.LNumber(n))
	return 1
}

// toUnsigned converts text as C's strtoul does: a negative number wraps around,
// and a number that is too large becomes the largest uint64.
func toUnsigned(s string, base int) (uint64, bool) {
	s, _, _ = strings.Cut(s, "\x00") // C strings end at the first zero byte
	s = strings.Trim(s, " \t\n\v\f\r")
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	if base == 16 && len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") {
		s = s[2:]
	}
	if s == "" || s[0] == '-' || s[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 64)
	if err != nil && n == 0 {
		return 0, false
	}
	if negative && err == nil {
		n = -n
	}
	return n, true
}

func luaSelect(l *glua.LState) int {
	n := l.GetTop()
	if s, ok := l.Get(1).(glua.LString); ok && strings.HasPrefix(string(s), "#") {
		l.Push(glua.LNumber(n - 1))
		return 1
	}
	i := checkInt(l, 1)
	if i < 0 {
		i += n
	} else if i > n {
		i = n
	}
	if i < 1 {
		l.ArgError(1, "index out of range")
	}
	return n - i
}

// globalTable returns the fields of _G if argument i is _G, or nil.
func globalTable(l *glua.LState, i int) *glua.LTable {
	lib := executionOf(l).state.lib
	if ud, ok := l.Get(i).(*glua.LUserData); ok && ud == lib.global {
		return lib.env
	}
	return nil
}

func luaRawequal(l *glua.LState) int {
	a, b := l.CheckAny(1), l.CheckAny(2)
	executionOf(l).charge(l, min(textLength(a), textLength(b))/128)
	l.Push(glua.LBool(a == b))
	return 1
}

// luaRawget is rawget. It can also read _G, which is a userdata in this package.
func luaRawget(l *glua.LState) int {
	t := globalTable(l, 1)
	if t == nil {
		t = l.CheckTable(1)
	}
	key := l.CheckAny(2)
	executionOf(l).charge(l, textLength(key)/128)
	l.Push(t.RawGet(key))
	return 1
}

func luaRawset(l *glua.LState) int {
	t, key, value := l.CheckTable(1), l.CheckAny(2), l.CheckAny(3)
	if n, ok := key.(glua.LNumber); key == glua.LNil || ok && math.IsNaN(float64(n)) {
		l.Error(glua.LString("table index is "+map[bool]string{true: "NaN", false: "nil"}[ok]), 0)
	}
	ex := executionOf(l)
	ex.prepareSet(l, t, key, value)
	before := extentOf(t)
	t.RawSet(key, value)
	ex.chargeGrowth(t, before)
	l.SetTop(1)
	return 1
}

// globalUnits is the work of copying one global variable.
const globalUnits = 12

// luaPairs is pairs. For _G, it iterates over a copy of the globals.
func luaPairs(l *glua.LState) int {
	t := globalTable(l, 1)
	if t == nil {
		t = l.CheckTable(1)
	} else {
		executionOf(l).charge(l, globalUnits*len(layoutOf(t).keys))
		visible := newTable()
		t.ForEach(func(k, v glua.LValue) {
			if !strings.HasPrefix(k.String(), "(") {
				visible.RawSet(k, v)
			}
		})
		t = visible
	}
	l.Push(executionOf(l).state.lib.env.RawGetString("next"))
	l.Push(t)
	l.Push(glua.LNil)
	return 3
}

// checkLength raises an error if a string of n bytes exceeds MaxString.
func checkLength(l *glua.LState, n int) {
	if n > MaxString {
		l.RaiseError("a string of %d bytes is longer than the %d allowed", n, MaxString)
	}
}
