package amqp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	amqp091 "github.com/rabbitmq/amqp091-go"

	"nearside/lua/ns/peer"
)

// A Declaration describes a queue or an exchange that a plugin wants to exist.
type Declaration struct {
	Kind, Name, ExchangeType       string // Kind: "queue" or "exchange"
	Durable, AutoDelete, Exclusive bool
	Arguments                      map[string]any
	Bindings                       []Binding
}

// A Binding connects an exchange to the queue of its Declaration.
type Binding struct {
	Exchange, Key string
	Arguments     map[string]any // for an exchange of type headers
}

// IsPermanent reports whether the queue or exchange exists until a client deletes it.
// Others, which the server can delete by itself, are created again only when they are
// used.
func (d Declaration) IsPermanent() bool {
	return !d.AutoDelete && !d.Exclusive && d.Arguments["x-expires"] == nil
}

// Declarations holds the declarations of one client, in the order in which the
// script made them. Methods may be called by any goroutine. The zero value is empty.
type Declarations struct {
	mu  sync.Mutex
	all []Declaration
}

// Add adds a declaration. It replaces an older one of the same kind and name.
func (s *Declarations) Add(d Declaration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(d.Kind, d.Name); i >= 0 {
		s.all[i] = d
		return nil
	}
	if len(s.all) >= maxDeclarations {
		return fmt.Errorf("the client has declared %d queues and exchanges already", maxDeclarations)
	}
	s.all = append(s.all, d)
	return nil
}

func (s *Declarations) index(kind, name string) int {
	return slices.IndexFunc(s.all, func(o Declaration) bool { return o.Kind == kind && o.Name == name })
}

// Find returns the declaration with the given kind and name.
func (s *Declarations) Find(kind, name string) (Declaration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(kind, name); i >= 0 {
		return s.all[i], true
	}
	return Declaration{}, false
}

// Snapshot returns a copy of the list.
func (s *Declarations) Snapshot() []Declaration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// ShouldRoute is called for a message that no queue received. It reports whether the
// declarations would route the message, so that something they name must be missing.
// found reports whether the exchange of the message exists.
func (s *Declarations) ShouldRoute(exchange, key string, headers map[string]any, found bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.index("exchange", exchange)
	if !found {
		return at >= 0
	}
	if exchange == "" {
		return s.index("queue", key) >= 0
	}
	kind := ""
	if at >= 0 {
		kind = s.all[at].ExchangeType
	}
	return slices.ContainsFunc(s.all, func(d Declaration) bool {
		return slices.ContainsFunc(d.Bindings, func(b Binding) bool { return b.Exchange == exchange && b.Binds(kind, key, headers) })
	})
}

// Declare creates a queue or an exchange. The client creates it again after a reconnect, and
// when it is missing. If the server cannot be reached, or another connection
// has an exclusive queue of that name, Declare returns no error and the client creates it
// later.
func (a *Client) Declare(ctx context.Context, d Declaration) error {
	return a.operate(ctx, func(ctx context.Context) error { return a.declare(ctx, d) })
}

func (a *Client) declare(ctx context.Context, d Declaration) error {
	if a.wasDown(&a.work) != nil {
		return a.wanted.Add(d)
	}
	dialing, cancel := context.WithTimeout(ctx, peer.FirstAttempt)
	defer cancel()
	conn, err := a.connection(dialing, &a.work)
	if err != nil {
		return a.wanted.Add(d)
	}
	err = conn.declare(ctx, d)
	if IsRefused(err) && !isLocked(err) {
		return err
	}
	if full := a.wanted.Add(d); full != nil {
		return full
	}
	if isLocked(err) {
		a.Owner.Degrade(d.StatusName(a.Target), err)
		return nil
	}
	return err
}

// restore repeats those declarations of the client for which choose returns true. If a
// declaration fails, the status of the plugin shows it.
func (a *Client) restore(ctx context.Context, conn *conn, choose func(Declaration) bool) {
	for _, d := range a.wanted.Snapshot() {
		if !choose(d) {
			continue
		}
		err := conn.declare(ctx, d)
		switch {
		case err == nil:
			a.Owner.Recovered(d.StatusName(a.Target))
		case conn.IsClosed() || ctx.Err() != nil:
			return // the connection caused the failure
		default:
			a.Owner.Degrade(d.StatusName(a.Target), err)
		}
	}
}

// StatusName returns the name of the declaration in the status of a plugin.
func (d Declaration) StatusName(target string) string {
	return fmt.Sprintf("amqp %s %s %s", target, d.Kind, d.Name)
}

// declare creates a queue or an exchange. It uses a channel of its own, because the
// server closes the channel when it refuses a declaration.
func (k *conn) declare(ctx context.Context, d Declaration) error {
	return k.guard(ctx, func() error {
		ch, err := k.Channel()
		if err != nil {
			return err
		}
		if d.Kind == "exchange" {
			err = ch.ExchangeDeclare(d.Name, d.ExchangeType, d.Durable, d.AutoDelete, false, false, wireTable(d.Arguments))
		} else {
			_, err = ch.QueueDeclare(d.Name, d.Durable, d.AutoDelete, d.Exclusive, false, wireTable(d.Arguments))
		}
		for _, b := range d.Bindings {
			if err == nil {
				err = ch.QueueBind(d.Name, b.Key, b.Exchange, false, wireTable(b.Arguments))
			}
		}
		if err != nil {
			_ = closeChannel(ch)
			return err
		}
		return closeChannel(ch)
	})
}

// exists reports whether a queue or an exchange of that name exists.
func (k *conn) exists(ctx context.Context, kind, name string) (bool, error) {
	err := k.guard(ctx, func() error {
		ch, err := k.Channel()
		if err != nil {
			return err
		}
		if kind == "exchange" {
			err = ch.ExchangeDeclarePassive(name, "direct", false, false, false, false, nil)
		} else {
			_, err = ch.QueueDeclarePassive(name, false, false, false, false, nil)
		}
		_ = closeChannel(ch)
		return err
	})
	if IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// closeChannel closes a channel that may be closed already.
func closeChannel(ch *amqp091.Channel) error {
	if err := ch.Close(); !errors.Is(err, amqp091.ErrClosed) {
		return err
	}
	return nil
}

func hasCode(err error, code int) bool {
	answer, ok := errors.AsType[*amqp091.Error](err)
	return ok && answer.Code == code
}

// IsRefused reports whether the server has refused a request. It would refuse the
// same request again.
func IsRefused(err error) bool {
	for _, code := range []int{amqp091.AccessRefused, amqp091.NotFound, amqp091.ResourceLocked, amqp091.PreconditionFailed, amqp091.NotAllowed, amqp091.NotImplemented, amqp091.CommandInvalid} {
		if hasCode(err, code) {
			return true
		}
	}
	return false
}

// IsNotFound reports whether err is the server's reply that a queue or an exchange
// does not exist.
func IsNotFound(err error) bool { return hasCode(err, amqp091.NotFound) }

// NotFound returns RabbitMQ's error for a queue or an exchange that does not exist.
func NotFound(kind, name string) error {
	return &amqp091.Error{Code: amqp091.NotFound, Reason: fmt.Sprintf("NOT_FOUND - no %s '%s' in vhost '/'", kind, name), Server: true}
}

// Inequivalent returns RabbitMQ's error for a declaration that differs from the
// existing queue or exchange.
func Inequivalent(kind, name string) error {
	return &amqp091.Error{Code: amqp091.PreconditionFailed, Reason: fmt.Sprintf("PRECONDITION_FAILED - inequivalent arg for %s '%s' in vhost '/'", kind, name), Server: true}
}

// isLocked reports whether err says that an exclusive queue belongs to another
// connection. That may be the connection of the previous generation, or a lost
// connection whose loss the server has not yet detected.
func isLocked(err error) bool { return hasCode(err, amqp091.ResourceLocked) }
