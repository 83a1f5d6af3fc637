package lua

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"nearside/lua/vm"
)

// Bounds of one plugin's store.
const (
	maxKeys     = 100_000
	maxKVBytes  = 64 << 20 // of keys and values, roughly
	maxKeyBytes = 1024
	maxListed   = 10_000

	sweepPause = 100 * time.Millisecond // between two sweeps of a store that stays full
)

// A kvStore is what all instances and generations of one plugin share.
type kvStore struct {
	now   func() time.Time
	mu    sync.Mutex
	m     map[string]kvEntry
	bytes int

	fullUntil time.Time // new keys are refused without a sweep
}

type kvEntry struct {
	value   any // as vm.Call.Value returns it; never changed
	bytes   int
	expires time.Time // zero: never
}

func newKV(now func() time.Time) *kvStore { return &kvStore{now: now, m: map[string]kvEntry{}} }

func (s *kvStore) get(key string) (any, bool) {
	e, ok := s.m[key]
	if ok && !e.expires.IsZero() && !s.now().Before(e.expires) {
		s.remove(key)
		return nil, false
	}
	return e.value, ok
}

func (s *kvStore) remove(key string) {
	s.fullUntil = time.Time{}
	s.bytes -= s.m[key].bytes
	delete(s.m, key)
}

var errFull = errors.New("kv: the store is full")

// set stores value; nil removes the key. A ttl of 0 is for ever, one below 0
// keeps that of the key.
func (s *kvStore) set(key string, value any, ttl time.Duration) error {
	if len(key) > maxKeyBytes {
		return fmt.Errorf("kv: a key of %d bytes is longer than %d", len(key), maxKeyBytes)
	}
	if value == nil {
		s.remove(key)
		return nil
	}
	old, exists := s.m[key]
	e := kvEntry{value: value, bytes: len(key) + weight(value)}
	switch {
	case ttl > 0:
		e.expires = s.now().Add(ttl)
	case ttl < 0:
		e.expires = old.expires
	}
	if s.now().Before(s.fullUntil) && !exists {
		return errFull // it was swept a moment ago
	}
	full := func() bool {
		return s.bytes-old.bytes+e.bytes > maxKVBytes || !exists && len(s.m) >= maxKeys
	}
	if full() {
		s.sweep()
		if old, exists = s.m[key]; full() {
			s.fullUntil = s.now().Add(sweepPause)
			return errFull
		}
	}
	s.bytes += e.bytes - old.bytes
	s.m[key] = e
	return nil
}

// sweep removes what has expired.
func (s *kvStore) sweep() {
	now := s.now()
	for key, e := range s.m {
		if !e.expires.IsZero() && !now.Before(e.expires) {
			s.remove(key)
		}
	}
}

// weight is about how many bytes of memory a value takes.
func weight(v any) int {
	n := 64
	switch v := v.(type) {
	case string:
		n += len(v)
	case vm.Integer:
		n += len(v)
	case []any:
		for _, item := range v {
			n += weight(item)
		}
	case map[string]any:
		for k, item := range v {
			n += len(k) + weight(item)
		}
	}
	return n
}

// storable refuses values that belong to one interpreter.
func storable(v any) error {
	switch v := v.(type) {
	case *vm.Func, *vm.Ref, vm.Object:
		return errors.New("functions, coroutines and objects cannot be kept in kv")
	case []any:
		for _, item := range v {
			if err := storable(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, item := range v {
			if err := storable(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// kvModule is the plugin's store: in memory, bounded, kept over reloads.
func kvModule() vm.Module {
	key, value := "key: string", "value: any"
	stored := []string{"boolean?", "string? err"}
	return vm.Module{Name: "kv", Doc: "Values that all instances of the plugin share, kept over reloads.", Functions: []vm.Function{
		{
			Name: "get", Params: []string{key}, Returns: []string{"any"}, Doc: "Reads a value: a copy; nil when there is none.",
			Run: kv(func(c *vm.Call, s *kvStore) error {
				v, _ := s.get(c.Text(1))
				return c.Return(v)
			}),
		},
		{
			Name: "set", Params: []string{key, value, "ttl_seconds?: number"}, Returns: stored,
			Doc: "Stores a value (nil removes it), for ever or for ttl_seconds.",
			Run: kv(kvSet),
		},
		{
			Name: "add", Params: []string{key, value, "ttl_seconds?: number"}, Returns: stored,
			Doc: "Stores a value unless the key exists; tells whether it did.",
			Run: kv(func(c *vm.Call, s *kvStore) error {
				if _, exists := s.get(c.Text(1)); exists {
					return c.Return(false)
				}
				return kvSet(c, s)
			}),
		},
		{
			Name: "incr", Params: []string{key, "n?: number"}, Returns: []string{"number?", "string? err"},
			Doc: "Adds n (1) to a number (0 when missing) and returns it; the key keeps its time to live.",
			Run: kv(kvIncr),
		},
		{
			Name: "cas", Params: []string{key, "old: any", "new: any"}, Returns: stored,
			Doc: "Replaces old (nil: no value) by new (nil: removes) and tells whether it did; old is no table.",
			Run: kv(kvCas),
		},
		{
			Name: "delete", Params: []string{key}, Returns: []string{"boolean"}, Doc: "Removes a key and tells whether it existed.",
			Run: kv(func(c *vm.Call, s *kvStore) error {
				_, exists := s.get(c.Text(1))
				s.remove(c.Text(1))
				return c.Return(exists)
			}),
		},
		{
			Name: "keys", Params: []string{"prefix?: string", "limit?: integer"}, Returns: []string{"string[]"},
			Doc: fmt.Sprintf("Lists keys in order, at most limit (%d).", maxListed),
			Run: kv(func(c *vm.Call, s *kvStore) error {
				c.Charge(20 * len(s.m))
				s.sweep()
				prefix, keys := c.TextOr(1, ""), []string{}
				for k := range s.m {
					if strings.HasPrefix(k, prefix) {
						keys = append(keys, k)
					}
				}
				slices.Sort(keys)
				return c.Return(keys[:min(len(keys), max(c.IntOr(2, maxListed), 0), maxListed)])
			}),
		},
	}}
}

// kv runs f with the plugin's store locked.
func kv(f func(*vm.Call, *kvStore) error) func(*vm.Call) error {
	return func(c *vm.Call) error {
		s := self(c).plugin.kv
		c.Charge(20)
		s.mu.Lock()
		defer s.mu.Unlock()
		return f(c, s)
	}
}

func kvSet(c *vm.Call, s *kvStore) error {
	v := c.Value(2)
	if err := storable(v); err != nil {
		return err
	}
	ttl, err := duration(c.NumberOr(3, 0))
	if err != nil {
		return err
	}
	if err := s.set(c.Text(1), v, ttl); err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

func kvIncr(c *vm.Call, s *kvStore) error {
	v, exists := s.get(c.Text(1))
	old, isNumber := v.(float64)
	if exists && !isNumber {
		return c.Fail(fmt.Errorf("kv: the value of %q is no number", c.Text(1)))
	}
	sum := old + c.NumberOr(2, 1)
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return c.Fail(fmt.Errorf("kv: %v is no number to keep", sum))
	}
	if err := s.set(c.Text(1), sum, -1); err != nil {
		return c.Fail(err)
	}
	return c.Return(sum)
}

func kvCas(c *vm.Call, s *kvStore) error {
	old, v := c.Value(2), c.Value(3)
	if err := storable(v); err != nil {
		return err
	}
	switch old.(type) {
	case nil, bool, float64, string, vm.Integer:
	default:
		return errors.New("kv.cas: old is nil, a boolean, a number or a string")
	}
	switch current, _ := s.get(c.Text(1)); current.(type) {
	case nil, bool, float64, string, vm.Integer:
		if current != old {
			return c.Return(false)
		}
	default:
		return c.Return(false)
	}
	if err := s.set(c.Text(1), v, -1); err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}
