package trial

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
)

var redisHashCommands = map[string]redisCommandDouble{
	"HGET": {2, "hash", func(d *redisData, key string, args []string) (any, error) {
		return fieldOrNil(d.view(key).hash, args[0]), nil
	}},
	"HMGET": {2, "hash", func(d *redisData, key string, args []string) (any, error) {
		all := []any{}
		for _, field := range args {
			all = append(all, fieldOrNil(d.view(key).hash, field))
		}
		return all, nil
	}},
	"HSET": {3, "hash", (*redisData).setHash},
	"HSETNX": {3, "hash", func(d *redisData, key string, args []string) (any, error) {
		if _, found := d.view(key).hash[args[0]]; found {
			return 0, nil
		}
		return d.setHash(key, args[:2])
	}},
	"HDEL": {2, "hash", func(d *redisData, key string, args []string) (any, error) {
		hash := d.view(key).hash
		before := len(hash)
		for _, field := range args {
			delete(hash, field)
		}
		return before - len(hash), nil
	}},
	"HEXISTS": {2, "hash", func(d *redisData, key string, args []string) (any, error) {
		_, found := d.view(key).hash[args[0]]
		return countOf(found), nil
	}},
	"HLEN":    {1, "hash", func(d *redisData, key string, _ []string) (any, error) { return len(d.view(key).hash), nil }},
	"HGETALL": {1, "hash", func(d *redisData, key string, _ []string) (any, error) { return sortedPairs(d.view(key).hash), nil }},
	"HINCRBY": {3, "hash", func(d *redisData, key string, args []string) (any, error) {
		n, err := strconv.ParseInt(args[1], 10, 64)
		old, err2 := strconv.ParseInt(cmp.Or(d.view(key).hash[args[0]], "0"), 10, 64)
		if err != nil {
			return nil, errRedisNumber
		}
		if err2 != nil {
			return nil, errors.New("ERR hash value is not an integer")
		}
		d.getOrCreate(key, "hash").hash[args[0]] = strconv.FormatInt(old+n, 10)
		return old + n, nil
	}},
}

func fieldOrNil(m map[string]string, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return nil
}

func sortedPairs(m map[string]string) []string {
	list := []string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k, m[k])
	}
	return list
}

func (d *redisData) setHash(key string, args []string) (any, error) {
	if len(args)%2 != 0 {
		return nil, errors.New("ERR wrong number of arguments for 'hset' command")
	}
	hash := d.getOrCreate(key, "hash").hash
	before := len(hash)
	for i := 0; i < len(args); i += 2 {
		hash[args[i]] = args[i+1]
	}
	return len(hash) - before, nil
}

var redisListCommands = map[string]redisCommandDouble{
	"LPUSH": {2, "list", func(d *redisData, key string, args []string) (any, error) {
		v := d.getOrCreate(key, "list")
		for _, item := range args {
			v.list = slices.Insert(v.list, 0, item)
		}
		return len(v.list), nil
	}},
	"RPUSH": {2, "list", func(d *redisData, key string, args []string) (any, error) {
		v := d.getOrCreate(key, "list")
		v.list = append(v.list, args...)
		return len(v.list), nil
	}},
	"LPOP":   {1, "list", func(d *redisData, key string, _ []string) (any, error) { return d.pop(key, true), nil }},
	"RPOP":   {1, "list", func(d *redisData, key string, _ []string) (any, error) { return d.pop(key, false), nil }},
	"LLEN":   {1, "list", func(d *redisData, key string, _ []string) (any, error) { return len(d.view(key).list), nil }},
	"LRANGE": {3, "list", func(d *redisData, key string, args []string) (any, error) { return d.part(key, args) }},
	"LTRIM": {3, "list", func(d *redisData, key string, args []string) (any, error) {
		part, err := d.part(key, args)
		if v := d.get(key); v != nil && err == nil {
			v.list = part
		}
		return "OK", err
	}},
}

func (d *redisData) pop(key string, left bool) any {
	v := d.get(key)
	if v == nil {
		return nil
	}
	i := len(v.list) - 1
	if left {
		i = 0
	}
	item := v.list[i]
	v.list = slices.Delete(v.list, i, i+1)
	return item
}

// part implements LRANGE. Negative positions count from the end.
func (d *redisData) part(key string, args []string) ([]string, error) {
	list := d.view(key).list
	from, err := strconv.Atoi(args[0])
	to, err2 := strconv.Atoi(args[1])
	if errors.Join(err, err2) != nil {
		return nil, errRedisNumber
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

var redisSetCommands = map[string]redisCommandDouble{
	"SADD": {2, "set", func(d *redisData, key string, args []string) (any, error) {
		set := d.getOrCreate(key, "set").set
		before := len(set)
		for _, v := range args {
			set[v] = true
		}
		return len(set) - before, nil
	}},
	"SREM": {2, "set", func(d *redisData, key string, args []string) (any, error) {
		set := d.view(key).set
		before := len(set)
		for _, v := range args {
			delete(set, v)
		}
		return before - len(set), nil
	}},
	"SISMEMBER": {2, "set", func(d *redisData, key string, args []string) (any, error) {
		return countOf(d.view(key).set[args[0]]), nil
	}},
	"SCARD": {1, "set", func(d *redisData, key string, _ []string) (any, error) { return len(d.view(key).set), nil }},
	"SMEMBERS": {1, "set", func(d *redisData, key string, _ []string) (any, error) {
		return append([]string{}, slices.Sorted(maps.Keys(d.view(key).set))...), nil
	}},
}
