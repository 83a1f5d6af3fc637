package ns

import (
	"context"
	"log/slog"
	"slices"

	"nearside/lua/ns/peer"
)

// The methods of Instance in this file, and Report, Degrade, Recovered, OnDrain and
// Permit, implement [peer.Owner].

// Name implements [peer.Owner].
func (in *Instance) Name() string { return in.Plugin.About.Name }

// Context implements [peer.Owner].
func (in *Instance) Context() context.Context { return in.State.Context() }

// Clock implements [peer.Owner].
func (in *Instance) Clock() peer.Clock { return in.Plugin.Host.Clock }

// Counter implements [peer.Owner].
func (in *Instance) Counter() *peer.Counter { return in.Plugin.Host.Doubles.Counter }

// Random implements [peer.Owner].
func (in *Instance) Random() float64 { return in.Plugin.Host.Doubles.random() }

// Log implements [peer.Owner].
func (in *Instance) Log() *slog.Logger { return in.Plugin.Log }

// Usage implements [peer.Owner].
func (in *Instance) Usage() *peer.Usage { return &in.Plugin.network.usage }

// AwaitLive implements [peer.Owner].
func (in *Instance) AwaitLive(ctx context.Context) bool { return in.Plugin.BeforeLive.Wait(ctx) }

// Go implements [peer.Owner].
func (in *Instance) Go(f func(ctx context.Context)) (peer.Task, error) {
	task, err := in.Goroutine(f)
	if err != nil {
		return nil, err
	}
	return task, nil
}

// GoIdle implements [peer.Owner].
func (in *Instance) GoIdle(f func(ctx context.Context)) (peer.Task, error) {
	if !in.Plugin.Checked.Load() {
		return nil, errTooEarly
	}
	task, err := in.State.Go(f)
	if err != nil {
		return nil, err
	}
	return task, nil
}

// NewConsumer implements [peer.Owner].
func (in *Instance) NewConsumer(name string) *peer.Consumer {
	k := peer.NewConsumer(name, in.Clock(), in.Log(), in.removeConsumer)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.consumers = append(in.consumers, k)
	return k
}

func (in *Instance) removeConsumer(k *peer.Consumer) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if i := slices.Index(in.consumers, k); i >= 0 {
		in.consumers = slices.Delete(slices.Clone(in.consumers), i, i+1)
	}
}

// ConsumerStatus returns the status of the instance's consumers, in the order
// in which they were created.
func (in *Instance) ConsumerStatus() []peer.ConsumerStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := make([]peer.ConsumerStatus, len(in.consumers))
	for i, k := range in.consumers {
		all[i] = k.Snapshot()
	}
	return all
}
