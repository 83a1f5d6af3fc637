package main

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// fieldForm is the way in which a value of a table becomes JSON.
type fieldForm uint8

const (
	formText    fieldForm = iota
	formNumber            // a number, or an array of numbers
	formTexts             // an array of texts
	formAnyJSON           // the value as JSON of any type
)

// fieldForms returns the forms of the fields of objects of o, by their paths.
func fieldForms(o matcher.Origin) map[string]fieldForm {
	forms := map[string]fieldForm{o.Singular() + "_id": formText, "account_id": formText, "create_time": formText}
	if o == matcher.Faces {
		forms["lists"] = formTexts
	} else {
		forms["end_time"], forms["tags"], forms["meta"] = formText, formTexts, formAnyJSON
		forms["location.geo_position"] = formAnyJSON
		forms["top_match.similarity"] = formNumber
	}
	for _, f := range matcher.Fields(o) {
		path := f.Name
		if f.Group != "" {
			path = f.Group + "." + f.Name
		}
		if f.Kind == matcher.SmallField || f.Kind == matcher.SmallsField {
			forms[path] = formNumber
		} else {
			forms[path] = formText
		}
	}
	return forms
}

// formOf returns the form of a field. A member of meta may have any name.
func formOf(forms map[string]fieldForm, path string) (fieldForm, bool) {
	form, ok := forms[path]
	if _, hasMeta := forms["meta"]; !ok && hasMeta && strings.HasPrefix(path, "meta.") && len(path) > len("meta.") {
		return formAnyJSON, true
	}
	return form, ok
}

// isMissing reports whether a value of a table is missing. Tables of numbers have NaN for
// missing values.
func isMissing(v any) bool {
	f, isFloat := v.(float64)
	return v == nil || isFloat && math.IsNaN(f)
}

// appendJSON appends the JSON of a value that is not missing. A value that does not have
// the form becomes a JSON string, which the server refuses with the name of the field.
func (f fieldForm) appendJSON(dst []byte, v any) []byte {
	text, isText := v.(string)
	if number, ok := v.(float64); ok && math.IsInf(number, 0) {
		text, isText = textOf(v), true
	}
	trimmed := strings.TrimSpace(text)
	switch {
	case f == formText && !isArray(v):
		return wire.AppendValue(dst, wire.JSON, textOf(v))
	case !isText:
		return wire.AppendValue(dst, wire.JSON, v)
	case f == formTexts && !strings.HasPrefix(trimmed, "["):
		return wire.AppendValue(dst, wire.JSON, splitTexts(text))
	case json.Valid([]byte(trimmed)):
		return append(dst, trimmed...)
	}
	return wire.AppendValue(dst, wire.JSON, text)
}

func isArray(v any) bool {
	_, ok := v.([]any)
	return ok
}

// splitTexts splits a list of texts at semicolons.
func splitTexts(text string) []string {
	texts := []string{}
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part != "" {
			texts = append(texts, part)
		}
	}
	return texts
}

// textOf returns a value as text.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}
