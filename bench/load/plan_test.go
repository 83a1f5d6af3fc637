package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that advances only when a client waits or the server works. Only one
// client may use it.
type clock struct {
	now   time.Time
	waits []time.Duration
}

func newClock() *clock { return &clock{now: time.UnixMilli(1e12)} }

func (c *clock) Now() time.Time { return c.now }

func (c *clock) Until(_ context.Context, t time.Time) {
	if wait := t.Sub(c.now); wait > 0 {
		c.waits = append(c.waits, wait)
		c.now = t
	}
}

// server returns a Send that answers request i after took[i].
func (c *clock) server(took map[int]time.Duration) Send {
	return func(_ context.Context, i int) (int, error) {
		c.now = c.now.Add(took[i])
		return 10, nil
	}
}

func near(t *testing.T, name string, got, want time.Duration) {
	t.Helper()
	if diff := got - want; diff < -want/500-time.Microsecond || diff > want/500+time.Microsecond { // Latencies have three significant digits
		t.Errorf("%s: %v, want %v", name, got, want)
	}
}

// TestOpenLoopCountsFromWhenDue sends 10 requests a second. The first takes a second, all
// others take no time. The nine requests that were due meanwhile must count with latencies
// of 0.9 s to 0.1 s.
func TestOpenLoopCountsFromWhenDue(t *testing.T) {
	c := newClock()
	r, err := Run(t.Context(), Plan{Clients: 1, Duration: 2 * time.Second, Rate: 10}, c, c.server(map[int]time.Duration{0: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 20 || r.Failed() != 0 || r.BytesIn != 200 || r.Rate() != 10 {
		t.Errorf("%d requests, %d failed, %d bytes, %v per second", r.Requests, r.Failed(), r.BytesIn, r.Rate())
	}
	near(t, "max", r.Latencies.Max(), time.Second)
	near(t, "p75", r.Latencies.Quantile(0.75), 500*time.Millisecond) // latencies: 1.0, 0.9 .. 0.1 and ten times 0
	near(t, "p50", r.Latencies.Quantile(0.5), 0)
	near(t, "mean", r.Latencies.Mean(), 275*time.Millisecond)
	if len(c.waits) != 9 || c.waits[0] != 100*time.Millisecond {
		t.Errorf("waited %v", c.waits) // for requests 11..19; request 10 is due at 1 s, when the first was answered
	}
}

func TestClosedLoopSendsWhenAnswered(t *testing.T) {
	c := newClock()
	took := map[int]time.Duration{}
	for i := range 1000 {
		took[i] = 100 * time.Millisecond
	}
	took[12] = time.Second // the last request that starts before the end
	r, err := Run(t.Context(), Plan{Clients: 1, Duration: time.Second, WarmUp: 300 * time.Millisecond}, c, c.server(took))
	if err != nil {
		t.Fatal(err)
	}
	// Requests 0..2 are the warm-up, requests 3..12 start in the second after it.
	if r.Requests != 10 || r.Elapsed != 1900*time.Millisecond {
		t.Errorf("%d requests in %v", r.Requests, r.Elapsed)
	}
	near(t, "p50", r.Latencies.Quantile(0.5), 100*time.Millisecond)
	near(t, "max", r.Latencies.Max(), time.Second)
	if len(c.waits) != 0 {
		t.Errorf("waited %v", c.waits)
	}
}

func TestWarmUpOfTheOpenLoopIsNotCounted(t *testing.T) {
	c := newClock()
	took := map[int]time.Duration{0: 50 * time.Millisecond}
	r, err := Run(t.Context(), Plan{Clients: 1, Duration: time.Second, WarmUp: time.Second, Rate: 8}, c, c.server(took))
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 8 || r.Elapsed != time.Second || r.Latencies.Max() > time.Microsecond {
		t.Errorf("%d requests in %v, up to %v", r.Requests, r.Elapsed, r.Latencies.Max())
	}
}

// TestUnsentRequestsFail: 100 requests are due in one second, and the server needs a quarter of
// a second for each. Requests are sent for one more second. The rest count as not sent.
func TestUnsentRequestsFail(t *testing.T) {
	c := newClock()
	r, err := Run(t.Context(), Plan{Clients: 1, Duration: time.Second, Rate: 100}, c, func(context.Context, int) (int, error) {
		c.now = c.now.Add(250 * time.Millisecond)
		return 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 9 || r.Errors[notSent] != 91 || r.Elapsed != 2250*time.Millisecond { // at 0, 0.25 .. 2.0 s
		t.Errorf("%d requests in %v, errors %v", r.Requests, r.Elapsed, r.Errors)
	}
	near(t, "max", r.Latencies.Max(), 2250*time.Millisecond-80*time.Millisecond)
}

func TestErrorsAreCounted(t *testing.T) {
	c := newClock()
	r, err := Run(t.Context(), Plan{Clients: 1, Duration: time.Second, Rate: 100}, c, func(_ context.Context, i int) (int, error) {
		switch {
		case i < 50:
			return 1, nil
		case i < 60:
			return 0, fmt.Errorf("outside: %w", StatusError(http.StatusServiceUnavailable))
		case i < 65:
			return 0, fmt.Errorf("Post: %w", context.DeadlineExceeded)
		default:
			return 0, errors.New("kind " + strings.Repeat("x", i))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 50 || r.Failed() != 50 || r.Latencies.Count() != 50 || r.Rate() != 50 {
		t.Errorf("%d good, %d failed, %d latencies", r.Requests, r.Failed(), r.Latencies.Count())
	}
	if r.Errors["HTTP 503"] != 10 || r.Errors["timeout"] != 5 || r.Errors[otherErrors] != 50-10-5-(kindsMax-2) || len(r.Errors) != kindsMax+1 {
		t.Errorf("%v", r.Errors)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan struct{}, 4)
	go func() {
		for range 4 {
			<-sent
		}
		cancel()
	}()
	_, err := Run(ctx, Plan{Clients: 4, Duration: time.Hour}, Wall{}, func(ctx context.Context, _ int) (int, error) {
		sent <- struct{}{}
		<-ctx.Done()
		return 0, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestInvalidPlans(t *testing.T) {
	for _, p := range []Plan{
		{Clients: 0, Duration: 1},
		{Clients: ClientsMax + 1, Duration: 1},
		{Clients: 1},
		{Clients: 1, Duration: 1, WarmUp: -1},
		{Clients: 1, Duration: 1, Rate: -1},
		{Clients: 1, Duration: 1, Rate: 1e9},
	} {
		if _, err := Run(t.Context(), p, newClock(), nil); err == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
}

func TestLatencies(t *testing.T) {
	l, other := NewLatencies(), NewLatencies()
	if l.Quantile(0.5) != 0 || l.Max() != 0 || l.Mean() != 0 {
		t.Error("empty latencies are not 0")
	}
	for i := range 500 {
		l.Add(time.Duration(i+1) * time.Millisecond)
		other.Add(time.Duration(i+501) * time.Millisecond)
	}
	l.Merge(other)
	if l.Count() != 1000 {
		t.Errorf("%d latencies", l.Count())
	}
	near(t, "p50", l.Quantile(0.5), 500*time.Millisecond)
	near(t, "p99", l.Quantile(0.99), 990*time.Millisecond)
	near(t, "max", l.Max(), time.Second)
	l.Add(-time.Second) // as if the clock was set back
	l.Add(time.Hour)
	near(t, "max", l.Max(), latencyMax)
	if l.Count() != 1002 {
		t.Errorf("%d latencies", l.Count())
	}
}
