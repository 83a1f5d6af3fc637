package lua

import (
	"context"
	"fmt"
	"time"
)

const (
	pendingPage  = 100 // entries of one look at pending ones
	pendingPages = 10  // of one step
)

// takeOver returns up to a batch of pending entries whose consumer has died:
// another one that has been silent for claim, or this one before a restart.
// It goes on where it ended; when it has seen all, swept is set.
func (g *groupReader) takeOver(ctx context.Context) ([]*groupEntry, error) {
	for range pendingPages {
		from := g.cursor
		if from == "" {
			from = "-"
		}
		reply, err := g.peer.do(ctx, "XPENDING", g.stream, g.group, from, "+", pendingPage)
		if err != nil {
			return nil, refusedUnless("NOGROUP", err)
		}
		page := pendingEntries(reply)
		var chosen []pendingEntry
		for _, p := range page {
			if len(chosen) == g.batch {
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

// claimable reports whether nobody works on a pending entry.
func (g *groupReader) claimable(p pendingEntry) bool {
	if _, stuck := g.stuck[p.id]; stuck || g.in.plugin.host.held.isHeld(redisEntryKey{g.key, p.id}) {
		return false
	}
	idle := g.idleOf(p)
	return idle > 0 && p.idle >= idle
}

// idleOf is the idle time after which a pending entry is taken over; 0: never.
func (g *groupReader) idleOf(p pendingEntry) time.Duration {
	if p.consumer == g.consumer && (g.claim == 0 || g.claim > redisOwnIdle) {
		return redisOwnIdle
	}
	return g.claim
}

// claimAll takes over entries. What was acknowledged, deleted or taken over by
// another consumer meanwhile is left out.
func (g *groupReader) claimAll(chosen []pendingEntry) ([]*groupEntry, error) {
	var all []*groupEntry
	for _, p := range chosen {
		count := p.count + 1
		spent := p.count >= g.attempts && g.dead != ""
		if spent {
			count = p.count
		}
		reply, err := g.peer.do(g.life(), "XCLAIM", g.stream, g.group, g.consumer, g.idleOf(p).Milliseconds(), p.id, "RETRYCOUNT", count)
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
