package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"nearside/matcher"
)

// fault is an error whose path is built from the inside out: the reader of a
// value does not know where the value is. The loops over fields and elements add
// their part of the path with within.
type fault struct {
	code    matcher.Code
	path    string // as in "candidates[1].limit"; empty: the value itself
	message string
}

func (f *fault) Error() string {
	path := f.path
	if path == "" || path[0] == '[' {
		path = "body" + path
	}
	return path + ": " + f.message
}

func (f *fault) clientError() error { return matcher.Errorf(f.code, "%s", f.Error()) }

// lineError is the error for a line of an import. The caller adds the line's
// number.
func (f *fault) lineError() error {
	if f.path == "" {
		return matcher.Errorf(f.code, "%s", f.message)
	}
	return f.clientError()
}

// badInput returns a fault of CodeBadInput for the current value.
func badInput(format string, args ...any) error {
	return &fault{code: matcher.CodeBadInput, message: fmt.Sprintf(format, args...)}
}

// tooMany returns the fault of a list that is longer than limit, the value of the
// setting limits.<setting>.
func tooMany(n int, setting string, limit int) error {
	return &fault{code: matcher.CodeTooMany, message: fmt.Sprintf("must have at most %d items (limits.%s), got %d", limit, setting, n)}
}

var (
	errUnknownField = &fault{code: matcher.CodeBadInput, message: "unknown field"}
	errRequired     = &fault{code: matcher.CodeBadInput, message: "is missing"}
)

// within returns err with name, a field or an index in brackets, before its path.
// It copies the fault, because some faults are shared.
func within(name string, err error) error {
	f, ok := errors.AsType[*fault](err)
	if !ok {
		return err
	}
	path := name
	if f.path != "" && !strings.HasPrefix(f.path, "[") {
		path += "."
	}
	return &fault{code: f.code, path: path + f.path, message: f.message}
}

// indexName returns the name of a list's element in a path.
func indexName(i int) string { return "[" + strconv.Itoa(i) + "]" }
