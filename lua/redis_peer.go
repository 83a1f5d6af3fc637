package lua

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// redisStream is a real server as a reader of a stream sees it. Reads that
// wait have a link of their own.
type redisStream struct {
	*redisClient
	link *redisLink // nil: the next read makes it
	id   int64      // of the link's connection; 0: not known
}

func (s *redisStream) clustered() bool { return s.at.cluster }

// do implements redisPeer.
func (s *redisStream) do(ctx context.Context, command ...any) (reply any, err error) {
	err = s.command(ctx, func(ctx context.Context, l *redisLink) (err error) {
		reply, err = l.Do(ctx, command...).Result()
		if errors.Is(err, goredis.Nil) {
			return nil
		}
		return err
	})
	return reply, err
}

// exec implements redisPeer. In a cluster the commands are sent one after the
// other: their keys may be on different nodes.
func (s *redisStream) exec(ctx context.Context, commands ...[]any) error {
	if s.clustered() {
		for _, command := range commands {
			if _, err := s.do(ctx, command...); err != nil {
				return err
			}
		}
		return nil
	}
	return s.command(ctx, func(ctx context.Context, l *redisLink) error {
		replies, err := l.TxPipelined(ctx, func(p goredis.Pipeliner) error {
			for _, command := range commands {
				p.Do(ctx, command...)
			}
			return nil
		})
		for _, r := range replies { // the first of them says more than EXECABORT
			if r.Err() != nil {
				return r.Err()
			}
		}
		return err
	})
}

// read implements redisPeer.
func (s *redisStream) read(ctx context.Context, block time.Duration, command ...any) (any, error) {
	if s.link == nil {
		s.link, s.id = s.newLink(s.timeout+block), 0
		if !s.clustered() {
			s.id, _ = s.link.Do(ctx, "CLIENT", "ID").Int64() // not every user may ask: see interrupt
		}
	}
	link, id := s.link, s.id
	reading, cancel := context.WithTimeout(s.in.state.Context(), block+s.timeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, link.kill)()
	defer context.AfterFunc(reading, link.kill)()
	over := make(chan struct{})
	interrupted := make(chan struct{})
	go func() {
		defer close(interrupted)
		select {
		case <-over:
		case <-ctx.Done():
			s.interrupt(link, id, over)
		}
	}()
	reply, err := link.Do(reading, command...).Result()
	close(over)
	<-interrupted
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return reply, nil
}

// interruptTime is how long a read is asked to return before its connection
// is cut. It is longer than a read waits for entries.
const interruptTime = redisSweep + time.Second

// interrupt makes a read return at once, with the entries that the server has
// sent. A connection that is cut would lose them until they are taken over.
func (s *redisStream) interrupt(link *redisLink, id int64, over <-chan struct{}) {
	limit := time.NewTimer(interruptTime)
	defer limit.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if id != 0 {
			_, _ = s.do(s.in.state.Context(), "CLIENT", "UNBLOCK", id) // the read ends by itself, too
		}
		select {
		case <-over:
			return
		case <-limit.C:
			link.kill()
			return
		case <-again.C:
		}
	}
}

// end frees the link of reads.
func (s *redisStream) end() {
	if s.link != nil {
		s.link.end()
		s.link = nil
	}
}
