package memory

import (
	"encoding/json"
	"strings"
)

// parseMeta reads the meta of an event, which is a JSON object or absent.
func parseMeta(text string) any {
	if text == "" {
		return nil
	}
	var root any
	if json.Unmarshal([]byte(text), &root) != nil {
		return nil // wire wrote it; what came some other way has no fields
	}
	return root
}

// valueAt returns the value at a path of names joined by dots; nil: none.
func valueAt(root any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		object, ok := root.(map[string]any)
		if !ok {
			return nil
		}
		root = object[name]
	}
	return root
}
