package lua

import (
	"context"
	"errors"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"
)

// An outgoing is a message to be published.
type outgoing struct {
	exchange, key string
	message       amqp.Publishing
	confirm       bool // wait until the server has taken responsibility
	mandatory     bool // fail when no queue has taken it; only with confirm
}

// errNoQueue says that a message came back.
var errNoQueue = errors.New("no queue took the message")

// publish sends a message and, when that is wanted, waits for the server's
// confirmation. When the exchange or queue that the message is for was
// declared by the client and has disappeared, it is made again and the message
// is sent again.
func (a *amqpClient) publish(ctx context.Context, o outgoing) error {
	err := a.send(ctx, o)
	missing, noQueue := hasCode(err, amqp.NotFound), errors.Is(err, errNoQueue)
	if (missing || noQueue) && a.wanted.expects(o.exchange, o.key, o.message.Headers, !missing) {
		if conn, failed := a.connection(ctx, &a.work); failed == nil {
			a.restore(ctx, conn, func(declaration) bool { return true })
			err = a.send(ctx, o)
		}
	}
	if errors.Is(err, errNoQueue) && !o.mandatory {
		return nil
	}
	return err
}

// send sends a message once.
func (a *amqpClient) send(ctx context.Context, o outgoing) error {
	conn, err := a.connection(ctx, &a.out)
	if err != nil {
		return err
	}
	if o.confirm {
		err = conn.sendConfirmed(ctx, o)
	} else {
		err = conn.sendPlain(ctx, o)
	}
	if reason := conn.blockedReason(); err != nil && reason != "" {
		err = fmt.Errorf("%s (%w)", reason, err)
	}
	return err
}

func (k *amqpConn) sendPlain(ctx context.Context, o outgoing) error {
	return k.guard(ctx, func() error {
		ch, err := k.plainChannel()
		if err != nil {
			return err
		}
		return ch.Publish(o.exchange, o.key, false, false, o.message)
	})
}

func (k *amqpConn) plainChannel() (*amqp.Channel, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.plain != nil && !k.plain.IsClosed() {
		return k.plain, nil
	}
	ch, err := k.Channel()
	if err == nil {
		k.plain = ch
	}
	return ch, err
}

// An amqpSender is a channel with confirms that has at most one message on its
// way, so that a message that comes back is that one.
type amqpSender struct {
	*amqpChannel
	returned chan amqp.Return
	pending  *amqp.DeferredConfirmation // of the last message
}

func (k *amqpConn) sendConfirmed(ctx context.Context, o outgoing) error {
	s, err := k.sender(ctx)
	if err != nil {
		return err
	}
	defer k.putBack(s)
	err = k.guard(ctx, func() (err error) {
		// Always mandatory: the client wants to know when what it has declared
		// is missing.
		s.pending, err = s.PublishWithDeferredConfirm(o.exchange, o.key, true, false, o.message)
		return err
	})
	if err != nil {
		return s.fault(err)
	}
	ok, err := s.pending.WaitContext(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return s.fault(errors.New("the server did not take the message"))
	}
	select {
	case back := <-s.returned: // it comes before the confirmation
		return fmt.Errorf("%w: %s", errNoQueue, back.ReplyText)
	default:
		return nil
	}
}

// sender returns a channel that nobody uses and whose last message is
// confirmed.
func (k *amqpConn) sender(ctx context.Context) (*amqpSender, error) {
	if s, room := k.freeSender(); s != nil {
		return s, nil
	} else if !room {
		return nil, fmt.Errorf("the server has not confirmed %d messages", maxAMQPCalls)
	}
	var s *amqpSender
	err := k.guard(ctx, func() error {
		ch, err := k.Channel()
		if err != nil {
			return err
		}
		s = &amqpSender{amqpChannel: newAMQPChannel(ch), returned: ch.NotifyReturn(make(chan amqp.Return, 1))}
		return ch.Confirm(false)
	})
	return s, err
}

// freeSender takes a channel out of those that are kept. room says whether
// another one may be opened.
func (k *amqpConn) freeSender() (s *amqpSender, room bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, s := range slices.Backward(k.senders) {

		select {
		case <-s.pending.Done():
		default:
			continue // the wait for its confirmation was given up
		}
		k.senders = append(k.senders[:i], k.senders[i+1:]...)
		if s.IsClosed() {
			continue
		}
		select {
		case <-s.returned: // of a message that was given up
		default:
		}
		return s, true
	}
	return nil, len(k.senders) < maxAMQPCalls
}

func (k *amqpConn) putBack(s *amqpSender) {
	if s.pending == nil || s.IsClosed() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.senders = append(k.senders, s)
}
