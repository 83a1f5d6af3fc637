package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"nearside/lua/vm"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Bounds of the messages that a consumer holds: they wait for their next
// attempt, or have no dead letters to go to, and are not acknowledged.
const (
	maxHeld      = 1000
	maxHeldBytes = 64 << 20
	maxHold      = 10 * time.Minute // for which a message is held; RabbitMQ's limit is 30 minutes
)

// An amqpQueue is what a consumer needs of its broker. Errors of ack, requeue
// and reject say that the channel is lost; the broker then delivers the
// message again.
type amqpQueue interface {
	ack(d *amqpDelivery) error
	requeue(d *amqpDelivery) error
	reject(d *amqpDelivery) error // to the queue's own dead letters
	// forward publishes p in place of d, and acknowledges d when the broker has
	// p in a queue.
	forward(ctx context.Context, d *amqpDelivery, exchange, key string, p amqp.Publishing) error
	// makeQueue makes a durable queue, unless there is one of that name.
	makeQueue(ctx context.Context, name string) error
	// ownDead says whether the queue has dead letters of its own. The error
	// says that they do not exist, or cannot be reached.
	ownDead(ctx context.Context, d *amqpDelivery) (bool, error)
	// retake has the consumer handle d when it has handled what it is at.
	retake(d *amqpDelivery)
	// freed says that d is not held any more.
	freed(d *amqpDelivery)
}

// A deadTarget is where a consumer sends dead letters.
type deadTarget struct {
	queue         string // the default exchange's
	exchange, key string // key "": the message's own
	own           bool   // the queue's x-dead-letter-exchange, which a policy may have set
}

// An amqpShape is a consumer as a script wants it.
type amqpShape struct {
	queue    string
	fn       *vm.Func
	prefetch int
	attempts int
	dead     deadTarget
	timeout  time.Duration // of an operation
}

// An amqpConsumer hands the messages of a queue to a handler, one after the
// other.
type amqpConsumer struct {
	amqpShape
	in    *instance
	state *consumer

	stopping context.Context // ended by stop: take no more messages
	stop     context.CancelFunc
	ended    *flight // of what the consumer runs

	holders sync.WaitGroup // the goroutines that hold messages

	mu    sync.Mutex
	held  int
	bytes int // of held
}

// handle hands a message to the handler and does what the verdict says. It
// reports whether the message is held. The error is the broker's. ctx ends
// with the channel.
func (k *amqpConsumer) handle(ctx context.Context, q amqpQueue, d *amqpDelivery) (held bool, err error) {
	if wait := d.due.Sub(k.now()); !d.due.IsZero() && wait > 0 {
		return true, k.hold(ctx, q, d, wait)
	}
	if len(d.Body) > maxAMQPMessage {
		return k.bury(ctx, q, d, fmt.Errorf("the message has %d bytes; at most %d are allowed", len(d.Body), maxAMQPMessage))
	}
	if d.attempt > k.attempts {
		d.attempt--
		return k.bury(ctx, q, d, fmt.Errorf("the message has used all %d attempts", k.attempts))
	}
	for failures := 1; ; failures++ {
		v := k.in.judge(k.fn, d.message())
		switch v.kind {
		case verdictAck:
			k.state.count(func(s *ConsumerStatus) { s.Acked++ })
			k.state.set(consumerRunning, nil)
			return false, q.ack(d)
		case verdictRetry:
			k.state.set(consumerRunning, nil)
			return k.retry(ctx, q, d, v)
		case verdictDead:
			return k.bury(ctx, q, d, v.err)
		case verdictPause:
			k.state.set(consumerPaused, v.err)
			if k.rest(ctx, pauseWait(failures)) == nil {
				continue
			}
		}
		return false, q.requeue(d) // paused or cancelled
	}
}

func (k *amqpConsumer) now() time.Time { return k.in.plugin.host.clock.Now() }

// awaitLive waits until the plugin's generation takes over, the consumer stops
// or ctx ends. The server may send messages before: a queue that deletes itself
// without consumers must not lose its last one at a reload.
func (k *amqpConsumer) awaitLive(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.stopping, cancel)()
	k.in.plugin.live.wait(ctx)
}

// rest sleeps, until the consumer stops or its channel is lost.
func (k *amqpConsumer) rest(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.stopping, cancel)()
	return k.in.plugin.host.clock.Sleep(ctx, d)
}

// retry counts a failed attempt and has the message wait for the next one. The
// count travels in a header of a new copy of the message: x-delivery-count,
// which quorum queues have, also counts messages that were only prefetched.
func (k *amqpConsumer) retry(ctx context.Context, q amqpQueue, d *amqpDelivery, v verdict) (held bool, err error) {
	k.complain(d, "retry", v.err)
	if d.attempt >= k.attempts {
		return k.bury(ctx, q, d, v.err)
	}
	k.state.count(func(s *ConsumerStatus) { s.Retried++ })
	wait := v.wait
	if wait == 0 {
		wait = retryWait(d.attempt)
	}
	due := k.now().Add(wait)
	err = k.renew(ctx, q, d, d.attempt, due)
	if err == nil || ctx.Err() != nil {
		return false, ctx.Err()
	}
	k.in.plugin.log.Warn("a message waits in memory for its next attempt, because it could not be published again: a restart forgets its attempts",
		slog.String("queue", k.queue), slog.String("error", err.Error()))
	d.attempt++
	d.due = due
	return true, k.hold(ctx, q, d, wait)
}

// renew replaces a message by a copy at the end of the queue.
func (k *amqpConsumer) renew(ctx context.Context, q amqpQueue, d *amqpDelivery, used int, due time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	return q.forward(ctx, d, "", k.queue, d.again(k.queue, used, due))
}

// complain reports an attempt that has failed. An error that the handler has
// raised is a failure of the plugin.
func (k *amqpConsumer) complain(d *amqpDelivery, outcome string, reason error) {
	if _, raised := errors.AsType[*vm.Error](reason); raised {
		k.in.report("consumer", fmt.Errorf("queue %s: %w", k.queue, reason))
		return
	}
	k.in.plugin.log.Warn("a message was not handled", slog.String("queue", k.queue), slog.Int("attempt", d.attempt),
		slog.String("outcome", outcome), slog.String("reason", reason.Error()))
}

// bury sends a message to the dead letters. One that has none stays.
func (k *amqpConsumer) bury(ctx context.Context, q amqpQueue, d *amqpDelivery, reason error) (held bool, err error) {
	if err = k.toDead(ctx, q, d, reason); err == nil {
		k.state.set(consumerRunning, nil)
		return false, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	k.state.count(func(s *ConsumerStatus) { s.Stuck++ })
	k.state.set(consumerDegraded, fmt.Errorf("a message stays in the queue: %w; it failed because: %w", err, reason))
	k.in.plugin.log.Error("a message stays in the queue", slog.String("queue", k.queue), slog.Int("attempt", d.attempt),
		slog.String("error", err.Error()), slog.String("reason", reason.Error()))
	return true, k.keep(ctx, q, d, reason, !errors.Is(err, errNoDead))
}

var errNoDead = errors.New("the queue has no dead letters, and the consumer has no option dead")

// toDead moves a message to the dead letters.
func (k *amqpConsumer) toDead(ctx context.Context, q amqpQueue, d *amqpDelivery, reason error) error {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	if err := k.move(ctx, q, d, reason); err != nil {
		return err
	}
	k.state.count(func(s *ConsumerStatus) { s.Dead++ })
	k.in.plugin.log.Warn("a message went to the dead letters", slog.String("queue", k.queue), slog.Int("attempt", d.attempt),
		slog.String("reason", reason.Error()))
	return nil
}

func (k *amqpConsumer) move(ctx context.Context, q amqpQueue, d *amqpDelivery, reason error) error {
	t := k.dead
	switch {
	case t.queue != "":
		p := d.dead(k.queue, reason)
		err := q.forward(ctx, d, "", t.queue, p)
		if errors.Is(err, errNoQueue) {
			if err = q.makeQueue(ctx, t.queue); err == nil {
				err = q.forward(ctx, d, "", t.queue, p)
			}
		}
		return named("dead-letter queue "+t.queue, err)
	case t.exchange != "":
		key := t.key
		if key == "" {
			key = d.RoutingKey
		}
		return named("dead-letter exchange "+t.exchange, q.forward(ctx, d, t.exchange, key, d.dead(k.queue, reason)))
	case !t.own:
		own, err := q.ownDead(ctx, d)
		if err == nil && !own {
			err = errNoDead
		}
		if err != nil {
			return err
		}
	}
	return q.reject(d)
}

func named(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
