package lua

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"nearside/lua/goval"
)

// badDefaults returns a fault for each part of a default that its own schema refuses.
// Without this check, such a default would fail only when a setting is missing.
func (s *settingsSchema) badDefaults() error {
	if s == nil {
		return nil
	}
	d := defaultsChecker{compiler: newCompiler()}
	if err := d.compiler.AddResource(schemaName, any(s.document)); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	d.check(s.document, "schema", schemaName+"#")
	return errors.Join(d.faults...)
}

// A defaultsChecker checks the defaults of a schema.
type defaultsChecker struct {
	compiler *jsonschema.Compiler
	faults   []error
}

// check checks the defaults of all schemas in v. path is the place of v in messages,
// and pointer is the same place for the compiler.
func (d *defaultsChecker) check(v any, path, pointer string) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			d.check(item, fmt.Sprintf("%s[%d]", path, i+1), fmt.Sprintf("%s/%d", pointer, i))
		}
	case map[string]any:
		if value, ok := v["default"]; ok {
			d.checkDefault(v, value, path+".default", pointer)
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			below, at := pointer+"/"+escapePointer(key), path+"."+key
			switch {
			case slices.Contains(schemaMapKeywords, key):
				inner, _ := v[key].(map[string]any)
				for _, name := range slices.Sorted(maps.Keys(inner)) {
					d.check(inner[name], at+"."+name, below+"/"+escapePointer(name))
				}
			case slices.Contains(schemaKeywords, key), slices.Contains(schemaListKeywords, key):
				d.check(v[key], at, below)
			}
		}
	}
}

// checkDefault checks value, the default of a schema, after it has filled in the defaults
// of missing properties.
func (d *defaultsChecker) checkDefault(schema map[string]any, value any, path, pointer string) {
	value = goval.Clone(value)
	if object, ok := value.(map[string]any); ok {
		fillDefaults(schema, object)
	}
	compiled, err := d.compiler.Compile(pointer)
	if err == nil {
		err = compiled.Validate(value)
	}
	if err == nil {
		return
	}
	for _, fault := range faultLines(settingsError(err)) {
		d.faults = append(d.faults, fmt.Errorf("%s: %w", path, fault))
	}
}

// escapePointer writes a name as a part of a JSON pointer in a URL.
func escapePointer(name string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
}
