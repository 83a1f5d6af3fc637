package lua

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A settingsSchema is the JSON Schema of a plugin's settings. A nil one allows
// no settings.
type settingsSchema struct {
	compiled *jsonschema.Schema
	document map[string]any // in the types of encoding/json, numbers as json.Number
}

// compileSchema checks a schema as a script wrote it.
func compileSchema(schema map[string]any) (*settingsSchema, error) {
	if schema == nil {
		return nil, nil
	}
	plain, err := jsonValue(asSchema(schema))
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	document, err := roundTrip(plain)
	if err == nil {
		err = compiler.AddResource("plugin.json", document)
	}
	s := &settingsSchema{}
	if err == nil {
		s.compiled, err = compiler.Compile("plugin.json")
	}
	if err != nil {
		return nil, schemaError(err)
	}
	s.document, _ = document.(map[string]any)
	return s, nil
}

// shown is the schema as values of JSON; nil when there is none.
func (s *settingsSchema) shown() map[string]any {
	if s == nil {
		return nil
	}
	return plainValue(clone(s.document)).(map[string]any)
}

// apply fills the schema's defaults into a copy of settings and checks the
// result.
func (s *settingsSchema) apply(settings map[string]any) (map[string]any, error) {
	if s == nil {
		for key := range settings {
			return nil, fmt.Errorf("%s is unknown: the plugin has no schema and takes no settings", key)
		}
		return map[string]any{}, nil
	}
	filled, _ := conform(s.document, settings).(map[string]any)
	if filled == nil {
		filled = map[string]any{}
	}
	fillDefaults(s.document, filled)
	instance, err := roundTrip(filled)
	if err != nil {
		return nil, err
	}
	if err := s.compiled.Validate(instance); err != nil {
		return nil, settingsError(err)
	}
	value, err := luaValue(instance)
	if err != nil {
		return nil, err
	}
	return value.(map[string]any), nil
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
