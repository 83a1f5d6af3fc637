package store

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"nearside/matcher"
)

// poison remembers the first fault after which nothing can be written any
// more. It is shared by the store and everything that Pebble calls.
type poison struct {
	once sync.Once
	done chan struct{} // closed by fail, after err was set
	err  error
	warn func(msg string, args ...any)
}

func newPoison(warn func(msg string, args ...any)) *poison {
	return &poison{done: make(chan struct{}), warn: warn}
}

// fail poisons, unless that has happened already.
func (p *poison) fail(cause error) {
	p.once.Do(func() {
		// The code tells the truth about the cause: more disk helps, or it does not.
		code := matcher.CodeUnavailable
		if isFull(cause) {
			code = matcher.CodeFull
		}
		p.err = matcher.Errorf(code, "store: nothing can be written until the server is started again: %w", cause)
		close(p.done)
		p.warn("store: nothing can be written until the server is started again", "error", cause)
	})
}

// get returns the fault, or nil.
func (p *poison) get() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// halt poisons and never returns: the goroutine must not go on, for Pebble
// would end the process, or work on with a state that is not on disk. Locks
// that it holds stay held, which keeps Pebble's other goroutines out too.
func (p *poison) halt(cause error) {
	p.fail(cause)
	select {}
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// fatalLogger is Pebble's logger. Pebble logs faults that it recovers from
// through events, which the store handles; here only the fatal ones count.
type fatalLogger struct{ *poison }

func (fatalLogger) Infof(string, ...any)  {}
func (fatalLogger) Errorf(string, ...any) {}

// Fatalf is where Pebble expects the process to end.
func (l fatalLogger) Fatalf(format string, args ...any) {
	text := fmt.Errorf(format, args...)
	for _, a := range args {
		if err, ok := a.(error); ok { // %s and %v hide what it wraps
			text = fmt.Errorf("%w%w", text, hidden{err})
		}
	}
	l.halt(text)
}

// hidden wraps an error whose text is told already.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }
