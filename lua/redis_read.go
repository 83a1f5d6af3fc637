package lua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"nearside/lua/vm"
)

const (
	redisPing     = 30 * time.Second // of silence, after which a subscription is tested
	pendingEvery  = 30 * time.Second // between two looks at what was not acknowledged
	maxRefused    = 10_000           // entries that a reader remembers to have tried
	maxRedisBlock = 60_000           // milliseconds
)

func redisSubscribe(c *vm.Call) error {
	r := c.Self().(*redisClient)
	channel, fn := c.Text(1), c.Func(2)
	if channel == "" {
		return errors.New("the channel has no name")
	}
	return r.follow(c, "subscription", func(ctx context.Context, up func()) error {
		return r.listen(ctx, up, channel, fn)
	})
}

// listen hands messages to fn until the connection is lost or ctx ends.
func (r *redisClient) listen(ctx context.Context, up func(), channel string, fn *vm.Func) error {
	defer r.in.state.Keep(fn)()
	l := r.newLink(r.timeout)
	defer l.end()
	defer context.AfterFunc(ctx, l.kill)()
	s := l.Subscribe(ctx, channel) // its error comes with the first reply
	defer func() { _ = s.Close() }()
	wait, asked := r.timeout, true
	for {
		message, err := s.ReceiveTimeout(ctx, wait)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && !asked {
			asked, wait = true, r.timeout
			if err := s.Ping(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		l.fresh()
		wait, asked = redisPing, false
		switch m := message.(type) {
		case *goredis.Subscription:
			up()
		case *goredis.Message:
			_, err := r.in.call(ctx, vm.Limits{}, fn, m.Payload, m.Channel)
			r.in.report("subscription", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// A groupReader reads a stream as a consumer of a group.
type groupReader struct {
	*redisClient
	group, consumer, stream string
	count                   int64
	block                   time.Duration
	fn                      *vm.Func
	refused                 map[string]bool // entries that fn did not take; they wait for a restart
	swept                   time.Time       // when pending entries were last read
}

func redisReadGroup(c *vm.Call) error {
	r := c.Self().(*redisClient)
	o := &reader{m: c.Map(1), at: "options."}
	o.known("group", "consumer", "stream", "count", "block_ms")
	g := &groupReader{
		redisClient: r, group: o.text("group", ""), stream: o.text("stream", ""), consumer: o.text("consumer", r.in.plugin.name),
		count:   int64(o.number("count", 16, 1, maxRedisEntries)),
		block:   time.Duration(o.number("block_ms", 5000, 1, maxRedisBlock)) * time.Millisecond,
		fn:      c.Func(2),
		refused: map[string]bool{},
	}
	for name, v := range map[string]string{"group": g.group, "stream": g.stream, "consumer": g.consumer} {
		if v == "" {
			o.fault(name, "is missing")
		}
	}
	if err := errors.Join(o.faults...); err != nil {
		return err
	}
	return r.follow(c, "xreadgroup", g.run)
}

// run reads until the connection is lost or ctx ends.
func (g *groupReader) run(ctx context.Context, up func()) error {
	defer g.in.state.Keep(g.fn)()
	l := g.newLink(g.timeout)
	defer l.end()
	defer context.AfterFunc(ctx, l.kill)()
	// From the begin: what was written before the first start is not lost.
	err := l.XGroupCreateMkStream(ctx, g.stream, g.group, "0").Err()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return err
	}
	up()
	clear(g.refused) // a new connection is as good as a restart
	g.swept = time.Time{}
	clock := g.in.plugin.host.clock
	for ctx.Err() == nil {
		// Again from time to time: at a reload the old generation may leave
		// entries behind after the new one has begun.
		if now := clock.Now(); now.Sub(g.swept) >= pendingEvery {
			if err := g.pending(ctx, l); err != nil {
				return err
			}
			g.swept = now
		}
		entries, err := g.read(ctx, l, ">")
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := g.handle(ctx, l, entry); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// pending handles what this consumer was given and has not acknowledged.
func (g *groupReader) pending(ctx context.Context, l *redisLink) error {
	for from := "0"; ; {
		entries, err := g.read(ctx, l, from)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, entry := range entries {
			if from = entry.ID; g.refused[entry.ID] {
				continue
			}
			if err := g.handle(ctx, l, entry); err != nil {
				return err
			}
		}
	}
}

// read returns entries after an id, or, after ">", new ones.
func (g *groupReader) read(ctx context.Context, l *redisLink, after string) ([]goredis.XMessage, error) {
	streams, err := l.XReadGroup(ctx, &goredis.XReadGroupArgs{
		Group: g.group, Consumer: g.consumer, Streams: []string{g.stream, after}, Count: g.count, Block: g.block,
	}).Result()
	if errors.Is(err, goredis.Nil) || err == nil && len(streams) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// handle calls fn with an entry and acknowledges it when fn returns true. Its
// error is the connection's.
func (g *groupReader) handle(ctx context.Context, l *redisLink, entry goredis.XMessage) error {
	if entry.Values != nil { // else it was removed from the stream meanwhile
		results, err := g.in.call(ctx, vm.Limits{}, g.fn, map[string]any{
			"id": entry.ID, "stream": g.stream, "fields": entry.Values,
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			g.in.report("xreadgroup", fmt.Errorf("entry %s: %w", entry.ID, err))
		}
		if err != nil || len(results) == 0 || results[0] != true {
			if len(g.refused) >= maxRefused {
				clear(g.refused)
			}
			g.refused[entry.ID] = true
			return nil
		}
	}
	return l.XAck(ctx, g.stream, g.group, entry.ID).Err()
}
