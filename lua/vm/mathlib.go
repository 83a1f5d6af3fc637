package vm

import (
	"math"
	"math/rand/v2"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"nearside/internal/exp"
)

// farExponent is greater than the exponent of any number.
const farExponent = 10_000

// mathLib returns the math library. math.randomseed does nothing, because scripts
// use the random generator of the process.
func (lib *Library) mathLib() *glua.LTable {
	t := newTable()
	for name, f := range map[string]func(float64) float64{
		"acos": math.Acos, "asin": math.Asin, "atan": math.Atan, "ceil": math.Ceil, "cos": math.Cos, "cosh": math.Cosh,
		"deg": func(x float64) float64 { return x / (math.Pi / 180) }, "exp": exp.Nearest, "floor": math.Floor, "log": math.Log, "log10": log10,
		"rad": func(x float64) float64 { return x * (math.Pi / 180) }, "sin": math.Sin, "sinh": math.Sinh, "sqrt": math.Sqrt, "tan": math.Tan, "tanh": math.Tanh,
	} {
		t.RawSetString(name, lib.goFunction(func(l *glua.LState) int {
			x := checkNumber(l, 1)
			sign := -1.0
			if name == "acos" || name == "asin" || name == "log10" {
				sign = 1
			}
			l.Push(glua.LNumber(signedNaN(f(x), sign, x)))
			return 1
		}))
	}
	for name, f := range map[string]func(x, y float64) float64{
		"atan2": math.Atan2, "fmod": math.Mod, "mod": math.Mod, "pow": power,
		"ldexp": func(x, y float64) float64 { return math.Ldexp(x, int(toInt64(min(max(y, -farExponent), farExponent)))) },
	} {
		t.RawSetString(name, lib.goFunction(func(l *glua.LState) int {
			x, y := checkNumber(l, 1), checkNumber(l, 2)
			if strings.HasSuffix(name, "mod") {
				executionOf(l).charge(l, moduloUnits(x, y))
			}
			l.Push(glua.LNumber(signedNaN(f(x, y), -1, x, y)))
			return 1
		}))
	}
	for name, f := range map[string]glua.LGFunction{
		"abs": mathAbs, "frexp": mathFrexp, "modf": mathModf, "random": mathRandom, "randomseed": func(*glua.LState) int { return 0 },
		"max": extremeArgument(func(a, b float64) bool { return b > a }), "min": extremeArgument(func(a, b float64) bool { return b < a }),
	} {
		t.RawSetString(name, lib.goFunction(f))
	}
	t.RawSetString("pi", glua.LNumber(math.Pi))
	t.RawSetString("huge", glua.LNumber(math.Inf(1)))
	return t
}

// moduloUnits returns the work of math.Mod(x, y), which takes one step for each bit
// of the quotient.
func moduloUnits(x, y float64) int {
	_, a := math.Frexp(x)
	_, b := math.Frexp(y)
	return max(a-b, 0) / 4
}

// signedNaN returns result. If it is NaN, it has the sign that lua5.1 has on amd64:
// the sign of the first operand that is NaN, or else the given sign.
func signedNaN(result, sign float64, operands ...float64) float64 {
	if !math.IsNaN(result) {
		return result
	}
	for _, x := range operands {
		if math.IsNaN(x) {
			return x
		}
	}
	return math.Copysign(result, sign)
}

// extremeArgument returns math.max or math.min. replaces(a, b) reports whether b is
// a better result than a.
func extremeArgument(replaces func(a, b float64) bool) glua.LGFunction {
	return func(l *glua.LState) int {
		best := checkNumber(l, 1)
		for i := 2; i <= l.GetTop(); i++ {
			if n := checkNumber(l, i); replaces(best, n) {
				best = n
			}
		}
		l.Push(glua.LNumber(best))
		return 1
	}
}

func mathAbs(l *glua.LState) int {
	l.Push(glua.LNumber(math.Abs(checkNumber(l, 1))))
	return 1
}

func mathFrexp(l *glua.LState) int {
	fraction, exponent := math.Frexp(checkNumber(l, 1))
	l.Push(glua.LNumber(fraction))
	l.Push(glua.LNumber(exponent))
	return 2
}

func mathModf(l *glua.LState) int {
	x := checkNumber(l, 1)
	whole, fraction := math.Trunc(x), math.Copysign(0, x)
	if !math.IsInf(x, 0) {
		fraction = math.Copysign(x-whole, x)
	}
	l.Push(glua.LNumber(whole))
	l.Push(glua.LNumber(fraction))
	return 2
}

func mathRandom(l *glua.LState) int {
	from, to := 1.0, 0.0
	switch l.GetTop() {
	case 0:
		l.Push(glua.LNumber(rand.Float64()))
		return 1
	case 1:
		to = checkNumber(l, 1)
	default:
		from, to = checkNumber(l, 1), checkNumber(l, 2)
	}
	from, to = math.Floor(from), math.Floor(to)
	if !wholeNumber(from) || !wholeNumber(to) || from > to {
		l.RaiseError("random: the interval is empty")
	}
	l.Push(glua.LNumber(from + math.Floor(rand.Float64()*(to-from+1))))
	return 1
}
