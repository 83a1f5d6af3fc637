package wire

import (
	"encoding/json"
	"strings"

	"nearside/matcher"
)

// FilterJSON returns the JSON value of a filter that a person gives as texts, one for
// each time that the filter is named. Values are written as in a query, or in JSON. The
// server checks them. A filter that FilterJSON does not know is accepted, because the
// server may be newer than its client.
func FilterJSON(o matcher.Origin, name string, texts []string) (json.RawMessage, error) {
	field, known := filterFields[o][name]
	if original := filterAliases[name]; !known && original != "" {
		field, known = filterFields[o][original]
	}
	if !known { // such as a field of meta, whose type only the server knows
		field = filterField{list: strings.HasSuffix(name, "__in"), form: formJSON}
	}
	if !field.list {
		if len(texts) > 1 {
			return nil, clientError(within(name, badInput("must be given once, got %q and %q", matcher.Shorten(texts[0]), matcher.Shorten(texts[1]))))
		}
		return valueJSON(field.form, texts[0]), nil
	}
	values := []json.RawMessage{}
	for _, text := range texts {
		part, err := listJSON(field.form, name, text)
		if err != nil {
			return nil, clientError(within(name, err))
		}
		values = append(values, part...)
	}
	return json.Marshal(values)
}

// listJSON returns the values that one text of a list has.
func listJSON(of form, name, text string) (values []json.RawMessage, err error) {
	switch {
	case strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "["):
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			return nil, badInput("must be a JSON array when it begins with [, got %q: %v", matcher.Shorten(text), err)
		}
	case text == "":
	case of == formID || of == formInteger:
		for part := range strings.SplitSeq(text, ",") {
			values = append(values, valueJSON(of, part))
		}
	case strings.Contains(text, ",") && !json.Valid([]byte(text)):
		return nil, badInput("%q contains a comma; write %s=[%s] for this text, or repeat the filter for several", matcher.Shorten(text), name, AppendValue(nil, JSON, text))
	default:
		values = append(values, valueJSON(of, text))
	}
	return values, nil
}

// valueJSON returns the JSON of one value. A text that is not a value of the form becomes
// a JSON string. The server refuses it and names the filter.
func valueJSON(of form, text string) json.RawMessage {
	given := json.Valid([]byte(text))
	if of == formText || of == formID {
		given = given && strings.HasPrefix(text, `"`)
	}
	if given {
		return json.RawMessage(text)
	}
	return AppendValue(nil, JSON, text)
}
