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
)

// redisData is the data of the Redis double.
type redisData struct {
	now  func() time.Time
	keys map[string]*redisValue
}

// A redisValue is the value of a key. Only the field for its kind is set.
type redisValue struct {
	kind    string // "string", "hash", "list", "set" or "stream"
	text    string
	hash    map[string]string
	list    []string
	set     map[string]bool
	stream  *redisStreamData
	expires time.Time // zero: never
}

var (
	errRedisType   = errors.New("WRONGTYPE Operation against a key holding the wrong kind of value")
	errRedisNumber = errors.New("ERR value is not an integer or out of range")
	errRedisSyntax = errors.New("ERR syntax error")
)

func newRedisData(now func() time.Time) redisData {
	return redisData{now: now, keys: map[string]*redisValue{}}
}

// A redisCommandDouble is a command whose first argument is a key.
type redisCommandDouble struct {
	args int    // the minimum number of arguments, including the key
	kind string // the kind that an existing key must have; empty: any
	run  func(d *redisData, key string, args []string) (any, error)
}

// redisCommands are the commands of the double, by name.
var redisCommands = func() map[string]redisCommandDouble {
	all := map[string]redisCommandDouble{}
	for _, some := range []map[string]redisCommandDouble{redisKeyCommands, redisTextCommands, redisHashCommands, redisListCommands, redisSetCommands, redisStreamCommands} {
		maps.Copy(all, some)
	}
	return all
}()

// runCommand runs a command. It returns the same errors as a real server.
func (d *redisData) runCommand(name string, args []string) (any, error) {
	switch name {
	case "PING":
		return "PONG", nil
	case "FLUSHALL", "FLUSHDB":
		clear(d.keys)
		return "OK", nil
	case "XGROUP", "XREADGROUP", "XREAD":
		return d.runStream(name, args)
	}
	command, ok := redisCommands[name]
	if !ok {
		return nil, fmt.Errorf("ERR the Redis of tests has no %s; it has EVAL, PUBLISH, XGROUP, XREADGROUP and %q", name, slices.Sorted(maps.Keys(redisCommands)))
	}
	if len(args) < command.args {
		return nil, fmt.Errorf("ERR wrong number of arguments for '%s' command", strings.ToLower(name))
	}
	if v := d.get(args[0]); v != nil && command.kind != "" && v.kind != command.kind {
		return nil, errRedisType
	}
	reply, err := command.run(d, args[0], args[1:])
	d.removeEmpty(args[0])
	return reply, err
}

// get returns the value of a key, or nil if the key does not exist or has expired.
func (d *redisData) get(key string) *redisValue {
	v := d.keys[key]
	if v != nil && !v.expires.IsZero() && !d.now().Before(v.expires) {
		delete(d.keys, key)
		return nil
	}
	return v
}

// getOrCreate returns the value of a key. If the key does not exist, it is created.
func (d *redisData) getOrCreate(key, kind string) *redisValue {
	v := d.get(key)
	if v == nil {
		v = &redisValue{kind: kind, hash: map[string]string{}, set: map[string]bool{}, stream: &redisStreamData{groups: map[string]*redisGroup{}}}
		d.keys[key] = v
	}
	return v
}

// view returns the value of a key for reading. It is empty if the key does not exist.
func (d *redisData) view(key string) redisValue {
	if v := d.get(key); v != nil {
		return *v
	}
	return redisValue{stream: &redisStreamData{}}
}

// removeEmpty removes a key that has no members left. Empty streams stay.
func (d *redisData) removeEmpty(key string) {
	v := d.keys[key]
	if v != nil && v.kind != "string" && v.kind != "stream" && len(v.hash)+len(v.list)+len(v.set) == 0 {
		delete(d.keys, key)
	}
}

func countOf(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

var redisKeyCommands = map[string]redisCommandDouble{
	"DEL": {1, "", func(d *redisData, key string, args []string) (any, error) {
		n := 0
		for _, k := range append([]string{key}, args...) {
			n += countOf(d.get(k) != nil)
			delete(d.keys, k)
		}
		return n, nil
	}},
	"EXISTS": {1, "", func(d *redisData, key string, args []string) (any, error) {
		n := 0
		for _, k := range append([]string{key}, args...) {
			n += countOf(d.get(k) != nil)
		}
		return n, nil
	}},
	"TYPE": {1, "", func(d *redisData, key string, _ []string) (any, error) {
		if v := d.get(key); v != nil {
			return v.kind, nil
		}
		return "none", nil
	}},
	"EXPIRE": {2, "", func(d *redisData, key string, args []string) (any, error) { return d.expire(key, args[0], time.Second) }},
	"PEXPIRE": {2, "", func(d *redisData, key string, args []string) (any, error) {
		return d.expire(key, args[0], time.Millisecond)
	}},
	"TTL":  {1, "", func(d *redisData, key string, _ []string) (any, error) { return d.timeLeft(key, time.Second), nil }},
	"PTTL": {1, "", func(d *redisData, key string, _ []string) (any, error) { return d.timeLeft(key, time.Millisecond), nil }},
	"PERSIST": {1, "", func(d *redisData, key string, _ []string) (any, error) {
		v := d.get(key)
		if v == nil || v.expires.IsZero() {
			return 0, nil
		}
		v.expires = time.Time{}
		return 1, nil
	}},
}

// maxRedisTime is the longest time to live that the double supports. A real server
// supports longer ones.
const maxRedisTime = 290 * 366 * 24 * time.Hour

func (d *redisData) expire(key, text string, unit time.Duration) (any, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, errRedisNumber
	}
	if n > int(maxRedisTime/unit) || n < -int(maxRedisTime/unit) {
		return nil, errors.New("ERR invalid expire time in 'expire' command")
	}
	v := d.get(key)
	if v == nil {
		return 0, nil
	}
	v.expires = d.now().Add(time.Duration(n) * unit)
	return 1, nil
}

// timeLeft implements TTL: -2 if the key does not exist, -1 if it never expires.
func (d *redisData) timeLeft(key string, unit time.Duration) int {
	v := d.get(key)
	switch {
	case v == nil:
		return -2
	case v.expires.IsZero():
		return -1
	}
	left := v.expires.Sub(d.now())
	return int((left + unit/2) / unit) // rounded as the real server does
}

var redisTextCommands = map[string]redisCommandDouble{
	"GET": {1, "string", func(d *redisData, key string, _ []string) (any, error) { return d.text(key), nil }},
	"SET": {2, "", (*redisData).set},
	"SETNX": {2, "", func(d *redisData, key string, args []string) (any, error) {
		if d.get(key) != nil {
			return 0, nil
		}
		_, err := d.set(key, args)
		return 1, err
	}},
	"SETEX": {3, "", func(d *redisData, key string, args []string) (any, error) {
		return d.set(key, []string{args[1], "EX", args[0]})
	}},
	"GETDEL": {1, "string", func(d *redisData, key string, _ []string) (any, error) {
		old := d.text(key)
		delete(d.keys, key)
		return old, nil
	}},
	"MGET": {1, "", func(d *redisData, key string, args []string) (any, error) {
		all := []any{}
		for _, k := range append([]string{key}, args...) {
			all = append(all, d.text(k))
		}
		return all, nil
	}},
	"APPEND": {2, "string", func(d *redisData, key string, args []string) (any, error) {
		v := d.getOrCreate(key, "string")
		v.text += args[0]
		return len(v.text), nil
	}},
	"INCR":   {1, "string", func(d *redisData, key string, _ []string) (any, error) { return d.increase(key, "1") }},
	"DECR":   {1, "string", func(d *redisData, key string, _ []string) (any, error) { return d.increase(key, "-1") }},
	"INCRBY": {2, "string", func(d *redisData, key string, args []string) (any, error) { return d.increase(key, args[0]) }},
}

// text implements GET and MGET. It returns nil for a key of another kind, as MGET does;
// runCommand has already refused GET of such a key.
func (d *redisData) text(key string) any {
	if v := d.get(key); v != nil && v.kind == "string" {
		return v.text
	}
	return nil
}

// set implements SET key value [NX|XX] [GET] [EX seconds|PX milliseconds|KEEPTTL].
func (d *redisData) set(key string, args []string) (any, error) {
	value, old := &redisValue{kind: "string", text: args[0]}, d.get(key)
	allowed, get := true, false
	for i := 1; i < len(args); i++ {
		switch option := strings.ToUpper(args[i]); option {
		case "NX":
			allowed = allowed && old == nil
		case "XX":
			allowed = allowed && old != nil
		case "GET":
			get = true
		case "KEEPTTL":
			if old != nil {
				value.expires = old.expires
			}
		case "EX", "PX":
			if i++; i == len(args) {
				return nil, errRedisSyntax
			}
			n, err := strconv.Atoi(args[i])
			if err != nil {
				return nil, errRedisNumber
			}
			unit := map[string]time.Duration{"EX": time.Second, "PX": time.Millisecond}[option]
			if n <= 0 || n > int(maxRedisTime/unit) {
				return nil, errors.New("ERR invalid expire time in 'set' command")
			}
			value.expires = d.now().Add(time.Duration(n) * unit)
		default:
			return nil, errRedisSyntax
		}
	}
	if get && old != nil && old.kind != "string" {
		return nil, errRedisType
	}
	before := d.text(key)
	if allowed {
		d.keys[key] = value
	}
	if get {
		return before, nil
	}
	if !allowed {
		return nil, nil
	}
	return "OK", nil
}

func (d *redisData) increase(key, by string) (any, error) {
	n, err := strconv.ParseInt(by, 10, 64)
	old, err2 := strconv.ParseInt(cmp.Or(d.view(key).text, "0"), 10, 64)
	if errors.Join(err, err2) != nil {
		return nil, errRedisNumber
	}
	d.getOrCreate(key, "string").text = strconv.FormatInt(old+n, 10)
	return old + n, nil
}
