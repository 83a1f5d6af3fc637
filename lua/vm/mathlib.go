package vm

import (
	"math"
	"math/rand/v2"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// farModulo is the work of the remainder of two numbers that are far apart.
const farModulo = 50

// mathLib is the math library. A script cannot seed the process's generator.
func (lib *Library) mathLib() *glua.LTable {
	t := newTable()
	for name, f := range map[string]func(float64) float64{
		"abs": math.Abs, "acos": math.Acos, "asin": math.Asin, "atan": math.Atan, "ceil": math.Ceil, "cos": math.Cos, "cosh": math.Cosh,
		"deg": func(x float64) float64 { return x / (math.Pi / 180) }, "exp": math.Exp, "floor": math.Floor, "log": math.Log, "log10": log10,
		"rad": func(x float64) float64 { return x * (math.Pi / 180) }, "sin": math.Sin, "sinh": math.Sinh, "sqrt": math.Sqrt, "tan": math.Tan, "tanh": math.Tanh,
	} {
		t.RawSetString(name, lib.goFunction(func(l *glua.LState) int {
			x := checkNumber(l, 1)
			l.Push(glua.LNumber(invalid(f(x), math.IsNaN(x) || name == "acos" || name == "asin" || name == "log10")))
			return 1
		}))
	}
	for name, f := range map[string]func(x, y float64) float64{
		"atan2": math.Atan2, "fmod": math.Mod, "mod": math.Mod, "pow": power,
		"ldexp": func(x, y float64) float64 { return math.Ldexp(x, toInt(y)) },
	} {
		t.RawSetString(name, lib.goFunction(func(l *glua.LState) int {
			x, y := checkNumber(l, 1), checkNumber(l, 2)
			if strings.HasSuffix(name, "mod") && math.Abs(x/y) > maxInteger { // one step for each bit of the quotient
				taskOf(l).charge(l, farModulo)
			}
			l.Push(glua.LNumber(invalid(f(x, y), math.IsNaN(x) || math.IsNaN(y))))
			return 1
		}))
	}
	for name, f := range map[string]glua.LGFunction{
		"frexp": mathFrexp, "modf": mathModf, "random": mathRandom, "randomseed": func(*glua.LState) int { return 0 },
		"max": extreme(func(a, b float64) bool { return b > a }), "min": extreme(func(a, b float64) bool { return b < a }),
	} {
		t.RawSetString(name, lib.goFunction(f))
	}
	t.RawSetString("pi", glua.LNumber(math.Pi))
	t.RawSetString("huge", glua.LNumber(math.Inf(1)))
	return t
}

// invalid gives a NaN that an invalid operation made the sign that it has in
// lua5.1 on amd64. asIs leaves the result as it is.
func invalid(result float64, asIs bool) float64 {
	if math.IsNaN(result) && !asIs {
		return math.Copysign(result, -1)
	}
	return result
}

// extreme returns the argument that replaces all before it.
func extreme(replaces func(a, b float64) bool) glua.LGFunction {
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
