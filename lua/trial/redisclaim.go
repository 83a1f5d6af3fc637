package trial

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearside/lua/ns/redis"
)

// xpending implements XPENDING key group [[IDLE ms] from to count [consumer]].
func (d *redisData) xpending(key string, args []string) (any, error) {
	_, g, err := d.group(key, args[0])
	if err != nil {
		return nil, err
	}
	args = args[1:]
	if len(args) == 0 {
		return g.summary(), nil
	}
	minIdle := 0
	if strings.EqualFold(args[0], "IDLE") && len(args) > 1 {
		minIdle, _ = strconv.Atoi(args[1])
		args = args[2:]
	}
	if len(args) < 3 {
		return nil, errRedisSyntax
	}
	r, err := newRedisRange(args)
	count, err2 := strconv.Atoi(args[2])
	if errors.Join(err, err2) != nil {
		return nil, errRedisNumber
	}
	all := []any{}
	for _, id := range g.ids() {
		p := g.pending[id]
		idle := int(d.now().Sub(p.since).Milliseconds())
		if r.has(id) && len(all) < count && idle >= minIdle && (len(args) < 4 || args[3] == p.consumer) {
			all = append(all, []any{id, p.consumer, idle, p.count})
		}
	}
	return all, nil
}

// summary implements XPENDING key group.
func (g *redisGroup) summary() any {
	ids := g.ids()
	if len(ids) == 0 {
		return []any{0, nil, nil, nil}
	}
	counts, consumers := map[string]int{}, []any{}
	for _, p := range g.pending {
		counts[p.consumer]++
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		consumers = append(consumers, []any{name, strconv.Itoa(counts[name])})
	}
	return []any{len(ids), ids[0], ids[len(ids)-1], consumers}
}

// xclaim implements XCLAIM key group consumer min-idle id ... [IDLE ms]
// [RETRYCOUNT n] [FORCE] [JUSTID].
func (d *redisData) xclaim(key string, args []string) (any, error) {
	s, g, err := d.group(key, args[0])
	if err != nil {
		return nil, err
	}
	minIdle, err := strconv.Atoi(args[2])
	if err != nil {
		return nil, errors.New("ERR Invalid min-idle-time argument for XCLAIM")
	}
	var ids []string
	since, retries, justID := d.now(), -1, false
	for i := 3; i < len(args); i++ {
		switch option := strings.ToUpper(args[i]); option {
		case "JUSTID":
			justID = true
		case "IDLE", "RETRYCOUNT":
			if i++; i == len(args) {
				return nil, errRedisSyntax
			}
			n, err := strconv.Atoi(args[i])
			if err != nil {
				return nil, errRedisNumber
			}
			if option == "IDLE" {
				since = d.now().Add(-time.Duration(min(n, int(maxRedisTime/time.Millisecond))) * time.Millisecond)
			} else {
				retries = n
			}
		default:
			ids = append(ids, args[i])
		}
	}
	all := []any{}
	for _, id := range ids {
		if p := g.pending[id]; p != nil && int(d.now().Sub(p.since).Milliseconds()) >= minIdle {
			all = append(all, g.claim(s, id, args[1], since, retries, justID)...)
		}
	}
	return all, nil
}

// claim assigns a pending entry to a consumer. If the entry was deleted from the stream,
// it is no longer pending.
func (g *redisGroup) claim(s *redisStreamData, id, consumer string, since time.Time, retries int, justID bool) []any {
	e, ok := s.find(id)
	if !ok {
		delete(g.pending, id)
		return nil
	}
	p := g.pending[id]
	p.consumer, p.since = consumer, since
	switch {
	case retries >= 0:
		p.count = retries
	case !justID:
		p.count++
	}
	if justID {
		return []any{id}
	}
	return []any{e.reply()}
}

// xautoclaim implements XAUTOCLAIM key group consumer min-idle start [COUNT n]
// [JUSTID].
func (d *redisData) xautoclaim(key string, args []string) (any, error) {
	s, g, err := d.group(key, args[0])
	if err != nil {
		return nil, err
	}
	minIdle, err := strconv.Atoi(args[2])
	if err != nil {
		return nil, errors.New("ERR Invalid min-idle-time argument for XAUTOCLAIM")
	}
	count, justID := 100, false
	for i := 4; i < len(args); i++ {
		switch strings.ToUpper(args[i]) {
		case "JUSTID":
			justID = true
		case "COUNT":
			if i++; i < len(args) {
				count, _ = strconv.Atoi(args[i])
			}
		default:
			return nil, errRedisSyntax
		}
	}
	next, claimed, deleted := "0-0", []any{}, []any{}
	for _, id := range g.ids() {
		if redis.CompareIDs(id, args[3]) < 0 || int(d.now().Sub(g.pending[id].since).Milliseconds()) < minIdle {
			continue
		}
		if len(claimed) == count {
			next = id
			break
		}
		if entry := g.claim(s, id, args[1], d.now(), -1, justID); entry != nil {
			claimed = append(claimed, entry...)
		} else {
			deleted = append(deleted, id)
		}
	}
	return []any{next, claimed, deleted}, nil
}

// pendingIDs returns the ids of the pending entries of a group, in order.
func (d *redisData) pendingIDs(stream, group string) []string {
	if g := d.view(stream).stream.groups[group]; g != nil {
		return append([]string{}, g.ids()...)
	}
	return []string{}
}
