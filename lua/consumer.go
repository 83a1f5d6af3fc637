package lua

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// States of a consumer, as /1/plugins shows them.
const (
	consumerConnecting = "connecting" // to its server
	consumerRunning    = "running"
	consumerPaused     = "paused"   // by a failure that is not the messages': it goes on by itself
	consumerDegraded   = "degraded" // it cannot continue, or messages stay that it cannot get rid of
)

// A consumer counts what became of the messages of one reader, and knows how
// the reader is.
type consumer struct {
	in *instance

	mu      sync.Mutex
	status  ConsumerStatus
	stuck   string    // why the last of the stuck messages failed
	down    time.Time // since when it has no connection; zero: it has one
	running func()    // called when it runs, without the lock; may be nil
	ending  func()    // called when it has stopped for good; may be nil
}

// A ConsumerStatus is how one consumer of messages is.
type ConsumerStatus struct {
	Name                 string // "redis 127.0.0.1:6379 stream faces, group nearside"
	State, Reason        string // Reason: why it is not running
	Acked, Retried, Dead uint64
	Stuck                int           // messages that failed for the last time and have no dead letters to go to
	Down                 time.Duration // for which it had no connection, since it was made
}

// newConsumer adds a consumer to the instance's status; remove takes it out.
func (in *instance) newConsumer(name string) *consumer {
	k := &consumer{in: in, status: ConsumerStatus{Name: name, State: consumerConnecting}, down: in.plugin.host.clock.Now()}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.consumers = append(in.consumers, k)
	return k
}

func (k *consumer) remove() {
	k.in.mu.Lock()
	defer k.in.mu.Unlock()
	for i, other := range k.in.consumers {
		if other == k {
			k.in.consumers = append(k.in.consumers[:i:i], k.in.consumers[i+1:]...)
			return
		}
	}
}

// set changes the state and logs a change of it. reason is nil when the
// consumer runs.
func (k *consumer) set(state string, reason error) {
	text := ""
	if reason != nil {
		text = reason.Error()
	}
	k.mu.Lock()
	before := k.status
	if !k.down.IsZero() && state != consumerConnecting {
		k.status.Down += k.in.plugin.host.clock.Now().Sub(k.down)
		k.down = time.Time{}
	}
	if state == consumerRunning && k.status.Stuck > 0 {
		state, text = consumerDegraded, fmt.Sprintf("%d messages failed for the last time and stay, because no dead letters are named; the last one: %s", k.status.Stuck, k.stuck)
	}
	k.status.State, k.status.Reason = state, text
	state = k.status.State
	name, running := k.status.Name, k.running
	k.mu.Unlock()
	if running != nil && state != consumerConnecting {
		running()
	}
	if before.State == state || state == consumerRunning && before.State == consumerConnecting {
		return
	}
	level := slog.LevelWarn
	if state == consumerRunning {
		level = slog.LevelInfo
	}
	k.in.plugin.log.Log(k.in.state.Context(), level, "consumer "+state, slog.String("consumer", name), slog.String("reason", text))
}

// onRunning has f called whenever the consumer begins to read.
func (k *consumer) onRunning(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running = f
}

// lost tells that the connection is gone, and why.
func (k *consumer) lost(err error) {
	k.mu.Lock()
	if k.down.IsZero() {
		k.down = k.in.plugin.host.clock.Now()
	}
	k.mu.Unlock()
	k.set(consumerConnecting, err)
}

// addStuck tells that a message failed for the last time and stays.
func (k *consumer) addStuck(why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Stuck++
	k.stuck = why
}

// count changes the counters.
func (k *consumer) count(f func(s *ConsumerStatus)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.status)
}

func (k *consumer) snapshot() ConsumerStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.status
	if !k.down.IsZero() {
		s.Down += k.in.plugin.host.clock.Now().Sub(k.down)
	}
	return s
}

// consumerStatus is how the instance's consumers are, in the order in which
// they were made.
func (in *instance) consumerStatus() []ConsumerStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := make([]ConsumerStatus, len(in.consumers))
	for i, k := range in.consumers {
		all[i] = k.snapshot()
	}
	return all
}
