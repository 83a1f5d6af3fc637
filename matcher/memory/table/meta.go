package table

import (
	"encoding/json"
	"strings"

	"nearside/matcher"
)

// ParseMeta parses the meta of an event, which is a JSON object or absent. Its numbers
// are json.Number, because a float64 would round large integers.
func ParseMeta(text string) any {
	if text == "" {
		return nil
	}
	var root any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&root) != nil {
		return nil // package wire only writes valid meta; invalid text from elsewhere has no fields
	}
	return root
}

// ValueAt returns the value at a path of names joined by dots, or nil if there is none.
func ValueAt(root any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		object, ok := root.(map[string]any)
		if !ok {
			return nil
		}
		root = object[name]
	}
	return root
}

// MetaNumberOf returns a meta value as a number; ok is false if it is not a number.
func MetaNumberOf(value any) (n matcher.Number, ok bool) {
	text, ok := value.(json.Number)
	if !ok {
		return n, false
	}
	n, err := matcher.ParseNumber(string(text))
	return n, err == nil
}
