package redis

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A stream implements [Server] with a real server. Blocking reads use their own
// link.
type stream struct {
	*Client
	link *link // for reads; nil: the next read creates it
	id   int64 // the CLIENT ID of the link's connection; 0: unknown
}

// Do implements [Server].
func (s *stream) Do(ctx context.Context, command ...any) (reply any, err error) {
	err = s.rawLink(ctx, func(ctx context.Context, l *link) (err error) {
		reply, err = l.Do(ctx, command...).Result()
		if errors.Is(err, goredis.Nil) {
			return nil
		}
		return err
	})
	return reply, err
}

// Exec implements [Server]. In a cluster, it sends the commands one after the other,
// not in a transaction, because their keys may be on different nodes.
func (s *stream) Exec(ctx context.Context, commands ...[]any) error {
	if s.at.cluster {
		for _, command := range commands {
			if _, err := s.Do(ctx, command...); err != nil {
				return err
			}
		}
		return nil
	}
	return s.rawLink(ctx, func(ctx context.Context, l *link) error {
		replies, err := l.TxPipelined(ctx, func(p goredis.Pipeliner) error {
			for _, command := range commands {
				p.Do(ctx, command...)
			}
			return nil
		})
		for _, r := range replies { // the error of the failed command says more than EXECABORT
			if r.Err() != nil {
				return r.Err()
			}
		}
		return err
	})
}

// Read implements [Server].
func (s *stream) Read(ctx context.Context, block time.Duration, command ...any) (any, error) {
	if s.link == nil {
		s.link, s.id = s.newLink(s.Timeout+block), 0
		if !s.at.cluster {
			s.id, _ = s.link.Do(ctx, "CLIENT", "ID").Int64() // the user may lack the right for this; interrupt then closes the connection
		}
	}
	l, id := s.link, s.id
	reading, cancel := context.WithTimeout(s.Owner.Context(), block+s.Timeout)
	defer cancel()
	defer context.AfterFunc(s.Context(), l.kill)()
	defer context.AfterFunc(reading, l.kill)()
	done := make(chan struct{}) // closed when the read has returned
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-done:
		case <-ctx.Done():
			s.interrupt(l, id, done)
		}
	}()
	reply, err := l.Do(reading, command...).Result()
	close(done)
	<-watched
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		s.End()
		return nil, err
	}
	return reply, nil
}

// interruptTime is how long interrupt waits for a read to return before it closes
// the connection. It is longer than a read waits for entries.
const interruptTime = sweepTime + time.Second

// interrupt makes a read return at once, with the entries that the server has sent.
// done is closed when the read has returned. If the connection were closed instead,
// these entries would be unavailable until they are taken over.
func (s *stream) interrupt(l *link, id int64, done <-chan struct{}) {
	limit := time.NewTimer(interruptTime)
	defer limit.Stop()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		if id != 0 {
			_, _ = s.Do(s.Owner.Context(), "CLIENT", "UNBLOCK", id) // if this fails, the read still ends by itself
		}
		select {
		case <-done:
			return
		case <-limit.C:
			l.kill()
			return
		case <-retry.C:
		}
	}
}

// End implements [Server].
func (s *stream) End() {
	if s.link != nil {
		s.link.end()
		s.link = nil
	}
}
