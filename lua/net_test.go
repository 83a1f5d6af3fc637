package lua

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"
)

// handClock is a Clock that tests move; its sleeps end with their context or
// when it has moved far enough.
type handClock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
	moved chan struct{} // closed by move
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}

func (c *handClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.slept = append(c.slept, d)
	end := c.now.Add(d)
	for c.now.Before(end) {
		if c.moved == nil {
			c.moved = make(chan struct{})
		}
		moved := c.moved
		c.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.mu.Lock()
	}
	c.mu.Unlock()
	return ctx.Err()
}

func TestBackoff(t *testing.T) {
	for _, f := range []struct {
		random float64
		want   []time.Duration
	}{
		{0, []time.Duration{50, 100, 200, 400, 800, 1600, 3200, 5000, 5000}},
		{0.5, []time.Duration{75, 150, 300, 600, 1200, 2400, 4800, 7500, 7500}},
	} {
		b := backoff{random: func() float64 { return f.random }}
		var got []time.Duration
		for range f.want {
			got = append(got, b.next()/time.Millisecond)
		}
		if !slices.Equal(got, f.want) {
			t.Errorf("pauses %d, want %d", got, f.want)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	ports := map[string]string{"redis": "6379"}
	f := func(text string, want endpoint) {
		t.Helper()
		got, err := parseEndpoint(text, ports)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	f("redis://h", endpoint{scheme: "redis", host: "h", port: "6379"})
	f("redis://u:p%40@[::1]:1/2", endpoint{"redis", "::1", "1", "u", "p@", "2"})
	bad := func(text string) {
		t.Helper()
		if e, err := parseEndpoint(text, ports); err == nil {
			t.Errorf("%s: %+v", text, e)
		}
	}
	bad("redis://")
	bad("redis://h:0")
	bad("redis://h:65536")
	bad("redis://h?x=y")
	bad("amqp://h")
	bad("h:1")
}
