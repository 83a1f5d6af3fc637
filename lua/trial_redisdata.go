package lua

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// redisData is what the Redis of a test holds, by key.
type redisData struct {
	texts   map[string]string
	hashes  map[string]map[string]string
	lists   map[string][]string
	sets    map[string]map[string]bool
	streams map[string][]redisEntry
	given   map[string]int             // entries that a stream's group had, by stream and group
	pending map[string]map[string]bool // of them, those that are not acknowledged
	entries int
}

type redisEntry struct {
	id     string
	fields map[string]string
}

func newRedisData() redisData {
	return redisData{
		texts: map[string]string{}, hashes: map[string]map[string]string{}, lists: map[string][]string{},
		sets: map[string]map[string]bool{}, streams: map[string][]redisEntry{},
		given: map[string]int{}, pending: map[string]map[string]bool{},
	}
}

// A redisCommandDouble runs with at least so many arguments, the key first.
type redisCommandDouble struct {
	args int
	run  func(d *redisData, key string, args []string) (any, error)
}

var redisCommands = map[string]redisCommandDouble{
	"GET": {1, func(d *redisData, key string, _ []string) (any, error) { return present(d.texts, key), nil }},
	"SET": {2, func(d *redisData, key string, args []string) (any, error) {
		d.texts[key] = args[0]
		return "OK", nil
	}},
	"INCR":   {1, func(d *redisData, key string, _ []string) (any, error) { return d.increase(key, "1") }},
	"INCRBY": {2, func(d *redisData, key string, args []string) (any, error) { return d.increase(key, args[0]) }},
	"DEL":    {1, (*redisData).remove},
	"EXPIRE": {2, func(*redisData, string, []string) (any, error) { return 1, nil }},
	"HGET": {2, func(d *redisData, key string, args []string) (any, error) {
		return present(d.hashes[key], args[0]), nil
	}},
	"HSET":    {3, (*redisData).setHash},
	"HGETALL": {1, func(d *redisData, key string, _ []string) (any, error) { return flat(d.hashes[key]), nil }},
	"LPUSH": {2, func(d *redisData, key string, args []string) (any, error) {
		for _, v := range args {
			d.lists[key] = slices.Insert(d.lists[key], 0, v)
		}
		return len(d.lists[key]), nil
	}},
	"RPUSH": {2, func(d *redisData, key string, args []string) (any, error) {
		d.lists[key] = append(d.lists[key], args...)
		return len(d.lists[key]), nil
	}},
	"LPOP":   {1, func(d *redisData, key string, _ []string) (any, error) { return d.pop(key, true), nil }},
	"RPOP":   {1, func(d *redisData, key string, _ []string) (any, error) { return d.pop(key, false), nil }},
	"LLEN":   {1, func(d *redisData, key string, _ []string) (any, error) { return len(d.lists[key]), nil }},
	"LRANGE": {3, (*redisData).part},
	"SADD": {2, func(d *redisData, key string, args []string) (any, error) {
		if d.sets[key] == nil {
			d.sets[key] = map[string]bool{}
		}
		before := len(d.sets[key])
		for _, v := range args {
			d.sets[key][v] = true
		}
		return len(d.sets[key]) - before, nil
	}},
	"SREM": {2, func(d *redisData, key string, args []string) (any, error) {
		before := len(d.sets[key])
		for _, v := range args {
			delete(d.sets[key], v)
		}
		return before - len(d.sets[key]), nil
	}},
	"SISMEMBER": {2, func(d *redisData, key string, args []string) (any, error) {
		if d.sets[key][args[0]] {
			return 1, nil
		}
		return 0, nil
	}},
	"SMEMBERS": {1, func(d *redisData, key string, _ []string) (any, error) {
		return slices.Sorted(maps.Keys(d.sets[key])), nil
	}},
	"XADD": {4, (*redisData).addEntry},
	"XLEN": {1, func(d *redisData, key string, _ []string) (any, error) { return len(d.streams[key]), nil }},
}

// run runs a command; its error is what the server would say.
func (d *redisData) run(name string, args []string) (any, error) {
	if name == "PING" {
		return "PONG", nil
	}
	command, ok := redisCommands[name]
	if !ok {
		return nil, fmt.Errorf("ERR the Redis of tests has no %s; it has %q", name, slices.Sorted(maps.Keys(redisCommands)))
	}
	if len(args) < command.args {
		return nil, fmt.Errorf("ERR wrong number of arguments for %s", name)
	}
	return command.run(d, args[0], args[1:])
}

func present(m map[string]string, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return nil
}

func flat(m map[string]string) []string {
	list := []string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k, m[k])
	}
	return list
}

func (d *redisData) increase(key, by string) (any, error) {
	n, err := strconv.Atoi(by)
	old, err2 := strconv.Atoi(orDefault(d.texts[key], "0"))
	if errors.Join(err, err2) != nil {
		return nil, errors.New("ERR value is not an integer or out of range")
	}
	d.texts[key] = strconv.Itoa(old + n)
	return old + n, nil
}

func (d *redisData) remove(key string, args []string) (any, error) {
	n := 0
	for _, k := range append([]string{key}, args...) {
		_, text := d.texts[k]
		_, hash := d.hashes[k]
		if text || hash || len(d.lists[k])+len(d.sets[k])+len(d.streams[k]) > 0 {
			n++
		}
		delete(d.texts, k)
		delete(d.hashes, k)
		delete(d.lists, k)
		delete(d.sets, k)
		delete(d.streams, k)
	}
	return n, nil
}

// pairs reads field, value, ...
func pairs(args []string) (map[string]string, error) {
	if len(args)%2 != 0 {
		return nil, errors.New("ERR wrong number of arguments: fields come with values")
	}
	m := map[string]string{}
	for i := 0; i < len(args); i += 2 {
		m[args[i]] = args[i+1]
	}
	return m, nil
}

func (d *redisData) setHash(key string, args []string) (any, error) {
	fields, err := pairs(args)
	if err != nil {
		return nil, err
	}
	if d.hashes[key] == nil {
		d.hashes[key] = map[string]string{}
	}
	before := len(d.hashes[key])
	maps.Copy(d.hashes[key], fields)
	return len(d.hashes[key]) - before, nil
}

func (d *redisData) pop(key string, left bool) any {
	list := d.lists[key]
	if len(list) == 0 {
		return nil
	}
	if left {
		d.lists[key] = list[1:]
		return list[0]
	}
	d.lists[key] = list[:len(list)-1]
	return list[len(list)-1]
}

// part is LRANGE; negative positions count from the end.
func (d *redisData) part(key string, args []string) (any, error) {
	list := d.lists[key]
	from, err := strconv.Atoi(args[0])
	to, err2 := strconv.Atoi(args[1])
	if errors.Join(err, err2) != nil {
		return nil, errors.New("ERR value is not an integer or out of range")
	}
	if from < 0 {
		from = max(from+len(list), 0)
	}
	if to < 0 {
		to += len(list)
	}
	if to = min(to, len(list)-1); from > to {
		return []string{}, nil
	}
	return slices.Clone(list[from : to+1]), nil
}

// addEntry is XADD; MAXLEN and the like before the id are passed over.
func (d *redisData) addEntry(key string, args []string) (any, error) {
	if at := slices.Index(args, "*"); at > 0 {
		args = args[at:]
	}
	fields, err := pairs(args[1:])
	if err != nil {
		return nil, err
	}
	d.entries++
	e := redisEntry{args[0], fields}
	if e.id == "*" {
		e.id = fmt.Sprintf("%d-0", d.entries)
	}
	d.streams[key] = append(d.streams[key], e)
	return e.id, nil
}

// next returns the entries that a group has not had; they are pending then.
func (d *redisData) next(stream, group string) []redisEntry {
	key := stream + "\x00" + group
	entries := d.streams[stream][min(d.given[key], len(d.streams[stream])):]
	d.given[key] += len(entries)
	if d.pending[key] == nil {
		d.pending[key] = map[string]bool{}
	}
	for _, e := range entries {
		d.pending[key][e.id] = true
	}
	return entries
}

func (d *redisData) waiting(stream, group string) []string {
	return slices.Sorted(maps.Keys(d.pending[stream+"\x00"+group]))
}
