package redis

import (
	"context"
	"errors"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"nearside/lua/ns/peer"
)

// pingTime is the time without messages after which a subscription sends a ping.
const pingTime = 30 * time.Second

// Subscribe calls receive for each message of a channel, one after the other, until
// the task is cancelled. receive must not return before the message is handled.
// release is called once when the subscription has ended or Subscribe has failed.
func (r *Client) Subscribe(ctx context.Context, channel string, receive func(message, channel string), release func()) (peer.Task, error) {
	return r.Follow(ctx, peer.Reader{
		What: "subscription", Name: "redis " + r.Target + " channel " + channel, Release: release,
		Run: func(ctx context.Context, k *peer.Consumer) error { return r.listen(ctx, k, channel, receive) },
	})
}

// listen passes messages to receive until the connection is lost or ctx ends.
func (r *Client) listen(ctx context.Context, k *peer.Consumer, channel string, receive func(message, channel string)) error {
	l := r.newLink(r.Timeout)
	defer l.end()
	defer context.AfterFunc(ctx, l.kill)()
	s := l.Subscribe(ctx, channel) // an error is returned with the first reply
	defer func() { _ = s.Close() }()
	wait, replyDue := r.Timeout, true
	for {
		message, err := s.ReceiveTimeout(ctx, wait)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() && !replyDue {
			replyDue, wait = true, r.Timeout
			if err := s.Ping(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return refusedReply(err)
		}
		l.allowReply()
		wait, replyDue = pingTime, false
		switch m := message.(type) {
		case *goredis.Subscription:
			k.Set(peer.Running, nil)
			if !r.Owner.AwaitLive(ctx) {
				return ctx.Err()
			}
		case *goredis.Message:
			receive(m.Payload, m.Channel)
			k.Count(func(s *peer.ConsumerStatus) { s.Acked++ })
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
