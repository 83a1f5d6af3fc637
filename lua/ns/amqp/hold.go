package amqp

import (
	"context"
	"time"

	"nearside/lua/ns/peer"
)

// hold holds a message until it is due, and then passes it back to the consumer. ctx
// must end with the channel. When the consumer stops, the channel is closed, and
// the server puts the message back into the queue.
func (k *Consumer) hold(ctx context.Context, q Broker, d *Delivery, wait time.Duration) error {
	return k.holdWhile(ctx, q, d, func(ctx context.Context) {
		if k.sleep(ctx, min(wait, maxHold)) != nil {
			return
		}
		// A longer wait would exceed the broker's limit for unacknowledged messages,
		// so a copy of the message waits for the rest of the time.
		if wait <= maxHold || k.renew(ctx, q, d, d.Attempt-1, d.Due) != nil {
			q.Retake(d)
		}
	})
}

// holdStuck holds a message that could not be sent to the dead letters. If retry is
// true, it tries to send the message again after growing pauses. After maxHold, it puts
// a copy of the message at the end of the queue.
func (k *Consumer) holdStuck(ctx context.Context, q Broker, d *Delivery, reason error, retry bool) error {
	return k.holdWhile(ctx, q, d, func(ctx context.Context) {
		defer k.State.Count(func(s *peer.ConsumerStatus) { s.Stuck-- })
		begun := k.now()
		for n := 1; k.now().Sub(begun) < maxHold; n++ {
			wait := maxHold
			if retry {
				wait = peer.RetryWait(n)
			}
			if k.sleep(ctx, wait) != nil {
				return
			}
			if retry && k.deadLetter(ctx, q, d, reason) == nil {
				return
			}
		}
		if k.renew(ctx, q, d, max(d.Attempt, k.Attempts), time.Time{}) != nil {
			_ = q.Requeue(d)
		}
	})
}

// holdWhile runs f in a goroutine. The message d is held until f returns.
func (k *Consumer) holdWhile(ctx context.Context, q Broker, d *Delivery, f func(ctx context.Context)) error {
	k.countHeld(1, len(d.Body))
	k.holders.Add(1)
	_, err := k.owner.Go(func(state context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(state, cancel)()
		f(ctx)
		k.countHeld(-1, -len(d.Body))
		q.Freed(d)
		k.holders.Done()
	})
	if err != nil {
		k.holders.Done()
		k.countHeld(-1, -len(d.Body))
	}
	return err
}

func (k *Consumer) countHeld(messages, bytes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held += messages
	k.bytes += bytes
}

// canHold reports whether the consumer may take more messages in addition to those
// that it holds.
func (k *Consumer) canHold() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held < maxHeld && k.bytes < maxHeldBytes
}
