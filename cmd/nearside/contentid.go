package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"nearside/matcher"
)

// contentIDs gives each object that has no ID an ID derived from its line, so that
// importing the line again writes the same object.
type contentIDs struct {
	source
	field string // face_id or event_id
	line  []byte
}

func (s *contentIDs) appendLine(dst []byte) ([]byte, error) {
	line, err := s.source.appendLine(s.line[:0])
	s.line = line
	if err != nil {
		return dst, err
	}
	return appendWithID(dst, line, s.field, lineID), nil
}

// appendWithID appends line, and adds the ID that newID returns in field if it has none.
// A line that is not an object is not changed; the server reports its fault.
func appendWithID(dst, line []byte, field string, newID func(line []byte) matcher.ID) []byte {
	from, to, missing := missingID(line, field)
	if !missing {
		return append(dst, line...)
	}
	dst = append(dst, line[:from]...)
	if from == to { // the object does not have the key
		dst = append(dst, '"')
		dst = append(dst, field...)
		dst = append(dst, `":`...)
	}
	dst = append(dst, '"')
	dst = append(dst, newID(line).String()...)
	dst = append(dst, '"')
	if from == to && bytes.TrimLeft(line[from:], " \t\r\n")[0] != '}' {
		dst = append(dst, ',')
	}
	return append(dst, line[to:]...)
}

// lineID derives an ID from a line. White space outside of strings does not matter.
func lineID(line []byte) matcher.ID {
	var compact bytes.Buffer
	_ = json.Compact(&compact, line) // cannot fail: missingID checked the line
	hash := sha256.Sum256(compact.Bytes())
	return matcher.NameID("nearside:" + hex.EncodeToString(hash[:]))
}

// missingID returns the place for the ID of an object that has no ID: the range of a
// null, or an empty range before the first key.
func missingID(line []byte, field string) (from, to int, missing bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return 0, 0, false
	}
	from = int(d.InputOffset())
	to = from
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return 0, 0, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return 0, 0, false
		}
		if key != field {
			continue
		}
		if string(value) != "null" {
			return 0, 0, false
		}
		to = int(d.InputOffset())
		from = to - len(value)
	}
	if _, err := d.Token(); err != nil || !json.Valid(line) {
		return 0, 0, false
	}
	return from, to, true
}
