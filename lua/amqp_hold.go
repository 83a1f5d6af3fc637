package lua

import (
	"context"
	"time"
)

// hold keeps a message that is not due yet, and has it handled when it is. ctx
// ends with the channel. When the consumer stops, the channel's end puts the
// message back.
func (k *amqpConsumer) hold(ctx context.Context, q amqpQueue, d *amqpDelivery, wait time.Duration) error {
	return k.holding(ctx, q, d, func(ctx context.Context) {
		if k.rest(ctx, min(wait, maxHold)) != nil {
			return
		}
		// Before the broker complains that it was not acknowledged for too long.
		if wait <= maxHold || k.renew(ctx, q, d, d.attempt-1, d.due) != nil {
			q.retake(d)
		}
	})
}

// keep holds a message that has no dead letters to go to, and tries again from
// time to time if that can help.
func (k *amqpConsumer) keep(ctx context.Context, q amqpQueue, d *amqpDelivery, reason error, try bool) error {
	return k.holding(ctx, q, d, func(ctx context.Context) {
		defer k.state.count(func(s *ConsumerStatus) { s.Stuck-- })
		begun := k.now()
		for n := 1; k.now().Sub(begun) < maxHold; n++ {
			wait := maxHold
			if try {
				wait = retryWait(n)
			}
			if k.rest(ctx, wait) != nil {
				return
			}
			if try && k.toDead(ctx, q, d, reason) == nil {
				return
			}
		}
		if k.renew(ctx, q, d, max(d.attempt, k.attempts), time.Time{}) != nil {
			_ = q.requeue(d)
		}
	})
}

// holding runs f in a goroutine that holds d.
func (k *amqpConsumer) holding(ctx context.Context, q amqpQueue, d *amqpDelivery, f func(ctx context.Context)) error {
	k.count(1, len(d.Body))
	k.holders.Add(1)
	_, err := k.in.goroutine(func(state context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(state, cancel)()
		f(ctx)
		k.count(-1, -len(d.Body))
		q.freed(d)
		k.holders.Done()
	})
	if err != nil {
		k.holders.Done()
		k.count(-1, -len(d.Body))
	}
	return err
}

func (k *amqpConsumer) count(messages, bytes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held += messages
	k.bytes += bytes
}

// canHold reports whether the consumer may take messages beside those that it
// holds.
func (k *amqpConsumer) canHold() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held < maxHeld && k.bytes < maxHeldBytes
}
