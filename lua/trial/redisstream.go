package trial

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearside/lua/ns/redis"
)

// redisStreamData is one stream.
type redisStreamData struct {
	entries []redisEntry // sorted by id
	last    string       // the id of the last added entry; empty before the first entry
	groups  map[string]*redisGroup
}

type redisEntry struct {
	id     string
	fields []any // name, value, ...
}

// A redisGroup is a group of consumers.
type redisGroup struct {
	last    string // the last delivered id
	pending map[string]*redisPending
}

type redisPending struct {
	consumer string
	since    time.Time // of the last delivery
	count    int
}

var redisStreamCommands = map[string]redisCommandDouble{
	"XADD": {4, "stream", (*redisData).xadd},
	"XLEN": {1, "stream", func(d *redisData, key string, _ []string) (any, error) { return len(d.view(key).stream.entries), nil }},
	"XDEL": {2, "stream", func(d *redisData, key string, args []string) (any, error) {
		s := d.view(key).stream
		before := len(s.entries)
		s.entries = slices.DeleteFunc(s.entries, func(e redisEntry) bool { return slices.Contains(args, e.id) })
		return before - len(s.entries), nil
	}},
	"XTRIM": {3, "stream", func(d *redisData, key string, args []string) (any, error) {
		s := d.view(key).stream
		before := len(s.entries)
		_, err := s.trim(args)
		return before - len(s.entries), err
	}},
	"XRANGE": {3, "stream", func(d *redisData, key string, args []string) (any, error) {
		r, err := newRedisRange(args)
		all := []any{}
		for _, e := range d.view(key).stream.entries {
			if err == nil && r.has(e.id) {
				all = append(all, e.reply())
			}
		}
		return all, err
	}},
	"XACK": {3, "stream", func(d *redisData, key string, args []string) (any, error) {
		n := 0
		if g := d.view(key).stream.groups[args[0]]; g != nil {
			for _, id := range args[1:] {
				n += countOf(g.pending[id] != nil)
				delete(g.pending, id)
			}
		}
		return n, nil
	}},
	"XPENDING":   {2, "stream", (*redisData).xpending},
	"XCLAIM":     {5, "stream", (*redisData).xclaim},
	"XAUTOCLAIM": {5, "stream", (*redisData).xautoclaim},
}

func (e redisEntry) reply() any { return []any{e.id, slices.Clone(e.fields)} }

func (s *redisStreamData) find(id string) (redisEntry, bool) {
	i := slices.IndexFunc(s.entries, func(e redisEntry) bool { return e.id == id })
	if i < 0 {
		return redisEntry{}, false
	}
	return s.entries[i], true
}

// xadd implements XADD key [NOMKSTREAM] [MAXLEN [=|~] n] id field value ...
func (d *redisData) xadd(key string, args []string) (any, error) {
	if strings.EqualFold(args[0], "NOMKSTREAM") {
		if d.get(key) == nil {
			return nil, nil
		}
		args = args[1:]
	}
	var trim []string
	if len(args) > 2 && strings.EqualFold(args[0], "MAXLEN") {
		trim = args
		args = args[2:]
		if trim[1] == "~" || trim[1] == "=" {
			args = args[1:]
		}
	}
	if len(args) < 3 || len(args)%2 == 0 {
		return nil, errors.New("ERR wrong number of arguments for 'xadd' command")
	}
	s := d.getOrCreate(key, "stream").stream
	id := args[0]
	if id == "*" {
		id = d.nextID(s)
	}
	if !strings.Contains(id, "-") {
		id += "-0"
	}
	if redis.CompareIDs(id, cmp.Or(s.last, "0-0")) <= 0 {
		return nil, errors.New("ERR The ID specified in XADD is equal or smaller than the target stream top item")
	}
	e := redisEntry{id: id}
	for _, part := range args[1:] {
		e.fields = append(e.fields, part)
	}
	s.entries, s.last = append(s.entries, e), id
	if trim != nil {
		if _, err := s.trim(trim); err != nil {
			return nil, err
		}
	}
	return id, nil
}

// nextID returns the id of a new entry: the test's time in milliseconds and a number.
func (d *redisData) nextID(s *redisStreamData) string {
	now := strconv.FormatInt(d.now().UnixMilli(), 10)
	ms, number, _ := strings.Cut(s.last, "-")
	if redis.CompareDecimals(now, ms) > 0 {
		return now + "-0"
	}
	n, _ := strconv.Atoi(number) // xadd made it, so it is a number
	return ms + "-" + strconv.Itoa(n+1)
}

// trim implements the option MAXLEN [=|~] n.
func (s *redisStreamData) trim(args []string) (int, error) {
	if !strings.EqualFold(args[0], "MAXLEN") {
		return 0, errRedisSyntax
	}
	text := args[1]
	if (text == "~" || text == "=") && len(args) > 2 {
		text = args[2]
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, errRedisNumber
	}
	if drop := len(s.entries) - n; drop > 0 {
		s.entries = s.entries[drop:]
		return drop, nil
	}
	return 0, nil
}

// A redisRange is the range of ids of XRANGE or XPENDING.
type redisRange struct {
	from, to               string
	excludeFrom, excludeTo bool // whether the id itself is not in the range
	fromStart, toEnd       bool // whether from is "-", and to is "+"
}

func newRedisRange(args []string) (redisRange, error) {
	r := redisRange{from: args[0], to: args[1]}
	r.from, r.excludeFrom = strings.CutPrefix(r.from, "(")
	r.to, r.excludeTo = strings.CutPrefix(r.to, "(")
	r.fromStart, r.toEnd = r.from == "-", r.to == "+"
	for _, id := range []string{r.from, r.to} {
		if id != "-" && id != "+" && strings.Trim(id, "0123456789-") != "" {
			return r, errors.New("ERR Invalid stream ID specified as stream command argument")
		}
	}
	return r, nil
}

func (r redisRange) has(id string) bool {
	low, high := redis.CompareIDs(id, r.from), redis.CompareIDs(id, r.to)
	return (r.fromStart || low > 0 || low == 0 && !r.excludeFrom) && (r.toEnd || high < 0 || high == 0 && !r.excludeTo)
}

// runStream runs the commands whose key is not their first argument.
func (d *redisData) runStream(name string, args []string) (any, error) {
	if name == "XGROUP" {
		return d.xgroup(args)
	}
	if name == "XREAD" || len(args) < 6 || !strings.EqualFold(args[0], "GROUP") {
		return nil, errors.New("ERR the Redis of tests has XREADGROUP GROUP group consumer [COUNT n] [BLOCK ms] [NOACK] STREAMS key id")
	}
	count, noack, rest := 0, false, args[3:]
	for len(rest) > 0 && !strings.EqualFold(rest[0], "STREAMS") {
		if strings.EqualFold(rest[0], "NOACK") {
			noack, rest = true, rest[1:]
			continue
		}
		if len(rest) < 2 {
			return nil, errRedisSyntax
		}
		if strings.EqualFold(rest[0], "COUNT") {
			count, _ = strconv.Atoi(rest[1])
		}
		rest = rest[2:]
	}
	if len(rest) != 3 {
		return nil, errRedisSyntax
	}
	return d.xreadgroup(rest[1], args[1], args[2], rest[2], count, noack)
}

func (d *redisData) xgroup(args []string) (any, error) {
	if len(args) < 3 {
		return nil, errors.New("ERR wrong number of arguments for 'xgroup' command")
	}
	action, key, name := strings.ToUpper(args[0]), args[1], args[2]
	v := d.get(key)
	if v != nil && v.kind != "stream" {
		return nil, errRedisType
	}
	if action == "CREATE" && v == nil && len(args) > 4 && strings.EqualFold(args[4], "MKSTREAM") {
		v = d.getOrCreate(key, "stream")
	}
	if v == nil {
		return nil, errors.New("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.") //nolint:revive,staticcheck // the server's own text
	}
	group := v.stream.groups[name]
	switch {
	case action == "CREATE" && group != nil:
		return nil, errors.New("BUSYGROUP Consumer Group name already exists")
	case action == "CREATE" && len(args) > 3:
		g := &redisGroup{last: args[3], pending: map[string]*redisPending{}}
		if g.last == "$" {
			g.last = cmp.Or(v.stream.last, "0-0")
		}
		v.stream.groups[name] = g
		return "OK", nil
	case action == "DESTROY":
		delete(v.stream.groups, name)
		return countOf(group != nil), nil
	}
	return nil, errors.New("ERR the Redis of tests has XGROUP CREATE and XGROUP DESTROY")
}

// group returns a group. If it does not exist, group returns the error of a real
// server.
func (d *redisData) group(key, name string) (*redisStreamData, *redisGroup, error) {
	v := d.get(key)
	if v != nil && v.kind != "stream" {
		return nil, nil, errRedisType
	}
	if v == nil || v.stream.groups[name] == nil {
		return nil, nil, fmt.Errorf("NOGROUP No such key '%s' or consumer group '%s'", key, name)
	}
	return v.stream, v.stream.groups[name], nil
}

// xreadgroup returns new entries if after is ">". Otherwise it returns the pending
// entries of this consumer whose ids are greater than after.
func (d *redisData) xreadgroup(key, name, consumer, after string, count int, noack bool) (any, error) {
	s, g, err := d.group(key, name)
	if err != nil {
		return nil, err
	}
	found := []any{}
	if after != ">" {
		for _, id := range g.ids() {
			if p := g.pending[id]; p.consumer != consumer || redis.CompareIDs(id, after) <= 0 || count > 0 && len(found) == count {
				continue
			}
			if e, ok := s.find(id); ok {
				found = append(found, e.reply())
				g.pending[id].since, g.pending[id].count = d.now(), g.pending[id].count+1
			} else {
				found = append(found, []any{id, nil})
			}
		}
		return []any{[]any{key, found}}, nil
	}
	for _, e := range s.entries {
		if redis.CompareIDs(e.id, g.last) <= 0 || count > 0 && len(found) == count {
			continue
		}
		g.last = e.id
		if !noack {
			g.pending[e.id] = &redisPending{consumer, d.now(), 1}
		}
		found = append(found, e.reply())
	}
	if len(found) == 0 {
		return nil, nil
	}
	return []any{[]any{key, found}}, nil
}

// ids returns the ids of all pending entries, in order.
func (g *redisGroup) ids() []string {
	return slices.SortedFunc(maps.Keys(g.pending), redis.CompareIDs)
}
