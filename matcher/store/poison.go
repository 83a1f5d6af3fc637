package store

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"nearside/matcher"
)

// poison holds the first fault after which nothing can be written any more. The store
// and everything that Pebble calls share it.
type poison struct {
	once sync.Once
	done chan struct{} // closed by fail, after err was set
	err  error
	warn func(msg string, args ...any)
}

func newPoison(warn func(msg string, args ...any)) *poison {
	return &poison{done: make(chan struct{}), warn: warn}
}

// fail poisons the store, unless it is poisoned already.
func (p *poison) fail(cause error) {
	p.once.Do(func() {
		// The code tells whether more disk space would help.
		code := matcher.CodeUnavailable
		if isFull(cause) {
			code = matcher.CodeFull
		}
		p.err = matcher.Errorf(code, "store: nothing can be written until the server is started again: %w", cause)
		close(p.done)
		p.warn("store: nothing can be written until the server is started again", "error", cause)
	})
}

// failDamaged does the same for a damaged directory. A start does not repair it.
func (p *poison) failDamaged(damage error) {
	p.once.Do(func() {
		p.err = refusal(damage)
		close(p.done)
		p.warn("store: nothing can be written: the data directory is damaged", "error", damage)
	})
}

// refusal returns the error of all writes to a damaged directory.
func refusal(damage error) error {
	return matcher.Errorf(matcher.CodeUnavailable, "store: nothing can be written: %w", damage)
}

// fault returns the fault, or nil.
func (p *poison) fault() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// halt poisons the store and never returns. If the goroutine continued, Pebble would
// end the process or continue with a state that is not on disk. The locks that the
// goroutine holds stay locked, which stops Pebble's other goroutines, too.
func (p *poison) halt(cause error) {
	p.fail(cause)
	select {}
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// fatalLogger is Pebble's logger. Pebble reports errors that it recovers from through
// events, which the store handles. Only fatal errors matter here.
type fatalLogger struct{ *poison }

func (fatalLogger) Infof(string, ...any)  {}
func (fatalLogger) Errorf(string, ...any) {}

// Fatalf halts the goroutine. Pebble expects that the process ends.
func (l fatalLogger) Fatalf(format string, args ...any) {
	text := fmt.Errorf(format, args...)
	for _, a := range args {
		if err, ok := a.(error); ok { // %s and %v do not wrap the error
			text = fmt.Errorf("%w%w", text, silentError{err})
		}
	}
	l.halt(text)
}

// silentError wraps an error whose text is already part of the message.
type silentError struct{ error }

func (silentError) Error() string   { return "" }
func (h silentError) Unwrap() error { return h.error }
