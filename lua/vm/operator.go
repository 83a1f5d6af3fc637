package vm

import (
	"math"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// Globals that generated code calls. No source can spell them, so none can
// hide or replace them.
const (
	concatName = "(concat)" // a .. b .. c
	lenName    = "(len)"    // #a
	modName    = "(mod)"    // a % b
	powName    = "(pow)"    // a ^ b
	minusName  = "(minus)"  // -a
	forName    = "(for)"    // the three numbers of a numeric for
)

// zeroName is the global that computes op again when the result is 0.
func zeroName(op string) string { return "(" + op + ")" }

func operatorFunctions() map[string]glua.LGFunction {
	functions := map[string]glua.LGFunction{
		concatName: luaConcat, lenName: luaLen, forName: luaFor, minusName: luaMinus,
		modName: arithmeticFunction("%", "__mod"), powName: arithmeticFunction("^", "__pow"),
	}
	for _, op := range []string{"+", "-", "*", "/"} {
		functions[zeroName(op)] = zeroFunction(op)
	}
	return functions
}

// zeroFunction computes op of two numbers. Its third argument is the result of
// a metamethod, if they are no numbers.
func zeroFunction(op string) glua.LGFunction {
	return func(l *glua.LState) int {
		x, ok1 := toNumber(l, l.Get(1))
		y, ok2 := toNumber(l, l.Get(2))
		if ok1 && ok2 {
			l.Push(glua.LNumber(compute(op, x, y)))
		}
		return 1
	}
}

// stringOperators are metamethods of strings: the interpreter would read
// "010" as an octal number.
func stringOperators() map[string]glua.LGFunction {
	functions := map[string]glua.LGFunction{}
	for op, event := range map[string]string{"+": "__add", "-": "__sub", "*": "__mul", "/": "__div", "%": "__mod", "^": "__pow"} {
		functions[event] = arithmeticFunction(op, event)
	}
	functions["__unm"] = luaMinus
	return functions
}

// compute is arithmetic on two numbers.
func compute(op string, a, b float64) float64 {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	case "%":
		return modulo(a, b)
	}
	return power(a, b)
}

// modulo is the formula of Lua 5.1; math.Mod differs for large operands and
// where the quotient is rounded, as in 1 % 0.1.
func modulo(a, b float64) float64 {
	product := math.Floor(a/b) * b // a variable of its own: no fused operation
	return a - product
}

// toNumber is v as a number, if it is one or a string that reads as one.
func toNumber(l *glua.LState, v glua.LValue) (float64, bool) {
	switch v := v.(type) {
	case glua.LNumber:
		return float64(v), true
	case glua.LString:
		readsNumber(l, v)
		return syntax.ToNumber(string(v))
	}
	return 0, false
}

func arithmeticFunction(op, event string) glua.LGFunction {
	return func(l *glua.LState) int {
		a, b := l.Get(1), l.Get(2)
		x, ok1 := toNumber(l, a)
		y, ok2 := toNumber(l, b)
		if ok1 && ok2 {
			l.SetTop(0)
			l.Push(glua.LNumber(compute(op, x, y)))
			return 1
		}
		f := metaField(l, a, event)
		if f == glua.LNil {
			f = metaField(l, b, event)
		}
		if f == glua.LNil {
			culprit := b
			if !ok1 {
				culprit = a
			}
			l.RaiseError("attempt to perform arithmetic on a %s value", culprit.Type())
		}
		l.Push(f)
		l.Push(a)
		l.Push(b)
		l.Call(2, 1)
		return 1
	}
}

// luaMinus is the operator `-` with one operand. The metamethod gets it twice.
func luaMinus(l *glua.LState) int {
	v := l.Get(1)
	if x, ok := toNumber(l, v); ok {
		l.Push(glua.LNumber(-x))
		return 1
	}
	f := metaField(l, v, "__unm")
	if f == glua.LNil {
		l.RaiseError("attempt to perform arithmetic on a %s value", v.Type())
	}
	l.Push(f)
	l.Push(v)
	l.Push(v)
	l.Call(2, 1)
	return 1
}

// metaField is a metamethod that a script has set: strings have none.
func metaField(l *glua.LState, v glua.LValue, event string) glua.LValue {
	if v.Type() == glua.LTString {
		return glua.LNil
	}
	return l.GetMetaField(v, event)
}

// luaLen is the operator `#`. As in Lua 5.1, __len is not asked for tables.
func luaLen(l *glua.LState) int {
	switch v := l.Get(1).(type) {
	case glua.LString:
		l.Push(glua.LNumber(len(v)))
	case *glua.LTable:
		l.Push(glua.LNumber(length(l, v)))
	default:
		f := metaField(l, v, "__len")
		if f == glua.LNil {
			l.RaiseError("attempt to get length of a %s value", v.Type())
		}
		l.Push(f)
		l.Push(v)
		l.Call(1, 1)
	}
	return 1
}

// luaFor turns the values of a numeric for into numbers.
func luaFor(l *glua.LState) int {
	for i, name := range []string{"initial value", "limit", "step"} {
		n, ok := toNumber(l, l.Get(i+1))
		if !ok {
			l.RaiseError("'for' %s must be a number", name)
		}
		l.Push(glua.LNumber(n))
	}
	return 3
}

// luaConcat is the operator `..`, of all operands of a chain. The result is
// bounded.
func luaConcat(l *glua.LState) int {
	n := l.GetTop()
	total := 0
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case glua.LString:
			total += len(v)
		case glua.LNumber:
			total += 24 // at most
		default:
			return concatMeta(l, n)
		}
	}
	checkLength(l, total)
	taskOf(l).reserve(l, total)
	var b strings.Builder
	b.Grow(total)
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case glua.LString:
			b.WriteString(string(v))
		case glua.LNumber:
			b.WriteString(numberText(float64(v)))
		}
	}
	l.Push(trimmed(taskOf(l), &b))
	return 1
}

// concatMeta works from right to left, as the operator does, with __concat
// where an operand is neither a string nor a number. Strings and numbers next
// to each other are joined at once.
func concatMeta(l *glua.LState, n int) int {
	result := l.Get(n)
	for i := n - 1; i >= 1; i-- {
		left := l.Get(i)
		a, ok1 := textOf(left)
		b, ok2 := textOf(result)
		if ok1 && ok2 {
			total := len(a) + len(b)
			checkLength(l, total)
			taskOf(l).reserve(l, total)
			result = glua.LString(a + b)
			continue
		}
		f := metaField(l, left, "__concat")
		if f == glua.LNil {
			f = metaField(l, result, "__concat")
		}
		if f == glua.LNil {
			culprit := left
			if ok1 {
				culprit = result
			}
			l.RaiseError("attempt to concatenate a %s value", culprit.Type())
		}
		l.Push(f)
		l.Push(left)
		l.Push(result)
		l.Call(2, 1)
		result = l.Get(-1)
		l.Pop(1)
	}
	l.Push(result)
	return 1
}
