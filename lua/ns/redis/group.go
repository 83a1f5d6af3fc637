package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nearside/lua/ns/peer"
)

// Times and limits of readers of groups.
const (
	renewTime  = 2 * time.Second // between two renewals of held entries
	sweepTime  = 2 * time.Second // between two checks of pending entries
	maxWaiting = 1000            // entries waiting for a retry; at this number, no new ones are read

	// OwnIdle is the idle time after which a reader takes over the entries of a
	// consumer with its own name. A running reader renews its entries more often.
	OwnIdle = 3 * renewTime
)

// A Server is the part of a server that a stream reader uses. It is a real server,
// or a double in plugin tests.
type Server interface {
	// Do runs a command. A null reply is nil.
	Do(ctx context.Context, command ...any) (any, error)
	// Exec runs commands in one transaction.
	Exec(ctx context.Context, commands ...[]any) error
	// Read runs an XREADGROUP that waits up to block for entries. It returns nil
	// if there are no entries. It returns soon after ctx ends, but still returns
	// entries that the server has sent by then.
	Read(ctx context.Context, block time.Duration, command ...any) (any, error)
	// End frees the resources of Read.
	End()
}

// A Group holds the options for reading a stream as a consumer of a group.
type Group struct {
	Name, Consumer, Stream string
	Dead                   string        // the stream for dead letters; empty: no dead letters
	Batch                  int           // the maximum number of entries in one call of Handle
	Block                  time.Duration // how long one read waits
	Claim                  time.Duration // idle time after which entries of other consumers are taken over; 0: never
	Attempts               int           // the maximum for one entry

	// Handle handles entries and returns a verdict for each. It is called by
	// one goroutine at a time.
	Handle func(entries []Entry) []peer.Verdict
	Holds  *Holds // the entries that readers of this process hold
	// Release is called once when the reader has ended or Follow has failed.
	Release func()
}

// An Entry is one entry of a stream, as passed to a handler.
type Entry struct {
	ID, Stream string
	Fields     map[string]any // the values are strings
	Attempt    int            // from 1
}

// Follow reads the group through server until the task is cancelled or the
// client k ends. database is the number of the server's database.
func (g Group) Follow(ctx context.Context, k *peer.Client, database int, server Server) (peer.Task, error) {
	r := &groupReader{Group: g, owner: k.Owner, client: k, server: server, stuck: map[string]bool{}}
	r.key = fmt.Sprintf("%s %d %s\x00%s", k.Target, database, g.Stream, g.Name)
	return k.Follow(ctx, peer.Reader{
		What: "xreadgroup",
		Name: fmt.Sprintf("redis %s stream %s, group %s, consumer %s", k.Target, g.Stream, g.Name, g.Consumer),
		Run:  r.run, Release: g.Release,
	})
}

// A groupReader reads a stream as a consumer of a group. It reads an entry only
// when it is about to handle it, so that the server's delivery counter counts the
// attempts.
type groupReader struct {
	Group
	owner  peer.Owner
	client *peer.Client
	server Server
	key    string // identifies the group among the groups of all servers
	state  *peer.Consumer

	// Used only by the reader's goroutine.
	waiting  []*groupEntry   // for a retry or to become a dead letter, ordered by id
	acks     []string        // ids of entries that were handled but not yet acknowledged
	stuck    map[string]bool // ids of pending entries without attempts left
	handling []*groupEntry   // passed to the handler, which has not returned yet
	cursor   string          // where the check of pending entries continues; empty: at the first
	swept    time.Time       // when the last check of pending entries ended
	renewed  time.Time
	failures int       // consecutive failures that the messages did not cause
	resume   time.Time // the end of a pause
}

// A groupEntry is an entry of the stream that a reader holds.
type groupEntry struct {
	id      string
	fields  map[string]any
	attempt int       // the current or last attempt, from 1
	due     time.Time // when the entry is handled again
	spared  bool      // the entry did not cause the failure of the last attempt
	dead    error     // why the entry goes to the dead letters; nil: it does not
}

// run reads until the connection is lost or ctx ends.
func (g *groupReader) run(ctx context.Context, k *peer.Consumer) error {
	g.state = k
	k.OnEnd(g.end)
	// A server whose memory is full rejects XGROUP CREATE even if the group
	// exists already.
	if err := g.makeGroup(ctx); err != nil && !strings.HasPrefix(err.Error(), "OOM") {
		return err
	}
	if g.now().After(g.resume) {
		k.Set(peer.Running, nil)
	}
	if !g.owner.AwaitLive(ctx) {
		return ctx.Err()
	}
	g.cursor, g.swept = "", time.Time{} // check the pending entries at once
	for ctx.Err() == nil {
		err := g.step(ctx)
		if err != nil && strings.HasPrefix(err.Error(), "NOGROUP") { // the group or the whole database was deleted
			g.owner.Log().Warn("xreadgroup: the group was deleted; creating it again", "stream", g.Stream, "group", g.Name)
			err = g.makeGroup(ctx)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// makeGroup creates the stream and the group. The group starts at the first entry,
// so that no entry written before the group is lost.
func (g *groupReader) makeGroup(ctx context.Context) error {
	_, err := g.server.Do(ctx, "XGROUP", "CREATE", g.Stream, g.Name, "0", "MKSTREAM")
	if err != nil && strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return nil
	}
	return refusedReply(err)
}

func (g *groupReader) now() time.Time { return g.owner.Clock().Now() }

// life returns the context for commands about entries that the reader holds. The
// reader's own context is not suitable: it ends when the reader must not read more
// entries.
func (g *groupReader) life() context.Context { return g.owner.Context() }

// step does the first of these that is needed: it waits during a pause, handles entries
// that are due, takes over pending entries, or reads new entries. Before that, it
// repeats failed acknowledgements and renews held entries.
func (g *groupReader) step(ctx context.Context) error {
	if err := g.acknowledge(); err != nil {
		return err
	}
	if err := g.renew(); err != nil {
		return err
	}
	if wait := g.resume.Sub(g.now()); wait > 0 {
		return g.owner.Clock().Sleep(ctx, min(wait, renewTime))
	}
	due, err := g.takeDue()
	if err != nil || len(due) > 0 {
		return errors.Join(err, g.handle(due))
	}
	if len(g.waiting) >= maxWaiting {
		return g.owner.Clock().Sleep(ctx, min(g.untilDue(), renewTime))
	}
	if g.cursor != "" || g.now().Sub(g.swept) >= sweepTime {
		taken, err := g.takeOver(ctx)
		if err != nil || len(taken) > 0 {
			return errors.Join(err, g.handle(taken))
		}
		if g.cursor != "" {
			return nil
		}
	}
	wait := min(g.Block, g.swept.Add(sweepTime).Sub(g.now()), g.untilDue())
	fresh, err := g.readNew(ctx, max(wait, time.Millisecond))
	if err != nil {
		return err
	}
	return g.handle(fresh)
}

// untilDue returns the time until the first waiting entry is due, but at most
// sweepTime.
func (g *groupReader) untilDue() time.Duration {
	wait := sweepTime
	for _, e := range g.waiting {
		wait = min(wait, e.due.Sub(g.now()))
	}
	return wait
}

// readNew waits for entries that were not yet delivered to any consumer.
func (g *groupReader) readNew(ctx context.Context, wait time.Duration) ([]*groupEntry, error) {
	reply, err := g.server.Read(ctx, wait, "XREADGROUP", "GROUP", g.Name, g.Consumer, "COUNT", g.Batch,
		"BLOCK", max(wait.Milliseconds(), 1), "STREAMS", g.Stream, ">")
	if err != nil {
		return nil, refusedUnless("NOGROUP", err)
	}
	for _, pair := range listOf(reply) { // at most one pair, for this stream
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

// refusedUnless is like refusedReply, but returns an error that begins with word
// unchanged.
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

// entries parses [[id, [field, value, ...]], ...], holds the entries and returns them,
// without those that another reader holds. An entry without fields was deleted from the
// stream; it is marked for acknowledgement.
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

// hold makes g the holder of an entry. It returns false if another reader holds it.
func (g *groupReader) hold(id string) bool {
	return g.Holds.tryHold(entryKey{g.key, id}, g)
}

func (g *groupReader) release(id string) {
	g.Holds.release(entryKey{g.key, id})
}

// addWaiting adds an entry to the waiting entries, which are ordered by id. The entry is
// due after d.
func (g *groupReader) addWaiting(e *groupEntry, d time.Duration) {
	e.due = g.now().Add(d)
	i, _ := slices.BinarySearchFunc(g.waiting, e, func(a, b *groupEntry) int { return CompareIDs(a.id, b.id) })
	g.waiting = slices.Insert(g.waiting, i, e)
}

// CompareIDs compares two entry ids of the form "milliseconds-number".
func CompareIDs(a, b string) int {
	am, an, _ := strings.Cut(a, "-")
	bm, bn, _ := strings.Cut(b, "-")
	return cmp.Or(CompareDecimals(am, bm), CompareDecimals(an, bn))
}

// CompareDecimals compares two decimal numbers without leading zeros.
func CompareDecimals(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
