package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ClientsMax is the most clients of a Plan.
const ClientsMax = 4096

// Plan says how requests are sent.
type Plan struct {
	Clients  int           // requests under way at most, 1..ClientsMax
	Duration time.Duration // in which counted requests begin, or are due
	WarmUp   time.Duration // before it; requests are sent, not counted
	Rate     float64       // requests due per second, over all clients; 0: closed loop
}

// check names what is wrong with p.
func (p *Plan) check() error {
	switch {
	case p.Clients < 1 || p.Clients > ClientsMax:
		return fmt.Errorf("load: %d clients are not in 1..%d", p.Clients, ClientsMax)
	case p.Duration <= 0 || p.WarmUp < 0:
		return fmt.Errorf("load: a duration of %v after %v of warm-up is none", p.Duration, p.WarmUp)
	case p.Rate < 0 || p.Rate > 1e6:
		return fmt.Errorf("load: a rate of %v is not in 0..1000000 per second", p.Rate)
	}
	return nil
}

// Clock is the time that a run goes by.
type Clock interface {
	Now() time.Time
	// Until returns when it is t, or when ctx ends.
	Until(ctx context.Context, t time.Time)
}

// Wall is the machine's clock.
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

// Send sends request i of a run and reads its answer of n bytes. It is called
// by many clients at once.
type Send func(ctx context.Context, i int) (n int, err error)

// Run sends requests by plan until its duration is over and the last answer is
// there. In the open loop a server may be so slow that requests are left at the
// end; they are sent for as long as the duration once more, and what is left
// then counts as failed. Failed requests do not end it: the Result counts them. When ctx ends,
// Run returns its error.
func Run(ctx context.Context, p Plan, clock Clock, send Send) (*Result, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	begin := clock.Now()
	r := &run{Plan: p, clock: clock, send: send, begin: begin, counted: begin.Add(p.WarmUp), end: begin.Add(p.WarmUp + p.Duration)}
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
	total.Elapsed = last.Sub(r.counted)
	return total, nil
}

// run is what the clients of a Run share.
type run struct {
	Plan
	clock Clock
	send  Send

	begin, counted, end time.Time

	mu   sync.Mutex
	next int // request
}

// take returns the number of the next request.
func (r *run) take() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	return r.next - 1
}

// due returns when request i is due in the open loop.
func (r *run) due(i int) time.Time {
	return r.begin.Add(time.Duration(float64(i) / r.Rate * float64(time.Second)))
}

// client sends one request at a time.
type client struct {
	*run
	result *Result
	last   time.Time // end of its last counted request
}

// loop sends requests until the plan, or ctx, ends. In the open loop a client
// that is late sends at once, and its latencies count from when requests were
// due.
func (c *client) loop(ctx context.Context) {
	for ctx.Err() == nil {
		i := c.take()
		start := c.clock.Now()
		if c.Rate > 0 {
			start = c.due(i)
		}
		if !start.Before(c.end) {
			return
		}
		if c.Rate > 0 && c.clock.Now().After(c.end.Add(c.Duration)) {
			if !start.Before(c.counted) {
				c.result.fail(notSent, 1)
			}
			continue
		}
		c.clock.Until(ctx, start)
		n, err := c.send(ctx, i)
		if now := c.clock.Now(); !start.Before(c.counted) {
			c.result.add(now.Sub(start), n, err)
			c.last = now
		}
	}
}

// kind names an error for counting: few kinds, whatever the request.
func kind(err error) string {
	if status, ok := errors.AsType[StatusError](err); ok {
		return status.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner // the outer ones name addresses
	}
	return err.Error()
}
