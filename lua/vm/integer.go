package vm

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"weak"

	glua "github.com/yuin/gopher-lua"
)

// An Integer is a whole number that may be too large for a Lua number. It
// consists of decimal digits without leading zeros, after a minus sign if it is
// negative. Scripts see it as a boxed integer: a userdata that prints as the
// number and can be compared with other boxed integers. In one state, equal
// integers are the same userdata, so they are also equal as table keys.
type Integer string

// ParseInteger reads an optional sign followed by decimal digits.
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

// IntegerOf converts f exactly. ok is false if f is not a whole number.
func IntegerOf(f float64) (n Integer, ok bool) {
	if f != math.Trunc(f) || math.IsInf(f, 0) {
		return "", false
	}
	return ParseInteger(strconv.FormatFloat(f, 'f', 0, 64))
}

// MarshalJSON returns the number as a JSON number.
func (n Integer) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// Float64 converts n to a Lua number. ok is false if n is beyond 2^53, because a Lua
// number does not hold such an integer exactly.
func (n Integer) Float64() (f float64, ok bool) {
	i, err := strconv.ParseInt(string(n), 10, 64)
	return float64(i), err == nil && i <= maxInteger && i >= -maxInteger
}

// Compare returns -1 if n is less than other, 0 if they are equal, and 1 if n is
// greater.
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

// CompareFloat returns -1, 0 or 1, as Compare does. ok is false if f is NaN.
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

// integerMeta returns the metatable of boxed integers.
func (lib *Library) integerMeta() *glua.LTable {
	meta := lib.sealedMeta("an int64", newTable())
	meta.RawSetString("__index", lib.goFunction(func(l *glua.LState) int {
		l.RaiseError("an int64 has no fields and no methods: use tostring(x) to get its digits")
		return 0
	}))
	set := func(event string, f func(l *glua.LState, a, b glua.LValue) glua.LValue) {
		meta.RawSetString(event, lib.goFunction(func(l *glua.LState) int {
			l.Push(f(l, l.Get(1), l.Get(2)))
			return 1
		}))
	}
	order := func(a, b glua.LValue) int { return boxedInteger(a).Compare(boxedInteger(b)) }
	set("__tostring", func(_ *glua.LState, a, _ glua.LValue) glua.LValue { return glua.LString(boxedInteger(a)) })
	set("__lt", func(_ *glua.LState, a, b glua.LValue) glua.LValue { return glua.LBool(order(a, b) < 0) })
	set("__le", func(_ *glua.LState, a, b glua.LValue) glua.LValue { return glua.LBool(order(a, b) <= 0) })
	set("__concat", func(l *glua.LState, a, b glua.LValue) glua.LValue {
		left, right := concatText(l, a), concatText(l, b)
		checkLength(l, len(left)+len(right))
		executionOf(l).charge(l, (len(left)+len(right))/64)
		return glua.LString(left + right)
	})
	for _, event := range []string{"__add", "__sub", "__mul", "__div", "__mod", "__pow", "__unm"} {
		set(event, func(l *glua.LState, _, _ glua.LValue) glua.LValue {
			l.RaiseError("arithmetic on an int64 would lose digits: use tonumber(tostring(x)) if that is acceptable")
			return glua.LNil
		})
	}
	return meta
}

// boxedInteger returns the integer in v, or "" if v is not a boxed integer.
func boxedInteger(v glua.LValue) Integer {
	if ud, ok := v.(*glua.LUserData); ok {
		if n, ok := ud.Value.(Integer); ok {
			return n
		}
	}
	return ""
}

// concatText returns the text of an operand of `..`.
func concatText(l *glua.LState, v glua.LValue) string {
	if n := boxedInteger(v); n != "" {
		return string(n)
	}
	if !glua.LVCanConvToString(v) {
		l.RaiseError("attempt to concatenate a %s value", v.Type())
	}
	return v.String()
}

// integers holds the boxed integers of a state that are still referred to.
type integers struct {
	boxes map[Integer]weak.Pointer[glua.LUserData]
	sweep int // number of boxes at which unreferenced ones are removed
}

const minSweep = 256

// boxInteger returns the userdata for n. The caller holds the state's lock.
func (s *State) boxInteger(n Integer) *glua.LUserData {
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
		t.sweep = max(minSweep, 2*len(t.boxes))
	}
	if t.boxes == nil {
		t.boxes = map[Integer]weak.Pointer[glua.LUserData]{}
	}
	ud := &glua.LUserData{Value: n, Env: s.lib.env, Metatable: s.lib.integer}
	t.boxes[n] = weak.Make(ud)
	return ud
}
