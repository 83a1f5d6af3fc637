package lua

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"nearside/lua/vm"
)

// A redisDouble is the Redis of one test. Readers of streams are those of real
// clients: only the server is a double.
type redisDouble struct {
	clock *trialClock

	mu       sync.Mutex
	data     redisData
	readers  map[*waker]bool // woken when streams have changed
	channels map[string][]*redisDoubleChannel
	script   *vm.Func // runs EVAL; nil: there is none
	down     string   // why nothing works; empty: it does
}

func newRedisDouble(clock *trialClock) *redisDouble {
	return &redisDouble{
		clock: clock, data: newRedisData(clock.Now), readers: map[*waker]bool{}, channels: map[string][]*redisDoubleChannel{},
	}
}

// A redisDoubleError is an answer of the server.
type redisDoubleError string

func (e redisDoubleError) Error() string { return string(e) }

// RedisError implements [goredis.Error].
func (e redisDoubleError) RedisError() {}

// redisDoubleClient is what connect gives the plugin.
type redisDoubleClient struct {
	client
	*redisDouble
	db int
}

// A redisDoubleChannel is one subscription.
type redisDoubleChannel struct {
	waker    waker
	messages []string
}

var redisDoubleClass = &vm.Class{Name: redisClass.Name, Doc: redisClass.Doc}

func redisDoubles() map[string]func(*vm.Call) error {
	client := func(f func(c *vm.Call, r *redisDoubleClient) error) func(*vm.Call) error {
		return func(c *vm.Call) error {
			r := c.Self().(*redisDoubleClient)
			if err := c.Wait(r.reach); err != nil {
				return c.Fail(err)
			}
			return f(c, r)
		}
	}
	return map[string]func(*vm.Call) error{
		"connect":              redisDoubleConnect,
		"RedisClient.call":     client(func(c *vm.Call, r *redisDoubleClient) error { return redisDoubleCall(c, r.redisDouble) }),
		"RedisClient.pipeline": client(redisDoublePipeline),
		"RedisClient.subscribe": func(c *vm.Call) error {
			r := c.Self().(*redisDoubleClient)
			channel, fn := c.Text(1), c.Func(2)
			return r.follow(c, "subscription", "redis "+r.target+" channel "+channel, fn, func(ctx context.Context, k *consumer) error {
				return r.listen(ctx, k, channel, fn)
			})
		},
		"RedisClient.xreadgroup": func(c *vm.Call) error {
			r := c.Self().(*redisDoubleClient)
			return readGroup(c, &r.client, r.db, &redisDoublePeer{redisDoubleClient: r, waker: waker{clock: r.clock}})
		},
		"RedisClient.close": func(c *vm.Call) error { return c.Wait(c.Self().(*redisDoubleClient).close) },
	}
}

func redisDoubleConnect(c *vm.Call) error {
	k, at, err := redisTarget(c)
	if err != nil {
		return err
	}
	r := &redisDoubleClient{client: k, redisDouble: k.in.plugin.host.o.trial.redis, db: at.db}
	if err := r.open(func() {}); err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: redisDoubleClass, Value: r})
}

// reach fails when the test says that the server is down, or the client is
// closed.
func (r *redisDoubleClient) reach(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ctx.Err() != nil:
		return errors.New("the client is closed")
	case r.down != "":
		err := errors.New(r.down)
		note(ctx, r.target, err)
		return err
	}
	note(ctx, r.target, nil)
	return nil
}

// redisDoubleCall runs the command that is the call's arguments.
func redisDoubleCall(c *vm.Call, d *redisDouble) error {
	parts := make([]any, c.Args())
	for i := range parts {
		parts[i] = c.Value(i + 1)
	}
	if _, err := redisCommand(parts); err != nil {
		return err
	}
	var reply any
	err := c.Wait(func(ctx context.Context) (err error) {
		reply, err = d.do(ctx, parts...)
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(reply)
}

func redisDoublePipeline(c *vm.Call, r *redisDoubleClient) error {
	list := c.List(1)
	for i, item := range list {
		parts, ok := item.([]any)
		if !ok {
			return fmt.Errorf("commands[%d]: is not a list", i+1)
		}
		if _, err := redisCommand(parts); err != nil {
			return fmt.Errorf("commands[%d]: %w", i+1, err)
		}
	}
	replies := []any{}
	err := c.Wait(func(ctx context.Context) error {
		for _, item := range list {
			reply, err := r.do(ctx, item.([]any)...)
			if err != nil {
				reply = map[string]any{"err": err.Error()}
			}
			replies = append(replies, reply)
		}
		return nil
	})
	return errors.Join(err, c.Return(replies))
}

// do runs a command, whether the server is down or not, and wakes the readers
// that it has something for.
func (d *redisDouble) do(ctx context.Context, parts ...any) (any, error) {
	name, args := commandText(parts)
	if name == "EVAL" {
		return d.eval(ctx, args)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.locked(name, args)
}

func commandText(parts []any) (name string, args []string) {
	for _, part := range parts {
		args = append(args, fmt.Sprint(part))
	}
	return strings.ToUpper(args[0]), args[1:]
}

func (d *redisDouble) locked(name string, args []string) (any, error) {
	if name == "PUBLISH" && len(args) == 2 {
		for _, s := range d.channels[args[0]] {
			s.messages = append(s.messages, args[1])
			s.waker.wake()
		}
		return int64(len(d.channels[args[0]])), nil
	}
	reply, err := d.data.run(name, args)
	if err != nil {
		return nil, redisDoubleError(err.Error())
	}
	if strings.HasPrefix(name, "X") && name != "XPENDING" && name != "XREADGROUP" || name == "FLUSHALL" || name == "DEL" {
		d.wakeAll()
	}
	return redisDoubleReply(reply), nil
}

// redisDoubleReply gives replies the types that clients have them in.
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

// eval hands EVAL to the test: fn(script, keys, args).
func (d *redisDouble) eval(ctx context.Context, args []string) (any, error) {
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

// wakeAll wakes all readers of streams. The lock is held.
func (d *redisDouble) wakeAll() {
	for w := range d.readers {
		w.wake()
	}
}

// setDown makes everything fail with reason, or work again.
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

// redisDoublePeer is the double as a reader of a stream sees it.
type redisDoublePeer struct {
	*redisDoubleClient
	waker waker
}

func (p *redisDoublePeer) clustered() bool { return false }

func (p *redisDoublePeer) do(ctx context.Context, command ...any) (any, error) {
	if err := p.reach(ctx); err != nil {
		return nil, err
	}
	return p.redisDouble.do(ctx, command...)
}

func (p *redisDoublePeer) exec(ctx context.Context, commands ...[]any) error {
	if err := p.reach(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, command := range commands {
		name, args := commandText(command)
		if _, err := p.locked(name, args); err != nil {
			return err
		}
	}
	return nil
}

func (p *redisDoublePeer) read(ctx context.Context, block time.Duration, command ...any) (any, error) {
	p.mu.Lock()
	p.readers[&p.waker] = true
	p.mu.Unlock()
	for _, wait := range []time.Duration{block, 0} {
		reply, err := p.do(ctx, command...)
		if reply != nil || err != nil || wait == 0 {
			return reply, err
		}
		p.waker.nap(ctx, wait)
	}
	return nil, nil
}

func (p *redisDoublePeer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.readers, &p.waker)
}

// listen hands the messages of a channel to fn.
func (r *redisDoubleClient) listen(ctx context.Context, k *consumer, channel string, fn *vm.Func) error {
	if err := r.reach(ctx); err != nil {
		return err
	}
	s := &redisDoubleChannel{waker: waker{clock: r.clock}}
	r.mu.Lock()
	r.channels[channel] = append(r.channels[channel], s)
	r.mu.Unlock()
	defer r.leave(channel, s)
	k.set(consumerRunning, nil)
	if !r.in.plugin.live.wait(ctx) {
		return ctx.Err()
	}
	for ctx.Err() == nil {
		if err := r.reach(ctx); err != nil {
			return err
		}
		r.mu.Lock()
		messages := s.messages
		s.messages = nil
		r.mu.Unlock()
		for _, m := range messages {
			r.in.hear(k, fn, m, channel)
		}
		if len(messages) == 0 {
			s.waker.nap(ctx, time.Hour)
		}
	}
	return ctx.Err()
}

func (r *redisDoubleClient) leave(channel string, s *redisDoubleChannel) {
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
