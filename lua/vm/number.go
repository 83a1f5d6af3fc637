package vm

import (
	"math"
	"strconv"

	glua "github.com/yuin/gopher-lua"
)

// numberText returns the text of a number as Lua 5.1 prints it, which is C's
// "%.14g".
func numberText(f float64) string {
	if i := int64(f); float64(i) == f && i < 1e14 && i > -1e14 && (i != 0 || !math.Signbit(f)) {
		return strconv.FormatInt(i, 10)
	}
	switch {
	case math.IsNaN(f) && math.Signbit(f): // as C prints the result of 0/0 on amd64
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

// textOf returns v as text, if it is a string or a number.
func textOf(v glua.LValue) (string, bool) {
	switch v := v.(type) {
	case glua.LString:
		return string(v), true
	case glua.LNumber:
		return numberText(float64(v)), true
	}
	return "", false
}

// checkText returns argument i as text. It must be a string or a number.
func checkText(l *glua.LState, i int) string {
	s, ok := textOf(l.Get(i))
	if !ok {
		badType(l, i, "string")
	}
	return s
}

// checkNumber returns argument i as a number. It must be a number or a string that
// can be converted to one.
func checkNumber(l *glua.LState, i int) float64 {
	n, ok := toNumber(l, l.Get(i))
	if !ok {
		badType(l, i, "number")
	}
	return n
}

// checkInt is like checkNumber, but truncates the number to an integer.
func checkInt(l *glua.LState, i int) int { return int(toInt64(checkNumber(l, i))) }

// optInt is like checkInt, but returns other if the argument is nil or missing.
func optInt(l *glua.LState, i, other int) int {
	if l.Get(i) == glua.LNil {
		return other
	}
	return checkInt(l, i)
}

// badType raises an error about the type of argument i.
func badType(l *glua.LState, i int, want string) {
	got := "no value"
	if i <= l.GetTop() {
		got = l.Get(i).Type().String()
	}
	l.ArgError(i, want+" expected, got "+got)
}
