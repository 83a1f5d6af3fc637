package amqp

import (
	"context"
	"errors"
	"sync/atomic"

	"nearside/lua/ns/peer"
)

// errStopped means that a consumer ended because it was stopped.
var errStopped = errors.New("the consumer has stopped")

// NewConsumer returns a consumer of owner. The consumer stops when a drain begins.
// The caller must call end when the consumer has ended.
func NewConsumer(owner peer.Owner, name string, o ConsumerOptions) (k *Consumer, end func()) {
	k = &Consumer{ConsumerOptions: o, owner: owner, State: owner.NewConsumer(name)}
	stopping, cancel := context.WithCancel(owner.Context())
	k.Stopping, k.Stop = stopping, cancel
	k.ended = peer.NewFlight(owner.Counter())
	var registered atomic.Bool
	forget := owner.OnDrain(func(ctx context.Context) {
		k.Stop()
		// If a drain has begun already, OnDrain calls this function itself. The consumer has
		// not started then, so there is nothing to wait for.
		if registered.Load() {
			k.ended.Wait(ctx)
		}
	})
	registered.Store(true)
	return k, func() {
		o.Release()
		forget()
		cancel()
		k.State.Remove()
		k.ended.End()
	}
}

// Consume starts a consumer, which runs until the task is cancelled. Consume waits
// up to [peer.FirstAttempt] for the first attempt. It fails if the server refuses
// the queue and the client has not declared it. While the server cannot be reached,
// the consumer keeps trying.
func (a *Client) Consume(ctx context.Context, o ConsumerOptions) (peer.Task, error) {
	o.Timeout = a.Timeout
	usage := a.Owner.Usage()
	if !usage.OpenReader() {
		o.Release()
		return nil, peer.ErrTooManyReaders
	}
	k, end := NewConsumer(a.Owner, "amqp "+a.Target+" queue "+o.Queue, o)
	first := make(chan error, 1)
	task, err := a.Owner.Go(func(ctx context.Context) {
		defer usage.CloseReader()
		defer end()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(a.Context(), cancel)()
		a.consume(ctx, k, first)
	})
	if err != nil {
		usage.CloseReader()
		end()
		return nil, err
	}
	if err := peer.AwaitFirst(ctx, first); err != nil {
		task.Cancel()
		return nil, err
	}
	return task, nil
}

// consume runs sessions of the consumer until ctx ends or the consumer is stopped. It
// sends the outcome of the first attempt to first, from which Consume returns it.
func (a *Client) consume(ctx context.Context, k *Consumer, first chan<- error) {
	pause := peer.NewBackoff(a.Owner)
	reported := false
	reportFirst := func(err error) {
		if !reported {
			reported = true
			first <- err
		}
	}
	for n := 0; ; n++ {
		err := a.runSession(ctx, k, n > 0, func() {
			pause.Reset()
			k.State.Set(peer.Running, nil)
			reportFirst(nil)
		})
		err = a.WithTarget(ctx, err)
		if ctx.Err() != nil || k.Stopping.Err() != nil {
			reportFirst(err)
			return
		}
		if !reported && !a.mayRecover(k.Queue, err) {
			reportFirst(err)
			return
		}
		if IsRefused(err) {
			k.State.Set(peer.Degraded, err)
		} else {
			k.State.Lost(err)
		}
		reportFirst(nil)
		if k.sleep(ctx, pause.Next()) != nil {
			return
		}
	}
}

// mayRecover reports whether a consumer whose first attempt failed with err should keep
// trying.
func (a *Client) mayRecover(queue string, err error) bool {
	if !IsRefused(err) || isLocked(err) {
		return true
	}
	_, declared := a.wanted.Find("queue", queue)
	return declared
}
