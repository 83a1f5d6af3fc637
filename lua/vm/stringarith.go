package vm

import (
	"errors"
	"math"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// stringArithmetic gives strings the metamethods of arithmetic. gopher-lua
// would read them as numbers without a charge, and copy those that are none
// into errors.
func (lib *Library) stringArithmetic() {
	for event, f := range map[string]func(a, b float64) float64{
		"__add": func(a, b float64) float64 { return a + b },
		"__sub": func(a, b float64) float64 { return a - b },
		"__mul": func(a, b float64) float64 { return a * b },
		"__div": func(a, b float64) float64 { return a / b },
		"__mod": modulo,
		"__pow": math.Pow,
	} {
		lib.stringMeta.RawSetString(event, lib.goFunction(func(l *glua.LState) int { return textArithmetic(l, event, f) }))
	}
	lib.stringMeta.RawSetString("__unm", lib.goFunction(func(l *glua.LState) int {
		return textArithmetic(l, "__unm", func(a, _ float64) float64 { return -a })
	}))
}

// textArithmetic works as an operator does when an operand is a string: both
// are read as numbers; when that fails, the metamethod of the other one is
// called.
func textArithmetic(l *glua.LState, event string, f func(a, b float64) float64) int {
	a, b := l.Get(1), l.Get(2)
	if event == "__unm" {
		b = a
	}
	x, ok1 := numeral(l, a)
	y, ok2 := numeral(l, b)
	if ok1 && ok2 {
		l.Push(glua.LNumber(f(x, y)))
		return 1
	}
	culprit := b
	if _, isText := b.(glua.LString); isText && ok2 || !ok1 {
		culprit = a
	}
	for _, v := range []glua.LValue{a, b} {
		if _, isText := v.(glua.LString); isText {
			continue
		}
		if own := l.GetMetaField(v, event); own != glua.LNil {
			l.Push(own)
			l.Push(a)
			l.Push(b)
			l.Call(2, 1)
			return 1
		}
	}
	l.RaiseError("attempt to perform arithmetic on a %s value", culprit.Type())
	return 0
}

// numeral reads a number, or a string as a number.
func numeral(l *glua.LState, v glua.LValue) (float64, bool) {
	switch v := v.(type) {
	case glua.LNumber:
		return float64(v), true
	case glua.LString:
		readsNumber(l, v)
		text := strings.Trim(string(v), " \t\n")
		if i, err := strconv.ParseInt(text, 0, 64); err == nil {
			return float64(i), true
		}
		f, err := strconv.ParseFloat(text, 64)
		return f, err == nil || errors.Is(err, strconv.ErrRange) // which is infinite
	}
	return 0, false
}

func modulo(a, b float64) float64 {
	v := math.Mod(a, b)
	if b > 0 && v < 0 || b < 0 && v > 0 {
		v += b
	}
	return v
}
