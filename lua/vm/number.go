package vm

import (
	"math"
	"strconv"

	glua "github.com/yuin/gopher-lua"
)

// numberText is a number as Lua 5.1 shows it, which is C's "%.14g".
func numberText(f float64) string {
	if i := int64(f); float64(i) == f && i < 1e14 && i > -1e14 && (i != 0 || !math.Signbit(f)) {
		return strconv.FormatInt(i, 10)
	}
	switch {
	case math.IsNaN(f) && math.Signbit(f): // as C prints what 0/0 is on amd64
		return "-nan"
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return strconv.FormatFloat(f, 'g', 14, 64)
}

// textOf is v as a string, if it is a string or a number.
func textOf(v glua.LValue) (string, bool) {
	switch v := v.(type) {
	case glua.LString:
		return string(v), true
	case glua.LNumber:
		return numberText(float64(v)), true
	}
	return "", false
}

// checkText is argument i, a string or a number, as a string.
func checkText(l *glua.LState, i int) string {
	s, ok := textOf(l.Get(i))
	if !ok {
		badType(l, i, "string")
	}
	return s
}

// checkNumber is argument i, a number or a string that reads as one.
func checkNumber(l *glua.LState, i int) float64 {
	n, ok := toNumber(l, l.Get(i))
	if !ok {
		badType(l, i, "number")
	}
	return n
}

// checkInt is argument i as an integer: what is behind the point is cut off.
func checkInt(l *glua.LState, i int) int { return toInt(checkNumber(l, i)) }

// optInt is checkInt, or other when the argument is nil or missing.
func optInt(l *glua.LState, i, other int) int {
	if l.Get(i) == glua.LNil {
		return other
	}
	return checkInt(l, i)
}

// toInt is C's conversion to a 64-bit integer, on amd64: the least one for
// what does not fit.
func toInt(f float64) int {
	if math.IsNaN(f) || f >= 1<<63 || f < -1<<63 {
		return math.MinInt64
	}
	return int(f)
}

func badType(l *glua.LState, i int, want string) {
	got := "no value"
	if i <= l.GetTop() {
		got = l.Get(i).Type().String()
	}
	l.ArgError(i, want+" expected, got "+got)
}
