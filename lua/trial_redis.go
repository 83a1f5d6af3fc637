package lua

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"nearside/lua/vm"
)

// A redisDouble is the Redis of one test.
type redisDouble struct {
	mu       sync.Mutex
	data     redisData
	readers  []*redisDoubleReader
	channels map[string][]*redisDoubleReader
	down     string // why nothing works; empty: it does
}

func newRedisDouble() *redisDouble {
	return &redisDouble{data: newRedisData(), channels: map[string][]*redisDoubleReader{}}
}

// redisDoubleClient is what connect gives the plugin.
type redisDoubleClient struct {
	*redisDouble
	in     *instance
	closed bool
}

// redisDoubleReader hands messages to a function of the plugin, one after
// the other.
type redisDoubleReader struct {
	in            *instance
	fn            *vm.Func
	stream, group string // of xreadgroup
	inbox         inbox
}

// An inbox calls f with each item, in order, in a task of the instance that
// lives as long as there are items.
type inbox struct {
	mu      sync.Mutex
	items   []any
	running bool
	ended   bool
}

func (b *inbox) put(in *instance, item any, f func(ctx context.Context, item any)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	if b.items = append(b.items, item); b.running {
		return
	}
	_, err := in.goroutine(func(ctx context.Context) {
		for {
			b.mu.Lock()
			if len(b.items) == 0 || b.ended {
				b.running = false
				b.mu.Unlock()
				return
			}
			item := b.items[0]
			b.items = b.items[1:]
			b.mu.Unlock()
			f(ctx, item)
		}
	})
	b.running = err == nil
}

func (b *inbox) isEnded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

func (b *inbox) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// following gives a script the handle of a reader; end is called when it is
// cancelled.
func following(c *vm.Call, in *instance, end func()) error {
	task, err := in.state.Go(func(ctx context.Context) {
		<-ctx.Done()
		end()
	})
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: taskHandle, Value: task})
}

var redisDoubleClass = &vm.Class{Name: redisClass.Name, Doc: redisClass.Doc}

func redisDoubles() map[string]func(*vm.Call) error {
	client := func(f func(c *vm.Call, r *redisDoubleClient) error) func(*vm.Call) error {
		return func(c *vm.Call) error {
			r := c.Self().(*redisDoubleClient)
			r.mu.Lock()
			why := r.down
			if r.closed {
				why = "the client is closed"
			}
			r.mu.Unlock()
			if why != "" {
				return c.Fail(errors.New(why))
			}
			return f(c, r)
		}
	}
	return map[string]func(*vm.Call) error{
		"connect":                redisDoubleConnect,
		"RedisClient.call":       client(func(c *vm.Call, r *redisDoubleClient) error { return redisDoubleCall(c, r.redisDouble) }),
		"RedisClient.pipeline":   client(redisDoublePipeline),
		"RedisClient.subscribe":  client(redisDoubleSubscribe),
		"RedisClient.xreadgroup": client(redisDoubleReadGroup),
		"RedisClient.close": func(c *vm.Call) error {
			r := c.Self().(*redisDoubleClient)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.closed = true
			return nil
		},
	}
}

func redisDoubleConnect(c *vm.Call) error {
	in := self(c)
	e, err := parseEndpoint(c.Text(1), redisPorts)
	if err != nil {
		return err
	}
	if err := in.permit("redis", e.target()); err != nil {
		return err
	}
	d := in.plugin.host.o.trial.redis
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down != "" {
		return c.Fail(errors.New(d.down))
	}
	return c.Return(vm.Object{Class: redisDoubleClass, Value: &redisDoubleClient{redisDouble: d, in: in}})
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
	reply, err := d.do(parts)
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(reply)
}

func redisDoublePipeline(c *vm.Call, r *redisDoubleClient) error {
	replies := []any{}
	for i, item := range c.List(1) {
		parts, ok := item.([]any)
		if !ok {
			return fmt.Errorf("commands[%d]: is not a list", i+1)
		}
		if _, err := redisCommand(parts); err != nil {
			return fmt.Errorf("commands[%d]: %w", i+1, err)
		}
		reply, err := r.do(parts)
		if err != nil {
			reply = map[string]any{"err": err.Error()}
		}
		replies = append(replies, reply)
	}
	return c.Return(replies)
}

// do runs a command and hands what it made to readers.
func (d *redisDouble) do(parts []any) (any, error) {
	args := make([]string, len(parts))
	for i := range parts {
		args[i] = parts[i].(string)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name, args := strings.ToUpper(args[0]), args[1:]
	if name == "PUBLISH" && len(args) == 2 {
		n := 0
		for _, s := range d.channels[args[0]] {
			if s.inbox.isEnded() {
				continue
			}
			n++
			s.inbox.put(s.in, args[1], func(ctx context.Context, item any) {
				_, err := s.in.call(ctx, vm.Limits{}, s.fn, item, args[0])
				s.in.report("subscription", err)
			})
		}
		return n, nil
	}
	reply, err := d.data.run(name, args)
	if err == nil && name == "XADD" {
		d.spread(args[0])
	}
	return reply, err
}

// spread gives each group of a stream what it has not had.
func (d *redisDouble) spread(stream string) {
	for _, r := range d.readers {
		if r.stream != stream || r.inbox.isEnded() {
			continue
		}
		for _, entry := range d.data.next(r.stream, r.group) {
			r.inbox.put(r.in, entry, func(ctx context.Context, item any) { d.handle(ctx, r, item.(redisEntry)) })
		}
	}
}

func (d *redisDouble) handle(ctx context.Context, r *redisDoubleReader, e redisEntry) {
	results, err := r.in.call(ctx, vm.Limits{}, r.fn, map[string]any{"id": e.id, "stream": r.stream, "fields": e.fields})
	if err != nil {
		r.in.report("xreadgroup", fmt.Errorf("entry %s: %w", e.id, err))
	}
	if err == nil && len(results) > 0 && results[0] == true {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.data.pending[r.stream+"\x00"+r.group], e.id)
	}
}

func redisDoubleSubscribe(c *vm.Call, r *redisDoubleClient) error {
	channel := c.Text(1)
	s := &redisDoubleReader{in: r.in, fn: c.Func(2)}
	r.mu.Lock()
	r.channels[channel] = append(r.channels[channel], s)
	r.mu.Unlock()
	return following(c, r.in, s.inbox.end)
}

func redisDoubleReadGroup(c *vm.Call, r *redisDoubleClient) error {
	o := &reader{m: c.Map(1), at: "options."}
	o.known("group", "consumer", "stream", "count", "block_ms")
	s := &redisDoubleReader{in: r.in, fn: c.Func(2), stream: o.text("stream", ""), group: o.text("group", "")}
	if s.stream == "" || s.group == "" {
		o.fault("stream", "name a stream and a group")
	}
	if err := errors.Join(o.faults...); err != nil {
		return err
	}
	r.mu.Lock()
	r.readers = append(r.readers, s)
	r.spread(s.stream)
	r.mu.Unlock()
	return following(c, r.in, s.inbox.end)
}
