package lua

import (
	"errors"

	"nearside/matcher"
)

// seeLog tells clients where to find the reason of a failure.
const seeLog = "the log of the server has the reason"

// withheldError is the error that clients see after a failure of a plugin. The plugin's
// own error may name files of the server, so its text is only in the log.
type withheldError struct{ cause error }

func (withheldError) Error() string { return "failed; " + seeLog }

func (w withheldError) Unwrap() error { return w.cause }

// withhold hides the text of err, unless the host wrote it for clients or the client is
// a test of the plugin.
func (p *plugin) withhold(err error) error {
	_, forClients := err.(*matcher.Error) //nolint:errorlint // an error that wraps one may name files
	if forClients || errors.Is(err, errOff) || p.host.o.Doubles.ShowErrors {
		return err
	}
	return withheldError{err}
}
