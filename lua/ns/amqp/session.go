package amqp

import (
	"context"
	"errors"
	"fmt"
	"sync"

	amqp091 "github.com/rabbitmq/amqp091-go"

	"nearside/lua/ns/peer"
	"nearside/matcher"
)

// A session is a consumer on one channel. It implements [Broker].
type session struct {
	a    *Client
	k    *Consumer
	conn *conn
	ch   *channel

	tag      string
	messages <-chan amqp091.Delivery
	backlog  []amqp091.Delivery // received under earlier tags
	retaken  chan *Delivery     // held messages that are to be handled next; see Retake
	wake     chan struct{}      // of capacity 1: signals that a message was freed

	mu       sync.Mutex
	occupied int // held messages that were received under the current tag
}

// runSession consumes on a new channel until the channel is lost, the consumer stops or
// ctx ends. reopened is true if this is not the consumer's first session; its queue
// may then be missing. runSession calls accepted when the server has accepted the consumer.
func (a *Client) runSession(ctx context.Context, k *Consumer, reopened bool, accepted func()) error {
	s, err := a.openSession(ctx, k, reopened)
	if s != nil {
		defer s.conn.release(ctx, s)
	}
	if err != nil {
		return err
	}
	accepted()
	ctx, cancel := context.WithCancel(ctx)
	closed := s.ch.NotifyClose(make(chan *amqp091.Error, 1))
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-closed: //nolint:errcheck // the reason does not matter here
			cancel()
		case <-ctx.Done():
		}
	})
	err = s.handleMessages(ctx)
	cancel()
	watch.Wait()
	k.holders.Wait() // these goroutines may still acknowledge messages
	return err
}

// openSession opens a channel and starts to consume. After an error, the session that it
// returns is nil, or has a channel that the caller must release.
func (a *Client) openSession(ctx context.Context, k *Consumer, reopened bool) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	conn, err := a.connection(ctx, &a.work)
	if err != nil {
		return nil, err
	}
	if reopened {
		a.restore(ctx, conn, func(d Declaration) bool { return d.IsPermanent() || d.Kind == "queue" && d.Name == k.Queue })
	}
	s := &session{a: a, k: k, conn: conn, retaken: make(chan *Delivery, maxHeld+3*MaxPrefetch), wake: make(chan struct{}, 1)}
	err = conn.guard(ctx, func() error {
		plain, err := conn.Channel()
		if err != nil {
			return err
		}
		s.ch = newChannel(plain)
		if err := s.ch.Qos(k.Prefetch, 0, false); err != nil {
			return err
		}
		return s.subscribe()
	})
	if s.ch == nil {
		return nil, err
	}
	return s, err
}

// subscribe starts to consume under a new tag.
func (s *session) subscribe() error {
	tag := "nearside." + s.k.owner.Name() + "." + matcher.NewID().String()
	messages, err := s.ch.Consume(s.k.Queue, tag, false, false, false, false, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tag, s.messages, s.occupied = tag, messages, 0
	return nil
}

// release closes a session's channel. The server then puts the unacknowledged
// messages back into the queue, in order. If the server does not reply in time, the
// connection is closed.
func (k *conn) release(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.a.Timeout)
	defer cancel()
	_ = k.guard(ctx, func() error { return closeChannel(s.ch.Channel) })
}

// handleMessages waits until the generation takes over, and then handles messages. ctx
// must end with the channel.
func (s *session) handleMessages(ctx context.Context) error {
	s.k.AwaitLive(ctx)
	for {
		if s.k.Stopping.Err() != nil {
			return s.finish(ctx)
		}
		if err := s.makeRoom(ctx); err != nil {
			return s.ch.fault(err)
		}
		d, err := s.next(ctx)
		if err != nil {
			return s.ch.fault(err)
		}
		if d == nil {
			continue
		}
		held, err := s.k.HandleDelivery(ctx, s, d)
		if err != nil {
			return s.ch.fault(err)
		}
		if held {
			s.occupy(d, 1)
		}
	}
}

// next waits for a message. It returns nil if a message was freed or the consumer
// stops.
func (s *session) next(ctx context.Context) (*Delivery, error) {
	if len(s.backlog) > 0 {
		m := s.backlog[0]
		s.backlog = s.backlog[1:]
		return NewDelivery(s.k.Queue, received(m)), nil
	}
	select {
	case m, ok := <-s.messages:
		if !ok {
			return nil, fmt.Errorf("the server has ended the consumer of queue %s", s.k.Queue)
		}
		return NewDelivery(s.k.Queue, received(m)), nil
	case d := <-s.retaken:
		return d, nil
	case <-s.wake:
	case <-s.k.Stopping.Done():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return nil, nil
}

// makeRoom lets the server send more messages if the held ones fill the prefetch limit
// of the current tag. The limit applies to each tag, so makeRoom starts a new tag.
func (s *session) makeRoom(ctx context.Context) error {
	s.mu.Lock()
	full, old := s.occupied >= s.k.Prefetch, s.tag
	s.mu.Unlock()
	if !full {
		return nil
	}
	if !s.k.canHold() {
		s.k.State.Set(peer.Degraded, errors.New("the consumer takes no more messages: too many messages wait for their next attempt, or cannot be sent to the dead letters"))
		return nil
	}
	// Subscribe before cancelling: a queue without consumers may be deleted.
	messages := s.messages
	ctx, cancel := context.WithTimeout(ctx, s.a.Timeout)
	defer cancel()
	return s.conn.guard(ctx, func() error {
		if err := s.subscribe(); err != nil {
			return err
		}
		return s.cancel(old, messages, true)
	})
}

// cancel stops consuming under a tag. If keep is true, it adds the messages that the
// server has already sent under the tag to the backlog.
func (s *session) cancel(tag string, messages <-chan amqp091.Delivery, keep bool) error {
	if err := s.ch.Cancel(tag, false); err != nil {
		return err
	}
	for m := range messages { // the library closes the channel after the last message
		if keep {
			s.backlog = append(s.backlog, m)
		}
	}
	return nil
}

// finish stops consuming. When the channel is closed, the server puts the messages
// that were not handled back into the queue.
func (s *session) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.a.Timeout)
	defer cancel()
	err := s.conn.guard(ctx, func() error { return s.cancel(s.tag, s.messages, false) })
	return errors.Join(errStopped, err)
}

// occupy adds n to the number of held messages, if d was received under the current tag.
func (s *session) occupy(d *Delivery, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.consumerTag == s.tag {
		s.occupied += n
	}
}

func (s *session) Ack(d *Delivery) error     { return s.ch.Ack(d.Tag, false) }
func (s *session) Requeue(d *Delivery) error { return s.ch.Reject(d.Tag, true) }
func (s *session) Reject(d *Delivery) error  { return s.ch.Reject(d.Tag, false) }

func (s *session) Forward(ctx context.Context, d *Delivery, exchange, key string, m Message) error {
	err := s.a.publish(ctx, Outgoing{Exchange: exchange, Key: key, Message: m, Confirm: true, Mandatory: true})
	if err != nil {
		return err
	}
	return s.Ack(d)
}

func (s *session) MakeQueue(ctx context.Context, name string) error {
	if exists, err := s.conn.exists(ctx, "queue", name); exists || err != nil {
		return err
	}
	return s.conn.declare(ctx, Declaration{Kind: "queue", Name: name, Durable: true})
}

// OwnDead reports whether the client declared the queue with a dead-letter target.
// It also checks that the target exists, because the server drops dead letters that
// it cannot deliver.
func (s *session) OwnDead(ctx context.Context, d *Delivery) (bool, error) {
	declared, _ := s.a.wanted.Find("queue", s.k.Queue)
	kind, name, ok := declared.DeadLetters(d.Key)
	if !ok {
		return false, nil
	}
	exists, err := s.conn.exists(ctx, kind, name)
	if err == nil && !exists {
		err = fmt.Errorf("the dead-letter %s %s does not exist", kind, name)
	}
	return err == nil, err
}

// DeadLetters returns where the server sends dead letters of the queue: to an
// exchange, or through the default exchange to a queue. key is the routing key of
// the message. ok is false if the queue has no dead-letter exchange.
func (d Declaration) DeadLetters(key string) (kind, name string, ok bool) {
	exchange, ok := d.Arguments["x-dead-letter-exchange"].(string)
	if exchange != "" || !ok {
		return "exchange", exchange, ok
	}
	if deadKey, ok := d.Arguments["x-dead-letter-routing-key"].(string); ok {
		key = deadKey
	}
	return "queue", key, true
}

// Retake never blocks: retaken has room for all messages that can be held at once.
func (s *session) Retake(d *Delivery) { s.retaken <- d }

func (s *session) Freed(d *Delivery) {
	s.occupy(d, -1)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
