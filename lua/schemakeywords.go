package lua

import (
	"fmt"
	"maps"
	"slices"

	"nearside/lua/goval"
)

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
