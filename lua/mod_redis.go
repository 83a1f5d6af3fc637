package lua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"nearside/lua/vm"
)

// Bounds of a Redis client.
const (
	maxRedisLinks    = 8        // connections for commands; more calls wait for their turn
	maxRedisReply    = 16 << 20 // bytes
	maxRedisCommand  = 16 << 20 // bytes of a command or pipeline
	maxRedisPipeline = 1000     // commands
	maxRedisEntries  = 1000     // of one xreadgroup
)

// notRedis are commands that change the connection, which calls share.
var notRedis = []string{
	"AUTH", "CLIENT", "DISCARD", "EXEC", "HELLO", "MONITOR", "MULTI", "PSUBSCRIBE", "PSYNC", "PUNSUBSCRIBE",
	"QUIT", "RESET", "SELECT", "SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "SYNC", "UNSUBSCRIBE", "UNWATCH", "WATCH",
}

var redisPorts = map[string]string{"redis": "6379", "rediss": "6379"}

// redisModule talks to Redis. A client connects again by itself; a command is
// never sent twice.
func redisModule() vm.Module {
	return vm.Module{
		Name: "redis", Doc: "Redis.", Classes: []*vm.Class{redisClass},
		Functions: []vm.Function{{
			Name: "connect", Params: []string{"url: string", "options?: {timeout_ms: number?}"}, Returns: []string{"RedisClient?", "string? err"},
			Doc: "Makes a client of redis://[user:password@]host[:port][/db], or rediss:// for TLS. It connects by itself, and again: a server that is down makes calls fail, not connect. " +
				"With ?master_name=name the hosts are Sentinels, with ?cluster=true nodes of a cluster; &addr=host:port names further ones.", Waits: true, Run: redisConnect,
		}},
	}
}

var redisClass = &vm.Class{
	Name: "RedisClient", Doc: "A Redis client. A reply without a value is nil, within a list json.null; an error within a list is {err = text}.",
	Methods: []vm.Function{
		{
			Name: "call", Params: []string{"command: string", "...: string|number"}, Returns: []string{"any", "string? err"}, Waits: true,
			Doc: "Runs a command.", Run: redisCall,
		},
		{
			Name: "pipeline", Params: []string{"commands: (string|number)[][]"}, Returns: []string{"any[]?", "string? err"}, Waits: true,
			Doc: "Sends up to 1000 commands at once and returns their replies.", Run: redisPipeline,
		},
		{
			Name: "subscribe", Params: []string{"channel: string", "fn: fun(message: string, channel: string)"}, Returns: []string{"Task?", "string? err"}, Waits: true,
			Doc: "Calls fn for each message of a channel, one after the other, until the task is cancelled. Messages that come while the connection is lost are lost; /1/plugins shows for how long there was none.", Run: redisSubscribe,
		},
		{
			Name: "xreadgroup", Returns: []string{"Task?", "string? err"}, Waits: true,
			Params: []string{
				"options: {group: string, stream: string, consumer: string?, batch: integer?, block_ms: integer?, claim_ms: integer?, attempts: integer?, dead: string?, count: integer?}",
				"fn: fun(entry: {id: string, stream: string, fields: table<string, string>, attempt: integer}|table[]): boolean|\"ack\"|\"retry\"|\"dead\"|{retry: number}|table[]|nil, string?",
			},
			Doc: "Calls fn for each entry of a stream, or with batch for a list of up to so many. fn returns \"ack\" or true; \"retry\", false, nil or an error; \"dead\"; {retry = seconds}; for a list one of them for all, " +
				"or a list of them. Retries wait from 1 s to 60 s, attempts (10) in all; then the entry goes to the stream dead, or stays pending. A failure because the store is full or not available uses no attempt. " +
				"Pending entries of consumers that were silent for claim_ms (30000; 0: never) are taken over. Makes stream and group (from the first entry). An entry may come twice.",
			Run: func(c *vm.Call) error {
				r := c.Self().(*redisClient)
				return readGroup(c, &r.client, r.at.db, &redisStream{redisClient: r})
			},
		},
		{
			Name: "close", Waits: true, Doc: "Ends the client and its subscriptions.",
			Run: func(c *vm.Call) error { return c.Wait(c.Self().(*redisClient).close) },
		},
	},
}

type redisClient struct {
	client
	at    redisAddress
	slots chan struct{} // one per link in use

	mu   sync.Mutex
	idle []*redisLink
	shut bool
}

// do is command, whose error names the server.
func (r *redisClient) do(ctx context.Context, f func(ctx context.Context, l *redisLink) error) error {
	return r.within(ctx, func(ctx context.Context) error { return r.run(ctx, f) })
}

// command runs f with a link, under the client's timeout. Its error is the
// server's or the connection's as it is.
func (r *redisClient) command(ctx context.Context, f func(ctx context.Context, l *redisLink) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	return r.run(ctx, f)
}

func (r *redisClient) run(ctx context.Context, f func(ctx context.Context, l *redisLink) error) error {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.slots }()
	l := r.take()
	stop := context.AfterFunc(ctx, l.kill)
	err := f(ctx, l)
	r.noteOutcome(ctx, err)
	// A link whose connection has failed is not kept, nor one to a server that
	// is no master any more.
	if !stop() || err != nil && (!isReply(err) || isTransient(err)) || !r.give(l) {
		l.end()
	}
	return err
}

// noteOutcome tells a message handler that waits for the command whether the
// server is to blame for its failure.
func (r *redisClient) noteOutcome(ctx context.Context, err error) {
	if err != nil && (!isReply(err) || isTransient(err)) {
		note(ctx, r.target, err)
		return
	}
	note(ctx, r.target, nil)
}

func (r *redisClient) take() *redisLink {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle) - 1; n >= 0 {
		l := r.idle[n]
		r.idle = r.idle[:n]
		return l
	}
	return r.newLink(r.timeout)
}

// give keeps a link for the next call, unless the client has ended.
func (r *redisClient) give(l *redisLink) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.shut {
		r.idle = append(r.idle, l)
	}
	return !r.shut
}

// end closes idle links; those in use are ended by their contexts.
func (r *redisClient) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = true
	for _, l := range r.idle {
		l.end()
	}
	r.idle = nil
}

func redisCall(c *vm.Call) error {
	r := c.Self().(*redisClient)
	parts := make([]any, c.Args())
	for i := range parts {
		parts[i] = c.Value(i + 1)
	}
	if _, err := redisCommand(parts); err != nil {
		return err
	}
	var reply any
	err := c.Wait(func(ctx context.Context) error {
		return r.do(ctx, func(ctx context.Context, l *redisLink) (err error) {
			reply, err = l.Do(ctx, parts...).Result()
			if errors.Is(err, goredis.Nil) {
				return nil
			}
			return err
		})
	})
	if err != nil {
		return c.Fail(err)
	}
	return returnReply(c, redisReply(reply))
}

func redisPipeline(c *vm.Call) error {
	r := c.Self().(*redisClient)
	list := c.List(1)
	if len(list) > maxRedisPipeline {
		return fmt.Errorf("%d commands are more than %d", len(list), maxRedisPipeline)
	}
	size := 0
	for i, item := range list {
		parts, ok := item.([]any)
		if !ok {
			return fmt.Errorf("commands[%d]: is not a list", i+1)
		}
		n, err := redisCommand(parts)
		if err != nil {
			return fmt.Errorf("commands[%d]: %w", i+1, err)
		}
		if size += n; size > maxRedisCommand {
			return fmt.Errorf("the commands are larger than %d bytes", maxRedisCommand)
		}
	}
	replies := make([]any, len(list))
	if len(list) == 0 {
		return c.Return(replies)
	}
	err := c.Wait(func(ctx context.Context) error {
		return r.do(ctx, func(ctx context.Context, l *redisLink) error {
			p := l.Pipeline()
			commands := make([]*goredis.Cmd, len(list))
			for i, item := range list {
				commands[i] = p.Do(ctx, item.([]any)...)
			}
			_, _ = p.Exec(ctx) // each command has its own error
			for i, command := range commands {
				reply, err := command.Result()
				if err != nil && !isReply(err) {
					return err
				}
				if replies[i] = redisReply(reply); err != nil && !errors.Is(err, goredis.Nil) {
					replies[i] = redisReply(err)
				}
			}
			return nil
		})
	})
	if err != nil {
		return c.Fail(err)
	}
	return returnReply(c, replies)
}

// redisCommand checks a command, writes its numbers as text, and returns its
// size.
func redisCommand(parts []any) (size int, err error) {
	if len(parts) == 0 {
		return 0, errors.New("a command has at least a name")
	}
	for i, part := range parts {
		switch v := part.(type) {
		case string:
		case float64:
			parts[i] = strconv.FormatFloat(v, 'f', -1, 64)
		case vm.Integer:
			parts[i] = string(v)
		default:
			return 0, fmt.Errorf("part %d of the command is no string or number", i+1)
		}
		size += len(parts[i].(string))
	}
	name := strings.ToUpper(parts[0].(string))
	if slices.Contains(notRedis, name) {
		return 0, fmt.Errorf("%s would change a connection that calls share", name)
	}
	if size > maxRedisCommand {
		return 0, fmt.Errorf("the command is larger than %d bytes", maxRedisCommand)
	}
	return size, nil
}

// isReply reports whether err is what the server said, not a lost connection.
func isReply(err error) bool {
	var said goredis.Error
	return errors.As(err, &said)
}

// transient are the first words of errors that a server heals by itself, or an
// operator without a change of the plugin.
var transient = []string{"LOADING", "OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS", "BUSY", "ERR max", "EXECABORT"}

func isTransient(err error) bool {
	for _, word := range transient {
		if strings.HasPrefix(err.Error(), word) && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
			return true
		}
	}
	return false
}

// refusedReply marks an answer of the server that no waiting mends.
func refusedReply(err error) error {
	if err != nil && isReply(err) && !isTransient(err) {
		return refusal{err}
	}
	return err
}

// redisReply turns errors within a reply into tables.
func redisReply(v any) any {
	switch v := v.(type) {
	case error:
		return map[string]any{"err": v.Error()}
	case []any:
		for i := range v {
			v[i] = redisReply(v[i])
		}
	}
	return v
}

// returnReply returns a reply; one that a script cannot hold is a failure.
func returnReply(c *vm.Call, reply any) error {
	if err := c.Return(reply); err != nil {
		return c.Fail(err)
	}
	return nil
}
