package peer

import (
	"slices"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for _, f := range []struct {
		random float64
		want   []time.Duration
	}{
		{0, []time.Duration{50, 100, 200, 400, 800, 1600, 3200, 5000, 5000}},
		{0.5, []time.Duration{75, 150, 300, 600, 1200, 2400, 4800, 7500, 7500}},
	} {
		b := Backoff{random: func() float64 { return f.random }}
		var got []time.Duration
		for range f.want {
			got = append(got, b.Next()/time.Millisecond)
		}
		if !slices.Equal(got, f.want) {
			t.Errorf("pauses %d, want %d", got, f.want)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	ports := map[string]string{"redis": "6379"}
	f := func(text string, want Endpoint) {
		t.Helper()
		got, err := ParseEndpoint(text, ports)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	f("redis://h", Endpoint{Scheme: "redis", Host: "h", Port: "6379"})
	f("redis://u:p%40@[::1]:1/2", Endpoint{"redis", "::1", "1", "u", "p@", "2"})
	bad := func(text string) {
		t.Helper()
		if e, err := ParseEndpoint(text, ports); err == nil {
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
