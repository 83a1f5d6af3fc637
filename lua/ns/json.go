package ns

import (
	"nearside/lua/goval"
	"nearside/lua/vm"
)

// JSONModule is ns.json, which encodes and decodes JSON.
func JSONModule() vm.Module {
	return vm.Module{
		Name: "json", Doc: "Encodes and decodes JSON.",
		Functions: []vm.Function{
			{
				Name: "encode", Params: []string{"value: any"}, Returns: []string{"string"},
				Doc: "Encodes a value. An empty table becomes {}, unless json.array has marked it or it was decoded from an empty list.",
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
				Doc: "Decodes a text. null becomes json.null. Integers beyond 2^53 become boxed integers (see int64).",
				Run: func(c *vm.Call) error { return returnJSON(c, c.Text(1)) },
			},
			{
				Name: "array", Params: []string{"t: table"}, Returns: []string{"table"},
				Doc: "Marks a table, so that it is encoded as a list even if it is empty. Returns the table.",
				Run: func(c *vm.Call) error { return c.ReturnMarked(1, true) },
			},
			{
				Name: "object", Params: []string{"t: table"}, Returns: []string{"table"},
				Doc: "Marks a table, so that it is encoded as an object even if it is empty. Returns the table.",
				Run: func(c *vm.Call) error { return c.ReturnMarked(1, false) },
			},
		},
		Values: []vm.Value{{Name: "null", Type: "userdata", Doc: "The value null of JSON.", Get: func(*vm.Call) any { return vm.Null{} }}},
	}
}
