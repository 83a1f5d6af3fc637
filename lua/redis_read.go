package lua

import (
	"context"
	"errors"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"nearside/lua/vm"
)

// redisPing is the silence after which a subscription is tested.
const redisPing = 30 * time.Second

func redisSubscribe(c *vm.Call) error {
	r := c.Self().(*redisClient)
	channel, fn := c.Text(1), c.Func(2)
	if channel == "" {
		return errors.New("the channel has no name")
	}
	return r.follow(c, "subscription", "redis "+r.target+" channel "+channel, fn, func(ctx context.Context, k *consumer) error {
		return r.listen(ctx, k, channel, fn)
	})
}

// listen hands messages to fn until the connection is lost or ctx ends.
func (r *redisClient) listen(ctx context.Context, k *consumer, channel string, fn *vm.Func) error {
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
			return refusedReply(err)
		}
		l.fresh()
		wait, asked = redisPing, false
		switch m := message.(type) {
		case *goredis.Subscription:
			k.set(consumerRunning, nil)
			if !r.in.plugin.live.wait(ctx) {
				return ctx.Err()
			}
		case *goredis.Message:
			r.in.hear(k, fn, m.Payload, m.Channel)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// hear hands a message of a channel to fn. It ends only with the instance.
func (in *instance) hear(k *consumer, fn *vm.Func, message, channel string) {
	_, err := in.call(in.state.Context(), vm.Limits{}, fn, message, channel)
	in.report("subscription", err)
	k.count(func(s *ConsumerStatus) { s.Acked++ })
}
