package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ClientsMax is the largest number of clients of a Plan.
const ClientsMax = 4096

// Plan determines how requests are sent.
type Plan struct {
	Clients  int           // largest number of concurrent requests, 1 to ClientsMax
	Duration time.Duration // time in which counted requests start or are due
	WarmUp   time.Duration // time before Duration, in which requests are not counted
	Rate     float64       // requests due per second, over all clients; 0 for a closed loop
}

// check returns an error if p is invalid.
func (p *Plan) check() error {
	switch {
	case p.Clients < 1 || p.Clients > ClientsMax:
		return fmt.Errorf("load: clients must be 1 to %d, got %d", ClientsMax, p.Clients)
	case p.Duration <= 0 || p.WarmUp < 0:
		return fmt.Errorf("load: duration must be above 0 and warm-up at least 0, got %v and %v", p.Duration, p.WarmUp)
	case p.Rate < 0 || p.Rate > 1e6:
		return fmt.Errorf("load: rate must be 0 to 1000000 per second, got %v", p.Rate)
	}
	return nil
}

// Clock is the clock of a run. Tests replace it.
type Clock interface {
	Now() time.Time
	// Until waits until time t, or until ctx ends.
	Until(ctx context.Context, t time.Time)
}

// Wall is the wall clock of the machine.
type Wall struct{}

// Now implements [Clock].
func (Wall) Now() time.Time { return time.Now() }

// Until implements [Clock].
func (Wall) Until(ctx context.Context, t time.Time) {
	wait := time.Until(t)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Send sends request i of a run and reads its answer, which has n bytes. Clients call it
// concurrently.
type Send func(ctx context.Context, i int) (n int, err error)

// Run sends requests by the plan p until its duration is over and the last answer was
// read. In the open loop a slow server may leave due requests unsent at the end. Run sends
// them for up to another Duration; requests that are still unsent then count as failed. A
// failed request does not end the run: the Result counts it. If ctx ends, Run returns the
// error of ctx.
func Run(ctx context.Context, p Plan, clock Clock, send Send) (*Result, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	begin := clock.Now()
	r := &run{Plan: p, clock: clock, send: send, begin: begin, countFrom: begin.Add(p.WarmUp), end: begin.Add(p.WarmUp + p.Duration)}
	clients := make([]client, p.Clients)
	var all sync.WaitGroup
	for i := range clients {
		c := &clients[i]
		c.run, c.result = r, newResult(p)
		all.Go(func() { c.loop(ctx) })
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	total := newResult(p)
	last := r.end
	for i := range clients {
		total.merge(clients[i].result)
		if clients[i].last.After(last) {
			last = clients[i].last
		}
	}
	total.Elapsed = last.Sub(r.countFrom)
	return total, nil
}

// run is the state that the clients of a Run share.
type run struct {
	Plan
	clock Clock
	send  Send

	begin, countFrom, end time.Time // requests from countFrom to end are counted

	mu   sync.Mutex
	next int // number of the next request
}

// nextRequest returns the number of the next request.
func (r *run) nextRequest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	return r.next - 1
}

// due returns the time at which request i is due in the open loop.
func (r *run) due(i int) time.Time {
	return r.begin.Add(time.Duration(float64(i) / r.Rate * float64(time.Second)))
}

// client sends one request at a time.
type client struct {
	*run
	result *Result
	last   time.Time // end of its last counted request
}

// loop sends requests until the plan or ctx ends. In the open loop a late client sends at
// once, and latencies count from the time when the requests were due.
func (c *client) loop(ctx context.Context) {
	for ctx.Err() == nil {
		i := c.nextRequest()
		start := c.clock.Now()
		if c.Rate > 0 {
			start = c.due(i)
		}
		if !start.Before(c.end) {
			return
		}
		if c.Rate > 0 && c.clock.Now().After(c.end.Add(c.Duration)) {
			if !start.Before(c.countFrom) {
				c.result.addErrors(notSent, 1)
			}
			continue
		}
		c.clock.Until(ctx, start)
		n, err := c.send(ctx, i)
		if now := c.clock.Now(); !start.Before(c.countFrom) {
			c.result.addRequest(now.Sub(start), n, err)
			c.last = now
		}
	}
}

// errorKind returns the kind of an error, for counting. It does not depend on the
// individual request.
func errorKind(err error) string {
	if status, ok := errors.AsType[StatusError](err); ok {
		return status.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner // the outer errors contain addresses
	}
	return err.Error()
}
