package lua

import (
	"fmt"
	"strings"

	"nearside/lua/vm"
)

// maxJSONValues bounds the values of a decoded text.
const maxJSONValues = 1 << 20

// Bytes of Go that one value of a decoded text takes, at most, beside its text.
const (
	jsonValueBytes  = 48
	jsonObjectBytes = 300
)

// chargeJSON charges for encoding v, and refuses what would be longer than a
// string may be: one string can be in a table many times.
func chargeJSON(c *vm.Call, v any) error {
	n := jsonLength(v)
	if n > vm.MaxString {
		return fmt.Errorf("the text has up to %d bytes; %d are allowed", n, vm.MaxString)
	}
	c.Charge(n / 8)
	c.Allocate(4 * n)
	return nil
}

// jsonLength is how long the text of v is, at most.
func jsonLength(v any) int {
	switch v := v.(type) {
	case string:
		return textLength(v)
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

// textLength counts what is escaped as \u0000 and the like.
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

// returnJSON gives the script the value of text, or nil and an error: also when
// the value has no form in Lua because it is nested too deep or too large.
func returnJSON(c *vm.Call, text string) error {
	objects := strings.Count(text, "{")
	values := strings.Count(text, ",") + strings.Count(text, "[") + 2*objects + 1
	c.Charge(len(text)/8 + 4*values)
	if values > maxJSONValues {
		return c.Fail(fmt.Errorf("json: there are up to %d values; %d are allowed", values, maxJSONValues))
	}
	c.Allocate(3*len(text) + values*jsonValueBytes + objects*jsonObjectBytes)
	v, err := decodeJSON([]byte(text))
	if err == nil {
		err = c.Return(v)
	}
	if err != nil {
		return c.Fail(err)
	}
	return nil
}
