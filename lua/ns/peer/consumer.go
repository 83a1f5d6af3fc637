package peer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// States of a consumer, as /1/plugins shows them.
const (
	Connecting = "connecting" // to its server
	Running    = "running"
	Paused     = "paused"   // after a failure not caused by a message; it resumes by itself
	Degraded   = "degraded" // it cannot continue, or it holds messages without attempts left that it cannot send to the dead letters
)

// A ConsumerStatus is the status of one consumer of messages.
type ConsumerStatus struct {
	Name                 string // "redis 127.0.0.1:6379 stream faces, group nearside"
	State, Reason        string // Reason says why the consumer is not running
	Acked, Retried, Dead uint64
	Stuck                int           // messages that failed for the last time and could not be sent to the dead letters
	Down                 time.Duration // total time without a connection
}

// A Consumer holds the state of one reader of messages and counts the outcomes of
// the messages. Its methods may be called by any goroutine.
type Consumer struct {
	clock  Clock
	log    *slog.Logger
	remove func(*Consumer)

	mu            sync.Mutex
	status        ConsumerStatus
	stuck         string    // why the most recent stuck message is stuck
	down          time.Time // when the connection was lost; zero: connected
	whenConnected func()    // see onConnected; may be nil
	whenEnded     func()    // called when the reader has stopped for good; may be nil
}

// NewConsumer returns a consumer that is not connected yet. Consumer.Remove calls
// remove.
func NewConsumer(name string, clock Clock, log *slog.Logger, remove func(*Consumer)) *Consumer {
	return &Consumer{
		clock: clock, log: log, remove: remove,
		status: ConsumerStatus{Name: name, State: Connecting}, down: clock.Now(),
	}
}

// Remove removes the consumer from the status of its plugin.
func (k *Consumer) Remove() { k.remove(k) }

// Set sets the state and logs the change. A change from Connecting to Running is not
// logged. While there are stuck messages, Running becomes Degraded. reason is nil
// for Running.
func (k *Consumer) Set(state string, reason error) {
	text := ""
	if reason != nil {
		text = reason.Error()
	}
	// Degraded does not count: the server has refused the reader.
	connected := state == Running || state == Paused
	k.mu.Lock()
	before := k.status
	if !k.down.IsZero() && state != Connecting {
		k.status.Down += k.clock.Now().Sub(k.down)
		k.down = time.Time{}
	}
	if state == Running && k.status.Stuck > 0 {
		state, text = Degraded, fmt.Sprintf("%d messages failed for the last time and stay at the server; the last one: %s", k.status.Stuck, k.stuck)
	}
	k.status.State, k.status.Reason = state, text
	state = k.status.State
	name, whenConnected := k.status.Name, k.whenConnected
	k.mu.Unlock()
	if whenConnected != nil && connected {
		whenConnected()
	}
	if before.State == state || state == Running && before.State == Connecting {
		return
	}
	level := slog.LevelWarn
	if state == Running {
		level = slog.LevelInfo
	}
	k.log.Log(context.Background(), level, "consumer "+state, slog.String("consumer", name), slog.String("reason", text))
}

// onConnected registers f, which Set calls without the lock for the states Running and
// Paused. In both, the reader is connected and the server has accepted it.
func (k *Consumer) onConnected(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.whenConnected = f
}

// OnEnd registers f. The reader's goroutine calls f when the reader has stopped
// for good.
func (k *Consumer) OnEnd(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.whenEnded = f
}

// end calls the function that OnEnd registered.
func (k *Consumer) end() {
	k.mu.Lock()
	whenEnded := k.whenEnded
	k.mu.Unlock()
	if whenEnded != nil {
		whenEnded()
	}
}

// Lost records that the connection was lost because of err.
func (k *Consumer) Lost(err error) {
	k.mu.Lock()
	if k.down.IsZero() {
		k.down = k.clock.Now()
	}
	k.mu.Unlock()
	k.Set(Connecting, err)
}

// AddStuck counts a message that has no attempts left and stays at the server. why is
// the reason, for the status.
func (k *Consumer) AddStuck(why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Stuck++
	k.stuck = why
}

// Count calls f, which changes the counters, under the consumer's lock.
func (k *Consumer) Count(f func(s *ConsumerStatus)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.status)
}

// Snapshot returns the current status.
func (k *Consumer) Snapshot() ConsumerStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.status
	if !k.down.IsZero() {
		s.Down += k.clock.Now().Sub(k.down)
	}
	return s
}
