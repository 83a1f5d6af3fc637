package ns

import (
	"errors"
	"fmt"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// Int64Module is ns.int64, which makes and compares boxed integers.
func Int64Module() vm.Module {
	operand := "integer|Int64"
	return vm.Module{
		Name: "int64", Doc: "Boxed integers: whole numbers beyond 2^53, which Lua numbers cannot hold exactly. tostring gives their digits. They can be compared with each other, and keep their value in JSON, in the store and in kv.",
		Call: &vm.Function{
			Params: []string{"value: string|" + operand}, Returns: []string{"Int64"},
			Doc: "Returns a boxed integer. value is a text of decimal digits, or a whole number.",
			Run: func(c *vm.Call) error {
				c.Charge(25)
				n, err := integerArgument(c, 1)
				if err != nil {
					return err
				}
				return c.Return(n)
			},
		},
		Functions: []vm.Function{{
			Name: "compare", Params: []string{"a: number|Int64", "b: number|Int64"}, Returns: []string{"integer"},
			Doc: "Returns -1 if a is less than b, 0 if they are equal, and 1 if a is greater. a and b are boxed integers or numbers.",
			Run: func(c *vm.Call) error {
				c.Charge(25)
				order, err := compareNumbers(c.Value(1), c.Value(2))
				if err != nil {
					return err
				}
				return c.Return(order)
			},
		}},
		Classes: []*vm.Class{int64Class},
	}
}

// int64Class describes boxed integers to editors. The interpreter itself implements
// them.
var int64Class = &vm.Class{Name: "Int64", Doc: "A whole number of any size. tostring, .. and the comparisons == < <= > >= work; arithmetic raises an error."}

func integerArgument(c *vm.Call, i int) (vm.Integer, error) {
	switch v := c.Value(i).(type) {
	case vm.Integer:
		return v, nil
	case string:
		c.Charge(len(v) / 8)
		if n, ok := vm.ParseInteger(v); ok {
			return n, nil
		}
		return "", fmt.Errorf("%q is not a whole number in decimal digits", goval.Shorten(v))
	case float64:
		if n, ok := vm.IntegerOf(v); ok {
			return n, nil
		}
		return "", fmt.Errorf("%v is not a whole number", v)
	}
	return "", errors.New("the argument is not a text, a whole number or an int64")
}

// compareNumbers compares numbers and boxed integers by their exact values.
func compareNumbers(a, b any) (int, error) {
	// exact returns v, which is argument i. A boxed integer is returned as an Integer. A
	// number is returned as a float64 and, if it is a whole number, also as an Integer.
	// Without an Integer, that result is "".
	exact := func(v any, i int) (vm.Integer, float64, error) {
		switch v := v.(type) {
		case vm.Integer:
			return v, 0, nil
		case float64:
			if v != v {
				return "", 0, fmt.Errorf("argument %d is not a number (NaN)", i)
			}
			n, _ := vm.IntegerOf(v)
			return n, v, nil
		}
		return "", 0, fmt.Errorf("argument %d is not a number or an int64", i)
	}
	x, f, err1 := exact(a, 1)
	y, g, err2 := exact(b, 2)
	switch {
	case err1 != nil || err2 != nil:
		return 0, errors.Join(err1, err2)
	case x != "" && y != "":
		return x.Compare(y), nil
	case x != "":
		order, _ := x.CompareFloat(g)
		return order, nil
	case y != "":
		order, _ := y.CompareFloat(f)
		return -order, nil
	case f < g:
		return -1, nil
	case f > g:
		return 1, nil
	}
	return 0, nil
}
