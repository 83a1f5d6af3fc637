package config

import (
	"errors"
	"fmt"
	"strings"
)

// fault is one thing that is wrong: where, and what.
type fault struct {
	path string // "" while the caller still has to say it; a continuation begins with "[" or "."
	text string
}

// faults is an error that keeps each fault apart, so that a caller can put a
// path before all of them.
type faults []fault

func (all faults) Error() string {
	texts := make([]string, len(all))
	for i, f := range all {
		texts[i] = strings.TrimPrefix(f.path, ".") + ": " + f.text
	}
	return strings.Join(texts, "\n")
}

// lines returns each fault as an error of its own, after prefix.
func (all faults) lines(prefix string) []error {
	errs := make([]error, len(all))
	for i, f := range all {
		errs[i] = fmt.Errorf("%s%s: %s", prefix, strings.TrimPrefix(f.path, "."), f.text)
	}
	return errs
}

// at puts path before every fault of err.
func at(path string, err error) faults {
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

// orNil returns all as an error, nil when there is none.
func (all faults) orNil() error {
	if len(all) == 0 {
		return nil
	}
	return all
}

// quote shows a client's value in a fault: short, and without passwords.
func quote(v any) string {
	const most = 80
	s := fmt.Sprintf("%v", v)
	if text, ok := v.(string); ok {
		s = fmt.Sprintf("%q", maskText(text))
	}
	if len(s) > most {
		s = s[:most] + "..."
	}
	return s
}

// nearest returns the name that is most like s, "" when none is near.
func nearest(s string, all []string) string {
	best, least := "", 2+len(s)/6
	for _, name := range all {
		if d := editDistance(s, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions and changes of bytes between
// a and b.
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
