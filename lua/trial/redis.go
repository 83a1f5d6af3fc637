package trial

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"nearside/lua/ns"
	"nearside/lua/ns/peer"
	"nearside/lua/ns/redis"
	"nearside/lua/vm"
)

// A redisDouble is the test double of Redis in one test. It replaces only the server;
// the readers of streams are the real ones.
type redisDouble struct {
	clock *clock

	mu       sync.Mutex
	data     redisData
	readers  map[*waker]bool // woken when streams have changed
	channels map[string][]*redisDoubleSubscription
	script   *vm.Func // runs EVAL; nil: EVAL fails
	down     string   // why the server is down; empty: it works
}

func newRedisDouble(clock *clock) *redisDouble {
	return &redisDouble{
		clock: clock, data: newRedisData(clock.Now), readers: map[*waker]bool{}, channels: map[string][]*redisDoubleSubscription{},
	}
}

// A redisDoubleError is an error reply of the server.
type redisDoubleError string

func (e redisDoubleError) Error() string { return string(e) }

// RedisError marks the error as a reply of the server for the client library, in
// contrast to a lost connection.
func (e redisDoubleError) RedisError() {}

// A redisDoubleClient is the Redis client of a plugin in a test. It implements
// [ns.RedisClient].
type redisDoubleClient struct {
	peer.Client
	*redisDouble
	database int
}

// A redisDoubleSubscription is one subscription to a channel.
type redisDoubleSubscription struct {
	waker    waker
	messages []string
}

// connect is the value of [ns.Doubles].Redis.
func (d *redisDouble) connect(c peer.Client, at redis.Address) (ns.RedisClient, error) {
	r := &redisDoubleClient{Client: c, redisDouble: d, database: at.Database}
	return r, r.Open(func() {})
}

// checkReachable returns an error if the test has set the server down or the client is
// closed.
func (r *redisDoubleClient) checkReachable(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.Context().Err() != nil:
		return errors.New("the client is closed")
	case r.down != "":
		err := errors.New(r.down)
		peer.RecordOutcome(ctx, r.Target, err)
		return err
	}
	peer.RecordOutcome(ctx, r.Target, nil)
	return nil
}

// Do implements [ns.RedisClient].
func (r *redisDoubleClient) Do(ctx context.Context, parts ...any) (any, error) {
	if err := r.checkReachable(ctx); err != nil {
		return nil, err
	}
	return r.runCommand(ctx, parts...)
}

// Pipeline implements [ns.RedisClient].
func (r *redisDoubleClient) Pipeline(ctx context.Context, commands [][]any) ([]any, error) {
	if err := r.checkReachable(ctx); err != nil {
		return nil, err
	}
	replies := make([]any, len(commands))
	for i, command := range commands {
		reply, err := r.runCommand(ctx, command...)
		if replies[i] = reply; err != nil {
			replies[i] = err
		}
	}
	return replies, nil
}

// Subscribe implements [ns.RedisClient].
func (r *redisDoubleClient) Subscribe(ctx context.Context, channel string, receive func(message, channel string), release func()) (peer.Task, error) {
	return r.Follow(ctx, peer.Reader{
		What: "subscription", Name: "redis " + r.Target + " channel " + channel, Release: release,
		Run: func(ctx context.Context, k *peer.Consumer) error { return r.listen(ctx, k, channel, receive) },
	})
}

// ReadGroup implements [ns.RedisClient].
func (r *redisDoubleClient) ReadGroup(ctx context.Context, g redis.Group) (peer.Task, error) {
	return g.Follow(ctx, &r.Client, r.database, &redisDoubleServer{redisDoubleClient: r, waker: waker{clock: r.clock}})
}

// callRedisDouble runs the command that is given by the arguments of the call.
func callRedisDouble(c *vm.Call, d *redisDouble) error {
	parts := make([]any, c.Args())
	for i := range parts {
		parts[i] = c.Value(i + 1)
	}
	if _, err := ns.RedisCommand(parts); err != nil {
		return err
	}
	var reply any
	err := c.Wait(func(ctx context.Context) (err error) {
		reply, err = d.runCommand(ctx, parts...)
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(reply)
}

// runCommand runs a command, even if the server is down, and wakes the readers that may
// have something to read.
func (d *redisDouble) runCommand(ctx context.Context, parts ...any) (any, error) {
	name, args := commandText(parts)
	if name == "EVAL" {
		return d.eval(ctx, args)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.runLocked(name, args)
}

func commandText(parts []any) (name string, args []string) {
	for _, part := range parts {
		args = append(args, fmt.Sprint(part))
	}
	return strings.ToUpper(args[0]), args[1:]
}

// runLocked is runCommand for all commands except EVAL. The caller holds the lock.
func (d *redisDouble) runLocked(name string, args []string) (any, error) {
	if name == "PUBLISH" && len(args) == 2 {
		for _, s := range d.channels[args[0]] {
			s.messages = append(s.messages, args[1])
			s.waker.wake()
		}
		return int64(len(d.channels[args[0]])), nil
	}
	reply, err := d.data.runCommand(name, args)
	if err != nil {
		return nil, redisDoubleError(err.Error())
	}
	if strings.HasPrefix(name, "X") && name != "XPENDING" && name != "XREADGROUP" || name == "FLUSHALL" || name == "DEL" {
		d.wakeAll()
	}
	return redisDoubleReply(reply), nil
}

// redisDoubleReply converts a reply to the types that clients return.
func redisDoubleReply(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list
	case []any:
		for i := range v {
			v[i] = redisDoubleReply(v[i])
		}
	}
	return v
}

// eval runs EVAL by calling the test's function fn(script, keys, args).
func (d *redisDouble) eval(ctx context.Context, args []string) (any, error) {
	if reply, known := d.evalLease(args); known {
		return reply, nil
	}
	d.mu.Lock()
	fn := d.script
	d.mu.Unlock()
	if fn == nil {
		return nil, redisDoubleError("ERR the test has no redis.script(fn), which runs EVAL")
	}
	if len(args) < 2 {
		return nil, redisDoubleError("ERR wrong number of arguments for 'eval' command")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 0 || n > len(args)-2 {
		return nil, redisDoubleError("ERR Number of keys can't be greater than number of args")
	}
	results, err := fn.State().Call(ctx, vm.Limits{}, fn, args[0], args[2:2+n], args[2+n:])
	if err != nil {
		return nil, redisDoubleError("ERR " + err.Error())
	}
	if len(results) == 0 {
		return nil, nil
	}
	return results[0], nil
}

// wakeAll wakes all readers of streams. The caller must hold the lock.
func (d *redisDouble) wakeAll() {
	for w := range d.readers {
		w.wake()
	}
}

// setDown makes all commands of clients fail with reason. If reason is empty, they work
// again.
func (d *redisDouble) setDown(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = reason
	d.wakeAll()
	for _, all := range d.channels {
		for _, s := range all {
			s.waker.wake()
		}
	}
}

// A redisDoubleServer is the double as the server of one stream reader. It implements
// [redis.Server].
type redisDoubleServer struct {
	*redisDoubleClient
	waker waker
}

// Exec implements [redis.Server].
func (s *redisDoubleServer) Exec(ctx context.Context, commands ...[]any) error {
	if err := s.checkReachable(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, command := range commands {
		name, args := commandText(command)
		if _, err := s.runLocked(name, args); err != nil {
			return err
		}
	}
	return nil
}

// Read implements [redis.Server].
func (s *redisDoubleServer) Read(ctx context.Context, block time.Duration, command ...any) (any, error) {
	s.mu.Lock()
	s.readers[&s.waker] = true
	s.mu.Unlock()
	for _, wait := range []time.Duration{block, 0} {
		reply, err := s.Do(ctx, command...)
		if reply != nil || err != nil || wait == 0 {
			return reply, err
		}
		s.waker.sleep(ctx, wait)
	}
	return nil, nil
}

// End implements [redis.Server].
func (s *redisDoubleServer) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readers, &s.waker)
}

// listen calls receive with each message of a channel.
func (r *redisDoubleClient) listen(ctx context.Context, k *peer.Consumer, channel string, receive func(message, channel string)) error {
	if err := r.checkReachable(ctx); err != nil {
		return err
	}
	s := &redisDoubleSubscription{waker: waker{clock: r.clock}}
	r.mu.Lock()
	r.channels[channel] = append(r.channels[channel], s)
	r.mu.Unlock()
	defer r.unsubscribe(channel, s)
	k.Set(peer.Running, nil)
	if !r.Owner.AwaitLive(ctx) {
		return ctx.Err()
	}
	for ctx.Err() == nil {
		if err := r.checkReachable(ctx); err != nil {
			return err
		}
		r.mu.Lock()
		messages := s.messages
		s.messages = nil
		r.mu.Unlock()
		for _, m := range messages {
			receive(m, channel)
			k.Count(func(s *peer.ConsumerStatus) { s.Acked++ })
		}
		if len(messages) == 0 {
			s.waker.sleep(ctx, time.Hour)
		}
	}
	return ctx.Err()
}

func (r *redisDoubleClient) unsubscribe(channel string, s *redisDoubleSubscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.channels[channel]
	for i := range all {
		if all[i] == s {
			r.channels[channel] = append(all[:i:i], all[i+1:]...)
			return
		}
	}
}
