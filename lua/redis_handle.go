package lua

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// handle calls the handler with entries and does what it decides. The error is
// the connection's; what could not be told to the server is kept for later.
func (g *groupReader) handle(entries []*groupEntry) error {
	entries = g.bury(entries)
	if len(entries) == 0 {
		return g.acknowledge()
	}
	g.working = entries
	verdicts := g.call(entries)
	g.working = nil
	paused := error(nil)
	for i, e := range entries {
		v := verdicts[i]
		e.spared = v.kind == verdictPause || v.kind == verdictCancelled
		switch v.kind {
		case verdictAck:
			g.acks = append(g.acks, e.id)
		case verdictPause:
			paused = v.err
			g.wait(e, 0)
		case verdictCancelled:
			g.release(e.id)
		case verdictDead:
			g.fail(e, v.err)
		default:
			g.retry(e, v)
		}
	}
	if paused == nil {
		g.failures = 0
		g.state.set(consumerRunning, nil)
	} else {
		g.failures++
		g.resume = g.now().Add(pauseWait(g.failures))
		g.state.set(consumerPaused, paused)
	}
	return g.acknowledge()
}

// call calls the handler. As long as it runs, the server is told that the
// entries are in good hands.
func (g *groupReader) call(entries []*groupEntry) []verdict {
	messages := make([]any, len(entries))
	for i, e := range entries {
		messages[i] = map[string]any{"id": e.id, "stream": g.stream, "fields": e.fields, "attempt": e.attempt}
	}
	stop := g.keepAlive()
	defer stop()
	if g.list {
		return g.in.judgeAll(g.fn, messages)
	}
	return []verdict{g.in.judge(g.fn, messages[0])}
}

// keepAlive renews held entries until stop is called.
func (g *groupReader) keepAlive() (stop func()) {
	ctx, cancel := context.WithCancel(g.life())
	f := newFlight(g.in.plugin.host)
	g.in.plugin.host.running(1)
	go func() {
		for g.in.plugin.host.clock.Sleep(ctx, redisRenew) == nil {
			_ = g.renewNow(ctx) // the reader finds out itself that the connection is lost
		}
		f.end()
		g.in.plugin.host.running(-1)
	}()
	return func() {
		cancel()
		f.wait(context.Background())
	}
}

// retry decides what becomes of an entry whose attempt has failed.
func (g *groupReader) retry(e *groupEntry, v verdict) {
	g.state.count(func(s *ConsumerStatus) { s.Retried++ })
	if v.raised {
		g.in.report("xreadgroup", fmt.Errorf("entry %s, attempt %d of %d: %w", e.id, e.attempt, g.attempts, v.err))
	} else {
		g.in.plugin.log.Warn("xreadgroup: an entry was not handled", slog.String("stream", g.stream), slog.String("entry", e.id),
			slog.Int("attempt", e.attempt), slog.Int("attempts", g.attempts), slog.String("reason", v.err.Error()))
	}
	if e.attempt >= g.attempts {
		g.fail(e, fmt.Errorf("attempt %d: %w", e.attempt, v.err))
		return
	}
	wait := v.wait
	if wait == 0 {
		wait = retryWait(e.attempt)
	}
	g.wait(e, wait)
}

// fail ends the attempts of an entry: it goes to the dead letters, or stays
// pending when none are named.
func (g *groupReader) fail(e *groupEntry, why error) {
	if g.dead != "" {
		e.dead = why
		g.wait(e, 0)
		return
	}
	g.stuck[e.id] = g.now()
	g.state.addStuck(e.id + ": " + why.Error())
	g.in.plugin.log.Error("xreadgroup: an entry has failed for the last time and stays pending; name a stream for dead letters (dead)",
		slog.String("stream", g.stream), slog.String("entry", e.id), slog.Int("attempts", e.attempt), slog.String("error", why.Error()))
}

// bury writes the dead letters among entries and returns the others. A dead
// letter that cannot be written now waits.
func (g *groupReader) bury(entries []*groupEntry) (others []*groupEntry) {
	for _, e := range entries {
		if e.dead == nil {
			others = append(others, e)
			continue
		}
		letter := []any{"XADD", g.dead, "*", "reason", e.dead.Error(), "id", e.id, "stream", g.stream, "group", g.group, "attempts", e.attempt}
		taken := []string{"reason", "id", "stream", "group", "attempts"}
		for name, value := range e.fields {
			if slices.Contains(taken, name) {
				name = "entry." + name
			}
			letter = append(letter, name, value)
		}
		ack := []any{"XACK", g.stream, g.group, e.id}
		err := g.peer.exec(g.life(), letter, ack)
		if err != nil {
			g.failures++
			g.wait(e, retryWait(g.failures))
			g.in.report("xreadgroup", fmt.Errorf("entry %s: its dead letter: %w", e.id, err))
			continue
		}
		g.failures = 0
		g.release(e.id)
		g.state.count(func(s *ConsumerStatus) { s.Dead++ })
		g.in.plugin.log.Warn("xreadgroup: a dead letter", slog.String("stream", g.stream), slog.String("entry", e.id),
			slog.Int("attempts", e.attempt), slog.String("error", e.dead.Error()))
	}
	return others
}

// acknowledge tells the server what was handled. After an error it is told
// again later: the entries are not handled a second time meanwhile.
func (g *groupReader) acknowledge() error {
	if len(g.acks) == 0 {
		return nil
	}
	command := []any{"XACK", g.stream, g.group}
	for _, id := range g.acks {
		command = append(command, id)
	}
	if _, err := g.peer.do(g.life(), command...); err != nil {
		return err
	}
	for _, id := range g.acks {
		g.release(id)
	}
	n := len(g.acks)
	g.acks = nil
	g.state.count(func(s *ConsumerStatus) { s.Acked += uint64(n) })
	return nil
}

// end gives back what the reader still holds, so that others can take it at
// once, and acknowledges what was handled.
func (g *groupReader) end() {
	ctx := g.life()
	pause := backoff{clock: g.in.plugin.host.clock, random: g.in.plugin.host.random}
	for g.acknowledge() != nil && ctx.Err() == nil && g.client.ctx.Err() == nil {
		_ = pause.wait(ctx) // the loop looks at ctx
	}
	if n := len(g.acks); n > 0 {
		g.in.plugin.log.Error("xreadgroup: entries were handled and could not be acknowledged: they will come again",
			slog.String("stream", g.stream), slog.Int("count", n))
	}
	idle := max(g.claim, redisOwnIdle).Milliseconds() + 1
	for _, e := range g.waiting {
		attempt := e.attempt
		if e.spared {
			attempt--
		}
		if ctx.Err() != nil {
			break
		}
		_, _ = g.peer.do(ctx, "XCLAIM", g.stream, g.group, g.consumer, 0, e.id, "IDLE", idle, "RETRYCOUNT", max(attempt, 0), "JUSTID") // else they are taken over later
	}
	g.in.plugin.host.held.releaseAll(g)
	if closer, ok := g.peer.(interface{ end() }); ok {
		closer.end()
	}
}

// renew renews the entries that wait, now and then.
func (g *groupReader) renew() error {
	if len(g.waiting) == 0 || g.now().Sub(g.renewed) < redisRenew {
		return nil
	}
	g.renewed = g.now()
	return g.renewNow(g.life())
}

// renewNow sets the idle time of held entries back to 0, and leaves their
// counter as it is.
func (g *groupReader) renewNow(ctx context.Context) error {
	command := []any{"XCLAIM", g.stream, g.group, g.consumer, 0}
	for _, e := range slices.Concat(g.working, g.waiting) {
		command = append(command, e.id)
	}
	if len(command) == 5 {
		return nil
	}
	_, err := g.peer.do(ctx, append(command, "JUSTID")...)
	return err
}

// due returns entries whose time has come, up to a batch, with their next
// attempt counted. Those that somebody else has taken over or acknowledged
// are forgotten.
func (g *groupReader) due() ([]*groupEntry, error) {
	var due []*groupEntry
	now := g.now()
	for _, e := range slices.Clone(g.waiting) {
		if len(due) == g.batch || e.due.After(now) {
			continue
		}
		mine, err := g.isMine(e.id)
		if err != nil {
			return due, err
		}
		if mine && e.dead == nil && !e.spared {
			_, err = g.peer.do(g.life(), "XCLAIM", g.stream, g.group, g.consumer, 0, e.id, "RETRYCOUNT", e.attempt+1, "JUSTID")
			if err != nil {
				return due, err
			}
			e.attempt++
		}
		g.waiting = slices.DeleteFunc(g.waiting, func(other *groupEntry) bool { return other == e })
		if !mine {
			g.release(e.id)
			continue
		}
		due = append(due, e)
	}
	return due, nil
}

// isMine reports whether an entry is still pending for this consumer.
func (g *groupReader) isMine(id string) (bool, error) {
	reply, err := g.peer.do(g.life(), "XPENDING", g.stream, g.group, id, id, 1)
	if err != nil {
		return false, err
	}
	p := pendingEntries(reply)
	return len(p) == 1 && p[0].consumer == g.consumer, nil
}

// A pendingEntry is a line of XPENDING.
type pendingEntry struct {
	id, consumer string
	idle         time.Duration
	count        int
}

func pendingEntries(reply any) []pendingEntry {
	var all []pendingEntry
	for _, item := range listOf(reply) {
		if parts := listOf(item); len(parts) == 4 {
			id, _ := parts[0].(string)
			consumer, _ := parts[1].(string)
			idle, _ := parts[2].(int64)
			count, _ := parts[3].(int64)
			all = append(all, pendingEntry{id, consumer, time.Duration(idle) * time.Millisecond, int(count)})
		}
	}
	return all
}
