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
	// The breaker opens after failuresMax failures in a row, or if half of at
	// least callsMin calls within breakerSpan failed.
	failuresMax = 3
	callsMin    = 20
	breakerSpan = time.Minute
)

// newBreaker returns the circuit breaker of a remote. While it is open, only health
// checks call the remote, so that no request has to test whether it works again.
func newBreaker() *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Interval: breakerSpan,
		Timeout:  healthEvery / 2,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= failuresMax || c.Requests >= callsMin && c.TotalFailures*2 >= c.Requests
		},
		// A cancelled request says nothing about the remote. A refusal is a good
		// answer to a wrong request.
		IsExcluded:   func(err error) bool { return errors.Is(err, errRequestEnded) },
		IsSuccessful: func(err error) bool { return err == nil || errors.As(err, new(*refusal)) },
	})
}

// watchHealth checks the health of r until ctx ends.
func (r *Remote) watchHealth(ctx context.Context) {
	defer close(r.stopped)
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		r.noteHealth(r.checkHealth(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// checkHealth makes one health check. While the breaker is closed, only failed
// checks count: a remote that reports itself healthy may still fail every match.
func (r *Remote) checkHealth(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	call := func() (struct{}, error) {
		return struct{}{}, r.send(ctx, &call{method: http.MethodGet, path: "/healthcheck"})
	}
	if r.breaker.State() != gobreaker.StateClosed {
		_, err := r.breaker.Execute(call)
		return err
	}
	nothing, err := call()
	switch {
	case err != nil:
		_, _ = r.breaker.Execute(func() (struct{}, error) { return nothing, err })
	case r.breaker.State() != gobreaker.StateClosed: // failed calls opened it meanwhile
		return gobreaker.ErrOpenState
	}
	return err
}

// noteHealth updates the health of r after a health check or a call with err, and
// logs changes.
func (r *Remote) noteHealth(err error) {
	switch {
	case errors.Is(err, errRequestEnded): // the request was cancelled, or r is closed
	case errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests): // the reason was noted before
	case err == nil || errors.As(err, new(*refusal)):
		if r.unhealthy.Swap(nil) != nil {
			r.log.Info("remote is healthy again", "remote", r.config.Name)
		}
	default:
		reason := "unhealthy: " + err.Error()
		if r.unhealthy.Swap(&reason) == nil {
			r.log.Warn("remote is unhealthy", "remote", r.config.Name, "error", err)
		}
	}
}
