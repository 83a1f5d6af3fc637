package lua

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"nearside/lua/vm"
)

// applySchema fills the defaults of schema into a copy of settings and checks
// the result. Without a schema, there must be no settings.
func applySchema(schema, settings map[string]any) (map[string]any, error) {
	filled, _ := clone(settings).(map[string]any)
	if filled == nil {
		filled = map[string]any{}
	}
	if schema == nil {
		for key := range filled {
			return nil, fmt.Errorf("%s is unknown: the plugin has no schema and takes no settings", key)
		}
		return filled, nil
	}
	compiled, document, err := compileSchema(schema)
	if err != nil {
		return nil, err
	}
	object, _ := document.(map[string]any)
	fillDefaults(object, filled)
	instance, err := roundTrip(filled)
	if err != nil {
		return nil, err
	}
	if err := compiled.Validate(instance); err != nil {
		return nil, settingsError(err)
	}
	value, err := luaValue(instance)
	if err != nil {
		return nil, err
	}
	return value.(map[string]any), nil
}

// compileSchema checks a schema; document is the schema as the validator sees
// it.
func compileSchema(schema map[string]any) (compiled *jsonschema.Schema, document any, err error) {
	plain, err := jsonValue(clone(schema))
	if err != nil {
		return nil, nil, fmt.Errorf("schema: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	if document, err = roundTrip(plain); err == nil {
		err = compiler.AddResource("plugin.json", document)
	}
	if err == nil {
		compiled, err = compiler.Compile("plugin.json")
	}
	if err != nil {
		return nil, nil, schemaError(err)
	}
	return compiled, document, nil
}

// schemaError names the parts of a schema that are wrong, one fault each.
func schemaError(err error) error {
	invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err)
	if !ok {
		return fmt.Errorf("schema: %w", err)
	}
	faults := []error{}
	for fault := range strings.Lines(settingsError(invalid.Err).Error()) {
		faults = append(faults, errors.New("schema."+strings.TrimSuffix(fault, "\n")))
	}
	return errors.Join(faults...)
}

// noLoader refuses references to other documents: a schema is one table.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: references outside the schema are refused", url)
}

// roundTrip gives v the types that the validator expects.
func roundTrip(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
}

// fillDefaults adds missing properties that have a default, at every depth
// where the object is there or has a default itself.
func fillDefaults(schema, object map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for name, p := range properties {
		property, ok := p.(map[string]any)
		if !ok {
			continue
		}
		if _, there := object[name]; !there {
			if other, has := property["default"]; has {
				object[name] = clone(other)
			}
		}
		// {} in Lua is as good a list as an object.
		if empty, ok := object[name].(map[string]any); ok && len(empty) == 0 && property["type"] == "array" {
			object[name] = []any{}
		}
		if child, ok := object[name].(map[string]any); ok {
			fillDefaults(property, child)
		}
	}
}

// clone copies the tables of v.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, item := range v {
			m[k] = clone(item)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = clone(item)
		}
		return list
	case vm.Empty:
		return map[string]any{}
	}
	return v
}

// settingsError names the fields that are wrong, one fault each.
func settingsError(err error) error {
	v, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err
	}
	var faults []error
	var walk func(*jsonschema.ValidationError)
	walk = func(v *jsonschema.ValidationError) {
		if len(v.Causes) == 0 {
			// The text of a leaf is "at '/path': reason"; its own interface
			// to the reason needs a package for translations.
			_, text, _ := strings.Cut(v.Error(), "': ")
			if at := strings.Join(v.InstanceLocation, "."); at != "" {
				text = at + ": " + text
			}
			faults = append(faults, errors.New(text))
		}
		for _, cause := range v.Causes {
			walk(cause)
		}
	}
	walk(v)
	return errors.Join(faults...)
}
