package lua

import (
	"context"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"nearside/matcher"
)

// An amqpSession is a consumer on one channel. It implements amqpQueue.
type amqpSession struct {
	a    *amqpClient
	k    *amqpConsumer
	conn *amqpConn
	ch   *amqpChannel

	tag      string
	messages <-chan amqp.Delivery
	backlog  []amqp.Delivery // received under tags before
	again    chan *amqpDelivery
	wake     chan struct{} // of capacity 1: a message was freed

	mu       sync.Mutex
	occupied int // messages of this tag that are held
}

// session consumes on a new channel until that is lost, the consumer stops or
// ctx ends. again says that the consumer was there before, and that its queue
// may be missing. It calls up when the server has accepted the consumer.
func (a *amqpClient) session(ctx context.Context, k *amqpConsumer, again bool, up func()) error {
	s, err := a.openSession(ctx, k, again)
	if s != nil {
		defer s.conn.release(ctx, s)
	}
	if err != nil {
		return err
	}
	up()
	ctx, cancel := context.WithCancel(ctx)
	gone := s.ch.NotifyClose(make(chan *amqp.Error, 1))
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-gone: //nolint:errcheck // only that it is gone matters here
			cancel()
		case <-ctx.Done():
		}
	})
	err = s.run(ctx)
	cancel()
	watch.Wait()
	k.holders.Wait() // they may acknowledge
	return err
}

func (a *amqpClient) openSession(ctx context.Context, k *amqpConsumer, again bool) (*amqpSession, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	conn, err := a.connection(ctx, &a.work)
	if err != nil {
		return nil, err
	}
	if again {
		a.restore(ctx, conn, func(d declaration) bool { return d.stays() || d.kind == "queue" && d.name == k.queue })
	}
	s := &amqpSession{a: a, k: k, conn: conn, again: make(chan *amqpDelivery, maxHeld+3*maxAMQPPrefetch), wake: make(chan struct{}, 1)}
	err = conn.guard(ctx, func() error {
		plain, err := conn.Channel()
		if err != nil {
			return err
		}
		s.ch = newAMQPChannel(plain)
		if err := s.ch.Qos(k.prefetch, 0, false); err != nil {
			return err
		}
		return s.subscribe()
	})
	if s.ch == nil {
		return nil, err
	}
	return s, err
}

// subscribe begins to consume under a new tag.
func (s *amqpSession) subscribe() error {
	tag := "nearside." + s.k.in.plugin.name + "." + matcher.NewID().String()
	messages, err := s.ch.Consume(s.k.queue, tag, false, false, false, false, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tag, s.messages, s.occupied = tag, messages, 0
	return nil
}

// release closes a session's channel: the server puts back what was not
// acknowledged, in order. A server that does not answer loses the connection.
func (k *amqpConn) release(ctx context.Context, s *amqpSession) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.a.timeout)
	defer cancel()
	_ = k.guard(ctx, func() error { return closeChannel(s.ch.Channel) })
}

// run handles messages, from the moment when the generation takes over. ctx
// ends with the channel.
func (s *amqpSession) run(ctx context.Context) error {
	s.k.awaitLive(ctx)
	for {
		if s.k.stopping.Err() != nil {
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
		held, err := s.k.handle(ctx, s, d)
		if err != nil {
			return s.ch.fault(err)
		}
		if held {
			s.occupy(d, 1)
		}
	}
}

// next waits for a message. It returns nil when there is something else to do.
func (s *amqpSession) next(ctx context.Context) (*amqpDelivery, error) {
	if len(s.backlog) > 0 {
		m := s.backlog[0]
		s.backlog = s.backlog[1:]
		return newDelivery(s.k.queue, m), nil
	}
	select {
	case m, ok := <-s.messages:
		if !ok {
			return nil, fmt.Errorf("the server has ended the consumer of queue %s", s.k.queue)
		}
		return newDelivery(s.k.queue, m), nil
	case d := <-s.again:
		return d, nil
	case <-s.wake:
	case <-s.k.stopping.Done():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return nil, nil
}

// makeRoom lets the server send more when all of what it may send ahead is
// held: the limit is that of a tag.
func (s *amqpSession) makeRoom(ctx context.Context) error {
	s.mu.Lock()
	full, old := s.occupied >= s.k.prefetch, s.tag
	s.mu.Unlock()
	if !full {
		return nil
	}
	if !s.k.canHold() {
		s.k.state.set(consumerDegraded, errors.New("it holds as many messages as it can, which wait for their next attempt or have no dead letters to go to"))
		return nil
	}
	// The new one comes first: a queue may be deleted when it has none.
	messages := s.messages
	ctx, cancel := context.WithTimeout(ctx, s.a.timeout)
	defer cancel()
	return s.conn.guard(ctx, func() error {
		if err := s.subscribe(); err != nil {
			return err
		}
		return s.cancel(old, messages, true)
	})
}

// cancel ends a tag, and keeps what the server has sent under it.
func (s *amqpSession) cancel(tag string, messages <-chan amqp.Delivery, keep bool) error {
	if err := s.ch.Cancel(tag, false); err != nil {
		return err
	}
	for m := range messages { // it is closed after the last one
		if keep {
			s.backlog = append(s.backlog, m)
		}
	}
	return nil
}

// finish takes no more messages. Those that were not begun are put back when
// the channel is closed.
func (s *amqpSession) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.a.timeout)
	defer cancel()
	err := s.conn.guard(ctx, func() error { return s.cancel(s.tag, s.messages, false) })
	return errors.Join(errStopped, err)
}

func (s *amqpSession) occupy(d *amqpDelivery, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.ConsumerTag == s.tag {
		s.occupied += n
	}
}

func (s *amqpSession) ack(d *amqpDelivery) error     { return s.ch.Ack(d.DeliveryTag, false) }
func (s *amqpSession) requeue(d *amqpDelivery) error { return s.ch.Reject(d.DeliveryTag, true) }
func (s *amqpSession) reject(d *amqpDelivery) error  { return s.ch.Reject(d.DeliveryTag, false) }

func (s *amqpSession) forward(ctx context.Context, d *amqpDelivery, exchange, key string, p amqp.Publishing) error {
	err := s.a.publish(ctx, outgoing{exchange: exchange, key: key, message: p, confirm: true, mandatory: true})
	if err != nil {
		return err
	}
	return s.ack(d)
}

func (s *amqpSession) makeQueue(ctx context.Context, name string) error {
	if there, err := s.conn.exists(ctx, "queue", name); there || err != nil {
		return err
	}
	return s.conn.declare(ctx, declaration{kind: "queue", name: name, durable: true})
}

// ownDead looks whether the queue was declared with dead letters, and whether
// they exist: the server drops what it cannot deliver there.
func (s *amqpSession) ownDead(ctx context.Context, d *amqpDelivery) (bool, error) {
	declared, _ := s.a.wanted.find("queue", s.k.queue)
	kind, name, ok := declared.deadLetters(d.RoutingKey)
	if !ok {
		return false, nil
	}
	there, err := s.conn.exists(ctx, kind, name)
	if err == nil && !there {
		err = fmt.Errorf("the dead-letter %s %s does not exist", kind, name)
	}
	return err == nil, err
}

// deadLetters is where the server sends dead letters of a queue: to an
// exchange, or by the default exchange to a queue.
func (d declaration) deadLetters(key string) (kind, name string, ok bool) {
	exchange, ok := d.arguments["x-dead-letter-exchange"].(string)
	if exchange != "" || !ok {
		return "exchange", exchange, ok
	}
	if other, ok := d.arguments["x-dead-letter-routing-key"].(string); ok {
		key = other
	}
	return "queue", key, true
}

// retake never waits: again has room for all that may be held at a time.
func (s *amqpSession) retake(d *amqpDelivery) { s.again <- d }

func (s *amqpSession) freed(d *amqpDelivery) {
	s.occupy(d, -1)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
