package lua

import (
	"encoding/json"
	"slices"

	"nearside/lua/goval"
	"nearside/lua/vm"
)

// An empty Lua table may be a list or an object. The functions below decide which of
// the two an empty table in a schema or in settings is.

// Keywords of JSON Schema, by the type of their values: a schema, a map of schemas, a list
// of schemas, a list of other values, or a value that the schema itself describes.
var (
	schemaKeywords = []string{
		"items", "additionalProperties", "additionalItems", "not", "if", "then", "else", "contains", "propertyNames",
		"unevaluatedItems", "unevaluatedProperties", "contentSchema",
	}
	schemaMapKeywords  = []string{"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
	schemaListKeywords = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	listKeywords       = []string{"required", "enum", "examples", "type"}
	exampleKeywords    = []string{"default", "const"}
)

// asSchema copies a schema. It turns empty tables into the lists or objects that the
// keywords need.
func asSchema(v any) any {
	schema, ok := v.(map[string]any)
	if !ok {
		return goval.Clone(v)
	}
	out := make(map[string]any, len(schema))
	for key, value := range schema {
		switch {
		case slices.Contains(schemaKeywords, key):
			out[key] = asSchema(value)
			if list, ok := value.([]any); ok { // in older drafts, items may be a list
				out[key] = schemaList(list)
			}
		case slices.Contains(schemaMapKeywords, key):
			out[key] = schemaMap(value)
		case slices.Contains(schemaListKeywords, key):
			out[key] = schemaList(asList(value))
		case slices.Contains(listKeywords, key):
			out[key] = goval.Clone(asList(value))
		case key == "dependentRequired":
			out[key] = goval.Clone(value)
			if lists, ok := out[key].(map[string]any); ok {
				for name, list := range lists {
					lists[name] = asList(list)
				}
			}
		default:
			out[key] = goval.Clone(value)
		}
	}
	for _, key := range exampleKeywords {
		if value, ok := schema[key]; ok {
			out[key] = conform(out, value)
		}
	}
	for _, key := range []string{"enum", "examples"} {
		list, _ := out[key].([]any)
		for i := range list {
			list[i] = conform(out, list[i])
		}
	}
	return out
}

func schemaMap(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return goval.Clone(v)
	}
	out := make(map[string]any, len(m))
	for name, schema := range m {
		out[name] = asSchema(schema)
	}
	return out
}

func schemaList(v any) any {
	list, ok := v.([]any)
	if !ok {
		return goval.Clone(v)
	}
	out := make([]any, len(list))
	for i, schema := range list {
		out[i] = asSchema(schema)
	}
	return out
}

// asList returns v, or an empty list if v is an empty table.
func asList(v any) any {
	if isEmpty(v) {
		return []any{}
	}
	return v
}

func isEmpty(v any) bool {
	if m, ok := v.(map[string]any); ok {
		return len(m) == 0
	}
	return v == vm.Empty{}
}

// conform copies a value that schema describes. It turns empty tables into the lists
// or objects that the schema needs.
func conform(schema map[string]any, v any) any {
	switch v := v.(type) {
	case vm.Empty:
		if wantsList(schema) {
			return []any{}
		}
		return map[string]any{}
	case map[string]any:
		if len(v) == 0 && wantsList(schema) {
			return []any{}
		}
		properties, _ := schema["properties"].(map[string]any)
		others, _ := schema["additionalProperties"].(map[string]any)
		out := make(map[string]any, len(v))
		for key, item := range v {
			described, ok := properties[key].(map[string]any)
			if !ok {
				described = others
			}
			out[key] = conform(described, item)
		}
		return out
	case []any:
		items, _ := schema["items"].(map[string]any)
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = conform(items, item)
		}
		return out
	}
	return v
}

// wantsList reports whether a schema allows a list but not an object.
func wantsList(schema map[string]any) bool {
	switch t := schema["type"].(type) {
	case string:
		return t == "array"
	case []any:
		return slices.Contains(t, any("array")) && !slices.Contains(t, any("object"))
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		list, _ := schema[key].([]any)
		for _, sub := range list {
			if s, ok := sub.(map[string]any); ok && wantsList(s) {
				return true
			}
		}
	}
	return false
}

// fillDefaults adds missing properties that have a default. It also does so in nested
// objects that exist or have a default themselves.
func fillDefaults(schema, object map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for name, p := range properties {
		property, ok := p.(map[string]any)
		if !ok {
			continue
		}
		if _, exists := object[name]; !exists {
			if value, ok := property["default"]; ok {
				object[name] = goval.Clone(value)
			}
		}
		if child, ok := object[name].(map[string]any); ok {
			fillDefaults(property, child)
		}
	}
}

// plainValue replaces the numbers of a JSON document with int64 or float64, in place.
func plainValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64() // the document contains only finite numbers
		return f
	case []any:
		for i := range v {
			v[i] = plainValue(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plainValue(v[key])
		}
	}
	return v
}
