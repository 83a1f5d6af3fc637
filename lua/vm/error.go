package vm

import (
	"errors"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// Reasons why a call was ended from outside; errors.Is finds them in an
// *Error.
var (
	ErrSlice      = errors.New("it ran for too long without a waiting call")
	ErrAllocation = errors.New("it allocated more than 64 MiB without a waiting call")
	ErrMemory     = errors.New("the plugin holds more memory than its limit: its state is replaced")
	ErrTimeout    = errors.New("the call took longer than its limit")
	ErrCancelled  = errors.New("the call was cancelled")
	ErrClosed     = errors.New("the state is closed")
	ErrTasks      = errors.New("too many tasks")
	ErrHost       = errors.New("a service of the host failed") // a Function may return it, wrapped
)

// An Error is a Lua error that nobody caught.
type Error struct {
	Message   string // "file:line: reason"
	Traceback string
	Value     any   // what was raised, when it is no string
	reason    error // one of the above, or the cause in Go
	panicked  bool  // the interpreter itself failed
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.reason }

// Broken reports whether a state should be replaced after a call failed with
// err: a budget ended the call at some instruction, the state was killed for
// its memory, or the interpreter itself failed. An error that a script raised,
// a service of the host that failed, and a caller that gave up, leave the
// state as good as it was.
func Broken(err error) bool {
	if errors.Is(err, ErrMemory) {
		return true // also when the call did not begin
	}
	e, ok := errors.AsType[*Error](err)
	return ok && (e.panicked || e.reason != nil && !errors.Is(e.reason, ErrCancelled) && !errors.Is(e.reason, ErrHost))
}

// luaError makes an *Error of what a protected call returned. reason, when
// not nil, is why the call was killed: it holds over what the script made of
// it.
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
	e.Message, e.Traceback = unmarked(e.Message), unmarked(e.Traceback)
	if reason != nil && !strings.Contains(e.Message, reason.Error()) {
		e.Message = reason.Error() + ": " + e.Message
	}
	return e
}

// tableMessage is what a table that was raised has to say.
func tableMessage(t *glua.LTable) string {
	for _, key := range []string{"message", "error", "reason"} {
		if s, ok := t.RawGetString(key).(glua.LString); ok {
			return string(s)
		}
	}
	return "error object is a table"
}

// reason is why a call failed, beside what its script says: it was killed, or
// a service of the host failed.
func (t *task) reason() error {
	if t.dead == nil {
		return t.host
	}
	return t.dead
}
