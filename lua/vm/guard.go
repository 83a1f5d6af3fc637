package vm

import (
	"slices"

	glua "github.com/yuin/gopher-lua"
)

// maxNumberText bounds a string that a standard function takes as a number: a
// string of 16 MB would be read, and copied into an error.
const maxNumberText = 1024

// numberArguments are the arguments that standard functions convert to
// numbers; an empty list is all of them.
var numberArguments = map[string]map[string][]int{
	"":       {"select": {1}, "unpack": {2, 3}, "error": {2}, "tonumber": {2}},
	"string": {"byte": {2, 3}, "sub": {2, 3}, "rep": {2}, "find": {3}, "match": {3}, "gsub": {4}, "char": {}},
	"table":  {"concat": {3, 4}, "insert": {2}, "remove": {2}},
	"os":     {"difftime": {}, "date": {2}},
	"math": {
		"abs": {}, "acos": {}, "asin": {}, "atan": {}, "atan2": {}, "ceil": {}, "cos": {}, "cosh": {}, "deg": {}, "exp": {},
		"floor": {}, "fmod": {}, "frexp": {}, "ldexp": {}, "log": {}, "log10": {}, "max": {}, "min": {}, "mod": {}, "modf": {},
		"pow": {}, "rad": {}, "random": {}, "randomseed": {}, "sin": {}, "sinh": {}, "sqrt": {}, "tan": {}, "tanh": {},
	},
}

// guard makes the functions of a standard library refuse long strings where
// they take numbers.
func (lib *Library) guard(name string, functions *glua.LTable) *glua.LTable {
	for key, arguments := range numberArguments[name] {
		if fn, ok := functions.RawGetString(key).(*glua.LFunction); ok {
			functions.RawSetString(key, lib.goFunction(shortNumbers(fn.GFunction, arguments)))
		}
	}
	return functions
}

func shortNumbers(next glua.LGFunction, arguments []int) glua.LGFunction {
	return func(l *glua.LState) int {
		for i := l.GetTop(); i > 0; i-- {
			if len(arguments) == 0 || slices.Contains(arguments, i) {
				shortNumber(l, i)
			}
		}
		return next(l)
	}
}

// shortNumber raises when argument i is a string that is too long to be a
// number.
func shortNumber(l *glua.LState, i int) {
	if s, ok := l.Get(i).(glua.LString); ok && len(s) > maxNumberText {
		l.ArgError(i, "number expected, got a string of more than 1024 bytes")
	}
}
