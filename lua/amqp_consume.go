package lua

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"nearside/lua/vm"
)

// errStopped says that a consumer ended because it was told to.
var errStopped = errors.New("the consumer has stopped")

// newAMQPConsumer makes a consumer of the instance, which ends with it. It
// stops when a drain begins. end has to be called when it has ended.
func newAMQPConsumer(in *instance, name string, shape amqpShape) (k *amqpConsumer, end func()) {
	k = &amqpConsumer{amqpShape: shape, in: in, state: in.newConsumer(name)}
	stopping, cancel := context.WithCancel(in.state.Context())
	k.stopping, k.stop = stopping, cancel
	k.ended = newFlight(in.plugin.host)
	var made atomic.Bool
	forget := in.onDrain(func(ctx context.Context) {
		k.stop()
		if made.Load() { // else the drain has begun before, and the consumer ends at once
			k.ended.wait(ctx)
		}
	})
	made.Store(true)
	release := in.state.Keep(shape.fn)
	return k, func() {
		release()
		forget()
		cancel()
		k.state.remove()
		k.ended.end()
	}
}

// start runs a consumer as a task and gives the script its handle. The
// script gets an error when the server refuses the queue and the client has
// not declared it. While the server cannot be reached, the consumer waits for
// it.
func (a *amqpClient) start(c *vm.Call, shape amqpShape) error {
	readers := &a.in.plugin.network.readers
	if !reserve(readers, maxReaders) {
		return c.Fail(fmt.Errorf("the plugin has %d subscriptions and consumers already", maxReaders))
	}
	k, end := newAMQPConsumer(a.in, "amqp "+a.target+" queue "+shape.queue, shape)
	first := make(chan error, 1)
	task, err := a.in.goroutine(func(ctx context.Context) {
		defer readers.Add(-1)
		defer end()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(a.ctx, cancel)()
		a.consume(ctx, k, first)
	})
	if err != nil {
		readers.Add(-1)
		end()
		return c.Fail(err)
	}
	err = c.Wait(func(ctx context.Context) error {
		limit := time.NewTimer(firstAttempt)
		defer limit.Stop()
		select {
		case err := <-first:
			return err
		case <-limit.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		task.Cancel()
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: taskHandle, Value: task})
}

// consume runs sessions of the consumer until ctx ends or it is stopped. first
// gets the outcome of the first attempt, for the script.
func (a *amqpClient) consume(ctx context.Context, k *amqpConsumer, first chan<- error) {
	pause := newBackoff(a.in.plugin.host.clock)
	told := false
	tell := func(err error) {
		if !told {
			told = true
			first <- err
		}
	}
	for n := 0; ; n++ {
		err := a.session(ctx, k, n > 0, func() {
			pause.attempt = 0
			k.state.set(consumerRunning, nil)
			tell(nil)
		})
		err = a.fault(ctx, err)
		if ctx.Err() != nil || k.stopping.Err() != nil {
			tell(err)
			return
		}
		if !told && !a.comesLater(k.queue, err) {
			tell(err)
			return
		}
		if isRefused(err) {
			k.state.set(consumerDegraded, err)
		} else {
			k.state.lost(err)
		}
		tell(nil)
		if k.rest(ctx, pause.next()) != nil {
			return
		}
	}
}

// comesLater reports whether a consumer that could not begin is to try again
// by itself.
func (a *amqpClient) comesLater(queue string, err error) bool {
	if !isRefused(err) || isLocked(err) {
		return true
	}
	_, declared := a.wanted.find("queue", queue)
	return declared
}
