package snapshot

import (
	"time"

	"nearside/matcher"
)

// nameMax is the length of the longest name, in bytes.
const nameMax = 64

// CheckName returns CodeBadInput unless name can be the name of a snapshot: 1 to 64
// letters, digits, ".", "_" and "-", of which the first one is a letter or a digit.
func CheckName(name string) error {
	valid := name != "" && len(name) <= nameMax
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		valid = valid && (letter || i > 0 && (c == '.' || c == '_' || c == '-'))
	}
	if !valid {
		return matcher.Errorf(matcher.CodeBadInput, "name: must have 1 to %d letters, digits, '.', '_' and '-', and begin with a letter or a digit, got %.80q", nameMax, name)
	}
	return nil
}

// TimeName returns the name of a snapshot that was made at a time and got no other name.
// Names sort by time.
func TimeName(t time.Time) string { return t.UTC().Format("20060102T150405Z") }
