package main

import (
	"encoding/json"
	"net/url"
	"strings"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// filterFlag is the flag of all commands that select objects by filters.
type filterFlag struct {
	Filter []string `help:"Only objects that pass this filter of docs/api.md. The value is text, a number or JSON. Several filters must all pass; a filter with a list of values may be repeated." placeholder:"NAME=VALUE" sep:"none"`
}

// filters are the JSON values of filters, by name.
type filters map[string]json.RawMessage

// filters reads the flag for objects of o.
func (f *filterFlag) filters(o matcher.Origin) (filters, error) {
	texts := map[string][]string{}
	for _, given := range f.Filter {
		name, text, ok := strings.Cut(given, "=")
		switch {
		case !ok || name == "":
			return nil, usagef("--filter: must be NAME=VALUE, got %q", given)
		case name == "origin":
			return nil, usagef("--filter: origin is not a filter here; the command or --origin gives it")
		}
		texts[name] = append(texts[name], text)
	}
	all := filters{}
	for name, values := range texts {
		value, err := wire.FilterJSON(o, name, values)
		if err != nil {
			return nil, usagef("--filter: %v", err)
		}
		all[name] = value
	}
	return all, nil
}

// addText adds a filter that another flag gives.
func (f filters) addText(flag, name, text string) error {
	if f[name] != nil {
		return usagef("%s: must not be given together with --filter %s", flag, name)
	}
	f[name] = wire.AppendValue(nil, wire.JSON, text)
	return nil
}

// addTo adds the filters to a query, in which texts have no quotes.
func (f filters) addTo(query url.Values) {
	for name, value := range f {
		text := string(value)
		if json.Unmarshal(value, &text) != nil { // not a text
			text = string(value)
		}
		query.Set(name, text)
	}
}
