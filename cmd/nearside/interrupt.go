package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// interruption is the cause of a command's context that a signal ended.
type interruption struct{ signal syscall.Signal }

func (i interruption) Error() string { return "interrupted" }

// exitCode returns the code that shells use for a command that the signal ended.
func (i interruption) exitCode() int { return 128 + int(i.signal) }

// signalContext returns a context that ends with the first SIGINT or SIGTERM.
// The second signal ends the process. The caller calls stop.
func signalContext() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			number, _ := s.(syscall.Signal) // on Linux, every signal has this type
			cancel(interruption{number})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(context.Canceled)
	}
}

// interruptedBy returns the signal that ended ctx.
func interruptedBy(ctx context.Context) (interruption, bool) {
	return errors.AsType[interruption](context.Cause(ctx))
}

// untilInterrupted returns a reader of in that fails when ctx ends, even if a read of
// in is blocked. The goroutine that reads in ends when in ends.
func untilInterrupted(ctx context.Context, in io.Reader) io.Reader {
	out, pipe := io.Pipe()
	context.AfterFunc(ctx, func() { _ = pipe.CloseWithError(context.Cause(ctx)) }) // it always returns nil
	go func() {
		_, err := io.Copy(pipe, in)
		_ = pipe.CloseWithError(err)
	}()
	return out
}

// withGrace returns a context that ends when the time grace has passed after the end of
// ctx. The caller calls stop.
func withGrace(ctx context.Context, grace time.Duration) (late context.Context, stop func()) {
	late, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(fmt.Errorf("%w, and no answer came within %v", context.Cause(ctx), grace))
		case <-late.Done():
		}
	})
	return late, func() {
		unhook()
		cancel(context.Canceled)
	}
}
