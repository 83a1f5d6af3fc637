package lua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A declaration is a queue or an exchange as a script wants it.
type declaration struct {
	kind, name, exchangeType       string // kind: "queue" or "exchange"
	durable, autoDelete, exclusive bool
	arguments                      amqp.Table
	bindings                       []binding
}

// A binding is from an exchange to the queue that declares it.
type binding struct {
	exchange, key string
	arguments     amqp.Table // of an exchange of type headers
}

// stays reports whether the queue or exchange is there until somebody deletes
// it. One that the server deletes by itself is not made again before it is
// used.
func (d declaration) stays() bool {
	return !d.autoDelete && !d.exclusive && d.arguments["x-expires"] == nil
}

// declarations are those of one client, in the order of the script.
type declarations struct {
	mu  sync.Mutex
	all []declaration
}

// add adds a declaration, in place of an older one of the same name.
func (s *declarations) add(d declaration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(d.kind, d.name); i >= 0 {
		s.all[i] = d
		return nil
	}
	if len(s.all) >= maxDeclarations {
		return fmt.Errorf("the client has declared %d queues and exchanges already", maxDeclarations)
	}
	s.all = append(s.all, d)
	return nil
}

func (s *declarations) index(kind, name string) int {
	return slices.IndexFunc(s.all, func(o declaration) bool { return o.kind == kind && o.name == name })
}

func (s *declarations) find(kind, name string) (declaration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(kind, name); i >= 0 {
		return s.all[i], true
	}
	return declaration{}, false
}

func (s *declarations) snapshot() []declaration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// expects reports whether the client has declared what should have taken a
// message: its exchange does not exist, or no queue was bound to it.
func (s *declarations) expects(exchange, key string, headers amqp.Table, found bool) bool {
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
		kind = s.all[at].exchangeType
	}
	return slices.ContainsFunc(s.all, func(d declaration) bool {
		return slices.ContainsFunc(d.bindings, func(b binding) bool { return b.exchange == exchange && b.binds(kind, key, headers) })
	})
}

// declare makes a queue or an exchange. The client makes it again when it
// connects again and when it finds it missing. While the server cannot be
// reached, or another connection has an exclusive queue of that name, it is
// made later, and there is no error.
func (a *amqpClient) declare(ctx context.Context, d declaration) error {
	if a.wasDown(&a.work) != nil {
		return a.wanted.add(d)
	}
	soon, cancel := context.WithTimeout(ctx, firstAttempt)
	defer cancel()
	conn, err := a.connection(soon, &a.work)
	if err != nil {
		return a.wanted.add(d)
	}
	err = conn.declare(ctx, d)
	if isRefused(err) && !isLocked(err) {
		return err
	}
	if full := a.wanted.add(d); full != nil {
		return full
	}
	if isLocked(err) {
		a.in.degrade(d.what(a.target), err)
		return nil
	}
	return err
}

// restore declares again what the client has declared, of those that choose
// wants. What fails is shown in the plugin's state.
func (a *amqpClient) restore(ctx context.Context, conn *amqpConn, choose func(declaration) bool) {
	for _, d := range a.wanted.snapshot() {
		if !choose(d) {
			continue
		}
		err := conn.declare(ctx, d)
		switch {
		case err == nil:
			a.in.recovered(d.what(a.target))
		case conn.IsClosed() || ctx.Err() != nil:
			return // the connection is to blame
		default:
			a.in.degrade(d.what(a.target), err)
		}
	}
}

func (d declaration) what(target string) string {
	return fmt.Sprintf("amqp %s %s %s", target, d.kind, d.name)
}

// declare uses a channel of its own, because the server closes the channel of
// a declaration that it refuses.
func (k *amqpConn) declare(ctx context.Context, d declaration) error {
	return k.guard(ctx, func() error {
		ch, err := k.Channel()
		if err != nil {
			return err
		}
		if d.kind == "exchange" {
			err = ch.ExchangeDeclare(d.name, d.exchangeType, d.durable, d.autoDelete, false, false, d.arguments)
		} else {
			_, err = ch.QueueDeclare(d.name, d.durable, d.autoDelete, d.exclusive, false, d.arguments)
		}
		for _, b := range d.bindings {
			if err == nil {
				err = ch.QueueBind(d.name, b.key, b.exchange, false, b.arguments)
			}
		}
		if err != nil {
			_ = closeChannel(ch)
			return err
		}
		return closeChannel(ch)
	})
}

// exists reports whether there is a queue or an exchange of that name.
func (k *amqpConn) exists(ctx context.Context, kind, name string) (bool, error) {
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
	if hasCode(err, amqp.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// closeChannel closes a channel that may be closed already.
func closeChannel(ch *amqp.Channel) error {
	if err := ch.Close(); !errors.Is(err, amqp.ErrClosed) {
		return err
	}
	return nil
}

func hasCode(err error, code int) bool {
	said, ok := errors.AsType[*amqp.Error](err)
	return ok && said.Code == code
}

// isRefused reports whether the server has said no to what was asked: it will
// say so again.
func isRefused(err error) bool {
	for _, code := range []int{amqp.AccessRefused, amqp.NotFound, amqp.ResourceLocked, amqp.PreconditionFailed, amqp.NotAllowed, amqp.NotImplemented, amqp.CommandInvalid} {
		if hasCode(err, code) {
			return true
		}
	}
	return false
}

// isLocked reports whether an exclusive queue belongs to another connection,
// such as that of the generation before, or one that was lost and that the
// server has not yet missed.
func isLocked(err error) bool { return hasCode(err, amqp.ResourceLocked) }
