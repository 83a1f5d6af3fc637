package config

import (
	"errors"
	"fmt"
	"strings"
)

// fault is one error in the configuration.
type fault struct {
	path string // of the key; callers add its first parts, so until then it is empty or begins with "[" or "."
	text string
}

// faults is an error with a list of faults, so that a caller can add a path to each
// of them.
type faults []fault

func (all faults) Error() string {
	texts := make([]string, len(all))
	for i, f := range all {
		texts[i] = strings.TrimPrefix(f.path, ".") + ": " + f.text
	}
	return strings.Join(texts, "\n")
}

// lines returns each fault as an error that begins with prefix.
func (all faults) lines(prefix string) []error {
	errs := make([]error, len(all))
	for i, f := range all {
		errs[i] = fmt.Errorf("%s%s: %s", prefix, strings.TrimPrefix(f.path, "."), f.text)
	}
	return errs
}

// withPath returns the faults of err, each with path before its own path.
func withPath(path string, err error) faults {
	var inner faults
	if !errors.As(err, &inner) {
		return faults{{path: path, text: err.Error()}}
	}
	placed := make(faults, len(inner))
	for i, f := range inner {
		placed[i] = fault{path: path + f.path, text: f.text}
	}
	return placed
}

// orNil returns all as an error, or nil if there are no faults.
func (all faults) orNil() error {
	if len(all) == 0 {
		return nil
	}
	return all
}

// quote returns the text with which a fault shows a value: shortened, and with masked
// passwords.
func quote(v any) string {
	const bytesMax = 80
	s := fmt.Sprintf("%v", v)
	if text, ok := v.(string); ok {
		s = fmt.Sprintf("%q", maskText(text))
	}
	if len(s) > bytesMax {
		s = s[:bytesMax] + "..."
	}
	return s
}

// nearest returns the name that is most similar to s, or "" if no name is similar.
func nearest(s string, all []string) string {
	best, distance := "", 2+len(s)/6
	for _, name := range all {
		if d := editDistance(s, name); d < distance {
			best, distance = name, d
		}
	}
	return best
}

// editDistance returns the number of insertions, deletions and changes of bytes
// that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
