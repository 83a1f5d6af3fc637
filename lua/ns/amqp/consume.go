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
	var made atomic.Bool
	forget := owner.OnDrain(func(ctx context.Context) {
		k.Stop()
		if made.Load() { // otherwise the drain began earlier, and the consumer ends at once
			k.ended.Wait(ctx)
		}
	})
	made.Store(true)
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

// consume runs sessions of the consumer until ctx ends or the consumer is stopped.
// It sends the outcome of the first attempt to first; the script receives it.
func (a *Client) consume(ctx context.Context, k *Consumer, first chan<- error) {
	pause := peer.NewBackoff(a.Owner)
	told := false
	tell := func(err error) {
		if !told {
			told = true
			first <- err
		}
	}
	for n := 0; ; n++ {
		err := a.session(ctx, k, n > 0, func() {
			pause.Reset()
			k.State.Set(peer.Running, nil)
			tell(nil)
		})
		err = a.Fault(ctx, err)
		if ctx.Err() != nil || k.Stopping.Err() != nil {
			tell(err)
			return
		}
		if !told && !a.comesLater(k.Queue, err) {
			tell(err)
			return
		}
		if IsRefused(err) {
			k.State.Set(peer.Degraded, err)
		} else {
			k.State.Lost(err)
		}
		tell(nil)
		if k.rest(ctx, pause.Next()) != nil {
			return
		}
	}
}

// comesLater reports whether a consumer whose first attempt failed with err should
// keep trying.
func (a *Client) comesLater(queue string, err error) bool {
	if !IsRefused(err) || isLocked(err) {
		return true
	}
	_, declared := a.wanted.Find("queue", queue)
	return declared
}
