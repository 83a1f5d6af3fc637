package ns

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

// Limits of one plugin's store.
const (
	maxKeys     = 100_000
	maxKVBytes  = 64 << 20 // approximate size of keys and values
	maxKeyBytes = 1024
	maxListed   = 10_000 // keys that kv.keys returns

	sweepPause = 100 * time.Millisecond // between two sweeps of a full store
)

// A KV is a key-value store that all instances and generations of one plugin share.
// The caller of any method except Lock must hold the lock.
type KV struct {
	now   func() time.Time
	mu    sync.Mutex
	keys  map[string]kvEntry
	bytes int

	fullUntil time.Time // until then, new keys are refused without a sweep
	keeper    *keeper   // writes changes to disk; nil: the values are only in memory
}

type kvEntry struct {
	value   any // as vm.Call.Value returns it; never changed
	bytes   int
	expires time.Time // zero: never
}

// NewKV returns an empty store. now returns the time that decides when values expire.
func NewKV(now func() time.Time) *KV { return &KV{now: now, keys: map[string]kvEntry{}} }

// Lock locks the store.
func (s *KV) Lock() { s.mu.Lock() }

// Unlock unlocks the store.
func (s *KV) Unlock() { s.mu.Unlock() }

// Get returns the value of a key. The caller must not modify the value.
func (s *KV) Get(key string) (any, bool) {
	e, ok := s.keys[key]
	if ok && !e.expires.IsZero() && !s.now().Before(e.expires) {
		s.remove(key)
		return nil, false
	}
	return e.value, ok
}

func (s *KV) remove(key string) {
	if _, exists := s.keys[key]; !exists {
		return
	}
	s.fullUntil = time.Time{}
	s.bytes -= s.keys[key].bytes
	delete(s.keys, key)
	s.keeper.mark(key)
}

// errFull is returned when a store has no room for a new key or value.
var errFull = errors.New("kv: the store is full")

// Set stores a value; nil removes the key. With a ttl of 0 the value never expires. A
// negative ttl keeps the current expiry time of the key.
func (s *KV) Set(key string, value any, ttl time.Duration) error {
	if len(key) > maxKeyBytes {
		return fmt.Errorf("kv: a key of %d bytes is longer than %d", len(key), maxKeyBytes)
	}
	if value == nil {
		s.remove(key)
		return nil
	}
	old, exists := s.keys[key]
	e := kvEntry{value: value, bytes: len(key) + weight(value)}
	switch {
	case ttl > 0:
		e.expires = s.now().Add(ttl)
	case ttl < 0:
		e.expires = old.expires
	}
	if s.now().Before(s.fullUntil) && !exists {
		return errFull // the last sweep was less than sweepPause ago
	}
	full := func() bool {
		return s.bytes-old.bytes+e.bytes > maxKVBytes || !exists && len(s.keys) >= maxKeys
	}
	if full() {
		s.sweep()
		if old, exists = s.keys[key]; full() {
			s.fullUntil = s.now().Add(sweepPause)
			return errFull
		}
	}
	s.bytes += e.bytes - old.bytes
	s.keys[key] = e
	s.keeper.mark(key)
	return nil
}

// Keys returns the keys that begin with prefix, sorted.
func (s *KV) Keys(prefix string) []string {
	s.sweep()
	keys := []string{}
	for k := range s.keys {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// sweep removes the expired keys.
func (s *KV) sweep() {
	now := s.now()
	for key, e := range s.keys {
		if !e.expires.IsZero() && !now.Before(e.expires) {
			s.remove(key)
		}
	}
}

// weight returns the approximate memory of a value, in bytes.
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

// storable returns an error if v contains a value that belongs to one interpreter.
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

// kvModule is ns.kv: a key-value store of the plugin, in memory, with limits. It
// survives reloads.
func kvModule() vm.Module {
	key, value := "key: string", "value: any"
	stored := []string{"boolean?", "string? err"}
	return vm.Module{Name: "kv", Doc: "A key-value store that all states of the plugin share. It survives reloads. With kv = {persist = true} in the plugin's table, it survives restarts, too.", Functions: []vm.Function{
		{
			Name: "get", Params: []string{key}, Returns: []string{"any"}, Doc: "Returns a copy of the value of a key, or nil if the key does not exist.",
			Run: withKV(func(c *vm.Call, s *KV) error {
				v, _ := s.Get(c.Text(1))
				return c.Return(v)
			}),
		},
		{
			Name: "set", Params: []string{key, value, "ttl_seconds?: number"}, Returns: stored,
			Doc: "Stores a value, for ttl_seconds if given. nil removes the key.",
			Run: withKV(kvSet),
		},
		{
			Name: "add", Params: []string{key, value, "ttl_seconds?: number"}, Returns: stored,
			Doc: "Stores a value if the key does not exist. Returns whether it was stored.",
			Run: withKV(func(c *vm.Call, s *KV) error {
				if _, exists := s.Get(c.Text(1)); exists {
					return c.Return(false)
				}
				return kvSet(c, s)
			}),
		},
		{
			Name: "incr", Params: []string{key, "n?: number"}, Returns: []string{"number?", "string? err"},
			Doc: "Adds n (default 1) to the number of a key, or to 0 if the key does not exist, and returns the sum. The key keeps its time to live.",
			Run: withKV(kvIncr),
		},
		{
			Name: "cas", Params: []string{key, "old: any", "new: any"}, Returns: stored,
			Doc: "Compare and set: stores new if the current value equals old, and returns whether it did. If old is nil, the key must not exist. If new is nil, the key is removed. old must not be a table.",
			Run: withKV(kvCas),
		},
		{
			Name: "delete", Params: []string{key}, Returns: []string{"boolean"}, Doc: "Removes a key and returns whether it existed.",
			Run: withKV(func(c *vm.Call, s *KV) error {
				_, exists := s.Get(c.Text(1))
				s.remove(c.Text(1))
				return c.Return(exists)
			}),
		},
		{
			Name: "flush", Returns: []string{"boolean?", "string? err"}, Waits: true,
			Doc: "Waits until all changes before the call are on disk. Needs kv = {persist = true}. Without this call, changes are written after about 0.1 s.",
			Run: kvFlush,
		},
		{
			Name: "keys", Params: []string{"prefix?: string", "limit?: integer"}, Returns: []string{"string[]"},
			Doc: fmt.Sprintf("Returns the keys that begin with prefix, sorted, at most limit. The default of limit is its maximum, %d.", maxListed),
			Run: withKV(func(c *vm.Call, s *KV) error {
				c.Charge(20 * len(s.keys))
				limit := maxListed
				if c.Has(2) {
					limit = min(c.Count(2, 0), maxListed)
				}
				keys := s.Keys(c.TextOr(1, ""))
				return c.Return(keys[:min(len(keys), limit)])
			}),
		},
	}}
}

// withKV returns a function that runs f with the plugin's store locked.
func withKV(f func(*vm.Call, *KV) error) func(*vm.Call) error {
	return func(c *vm.Call) error {
		s := self(c).Plugin.KV
		c.Charge(20)
		s.Lock()
		defer s.Unlock()
		return f(c, s)
	}
}

func kvSet(c *vm.Call, s *KV) error {
	v := c.Value(2)
	if err := storable(v); err != nil {
		return err
	}
	ttl, err := Duration(c.NumberOr(3, 0))
	if err != nil {
		return err
	}
	if err := s.Set(c.Text(1), v, ttl); err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

func kvIncr(c *vm.Call, s *KV) error {
	v, exists := s.Get(c.Text(1))
	old, isNumber := v.(float64)
	if exists && !isNumber {
		return c.Fail(fmt.Errorf("kv: the value of %q must be a number", c.Text(1)))
	}
	sum := old + c.NumberOr(2, 1)
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return c.Fail(fmt.Errorf("kv: the sum must be a finite number, got %v", sum))
	}
	if err := s.Set(c.Text(1), sum, -1); err != nil {
		return c.Fail(err)
	}
	return c.Return(sum)
}

func kvCas(c *vm.Call, s *KV) error {
	old, v := c.Value(2), c.Value(3)
	if err := storable(v); err != nil {
		return err
	}
	switch old.(type) {
	case nil, bool, float64, string, vm.Integer:
	default:
		return errors.New("kv.cas: old must be nil, a boolean, a number or a string")
	}
	switch current, _ := s.Get(c.Text(1)); current.(type) {
	case nil, bool, float64, string, vm.Integer:
		if current != old {
			return c.Return(false)
		}
	default:
		return c.Return(false)
	}
	if err := s.Set(c.Text(1), v, -1); err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}

// kvFlush implements ns.kv.flush.
func kvFlush(c *vm.Call) error {
	s := self(c).Plugin.KV
	s.Lock()
	k := s.keeper
	s.Unlock()
	if k == nil {
		return errors.New("the values of kv are not kept on disk: set kv = {persist = true} in the plugin's table")
	}
	if err := c.Wait(k.flush); err != nil {
		return c.Fail(err)
	}
	return c.Return(true)
}
