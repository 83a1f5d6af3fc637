package ns

import (
	"nearside/lua/vm"

	"nearside/lua/goval"
)

// JSONModule is ns.json, which encodes and decodes JSON.
func JSONModule() vm.Module {
	return vm.Module{
		Name: "json", Doc: "JSON.",
		Functions: []vm.Function{
			{
				Name: "encode", Params: []string{"value: any"}, Returns: []string{"string"},
				Doc: "Writes a value as JSON; an empty table is {} unless json.array marked it, or it came as an empty list.",
				Run: func(c *vm.Call) error {
					v := c.Value(1)
					if err := chargeJSON(c, v); err != nil {
						return err
					}
					text, err := goval.EncodeJSON(v)
					if err != nil {
						return err
					}
					return c.Return(text)
				},
			},
			{
				Name: "decode", Params: []string{"text: string"}, Returns: []string{"any", "string? err"},
				Doc: "Reads JSON; null becomes json.null, integers beyond 2^53 boxed ones (see int64).",
				Run: func(c *vm.Call) error { return returnJSON(c, c.Text(1)) },
			},
			{
				Name: "array", Params: []string{"t: table"}, Returns: []string{"table"},
				Doc: "Marks a table to be written as [], also when it is empty.",
				Run: func(c *vm.Call) error { return c.ReturnMarked(1, true) },
			},
			{
				Name: "object", Params: []string{"t: table"}, Returns: []string{"table"},
				Doc: "Marks a table to be written as {}, also when it is empty.",
				Run: func(c *vm.Call) error { return c.ReturnMarked(1, false) },
			},
		},
		Values: []vm.Value{{Name: "null", Type: "userdata", Doc: "JSON's null.", Get: func(*vm.Call) any { return vm.Null{} }}},
	}
}
