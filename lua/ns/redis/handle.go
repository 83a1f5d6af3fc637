package redis

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"nearside/lua/ns/peer"
)

// handle calls the handler with entries and applies its verdicts. It returns an
// error of the connection. Acknowledgements that could not be sent are retried
// later.
func (g *groupReader) handle(entries []*groupEntry) error {
	entries = g.writeDeadLetters(entries)
	if len(entries) == 0 {
		return g.acknowledge()
	}
	g.handling = entries
	verdicts := g.callHandler(entries)
	g.handling = nil
	paused := error(nil)
	for i, e := range entries {
		v := verdicts[i]
		e.spared = v.Kind == peer.Pause || v.Kind == peer.Cancelled
		switch v.Kind {
		case peer.Ack:
			g.acks = append(g.acks, e.id)
		case peer.Pause:
			paused = v.Err
			g.addWaiting(e, 0)
		case peer.Cancelled:
			g.release(e.id)
		case peer.Dead:
			g.fail(e, v.Err)
		default:
			g.retry(e, v)
		}
	}
	if paused == nil {
		g.failures = 0
		g.state.Set(peer.Running, nil)
	} else {
		g.failures++
		g.resume = g.now().Add(peer.PauseWait(g.failures))
		g.state.Set(peer.Paused, paused)
	}
	return g.acknowledge()
}

// callHandler calls the handler. While it runs, keepAlive renews the entries.
func (g *groupReader) callHandler(entries []*groupEntry) []peer.Verdict {
	all := make([]Entry, len(entries))
	for i, e := range entries {
		all[i] = Entry{ID: e.id, Stream: g.Stream, Fields: e.fields, Attempt: e.attempt}
	}
	stop := g.keepAlive()
	defer stop()
	return g.Handle(all)
}

// keepAlive renews the held entries until stop is called. stop waits for the last
// renewal.
func (g *groupReader) keepAlive() (stop func()) {
	ctx, cancel := context.WithCancel(g.life())
	f := peer.NewFlight(g.owner.Counter())
	g.owner.Counter().AddRunning(1)
	go func() {
		for g.owner.Clock().Sleep(ctx, renewTime) == nil {
			_ = g.renewNow(ctx) // the reader itself detects a lost connection
		}
		f.End()
		g.owner.Counter().AddRunning(-1)
	}()
	return func() {
		cancel()
		f.Wait(context.Background())
	}
}

// retry reports a failed attempt. The entry waits for its next attempt, or fails if
// it has no attempts left.
func (g *groupReader) retry(e *groupEntry, v peer.Verdict) {
	g.state.Count(func(s *peer.ConsumerStatus) { s.Retried++ })
	if v.PluginFailed {
		g.owner.Report("xreadgroup", fmt.Errorf("entry %s, attempt %d of %d: %w", e.id, e.attempt, g.Attempts, v.Err))
	} else {
		g.owner.Log().Warn("xreadgroup: an entry was not handled", slog.String("stream", g.Stream), slog.String("entry", e.id),
			slog.Int("attempt", e.attempt), slog.Int("attempts", g.Attempts), slog.String("reason", v.Err.Error()))
	}
	if e.attempt >= g.Attempts {
		g.fail(e, fmt.Errorf("attempt %d: %w", e.attempt, v.Err))
		return
	}
	wait := v.Wait
	if wait == 0 {
		wait = peer.RetryWait(e.attempt)
	}
	g.addWaiting(e, wait)
}

// fail ends the attempts of an entry. The entry goes to the dead letters, or stays
// pending if the group has no stream for them.
func (g *groupReader) fail(e *groupEntry, why error) {
	if g.Dead != "" {
		e.dead = why
		g.addWaiting(e, 0)
		return
	}
	g.stuck[e.id] = true
	g.state.AddStuck(e.id + ": " + why.Error())
	g.owner.Log().Error("xreadgroup: an entry has failed for the last time and stays pending, because the option dead is not set",
		slog.String("stream", g.Stream), slog.String("entry", e.id), slog.Int("attempts", e.attempt), slog.String("error", why.Error()))
}

// writeDeadLetters writes the entries that are marked as dead to the dead letters, and returns
// the other entries. A dead letter that cannot be written now is retried later.
func (g *groupReader) writeDeadLetters(entries []*groupEntry) (others []*groupEntry) {
	for _, e := range entries {
		if e.dead == nil {
			others = append(others, e)
			continue
		}
		letter := []any{"XADD", g.Dead, "*", "reason", e.dead.Error(), "id", e.id, "stream", g.Stream, "group", g.Name, "attempts", e.attempt}
		reserved := []string{"reason", "id", "stream", "group", "attempts"}
		for name, value := range e.fields {
			if slices.Contains(reserved, name) {
				name = "entry." + name
			}
			letter = append(letter, name, value)
		}
		ack := []any{"XACK", g.Stream, g.Name, e.id}
		err := g.server.Exec(g.life(), letter, ack)
		if err != nil {
			g.failures++
			g.addWaiting(e, peer.RetryWait(g.failures))
			g.owner.Report("xreadgroup", fmt.Errorf("entry %s: its dead letter cannot be written: %w", e.id, err))
			continue
		}
		g.failures = 0
		g.release(e.id)
		g.state.Count(func(s *peer.ConsumerStatus) { s.Dead++ })
		g.owner.Log().Warn("xreadgroup: an entry went to the dead letters", slog.String("stream", g.Stream), slog.String("entry", e.id),
			slog.Int("attempts", e.attempt), slog.String("error", e.dead.Error()))
	}
	return others
}

// acknowledge sends the pending acknowledgements to the server. After an error, they
// are sent again later. In the meantime, the entries are not handled again.
func (g *groupReader) acknowledge() error {
	if len(g.acks) == 0 {
		return nil
	}
	command := []any{"XACK", g.Stream, g.Name}
	for _, id := range g.acks {
		command = append(command, id)
	}
	if _, err := g.server.Do(g.life(), command...); err != nil {
		return err
	}
	for _, id := range g.acks {
		g.release(id)
	}
	n := len(g.acks)
	g.acks = nil
	g.state.Count(func(s *peer.ConsumerStatus) { s.Acked += uint64(n) })
	return nil
}

// end sends the pending acknowledgements. Then it releases the entries that the
// reader still holds, so that other readers can take them over at once.
func (g *groupReader) end() {
	ctx := g.life()
	pause := peer.NewBackoff(g.owner)
	for g.acknowledge() != nil && ctx.Err() == nil && g.client.Context().Err() == nil {
		_ = pause.Wait(ctx) // the loop checks ctx
	}
	if n := len(g.acks); n > 0 {
		g.owner.Log().Error("xreadgroup: entries were handled but could not be acknowledged; they will be delivered again",
			slog.String("stream", g.Stream), slog.Int("count", n))
	}
	idle := max(g.Claim, OwnIdle).Milliseconds() + 1
	for _, e := range g.waiting {
		attempt := e.attempt
		if e.spared {
			attempt--
		}
		if ctx.Err() != nil {
			break
		}
		_, _ = g.server.Do(ctx, "XCLAIM", g.Stream, g.Name, g.Consumer, 0, e.id, "IDLE", idle, "RETRYCOUNT", max(attempt, 0), "JUSTID") // after an error, the entry is taken over later
	}
	g.Holds.releaseAll(g)
	g.server.End()
}

// renew renews the waiting entries if the last renewal was renewTime ago.
func (g *groupReader) renew() error {
	if len(g.waiting) == 0 || g.now().Sub(g.renewed) < renewTime {
		return nil
	}
	g.renewed = g.now()
	return g.renewNow(g.life())
}

// renewNow resets the idle time of the held entries to 0. It does not change their
// delivery counters.
func (g *groupReader) renewNow(ctx context.Context) error {
	command := []any{"XCLAIM", g.Stream, g.Name, g.Consumer, 0}
	for _, e := range slices.Concat(g.handling, g.waiting) {
		command = append(command, e.id)
	}
	if len(command) == 5 {
		return nil
	}
	_, err := g.server.Do(ctx, append(command, "JUSTID")...)
	return err
}

// takeDue removes up to a batch of due entries from the waiting ones and returns them.
// It counts their next attempt at the server. It drops entries that another consumer has
// taken over or acknowledged.
func (g *groupReader) takeDue() ([]*groupEntry, error) {
	var due []*groupEntry
	now := g.now()
	for _, e := range slices.Clone(g.waiting) {
		if len(due) == g.Batch || e.due.After(now) {
			continue
		}
		mine, err := g.isMine(e.id)
		if err != nil {
			return due, err
		}
		if mine && e.dead == nil && !e.spared {
			_, err = g.server.Do(g.life(), "XCLAIM", g.Stream, g.Name, g.Consumer, 0, e.id, "RETRYCOUNT", e.attempt+1, "JUSTID")
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
	reply, err := g.server.Do(g.life(), "XPENDING", g.Stream, g.Name, id, id, 1)
	if err != nil {
		return false, err
	}
	p := pendingEntries(reply)
	return len(p) == 1 && p[0].consumer == g.Consumer, nil
}

// A pendingEntry is one entry in the reply of XPENDING.
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
