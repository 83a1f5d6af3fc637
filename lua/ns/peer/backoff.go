package peer

import (
	"context"
	"time"
)

// Limits of the pauses between attempts to connect.
const (
	minPause = 100 * time.Millisecond
	maxPause = 10 * time.Second
)

// A Backoff computes the pauses between attempts to connect. Each pause is twice
// as long as the previous one, up to 10 s. Half of a pause is random, so that not
// all clients connect at once when a server comes back. Only one goroutine may
// use a Backoff.
type Backoff struct {
	clock   Clock
	random  func() float64 // in [0, 1)
	attempt int
}

// NewBackoff returns a Backoff that uses the clock and random numbers of owner.
func NewBackoff(owner Owner) *Backoff { return &Backoff{clock: owner.Clock(), random: owner.Random} }

// Next returns the next pause.
func (b *Backoff) Next() time.Duration {
	d := maxPause
	if b.attempt < 7 { // minPause << 7 is longer than maxPause
		d = min(minPause<<b.attempt, maxPause)
		b.attempt++
	}
	return d/2 + time.Duration(b.random()*float64(d/2))
}

// Wait sleeps for the next pause, or returns the error of ctx.
func (b *Backoff) Wait(ctx context.Context) error { return b.clock.Sleep(ctx, b.Next()) }

// Reset makes the next pause the shortest one.
func (b *Backoff) Reset() { b.attempt = 0 }
