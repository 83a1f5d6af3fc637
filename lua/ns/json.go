package ns

import (
	"fmt"

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

// maxJSONValues is the maximum number of values in a decoded text.
const maxJSONValues = 1 << 20

// The maximum Go memory of one value of a decoded text, in bytes, in addition to the
// text of the value.
const (
	jsonValueBytes  = 48
	jsonObjectBytes = 300
)

// chargeJSON charges for encoding v. It returns an error if the JSON could be longer
// than a string may be. That can happen because a table can contain the same long
// string many times.
func chargeJSON(c *vm.Call, v any) error {
	n := jsonLength(v)
	if n > vm.MaxString {
		return fmt.Errorf("the text may have at most %d bytes, and this value could need %d", vm.MaxString, n)
	}
	c.Charge(10 + n/8)
	c.Allocate(4 * n)
	return nil
}

// jsonLength returns an upper bound for the length of v's JSON, in bytes.
func jsonLength(v any) int {
	switch v := v.(type) {
	case string:
		return textLength(v)
	case vm.Integer:
		return len(v)
	case []any:
		n := 2
		for _, item := range v {
			n += 1 + jsonLength(item)
		}
		return n
	case map[string]any:
		n := 2
		for k, item := range v {
			n += 2 + textLength(k) + jsonLength(item)
		}
		return n
	}
	return 24
}

// textLength returns the length of a string in JSON, in bytes, with quotes and
// escapes such as \u0000.
func textLength(s string) int {
	n := 2 + len(s)
	for i := range len(s) {
		switch b := s[i]; {
		case b == '"' || b == '\\':
			n++
		case b < ' ':
			n += 5
		}
	}
	return n
}

// decodeUnits is the charge for decoding a text, in addition to its values.
const decodeUnits = 40

// returnJSON returns the decoded value of text to the script, or nil and an error. It
// also returns an error if the value is too large or too deeply nested for Lua.
func returnJSON(c *vm.Call, text string) error {
	if err := chargeDecoding(c, text); err != nil {
		return c.Fail(err)
	}
	v, err := goval.DecodeJSON([]byte(text))
	if err == nil {
		err = c.Return(v)
	}
	if err != nil {
		return c.Fail(err)
	}
	return nil
}

// chargeDecoding charges for decoding text. It returns an error if the text may have more
// values than a script can receive.
func chargeDecoding[T string | []byte](c *vm.Call, text T) error {
	objects, values := 0, 1
	for i := range len(text) {
		switch text[i] {
		case '{':
			objects++
			values += 2
		case ',', '[':
			values++
		}
	}
	c.Charge(decodeUnits + len(text)/8 + 4*values)
	if values > maxJSONValues {
		return fmt.Errorf("json: the text may contain at most %d values, and this one could contain %d", maxJSONValues, values)
	}
	c.Allocate(3*len(text) + values*jsonValueBytes + objects*jsonObjectBytes)
	return nil
}
