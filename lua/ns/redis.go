package ns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearside/lua/goval"
	"nearside/lua/ns/peer"
	"nearside/lua/ns/redis"
	"nearside/lua/vm"
)

// Limits and defaults of the calls of a Redis client.
const (
	maxRedisCommand  = 16 << 20         // bytes of a command or pipeline
	maxRedisPipeline = 1000             // commands
	maxRedisEntries  = 1000             // entries in one call of the handler of xreadgroup
	maxRedisBlock    = 60_000           // milliseconds, of the option block_ms
	maxClaim         = 24 * 3600 * 1000 // milliseconds, of the option claim_ms
	defaultClaim     = 30_000           // milliseconds
)

// A RedisClient is the part of a client that ns.redis uses. It is a real client, or a
// double in plugin tests. Methods may be called by any goroutine.
type RedisClient interface {
	// Do runs a command, whose parts are strings. A null reply is nil. An error
	// within a list is an error value.
	Do(ctx context.Context, parts ...any) (any, error)
	// Pipeline returns a reply or an error value for each command.
	Pipeline(ctx context.Context, commands [][]any) ([]any, error)
	// Subscribe calls receive for each message of a channel until the task is
	// cancelled. release is called once when the subscription has ended or
	// Subscribe has failed.
	Subscribe(ctx context.Context, channel string, receive func(message, channel string), release func()) (peer.Task, error)
	// ReadGroup reads a stream until the task is cancelled.
	ReadGroup(ctx context.Context, g redis.Group) (peer.Task, error)
	// Context returns a context that ends with the client.
	Context() context.Context
	// Close ends the client and waits for its readers.
	Close(ctx context.Context) error
}

// refusedCommands lists the commands that scripts cannot use. They would change the state
// of a connection, and calls share connections.
var refusedCommands = []string{
	"AUTH", "CLIENT", "DISCARD", "EXEC", "HELLO", "MONITOR", "MULTI", "PSUBSCRIBE", "PSYNC", "PUNSUBSCRIBE",
	"QUIT", "RESET", "SELECT", "SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "SYNC", "UNSUBSCRIBE", "UNWATCH", "WATCH",
}

// redisModule is ns.redis. A client reconnects by itself. It never sends a command
// twice.
func redisModule() vm.Module {
	return vm.Module{
		Name: "redis", Doc: "Redis.", Classes: []*vm.Class{leaseClass, redisClass},
		Functions: []vm.Function{{
			Name: "connect", Params: []string{"url: string", "options?: {timeout_ms: number?}"}, Returns: []string{"RedisClient?", "string? err"},
			Doc: "Creates a client for redis://[user:password@]host[:port][/db], or rediss:// for TLS. The client connects on first use and reconnects by itself. If the server is down, calls fail, but connect succeeds. " +
				"With ?master_name=name the hosts are Sentinels; with ?cluster=true they are nodes of a cluster. &addr=host:port adds a host.", Waits: true, Run: redisConnect,
		}},
	}
}

var redisClass = &vm.Class{
	Name: "RedisClient", Doc: "A Redis client. A null reply is nil, but json.null within a list. An error within a list is {err = text}.",
	Methods: []vm.Function{
		leaseMethod,
		{
			Name: "call", Params: []string{"command: string", "...: string|number"}, Returns: []string{"any", "string? err"}, Waits: true,
			Doc: "Runs a command and returns its reply.", Run: redisCall,
		},
		{
			Name: "pipeline", Params: []string{"commands: (string|number)[][]"}, Returns: []string{"any[]?", "string? err"}, Waits: true,
			Doc: "Sends up to 1000 commands at once and returns their replies.", Run: redisPipeline,
		},
		{
			Name: "subscribe", Params: []string{"channel: string", "fn: fun(message: string, channel: string)"}, Returns: []string{"Task?", "string? err"}, Waits: true,
			Doc: "Calls fn for each message of a channel, one after the other, until the task is cancelled. Messages that are published while the client has no connection are lost. /1/plugins shows how long it was disconnected (down_seconds).", Run: redisSubscribe,
		},
		{
			Name: "xreadgroup", Returns: []string{"Task?", "string? err"}, Waits: true,
			Params: []string{
				"options: {group: string, stream: string, consumer: string?, batch: integer?, block_ms: integer?, claim_ms: integer?, attempts: integer?, dead: string?, count: integer?}",
				"fn: fun(entry: {id: string, stream: string, fields: table<string, string>, attempt: integer}|table[]): boolean|\"ack\"|\"retry\"|\"dead\"|{retry: number}|table[]|nil, string?",
			},
			Doc: "Reads a stream as a consumer of a group. Calls fn for each entry, or, with batch = n, for lists of up to n entries. If fn returns \"ack\" or true, the entry is acknowledged. If it returns \"retry\", false or nil, or raises an error, fn is called again after 1 to 60 seconds; " +
				"{retry = seconds} sets the time. After the last of attempts (default 10) attempts, or if fn returns \"dead\", the entry goes to the stream dead; without the option dead, it stays pending. For a list, fn returns one verdict for all entries or a list of verdicts. A second result of fn is the reason. " +
				"If the store is full or not available, the reader pauses and no attempt is used. Pending entries of other consumers are taken over if they have been idle for claim_ms (default 30000; 0: never). The stream and the group are created if necessary; the group starts at the first entry. An entry may be delivered twice.",
			Run: redisReadGroup,
		},
		{
			Name: "close", Waits: true, Doc: "Ends the client and its readers.",
			Run: func(c *vm.Call) error { return c.Wait(c.Self().(RedisClient).Close) },
		},
	},
}

func redisConnect(c *vm.Call) error {
	address, err := redis.ParseAddress(c.Text(1))
	if err != nil {
		return err
	}
	k, err := newClient(c, "redis", strings.Join(address.All, ","), address.All...)
	if err != nil {
		return err
	}
	client, err := self(c).Plugin.Host.Doubles.redis(k, address)
	if err != nil {
		return c.Fail(err)
	}
	return c.Return(vm.Object{Class: redisClass, Value: client})
}

func redisCall(c *vm.Call) error {
	r := c.Self().(RedisClient)
	parts := make([]any, c.Args())
	for i := range parts {
		parts[i] = c.Value(i + 1)
	}
	if _, err := RedisCommand(parts); err != nil {
		return err
	}
	var reply any
	err := c.Wait(func(ctx context.Context) (err error) {
		reply, err = r.Do(ctx, parts...)
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return returnReply(c, redisReply(reply))
}

func redisPipeline(c *vm.Call) error {
	r := c.Self().(RedisClient)
	list := c.List(1)
	if len(list) > maxRedisPipeline {
		return fmt.Errorf("commands: must have at most %d commands, got %d", maxRedisPipeline, len(list))
	}
	size := 0
	commands := make([][]any, len(list))
	for i, item := range list {
		parts, ok := item.([]any)
		if !ok {
			return fmt.Errorf("commands[%d]: is not a list", i+1)
		}
		n, err := RedisCommand(parts)
		if err != nil {
			return fmt.Errorf("commands[%d]: %w", i+1, err)
		}
		if size += n; size > maxRedisCommand {
			return fmt.Errorf("the commands are larger than %d bytes", maxRedisCommand)
		}
		commands[i] = parts
	}
	if len(commands) == 0 {
		return c.Return([]any{})
	}
	var replies []any
	err := c.Wait(func(ctx context.Context) (err error) {
		replies, err = r.Pipeline(ctx, commands)
		return err
	})
	if err != nil {
		return c.Fail(err)
	}
	return returnReply(c, redisReply(replies))
}

func redisSubscribe(c *vm.Call) error {
	r, in := c.Self().(RedisClient), self(c)
	channel, fn := c.Text(1), c.Func(2)
	if channel == "" {
		return errors.New("the channel has no name")
	}
	var task peer.Task
	err := c.Wait(func(ctx context.Context) (err error) {
		task, err = r.Subscribe(ctx, channel, func(message, channel string) {
			// Only the end of the instance ends the call.
			_, err := in.Call(in.State.Context(), vm.Limits{}, fn, message, channel)
			in.Report("subscription", err)
		}, in.State.Keep(fn))
		return err
	})
	return returnTask(c, task, err)
}

func redisReadGroup(c *vm.Call) error {
	r, in := c.Self().(RedisClient), self(c)
	g, list, err := readGroup(c)
	if err != nil {
		return err
	}
	fn := c.Func(2)
	g.Handle = func(entries []redis.Entry) []peer.Verdict {
		messages := make([]any, len(entries))
		for i, e := range entries {
			messages[i] = map[string]any{"id": e.ID, "stream": e.Stream, "fields": e.Fields, "attempt": e.Attempt}
		}
		if list {
			return in.HandleMessages(fn, messages)
		}
		return []peer.Verdict{in.HandleMessage(fn, messages[0])}
	}
	g.Holds, g.Release = &in.Plugin.Host.held, in.State.Keep(fn)
	var task peer.Task
	err = c.Wait(func(ctx context.Context) (err error) {
		task, err = r.ReadGroup(ctx, g)
		return err
	})
	return returnTask(c, task, err)
}

// readGroup reads the options of xreadgroup. list reports whether the handler takes a
// list of entries.
func readGroup(c *vm.Call) (g redis.Group, list bool, err error) {
	o := &goval.Reader{Map: c.Map(1), Path: "options."}
	o.RefuseUnknown("group", "consumer", "stream", "count", "block_ms", "batch", "claim_ms", "dead", "attempts")
	o.Whole("count", 16, 1, maxRedisEntries) // accepted for older plugins; see docs/plugins-contract.md
	_, list = o.Map["batch"]
	if o.Map["claim_ms"] == false {
		o.Map["claim_ms"] = 0.0
	}
	g = redis.Group{
		Name: o.Text("group", ""), Stream: o.Text("stream", ""),
		Consumer: self(c).consumerName(o.Text("consumer", "")), Dead: o.Text("dead", ""),
		Batch:    o.Whole("batch", 1, 1, maxRedisEntries),
		Block:    time.Duration(o.Whole("block_ms", 5000, 1, maxRedisBlock)) * time.Millisecond,
		Claim:    time.Duration(o.Whole("claim_ms", defaultClaim, 0, maxClaim)) * time.Millisecond,
		Attempts: o.Whole("attempts", peer.DefaultAttempts, 1, peer.MaxAttempts),
	}
	for name, v := range map[string]string{"group": g.Name, "stream": g.Stream} {
		if v == "" {
			o.Fault(name, "is missing")
		}
	}
	if g.Dead != "" && g.Dead == g.Stream {
		o.Fault("dead", "is the stream itself")
	}
	return g, list, errors.Join(o.Faults...)
}

// consumerName returns the name under which a state reads a group. Each state of a plugin
// has a different name, which stays the same after a restart. given is the option
// consumer; it may be empty.
func (in *Instance) consumerName(given string) string {
	suffix := fmt.Sprintf("-%d", in.Info.Index)
	if in.Info.Side == MatchingSide {
		suffix = fmt.Sprintf("-matching%d", in.Info.Index)
	}
	if given == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		return in.Plugin.About.Name + "@" + host + suffix
	}
	if in.Plugin.About.States > 1 || in.Info.Side == MatchingSide {
		return given + suffix
	}
	return given
}

// RedisCommand checks a command, replaces its numbers with text, and returns its size
// in bytes.
func RedisCommand(parts []any) (size int, err error) {
	if len(parts) == 0 {
		return 0, errors.New("the command is empty: it needs at least a name")
	}
	for i, part := range parts {
		switch v := part.(type) {
		case string:
		case float64:
			parts[i] = strconv.FormatFloat(v, 'f', -1, 64)
		case vm.Integer:
			parts[i] = string(v)
		default:
			return 0, fmt.Errorf("part %d of the command must be a string or a number", i+1)
		}
		size += len(parts[i].(string))
	}
	name := strings.ToUpper(parts[0].(string))
	if slices.Contains(refusedCommands, name) {
		return 0, fmt.Errorf("%s is refused: it would change the state of a connection that other calls share", name)
	}
	if size > maxRedisCommand {
		return 0, fmt.Errorf("the command is larger than %d bytes", maxRedisCommand)
	}
	return size, nil
}

// redisReply replaces the errors within a reply with tables.
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

// returnReply returns a reply to the script, or nil and an error if the script cannot
// hold the reply.
func returnReply(c *vm.Call, reply any) error {
	if err := c.Return(reply); err != nil {
		return c.Fail(err)
	}
	return nil
}
