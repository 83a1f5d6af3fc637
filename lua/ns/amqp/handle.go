package amqp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"nearside/lua/ns/peer"
)

// Limits of the messages that a consumer holds. A held message is not acknowledged.
// It waits for its next attempt, or it could not be sent to the dead letters.
const (
	maxHeld      = 1000
	maxHeldBytes = 64 << 20
	maxHold      = 10 * time.Minute // how long a message is held; RabbitMQ allows 30 minutes
)

// A Broker is the part of a server that a consumer uses. It is a channel of a real
// server, or a double in plugin tests. An error of Ack, Requeue or Reject means that
// the channel is lost; the server then delivers the message again.
type Broker interface {
	Ack(d *Delivery) error
	Requeue(d *Delivery) error // puts d back into the queue
	Reject(d *Delivery) error  // sends d to the queue's own dead-letter target
	// Forward publishes m in place of d. It acknowledges d when m is in a queue.
	Forward(ctx context.Context, d *Delivery, exchange, key string, m Message) error
	// MakeQueue creates a durable queue unless a queue of that name exists.
	MakeQueue(ctx context.Context, name string) error
	// OwnDead reports whether the queue of d has its own dead-letter target. It
	// fails if the target does not exist or the server cannot be reached.
	OwnDead(ctx context.Context, d *Delivery) (bool, error)
	// Retake passes d back to the consumer, which handles it after the current
	// message.
	Retake(d *Delivery)
	// Freed is called when d is no longer held.
	Freed(d *Delivery)
}

// A DeadTarget is the destination of a consumer's dead letters.
type DeadTarget struct {
	Queue         string // a queue, reached through the default exchange
	Exchange, Key string // Key "": the key of the message
	Own           bool   // use the queue's x-dead-letter-exchange, which a policy may have set
}

// ConsumerOptions are the options for consuming the messages of a queue.
type ConsumerOptions struct {
	Queue    string
	Prefetch int // messages that the server sends in advance
	Attempts int // the maximum number of attempts for one message
	Dead     DeadTarget
	Timeout  time.Duration // of an operation; Client.Consume sets it

	// Handle handles one message. It is called by one goroutine at a time.
	Handle func(d *Delivery) peer.Verdict
	// Release is called once when the consumer has ended or could not start.
	Release func()
}

// A Consumer passes the messages of a queue to a handler, one after the other.
type Consumer struct {
	ConsumerOptions
	State *peer.Consumer
	owner peer.Owner

	// Stopping ends when the consumer must not take more messages. Stop ends
	// Stopping; a drain calls Stop. The creator of a consumer may replace Stop
	// before the consumer starts.
	Stopping context.Context
	Stop     context.CancelFunc
	ended    *peer.Flight // ends when the consumer has ended

	holders sync.WaitGroup // the goroutines that hold messages

	mu    sync.Mutex
	held  int // messages
	bytes int // in the bodies of held messages
}

// HandleDelivery passes a message to the handler and applies the verdict. It reports
// whether the message is held. It returns an error of the broker. ctx must end with
// the channel.
func (k *Consumer) HandleDelivery(ctx context.Context, q Broker, d *Delivery) (held bool, err error) {
	if wait := d.Due.Sub(k.now()); !d.Due.IsZero() && wait > 0 {
		return true, k.hold(ctx, q, d, wait)
	}
	if len(d.Body) > MaxMessage {
		return k.deadLetterOrHold(ctx, q, d, fmt.Errorf("the message has %d bytes; at most %d are allowed", len(d.Body), MaxMessage))
	}
	if d.Attempt > k.Attempts {
		d.Attempt--
		return k.deadLetterOrHold(ctx, q, d, fmt.Errorf("the message has used all %d attempts", k.Attempts))
	}
	for failures := 1; ; failures++ {
		v := k.Handle(d)
		switch v.Kind {
		case peer.Ack:
			k.State.Count(func(s *peer.ConsumerStatus) { s.Acked++ })
			k.State.Set(peer.Running, nil)
			return false, q.Ack(d)
		case peer.Retry:
			k.State.Set(peer.Running, nil)
			return k.retry(ctx, q, d, v)
		case peer.Dead:
			return k.deadLetterOrHold(ctx, q, d, v.Err)
		case peer.Pause:
			k.State.Set(peer.Paused, v.Err)
			if k.sleep(ctx, peer.PauseWait(failures)) == nil {
				continue
			}
		}
		return false, q.Requeue(d) // paused or cancelled
	}
}

func (k *Consumer) now() time.Time { return k.owner.Clock().Now() }

// AwaitLive waits until the plugin's generation takes over, the consumer stops or
// ctx ends. The consumer subscribes before it calls AwaitLive, so that an
// auto-delete queue does not lose its last consumer during a reload. Therefore the
// server may send messages before AwaitLive returns.
func (k *Consumer) AwaitLive(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.Stopping, cancel)()
	k.owner.AwaitLive(ctx)
}

// sleep waits for d. It returns an error if the consumer stops or ctx ends first.
func (k *Consumer) sleep(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.Stopping, cancel)()
	return k.owner.Clock().Sleep(ctx, d)
}

// retry counts a failed attempt and schedules the next one. It stores the count in a
// header of a new copy of the message. The header x-delivery-count of quorum queues
// is not suitable, because it also counts messages that were only prefetched.
func (k *Consumer) retry(ctx context.Context, q Broker, d *Delivery, v peer.Verdict) (held bool, err error) {
	k.reportAttempt(d, v)
	if d.Attempt >= k.Attempts {
		return k.deadLetterOrHold(ctx, q, d, v.Err)
	}
	k.State.Count(func(s *peer.ConsumerStatus) { s.Retried++ })
	wait := v.Wait
	if wait == 0 {
		wait = peer.RetryWait(d.Attempt)
	}
	due := k.now().Add(wait)
	err = k.renew(ctx, q, d, d.Attempt, due)
	if err == nil || ctx.Err() != nil {
		return false, ctx.Err()
	}
	k.owner.Log().Warn("a message waits in memory for its next attempt, because it could not be published again: a restart forgets its attempts",
		slog.String("queue", k.Queue), slog.String("error", err.Error()))
	d.Attempt++
	d.Due = due
	return true, k.hold(ctx, q, d, wait)
}

// renew replaces a message with a copy at the end of the queue. used is the number
// of attempts that the message has used.
func (k *Consumer) renew(ctx context.Context, q Broker, d *Delivery, used int, due time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, k.Timeout)
	defer cancel()
	return q.Forward(ctx, d, "", k.Queue, d.forRetry(k.Queue, used, due))
}

// reportAttempt reports a failed attempt.
func (k *Consumer) reportAttempt(d *Delivery, v peer.Verdict) {
	if v.PluginFailed {
		k.owner.Report("consumer", fmt.Errorf("queue %s: %w", k.Queue, v.Err))
		return
	}
	k.owner.Log().Warn("a message was not handled", slog.String("queue", k.Queue), slog.Int("attempt", d.Attempt),
		slog.String("outcome", "retry"), slog.String("reason", v.Err.Error()))
}

// deadLetterOrHold sends a message to the dead letters. If that fails, the message is held.
func (k *Consumer) deadLetterOrHold(ctx context.Context, q Broker, d *Delivery, reason error) (held bool, err error) {
	if err = k.deadLetter(ctx, q, d, reason); err == nil {
		k.State.Set(peer.Running, nil)
		return false, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	k.State.AddStuck(err.Error())
	k.State.Set(peer.Degraded, fmt.Errorf("a message stays in the queue: %w; its last attempt failed: %w", err, reason))
	k.owner.Log().Error("a message stays in the queue", slog.String("queue", k.Queue), slog.Int("attempt", d.Attempt),
		slog.String("error", err.Error()), slog.String("reason", reason.Error()))
	return true, k.holdStuck(ctx, q, d, reason, !errors.Is(err, errNoDead))
}

var errNoDead = errors.New("the queue has no dead-letter exchange, and the option dead of consume is not set")

// deadLetter sends a message to the dead letters, counts it and logs it.
func (k *Consumer) deadLetter(ctx context.Context, q Broker, d *Delivery, reason error) error {
	ctx, cancel := context.WithTimeout(ctx, k.Timeout)
	defer cancel()
	if err := k.sendDeadLetter(ctx, q, d, reason); err != nil {
		return err
	}
	k.State.Count(func(s *peer.ConsumerStatus) { s.Dead++ })
	k.owner.Log().Warn("a message went to the dead letters", slog.String("queue", k.Queue), slog.Int("attempt", d.Attempt),
		slog.String("reason", reason.Error()))
	return nil
}

// sendDeadLetter publishes a message to the first dead-letter target that is configured, or
// rejects it, so that the server sends it to the queue's own target.
func (k *Consumer) sendDeadLetter(ctx context.Context, q Broker, d *Delivery, reason error) error {
	t := k.Dead
	switch {
	case t.Queue != "":
		letter := d.forDeadLetters(k.Queue, reason)
		err := q.Forward(ctx, d, "", t.Queue, letter)
		if errors.Is(err, ErrNoQueue) {
			if err = q.MakeQueue(ctx, t.Queue); err == nil {
				err = q.Forward(ctx, d, "", t.Queue, letter)
			}
		}
		return withName("dead-letter queue "+t.Queue, err)
	case t.Exchange != "":
		key := t.Key
		if key == "" {
			key = d.Key
		}
		return withName("dead-letter exchange "+t.Exchange, q.Forward(ctx, d, t.Exchange, key, d.forDeadLetters(k.Queue, reason)))
	case !t.Own:
		own, err := q.OwnDead(ctx, d)
		if err == nil && !own {
			err = errNoDead
		}
		if err != nil {
			return err
		}
	}
	return q.Reject(d)
}

func withName(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
