package wire

import (
	"errors"
	"fmt"
	"strings"

	"nearside/matcher"
)

// fault is an error whose path is still growing: readers of values do not
// know where the value stands, the loops over fields and elements do.
type fault struct {
	code    matcher.Code
	path    string // "candidates[1].limit"; "" is the value itself
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

// badInput returns a fault of CodeBadInput of the value at hand.
func badInput(format string, args ...any) error {
	return &fault{code: matcher.CodeBadInput, message: fmt.Sprintf(format, args...)}
}

// tooMany returns the fault of a list that is longer than a limit.
func tooMany(n int, limit string, most int) error {
	return &fault{code: matcher.CodeTooMany, message: fmt.Sprintf("%d are more than limits.%s, which is %d", n, limit, most)}
}

var (
	errUnknownField = &fault{code: matcher.CodeBadInput, message: "unknown field"}
	errRequired     = &fault{code: matcher.CodeBadInput, message: "required, but absent"}
)

// within puts name, a field or an index in brackets, before the path of err.
// It copies, since some faults are shared.
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

// shorten keeps a client's text short enough to be quoted in a detail.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-3], "") + "..."
}
