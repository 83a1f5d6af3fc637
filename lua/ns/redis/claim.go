package redis

import (
	"context"
	"fmt"
	"time"
)

const (
	pendingPage  = 100 // pending entries that one XPENDING returns
	pendingPages = 10  // pages that one step reads
)

// takeOver claims and returns up to a batch of pending entries whose consumer seems to
// have died: another consumer that has been silent for Claim, or this consumer before
// a restart. Each call continues where the previous one stopped. After the last pending
// entry, takeOver sets swept.
func (g *groupReader) takeOver(ctx context.Context) ([]*groupEntry, error) {
	for range pendingPages {
		from := g.cursor
		if from == "" {
			from = "-"
		}
		reply, err := g.server.Do(ctx, "XPENDING", g.Stream, g.Name, from, "+", pendingPage)
		if err != nil {
			return nil, refusedUnless("NOGROUP", err)
		}
		page := pendingEntries(reply)
		var chosen []pendingEntry
		for _, p := range page {
			if len(chosen) == g.Batch {
				break
			}
			if p.id != from && g.claimable(p) {
				chosen = append(chosen, p)
			}
			g.cursor = p.id
		}
		if len(chosen) > 0 {
			return g.claimAll(chosen)
		}
		if len(page) < pendingPage {
			g.cursor, g.swept = "", g.now()
			return nil, nil
		}
	}
	return nil, nil
}

// claimable reports whether a pending entry may be taken over: no reader of this
// process holds it, and its consumer has been idle long enough.
func (g *groupReader) claimable(p pendingEntry) bool {
	if g.stuck[p.id] || g.Holds.isHeld(entryKey{g.key, p.id}) {
		return false
	}
	limit := g.claimTime(p)
	return limit > 0 && p.idle >= limit
}

// claimTime returns the idle time after which a pending entry is taken over; 0: never.
func (g *groupReader) claimTime(p pendingEntry) time.Duration {
	if p.consumer == g.Consumer && (g.Claim == 0 || g.Claim > OwnIdle) {
		return OwnIdle
	}
	return g.Claim
}

// claimAll takes over entries. It leaves out entries that were acknowledged,
// deleted or taken over by another consumer in the meantime.
func (g *groupReader) claimAll(chosen []pendingEntry) ([]*groupEntry, error) {
	var all []*groupEntry
	for _, p := range chosen {
		count := p.count + 1
		spent := p.count >= g.Attempts && g.Dead != ""
		if spent {
			count = p.count
		}
		reply, err := g.server.Do(g.life(), "XCLAIM", g.Stream, g.Name, g.Consumer, g.claimTime(p).Milliseconds(), p.id, "RETRYCOUNT", count)
		if err != nil {
			return all, refusedReply(err)
		}
		entries := g.entries(reply)
		if list := listOf(reply); len(list) == 1 && list[0] == nil { // deleted from the stream
			g.acks = append(g.acks, p.id)
		}
		for _, e := range entries {
			e.attempt = count
			if spent {
				e.dead = fmt.Errorf("delivered %d times without being acknowledged", p.count)
			}
		}
		all = append(all, entries...)
	}
	return all, nil
}
