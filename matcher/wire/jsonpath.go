package wire

import (
	"encoding/json"
	"slices"

	"nearside/matcher"
)

// jsonPath is a position in a JSON text: the containers around it, the outermost
// first.
type jsonPath []jsonLevel

type jsonLevel struct {
	object bool
	key    string // of the current field
	hasKey bool   // the key was read; its value follows
	index  int    // of the current element
}

// pathTo returns the path of the value at an offset. If the offset is before the
// end of a key, it is the path of the object. The text before the offset must be
// well formed, but may be nested too deep.
func pathTo(body []byte, offset int) jsonPath {
	var path jsonPath
	for i := 0; i < offset; i++ {
		inside := len(path) > 0
		switch b := body[i]; {
		case b == '"':
			end := closingQuote(body, i)
			if end >= offset {
				return path
			}
			if inside {
				path[len(path)-1].noteString(body[i : end+1])
			}
			i = end
		case b == '{' || b == '[':
			if len(path) == depthMax {
				return path
			}
			path = append(path, jsonLevel{object: b == '{'})
		case inside && (b == '}' || b == ']'):
			path = path[:len(path)-1]
		case inside && b == ',':
			path[len(path)-1].nextElement()
		}
	}
	return path
}

// noteString handles a string of this level. In an object it is a key, unless the
// key was read already.
func (l *jsonLevel) noteString(quoted []byte) {
	if l.object && !l.hasKey {
		l.hasKey = json.Unmarshal(quoted, &l.key) == nil
	}
}

func (l *jsonLevel) nextElement() {
	l.hasKey = false
	l.index++
}

// closingQuote returns the offset of the quote that ends the string that begins
// at i, or len(body).
func closingQuote(body []byte, i int) int {
	for i++; i < len(body) && body[i] != '"'; i++ {
		if body[i] == '\\' {
			i++
		}
	}
	return min(i, len(body))
}

// located returns err with the path p before its own path.
func (p jsonPath) located(err error) error {
	for _, l := range slices.Backward(p) {
		switch {
		case !l.object:
			err = within(indexName(l.index), err)
		case l.hasKey:
			err = within(matcher.Shorten(l.key), err)
		}
	}
	return err
}
