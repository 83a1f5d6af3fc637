package lua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"nearside/lua/vm"
)

const (
	maxRedisBlock = 60_000 // milliseconds
	maxClaim      = 24 * 3600 * 1000
	defaultClaim  = 30_000 // milliseconds

	redisRenew   = 2 * time.Second // between two signs of life for the entries that a reader holds
	redisOwnIdle = 3 * redisRenew  // without such a sign, a consumer of this name has died
	redisSweep   = 2 * time.Second // between two looks at pending entries
	maxWaiting   = 1000            // entries that wait for a retry; at more, no others are read
)

// A redisPeer is what a reader of a stream needs of its server: a real one, or
// the double in tests of plugins.
type redisPeer interface {
	do(ctx context.Context, command ...any) (any, error)
	// exec runs commands in one transaction.
	exec(ctx context.Context, commands ...[]any) error
	// read runs an XREADGROUP that waits up to block for entries. It returns
	// nil when there are none, and soon after ctx ends; an entry that the
	// server has sent by then is still returned.
	read(ctx context.Context, block time.Duration, command ...any) (any, error)
	// clustered reports whether commands on two keys cannot be one transaction.
	clustered() bool
}

// A groupReader reads a stream as a consumer of a group. Entries are read when
// they are about to be handled, so that the server's delivery counter counts
// attempts.
type groupReader struct {
	in       *instance
	client   *client
	peer     redisPeer
	key      string // of the group, among those of all servers
	group    string
	consumer string
	stream   string
	dead     string // stream of dead letters; empty: none
	batch    int    // entries of one call
	list     bool   // the handler takes a list
	block    time.Duration
	claim    time.Duration // idle time after which entries of others are taken over; 0: never
	attempts int
	fn       *vm.Func
	state    *consumer

	// Of the reader's goroutine.
	waiting  []*groupEntry        // for a retry or for their dead letter, by id
	acks     []string             // handled, and not yet acknowledged
	stuck    map[string]time.Time // failed for the last time at
	working  []*groupEntry        // in the handler
	cursor   string               // where the look at pending entries goes on; empty: from the first
	swept    time.Time            // when the last look ended
	renewed  time.Time
	failures int       // handler calls in a row that failed without a fault of the message
	resume   time.Time // the end of a pause
}

// A groupEntry is one entry of the stream in the hands of a reader.
type groupEntry struct {
	id      string
	fields  map[string]any
	attempt int       // the one that runs or has failed, from 1
	due     time.Time // of the next step
	spared  bool      // the last attempt failed without a fault of the entry
	dead    error     // why it goes to the dead letters; nil: it does not
}

// readGroup is client:xreadgroup of real clients and of doubles.
func readGroup(c *vm.Call, k *client, db int, peer redisPeer) error {
	o := &reader{m: c.Map(1), at: "options."}
	o.known("group", "consumer", "stream", "count", "block_ms", "batch", "claim_ms", "dead", "attempts")
	o.number("count", 16, 1, maxRedisEntries) // of older plugins: see the contract
	_, list := o.m["batch"]
	if o.m["claim_ms"] == false {
		o.m["claim_ms"] = 0.0
	}
	g := &groupReader{
		in: k.in, client: k, peer: peer, group: o.text("group", ""), stream: o.text("stream", ""),
		consumer: k.in.consumerName(o.text("consumer", "")), dead: o.text("dead", ""),
		batch: int(o.number("batch", 1, 1, maxRedisEntries)), list: list,
		block:    time.Duration(o.number("block_ms", 5000, 1, maxRedisBlock)) * time.Millisecond,
		claim:    time.Duration(o.number("claim_ms", defaultClaim, 0, maxClaim)) * time.Millisecond,
		attempts: int(o.number("attempts", defaultAttempts, 1, maxAttempts)),
		fn:       c.Func(2), stuck: map[string]time.Time{},
	}
	for name, v := range map[string]string{"group": g.group, "stream": g.stream} {
		if v == "" {
			o.fault(name, "is missing")
		}
	}
	if g.dead != "" && g.dead == g.stream {
		o.fault("dead", "is the stream itself")
	}
	if err := errors.Join(o.faults...); err != nil {
		return err
	}
	g.key = fmt.Sprintf("%s %d %s\x00%s", k.target, db, g.stream, g.group)
	name := fmt.Sprintf("redis %s stream %s, group %s, consumer %s", k.target, g.stream, g.group, g.consumer)
	return k.follow(c, "xreadgroup", name, g.fn, g.run)
}

// consumerName is the name by which a state reads: its own, also when several
// states run the same code, and the same after a restart.
func (in *instance) consumerName(given string) string {
	suffix := fmt.Sprintf("-%d", in.info.index)
	if in.info.side == matchingSide {
		suffix = fmt.Sprintf("-matching%d", in.info.index)
	}
	if given == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		return in.plugin.name + "@" + host + suffix
	}
	if in.plugin.states > 1 || in.info.side == matchingSide {
		return given + suffix
	}
	return given
}

// run reads until the connection is lost or ctx ends.
func (g *groupReader) run(ctx context.Context, k *consumer) error {
	g.state = k
	k.ending = g.end
	// A server whose memory is full makes no group, also when there is one.
	if err := g.makeGroup(ctx); err != nil && !strings.HasPrefix(err.Error(), "OOM") {
		return err
	}
	if g.now().After(g.resume) {
		k.set(consumerRunning, nil)
	}
	if !g.in.plugin.live.wait(ctx) {
		return ctx.Err()
	}
	g.cursor, g.swept = "", time.Time{} // look at pending entries at once
	for ctx.Err() == nil {
		err := g.step(ctx)
		if err != nil && strings.HasPrefix(err.Error(), "NOGROUP") { // deleted, or the whole database was
			g.in.plugin.log.Warn("xreadgroup: the group is gone and is made again", "stream", g.stream, "group", g.group)
			err = g.makeGroup(ctx)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// makeGroup makes stream and group. The group begins with the first entry, so
// that nothing is lost which was written before it.
func (g *groupReader) makeGroup(ctx context.Context) error {
	_, err := g.peer.do(ctx, "XGROUP", "CREATE", g.stream, g.group, "0", "MKSTREAM")
	if err != nil && strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return nil
	}
	return refusedReply(err)
}

func (g *groupReader) now() time.Time { return g.in.plugin.host.clock.Now() }

// life is the context of what has to be done for entries that were taken. It
// outlives that of the reader, which ends when nothing more shall be taken.
func (g *groupReader) life() context.Context { return g.in.state.Context() }

// step does the next thing: acknowledgements that failed before, a pause,
// entries that are due, pending entries of others, and new ones.
func (g *groupReader) step(ctx context.Context) error {
	if err := g.acknowledge(); err != nil {
		return err
	}
	if err := g.renew(); err != nil {
		return err
	}
	if wait := g.resume.Sub(g.now()); wait > 0 {
		return g.in.plugin.host.clock.Sleep(ctx, min(wait, redisRenew))
	}
	due, err := g.due()
	if err != nil || len(due) > 0 {
		return errors.Join(err, g.handle(due))
	}
	if len(g.waiting) >= maxWaiting {
		return g.in.plugin.host.clock.Sleep(ctx, min(g.untilDue(), redisRenew))
	}
	if g.cursor != "" || g.now().Sub(g.swept) >= redisSweep {
		taken, err := g.takeOver(ctx)
		if err != nil || len(taken) > 0 {
			return errors.Join(err, g.handle(taken))
		}
		if g.cursor != "" {
			return nil
		}
	}
	wait := min(g.block, g.swept.Add(redisSweep).Sub(g.now()), g.untilDue())
	fresh, err := g.readNew(ctx, max(wait, time.Millisecond))
	if err != nil {
		return err
	}
	return g.handle(fresh)
}

// untilDue is how long until the first of the waiting entries is due.
func (g *groupReader) untilDue() time.Duration {
	wait := redisSweep
	for _, e := range g.waiting {
		wait = min(wait, e.due.Sub(g.now()))
	}
	return wait
}

// readNew waits for entries that no consumer has had.
func (g *groupReader) readNew(ctx context.Context, wait time.Duration) ([]*groupEntry, error) {
	reply, err := g.peer.read(ctx, wait, "XREADGROUP", "GROUP", g.group, g.consumer, "COUNT", g.batch,
		"BLOCK", max(wait.Milliseconds(), 1), "STREAMS", g.stream, ">")
	if err != nil {
		return nil, refusedUnless("NOGROUP", err)
	}
	for _, pair := range listOf(reply) { // one, of this stream
		if parts := listOf(pair); len(parts) == 2 {
			entries := g.entries(parts[1])
			for _, e := range entries {
				e.attempt = 1
			}
			return entries, nil
		}
	}
	return nil, nil
}

func refusedUnless(word string, err error) error {
	if strings.HasPrefix(err.Error(), word) {
		return err
	}
	return refusedReply(err)
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

// entries reads [[id, [field, value, ...]], ...] and holds the entries. One
// without fields was deleted from the stream: it is acknowledged.
func (g *groupReader) entries(reply any) []*groupEntry {
	var all []*groupEntry
	for _, item := range listOf(reply) {
		parts := listOf(item)
		if len(parts) != 2 {
			continue
		}
		id, _ := parts[0].(string)
		values := listOf(parts[1])
		if values == nil {
			g.acks = append(g.acks, id)
			continue
		}
		e := &groupEntry{id: id, fields: map[string]any{}}
		for i := 0; i+1 < len(values); i += 2 {
			name, _ := values[i].(string)
			e.fields[name] = values[i+1]
		}
		if g.hold(id) {
			all = append(all, e)
		}
	}
	return all
}

func (g *groupReader) hold(id string) bool {
	return g.in.plugin.host.held.take(redisEntryKey{g.key, id}, g)
}

func (g *groupReader) release(id string) {
	g.in.plugin.host.held.release(redisEntryKey{g.key, id})
}

// wait keeps an entry until it is due again. Entries stay in the order of
// their ids.
func (g *groupReader) wait(e *groupEntry, d time.Duration) {
	e.due = g.now().Add(d)
	i, _ := slices.BinarySearchFunc(g.waiting, e, func(a, b *groupEntry) int { return compareIDs(a.id, b.id) })
	g.waiting = slices.Insert(g.waiting, i, e)
}

// compareIDs orders "milliseconds-number".
func compareIDs(a, b string) int {
	am, an, _ := strings.Cut(a, "-")
	bm, bn, _ := strings.Cut(b, "-")
	return cmp.Or(compareDecimals(am, bm), compareDecimals(an, bn))
}

// compareDecimals orders decimal numbers without leading zeros.
func compareDecimals(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
