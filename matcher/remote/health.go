package remote

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	dialTimeout   = 2 * time.Second
	healthEvery   = time.Second
	healthTimeout = 2 * time.Second
	// A remote is left alone after failuresMax failures in a row, or when half
	// of at least callsMin calls of breakerSpan failed.
	failuresMax = 3
	callsMin    = 20
	breakerSpan = time.Minute
)

// newBreaker returns the circuit breaker of a remote. When it is open, only health
// checks try the remote, so that no request has to find out whether it is back.
func newBreaker() *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Interval: breakerSpan,
		Timeout:  healthEvery / 2,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= failuresMax || c.Requests >= callsMin && c.TotalFailures*2 >= c.Requests
		},
		// Whoever asked went away, which says nothing about the remote; or it
		// answered that the request is wrong.
		IsExcluded:   func(err error) bool { return errors.Is(err, errGone) },
		IsSuccessful: func(err error) bool { return err == nil || errors.As(err, new(*refusal)) },
	})
}

// watch checks the health of r until ctx ends.
func (r *Remote) watch(ctx context.Context) {
	defer close(r.stopped)
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		r.note(r.check(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// check asks r once how it is. While the breaker is closed, only what is wrong
// counts: a remote that says it is well may still fail every match.
func (r *Remote) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	ask := func() (struct{}, error) {
		return struct{}{}, r.send(ctx, &call{method: http.MethodGet, path: "/healthcheck"})
	}
	if r.breaker.State() != gobreaker.StateClosed {
		_, err := r.breaker.Execute(ask)
		return err
	}
	none, err := ask()
	switch {
	case err != nil:
		_, _ = r.breaker.Execute(func() (struct{}, error) { return none, err })
	case r.breaker.State() != gobreaker.StateClosed: // calls opened it meanwhile
		return gobreaker.ErrOpenState
	}
	return err
}

// note keeps what a check or a call said about the health of r.
func (r *Remote) note(err error) {
	switch {
	case errors.Is(err, errGone): // or r is closed
	case errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests): // it is known why
	case err == nil || errors.As(err, new(*refusal)):
		if r.sick.Swap(nil) != nil {
			r.log.Info("remote answers again", "remote", r.config.Name)
		}
	default:
		reason := "not well: " + err.Error()
		if r.sick.Swap(&reason) == nil {
			r.log.Warn("remote is not well", "remote", r.config.Name, "error", err)
		}
	}
}
