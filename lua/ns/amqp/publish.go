package amqp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	amqp091 "github.com/rabbitmq/amqp091-go"
)

// An Outgoing is a message to be published.
type Outgoing struct {
	Exchange, Key string
	Message       Message
	Confirm       bool // wait until the server has confirmed the message
	Mandatory     bool // fail if no queue received the message; requires Confirm
}

// ErrNoQueue means that the server returned a message because no queue received it.
var ErrNoQueue = errors.New("no queue took the message")

// Publish sends a message. If Confirm is set, it waits for the server's confirmation.
// If a declared exchange or queue is missing, Publish creates it and sends the message
// again.
func (a *Client) Publish(ctx context.Context, o Outgoing) error {
	return a.operate(ctx, func(ctx context.Context) error { return a.publish(ctx, o) })
}

func (a *Client) publish(ctx context.Context, o Outgoing) error {
	err := a.send(ctx, o)
	missing, noQueue := IsNotFound(err), errors.Is(err, ErrNoQueue)
	if (missing || noQueue) && a.wanted.ShouldRoute(o.Exchange, o.Key, o.Message.Headers, !missing) {
		if conn, failed := a.connection(ctx, &a.work); failed == nil {
			a.restore(ctx, conn, func(Declaration) bool { return true })
			err = a.send(ctx, o)
		}
	}
	if errors.Is(err, ErrNoQueue) && !o.Mandatory {
		return nil
	}
	return err
}

// send sends a message once.
func (a *Client) send(ctx context.Context, o Outgoing) error {
	conn, err := a.connection(ctx, &a.out)
	if err != nil {
		return err
	}
	if o.Confirm {
		err = conn.sendConfirmed(ctx, o)
	} else {
		err = conn.sendPlain(ctx, o)
	}
	if reason := conn.blockedReason(); err != nil && reason != "" {
		err = fmt.Errorf("%s (%w)", reason, err)
	}
	return err
}

func (k *conn) sendPlain(ctx context.Context, o Outgoing) error {
	return k.guard(ctx, func() error {
		ch, err := k.plainChannel()
		if err != nil {
			return err
		}
		return ch.Publish(o.Exchange, o.Key, false, false, publishing(o.Message))
	})
}

func (k *conn) plainChannel() (*amqp091.Channel, error) {
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

// A sender is a channel with confirms. It has at most one unconfirmed message, so a
// returned message is always that one.
type sender struct {
	*channel
	returned chan amqp091.Return
	pending  *amqp091.DeferredConfirmation // of the last message
}

func (k *conn) sendConfirmed(ctx context.Context, o Outgoing) error {
	s, err := k.takeSender(ctx)
	if err != nil {
		return err
	}
	defer k.putBack(s)
	err = k.guard(ctx, func() (err error) {
		// Always mandatory: the client must notice when a queue that it has
		// declared is missing.
		s.pending, err = s.PublishWithDeferredConfirm(o.Exchange, o.Key, true, false, publishing(o.Message))
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
		return s.fault(errors.New("the server did not accept the message"))
	}
	select {
	case returned := <-s.returned: // the server returns a message before it confirms it
		return fmt.Errorf("%w: %s", ErrNoQueue, returned.ReplyText)
	default:
		return nil
	}
}

// takeSender returns a channel that no call uses and whose last message is confirmed.
// The caller must call putBack.
func (k *conn) takeSender(ctx context.Context) (*sender, error) {
	if s, room := k.freeSender(); s != nil {
		return s, nil
	} else if !room {
		return nil, fmt.Errorf("the server has not confirmed %d messages", maxCalls)
	}
	var s *sender
	err := k.guard(ctx, func() error {
		ch, err := k.Channel()
		if err != nil {
			return err
		}
		s = &sender{channel: newChannel(ch), returned: ch.NotifyReturn(make(chan amqp091.Return, 1))}
		return ch.Confirm(false)
	})
	return s, err
}

// freeSender removes a usable channel from senders and returns it, or nil. room
// reports whether another channel may be opened.
func (k *conn) freeSender() (s *sender, room bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, s := range slices.Backward(k.senders) {
		select {
		case <-s.pending.Done():
		default:
			continue // a caller gave up waiting for the confirmation
		}
		k.senders = append(k.senders[:i], k.senders[i+1:]...)
		if s.IsClosed() {
			continue
		}
		select {
		case <-s.returned: // a message whose caller gave up waiting
		default:
		}
		return s, true
	}
	return nil, len(k.senders) < maxCalls
}

// putBack makes a channel available to other calls, unless it is closed.
func (k *conn) putBack(s *sender) {
	if s.pending == nil || s.IsClosed() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.senders = append(k.senders, s)
}
