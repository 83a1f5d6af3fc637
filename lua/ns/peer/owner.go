package peer

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// Limits of the clients and readers that one plugin has open.
const (
	MaxClients = 16 // clients of redis and amqp
	MaxReaders = 64 // subscriptions and consumers
)

// An Owner is one interpreter of a plugin, with the methods that clients need. All
// methods may be called by any goroutine.
type Owner interface {
	// Name returns the name of the plugin.
	Name() string
	// Context returns a context that ends with the interpreter.
	Context() context.Context
	Clock() Clock
	// Counter returns the counter of the plugin's goroutines; it may be nil.
	Counter() *Counter
	// Random returns a number in [0, 1).
	Random() float64
	// Log returns the logger of the plugin.
	Log() *slog.Logger
	// Usage returns the count of clients and readers of all interpreters of the
	// plugin.
	Usage() *Usage

	// Go runs f in a goroutine. ctx ends with the interpreter; f must then
	// return. Go fails while the plugin's file is loading and after the
	// interpreter has ended.
	Go(f func(ctx context.Context)) (Task, error)
	// GoIdle is like Go, for an f that only waits. The Counter does not count it.
	GoIdle(f func(ctx context.Context)) (Task, error)
	// OnDrain registers stop, which is called when the interpreter must not take
	// more work. stop must return when the work in progress has ended or ctx
	// ends. forget removes stop.
	OnDrain(stop func(ctx context.Context)) (forget func())
	// AwaitLive waits until the plugin's generation takes over or ctx ends. It
	// reports whether the generation has taken over.
	AwaitLive(ctx context.Context) bool

	// NewConsumer adds a consumer to the status of the plugin. Consumer.Remove
	// removes it.
	NewConsumer(name string) *Consumer
	// Report logs and counts a failure of a goroutine. part names the part of the
	// plugin that failed.
	Report(part string, err error)
	// Degrade marks the plugin as degraded because a part, such as a connection,
	// does not work. The mark lasts until Recovered is called for the same part
	// or the interpreter ends.
	Degrade(part string, reason error)
	Recovered(part string)
	// Permit returns an error if the plugin may not connect to target, a
	// host:port. kind is "http", "redis" or "amqp".
	Permit(kind, target string) error
}

// A Task is a goroutine of an interpreter. Cancel ends its context.
type Task interface{ Cancel() }

// Usage counts the open clients and readers of a plugin. The zero value is ready
// to use.
type Usage struct{ clients, readers atomic.Int32 }

// OpenReader adds one to the number of readers. It returns false, and adds
// nothing, if the plugin has MaxReaders already.
func (u *Usage) OpenReader() bool { return reserve(&u.readers, MaxReaders) }

// CloseReader subtracts one from the number of readers.
func (u *Usage) CloseReader() { u.readers.Add(-1) }

// reserve adds 1 to n. It returns false, and adds nothing, if n has reached limit.
func reserve(n *atomic.Int32, limit int32) bool {
	if n.Add(1) > limit {
		n.Add(-1)
		return false
	}
	return true
}
