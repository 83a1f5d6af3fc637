package lua

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"nearside/lua/goval"
)

// A settingsSchema is the JSON Schema of a plugin's settings. A nil settingsSchema
// allows no settings.
type settingsSchema struct {
	compiled *jsonschema.Schema
	document map[string]any // in the types of encoding/json, with numbers as json.Number
}

// schemaName names the document of a schema in its compiler.
const schemaName = "plugin.json"

// newCompiler returns a compiler that refuses references to other documents.
func newCompiler() *jsonschema.Compiler {
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	return compiler
}

// compileSchema checks and compiles a schema that a script returned.
func compileSchema(schema map[string]any) (*settingsSchema, error) {
	if schema == nil {
		return nil, nil
	}
	if faults := misspeltKeywords(schema, "schema"); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	plain, err := goval.JSONValue(asSchema(schema))
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	compiler := newCompiler()
	document, err := roundTrip(plain)
	if err == nil {
		err = compiler.AddResource(schemaName, document)
	}
	s := &settingsSchema{}
	if err == nil {
		s.compiled, err = compiler.Compile(schemaName)
	}
	if err != nil {
		return nil, schemaError(err)
	}
	s.document, _ = document.(map[string]any)
	return s, nil
}

// jsonDocument returns the schema as JSON values; nil: there is no schema.
func (s *settingsSchema) jsonDocument() map[string]any {
	if s == nil {
		return nil
	}
	return plainValue(goval.Clone(s.document)).(map[string]any)
}

// apply returns a copy of settings with the defaults of the schema, after it has checked
// the result.
func (s *settingsSchema) apply(settings map[string]any) (map[string]any, error) {
	if s == nil {
		for key := range settings {
			return nil, fmt.Errorf("%s is unknown: the plugin has no schema, so it has no settings", key)
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
	value, err := goval.LuaValue(instance)
	if err != nil {
		return nil, err
	}
	return value.(map[string]any), nil
}

// schemaError returns one fault for each wrong part of a schema.
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

// noLoader refuses references to other documents, because a schema is a single table.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s: references outside the schema are refused", url)
}

// roundTrip converts v to the types that the validator expects.
func roundTrip(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
}

// settingsError returns one fault for each wrong field.
func settingsError(err error) error {
	v, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err
	}
	var faults []error
	var walk func(*jsonschema.ValidationError)
	walk = func(v *jsonschema.ValidationError) {
		if len(v.Causes) == 0 {
			faults = append(faults, leafErrors(v)...)
		}
		for _, cause := range v.Causes {
			walk(cause)
		}
	}
	walk(v)
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) }) // the validator returns them in the order of a map
	return errors.Join(faults...)
}

// leafErrors returns the faults of one value: one for each unknown or missing name, with
// its path, or else one with the validator's text.
func leafErrors(v *jsonschema.ValidationError) (faults []error) {
	at := func(names ...string) string { return strings.Join(slices.Concat(v.InstanceLocation, names), ".") }
	switch k := v.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			faults = append(faults, fmt.Errorf("%s: is not allowed by the plugin's schema", at(name)))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			faults = append(faults, fmt.Errorf("%s: is missing", at(name)))
		}
	default:
		// The text of a leaf is "at '/path': reason". The validator's method for the
		// reason alone needs a package for translations.
		_, text, _ := strings.Cut(v.Error(), "': ")
		if path := at(); path != "" {
			text = path + ": " + text
		}
		faults = append(faults, errors.New(text))
	}
	return faults
}

// otherKeywords are the keywords of all drafts of JSON Schema whose values are not
// schemas.
var otherKeywords = []string{
	"type", "required", "enum", "const", "default", "examples", "title", "description", "deprecated", "readOnly", "writeOnly", "format",
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
	"minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties", "dependentRequired",
	"contentEncoding", "contentMediaType",
	"$schema", "$id", "$ref", "$anchor", "$comment", "$vocabulary", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "id",
}

// keywords are all keywords of JSON Schema.
var keywords = slices.Concat(otherKeywords, schemaKeywords, schemaMapKeywords, schemaListKeywords)

// misspeltKeywords returns faults for the keys of a schema that are similar to a
// keyword. JSON Schema ignores unknown keys, so a misspelt keyword would have no
// effect.
func misspeltKeywords(schema any, path string) (faults []error) {
	switch v := schema.(type) {
	case []any:
		for i, item := range v {
			faults = append(faults, misspeltKeywords(item, fmt.Sprintf("%s[%d]", path, i+1))...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			at := path + "." + key
			switch {
			case slices.Contains(schemaMapKeywords, key):
				inner, _ := v[key].(map[string]any)
				for _, name := range slices.Sorted(maps.Keys(inner)) {
					faults = append(faults, misspeltKeywords(inner[name], at+"."+name)...)
				}
			case slices.Contains(schemaKeywords, key), slices.Contains(schemaListKeywords, key):
				faults = append(faults, misspeltKeywords(v[key], at)...)
			case !slices.Contains(keywords, key):
				if word, found := nearKeyword(key); found {
					faults = append(faults, fmt.Errorf("%s: is not a keyword of JSON Schema; did you mean %q?", at, word))
				}
			}
		}
	}
	return faults
}

// nearKeyword returns the keyword that is nearest to a word. The distance may be one
// edit, or two edits if the keyword has at least eight letters.
func nearKeyword(word string) (string, bool) {
	closest, distance := "", 3
	for _, k := range keywords {
		if len(word) > len(k)+2 || len(k) < 4 {
			continue
		}
		if d := goval.EditDistance(word, k); d < distance && (d == 1 || len(k) >= 8) {
			closest, distance = k, d
		}
	}
	return closest, closest != ""
}

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
