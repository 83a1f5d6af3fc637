package vm

import (
	"errors"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// Reasons why a call ended early. errors.Is finds them in an *Error.
var (
	ErrSlice      = errors.New("the call ran for too long without a waiting call")
	ErrAllocation = errors.New("the call allocated more than 64 MiB without a waiting call")
	ErrMemory     = errors.New("the plugin holds more memory than its limit: its state is replaced")
	ErrTimeout    = errors.New("the call took longer than its limit")
	ErrCancelled  = errors.New("the call was cancelled")
	ErrClosed     = errors.New("the state is closed")
	ErrTasks      = errors.New("too many tasks")
	ErrHost       = errors.New("a service of the host failed") // a Function may return it wrapped
)

// An Error is a Lua error that the script did not catch.
type Error struct {
	Message   string // "file:line: reason"
	Traceback string
	Value     any   // the raised value, if it is a table or a userdata
	reason    error // one of the errors above, or nil
	panicked  bool  // whether the interpreter itself failed
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.reason }

// Broken reports whether a state should be replaced after a call failed with
// err. It returns true if a budget ended the call at an arbitrary instruction,
// the state was killed because of its memory, or the interpreter itself failed.
// It returns false if the script raised an error, a service of the host failed,
// or the caller cancelled the call, because the state is still usable then.
func Broken(err error) bool {
	if errors.Is(err, ErrMemory) {
		return true // even if the call did not begin
	}
	e, ok := errors.AsType[*Error](err)
	return ok && (e.panicked || e.reason != nil && !errors.Is(e.reason, ErrCancelled) && !errors.Is(e.reason, ErrHost))
}

// luaError converts err, which a protected call returned, to an *Error. If reason
// is not nil, the call was killed or a service of the host failed. The message
// then contains the reason, even if the script replaced the error.
func luaError(err, reason error) *Error {
	e := &Error{Message: err.Error(), reason: reason}
	if api, ok := errors.AsType[*glua.ApiError](err); ok {
		e.Message, e.Traceback, e.panicked = api.Object.String(), api.StackTrace, api.Type == glua.ApiErrorPanic
		switch value := api.Object.(type) {
		case *glua.LTable:
			e.Value, _ = toGo(nil, value)
			e.Message = tableMessage(value)
		case *glua.LUserData:
			e.Value, _ = toGo(nil, value)
			e.Message = "error object is a userdata"
		}
	}
	e.Message, e.Traceback = untagged(e.Message), untagged(e.Traceback)
	if reason != nil && !strings.Contains(e.Message, reason.Error()) {
		e.Message = reason.Error() + ": " + e.Message
	}
	return e
}

// tableMessage returns the message of a table that was raised as an error.
func tableMessage(t *glua.LTable) string {
	for _, key := range []string{"message", "error", "reason"} {
		if s, ok := t.RawGetString(key).(glua.LString); ok {
			return string(s)
		}
	}
	return "error object is a table"
}

// failureReason returns why the call was killed, or else the failure of a service
// of the host. It returns nil if neither happened.
func (ex *execution) failureReason() error {
	if ex.killReason == nil {
		return ex.hostError
	}
	return ex.killReason
}
