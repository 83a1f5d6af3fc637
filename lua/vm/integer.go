package vm

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"weak"

	glua "github.com/yuin/gopher-lua"
)

// An Integer is a whole number that a Lua number may not hold exactly: its
// decimal digits, with a minus sign if it is negative and without leading
// zeros. Scripts see a boxed integer: a userdata that prints as the number and
// compares with other boxed integers. Equal ones are the same value in a
// state, so that they are equal as keys of tables too.
type Integer string

// ParseInteger reads an optional sign and decimal digits.
func ParseInteger(text string) (n Integer, ok bool) {
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits, _ = strings.CutPrefix(text, "+")
	}
	if digits == "" || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return "", false
	}
	digits = strings.TrimLeft(digits, "0")
	switch {
	case digits == "":
		return "0", true
	case negative:
		return Integer("-" + digits), true
	}
	return Integer(digits), true
}

// IntegerOf returns a whole float64 exactly.
func IntegerOf(f float64) (n Integer, ok bool) {
	if f != math.Trunc(f) || math.IsInf(f, 0) {
		return "", false
	}
	return ParseInteger(strconv.FormatFloat(f, 'f', 0, 64))
}

// MarshalJSON writes the number.
func (n Integer) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// Small reports whether a Lua number holds n exactly, and returns that.
func (n Integer) Small() (f float64, ok bool) {
	i, err := strconv.ParseInt(string(n), 10, 64)
	return float64(i), err == nil && i <= maxInteger && i >= -maxInteger
}

// Compare returns -1, 0 or 1.
func (n Integer) Compare(other Integer) int {
	a, below := strings.CutPrefix(string(n), "-")
	b, otherBelow := strings.CutPrefix(string(other), "-")
	switch {
	case below && otherBelow:
		a, b = b, a
	case below:
		return -1
	case otherBelow:
		return 1
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// CompareFloat returns -1, 0 or 1; ok is false when f is not a number.
func (n Integer) CompareFloat(f float64) (order int, ok bool) {
	switch {
	case f != f:
		return 0, false
	case math.IsInf(f, 0):
		return -cmp.Compare(f, 0), true
	}
	floor, _ := IntegerOf(math.Floor(f))
	order = n.Compare(floor)
	if order == 0 && f != math.Floor(f) {
		order = -1
	}
	return order, true
}

// integerMeta is the metatable of boxed integers.
func (lib *Library) integerMeta() *glua.LTable {
	meta := lib.sealed("an int64", newTable())
	meta.RawSetString("__index", lib.goFunction(func(l *glua.LState) int {
		l.RaiseError("an int64 has no fields and no methods: tostring(x) is its text")
		return 0
	}))
	set := func(event string, f func(l *glua.LState, a, b glua.LValue) glua.LValue) {
		meta.RawSetString(event, lib.goFunction(func(l *glua.LState) int {
			l.Push(f(l, l.Get(1), l.Get(2)))
			return 1
		}))
	}
	order := func(a, b glua.LValue) int { return boxed(a).Compare(boxed(b)) }
	set("__tostring", func(_ *glua.LState, a, _ glua.LValue) glua.LValue { return glua.LString(boxed(a)) })
	set("__lt", func(_ *glua.LState, a, b glua.LValue) glua.LValue { return glua.LBool(order(a, b) < 0) })
	set("__le", func(_ *glua.LState, a, b glua.LValue) glua.LValue { return glua.LBool(order(a, b) <= 0) })
	set("__concat", func(l *glua.LState, a, b glua.LValue) glua.LValue {
		left, right := concatText(l, a), concatText(l, b)
		checkLength(l, len(left)+len(right))
		taskOf(l).charge(l, (len(left)+len(right))/64)
		return glua.LString(left + right)
	})
	for _, event := range []string{"__add", "__sub", "__mul", "__div", "__mod", "__pow", "__unm"} {
		set(event, func(l *glua.LState, _, _ glua.LValue) glua.LValue {
			l.RaiseError("arithmetic on an int64 would lose digits: use tonumber(tostring(x)) where that does not matter")
			return glua.LNil
		})
	}
	return meta
}

// boxed is the integer of a userdata; the empty one if it is none.
func boxed(v glua.LValue) Integer {
	if ud, ok := v.(*glua.LUserData); ok {
		if n, ok := ud.Value.(Integer); ok {
			return n
		}
	}
	return ""
}

func concatText(l *glua.LState, v glua.LValue) string {
	if n := boxed(v); n != "" {
		return string(n)
	}
	if !glua.LVCanConvToString(v) {
		l.RaiseError("attempt to concatenate a %s value", v.Type())
	}
	return v.String()
}

// integers are the boxed integers of a state, while something refers to them.
type integers struct {
	boxes map[Integer]weak.Pointer[glua.LUserData]
	sweep int // how many boxes there may be before dead ones are removed
}

const integersMin = 256

// box returns the userdata of n. The caller holds the state's lock.
func (s *State) box(n Integer) *glua.LUserData {
	t := &s.integers
	if ud := t.boxes[n].Value(); ud != nil {
		return ud
	}
	if len(t.boxes) >= t.sweep {
		for n, p := range t.boxes {
			if p.Value() == nil {
				delete(t.boxes, n)
			}
		}
		t.sweep = max(integersMin, 2*len(t.boxes))
	}
	if t.boxes == nil {
		t.boxes = map[Integer]weak.Pointer[glua.LUserData]{}
	}
	ud := &glua.LUserData{Value: n, Env: s.lib.env, Metatable: s.lib.integer}
	t.boxes[n] = weak.Make(ud)
	return ud
}
