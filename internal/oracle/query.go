package oracle

import (
	"math/rand/v2"
	"net/url"
	"strings"
)

// URL returns the path with the query.
func (r *Request) URL() string {
	values := url.Values{}
	for name, text := range r.Query {
		values.Set(name, text)
	}
	spell := speller{rand.New(rand.NewPCG(r.spelling, 0))}
	for name, list := range r.lists { // such as targets
		values[name] = spell.writeFilter(filter{name: name}, list)
	}
	for _, f := range filterTable { // in a fixed order, for the random spelling
		if r.inBody {
			break
		}
		if v, ok := r.filters[f.name]; ok && values[f.name] == nil {
			values[f.name] = spell.writeFilter(f, v)
		}
	}
	if len(values) == 0 {
		return r.Path
	}
	return r.Path + "?" + values.Encode()
}

// speller writes filters as query parameters. Where the API allows several ways to
// write a value, it chooses one at random.
type speller struct{ rng *rand.Rand }

// writeFilter returns the values of the query parameter of a filter. A list may be
// split into several values.
func (s speller) writeFilter(f filter, v any) (occurrences []string) {
	list, ok := v.([]any)
	if !ok {
		return []string{s.writeValue(v)}
	}
	for len(list) > 0 {
		n := 1
		if s.rng.IntN(2) == 0 {
			n += s.rng.IntN(len(list))
		}
		occurrences = append(occurrences, s.writeList(f, list[:n]))
		list = list[n:]
	}
	if len(occurrences) == 0 || s.rng.IntN(20) == 0 {
		occurrences = append(occurrences, []string{"", "[]", " [ ]"}[s.rng.IntN(3)])
	}
	return occurrences
}

// writeList writes a list as one value.
func (s speller) writeList(f filter, list []any) string {
	text, isText := list[0].(string)
	bare := len(list) == 1 && text != "" && !strings.ContainsAny(text, ",[")
	if f.kind != "text" {
		bare = true
	}
	if !bare || s.rng.IntN(3) == 0 {
		return JSON(list)
	}
	if isText && f.kind == "text" {
		return text
	}
	var texts []string
	for _, v := range list {
		texts = append(texts, s.writeValue(v))
	}
	return strings.Join(texts, ",")
}

// writeValue writes a text as it is, and other values as JSON.
func (s speller) writeValue(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text := JSON(v)
	if n, ok := v.(float64); ok && n == float64(int(n)) && !strings.Contains(text, "e") && s.rng.IntN(4) == 0 {
		text += ".0"
	}
	return text
}
