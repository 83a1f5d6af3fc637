package vm

import (
	"math"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"nearside/lua/vm/syntax"
)

// Names of globals that generated code calls. They are not valid Lua names, so a
// source can neither use nor replace them.
const (
	concatName = "(concat)" // a .. b .. c
	lenName    = "(len)"    // #a
	modName    = "(mod)"    // a % b
	powName    = "(pow)"    // a ^ b
	minusName  = "(minus)"  // -a
	forName    = "(for)"    // converts the three numbers of a numeric for
)

// zeroName returns the name of the global that computes op again if the result is
// 0.
func zeroName(op string) string { return "(" + op + ")" }

// operatorFunctions returns the functions of these globals by name.
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

// zeroFunction returns the function that computes op for two numbers. If an operand
// is not a number, a metamethod has computed the result, and the function returns
// its third argument, which is that result.
func zeroFunction(op string) glua.LGFunction {
	return func(l *glua.LState) int {
		x, ok1 := toNumber(l, l.Get(1))
		y, ok2 := toNumber(l, l.Get(2))
		if ok1 && ok2 {
			l.Push(glua.LNumber(applyOperator(op, x, y)))
		}
		return 1
	}
}

// stringOperators returns metamethods for arithmetic on strings. The interpreter
// itself would read "010" as an octal number.
func stringOperators() map[string]glua.LGFunction {
	functions := map[string]glua.LGFunction{}
	for op, event := range map[string]string{"+": "__add", "-": "__sub", "*": "__mul", "/": "__div", "%": "__mod", "^": "__pow"} {
		functions[event] = arithmeticFunction(op, event)
	}
	functions["__unm"] = luaMinus
	return functions
}

// applyOperator applies an arithmetic operator to two numbers.
func applyOperator(op string, a, b float64) float64 {
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

// modulo uses the formula of Lua 5.1. math.Mod has other results for large operands
// and if the quotient is rounded, as in 1 % 0.1.
func modulo(a, b float64) float64 {
	return a - float64(math.Floor(a/b)*b) // the conversion prevents a fused operation, which has other results
}

// toNumber converts v to a number. ok is false unless v is a number or a string
// that can be converted to one.
func toNumber(l *glua.LState, v glua.LValue) (n float64, ok bool) {
	switch v := v.(type) {
	case glua.LNumber:
		return float64(v), true
	case glua.LString:
		chargeNumberText(l, v)
		return syntax.ToNumber(string(v))
	}
	return 0, false
}

// arithmeticFunction returns the function for an operator. It uses the metamethod
// event if an operand is not a number.
func arithmeticFunction(op, event string) glua.LGFunction {
	return func(l *glua.LState) int {
		a, b := l.Get(1), l.Get(2)
		x, ok1 := toNumber(l, a)
		y, ok2 := toNumber(l, b)
		if ok1 && ok2 {
			l.SetTop(0)
			l.Push(glua.LNumber(applyOperator(op, x, y)))
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

// luaMinus is the operator `-` with one operand. As in Lua 5.1, the metamethod gets
// the operand twice.
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

// metaField returns a metamethod that a script has set. It returns nil for strings,
// because scripts cannot change the metatable of strings.
func metaField(l *glua.LState, v glua.LValue, event string) glua.LValue {
	if v.Type() == glua.LTString {
		return glua.LNil
	}
	return l.GetMetaField(v, event)
}

// luaLen is the operator `#`. As in Lua 5.1, it ignores __len of tables.
func luaLen(l *glua.LState) int {
	switch v := l.Get(1).(type) {
	case glua.LString:
		l.Push(glua.LNumber(len(v)))
	case *glua.LTable:
		l.Push(glua.LNumber(tableLength(l, v)))
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

// luaFor converts the three values of a numeric for to numbers.
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

// luaConcat is the operator `..` for all operands of a chain. The length of the
// result is bounded.
func luaConcat(l *glua.LState) int {
	n := l.GetTop()
	total := 0
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case glua.LString:
			total += len(v)
		case glua.LNumber:
			total += 24 // the maximum length of a number
		default:
			return concatMeta(l, n)
		}
	}
	checkLength(l, total)
	executionOf(l).reserveBytes(l, total)
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
	l.Push(builtText(executionOf(l), &b))
	return 1
}

// concatMeta joins n operands from right to left, as the operator does. It uses
// __concat if an operand is neither a string nor a number.
func concatMeta(l *glua.LState, n int) int {
	result := l.Get(n)
	for i := n - 1; i >= 1; i-- {
		left := l.Get(i)
		a, ok1 := textOf(left)
		b, ok2 := textOf(result)
		if ok1 && ok2 {
			total := len(a) + len(b)
			checkLength(l, total)
			executionOf(l).reserveBytes(l, total)
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
