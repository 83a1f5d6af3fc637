package ns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nearside/lua/luatest"
	"nearside/lua/vm"
	"nearside/matcher"
	"nearside/matcher/store"
)

// valueDouble is a ValueStore in memory. It can be made to fail.
type valueDouble struct {
	mu      sync.Mutex
	values  map[matcher.ID][]byte
	commits int
	err     error
}

func (d *valueDouble) PutValues(_ context.Context, values []store.Value) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits++
	if d.err != nil {
		return d.err
	}
	if len(values) > keepKeys {
		return errors.New("too many values in one commit")
	}
	for _, v := range values {
		if v.Data == nil {
			delete(d.values, v.Key)
		} else {
			d.values[v.Key] = v.Data
		}
	}
	return nil
}

func (d *valueDouble) EachValue(_ context.Context, f func(v store.Value) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, data := range d.values {
		if err := f(store.Value{Key: k, Data: data}); err != nil {
			return err
		}
	}
	return nil
}

func (d *valueDouble) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// keptKV is a KV that is kept in a valueDouble.
type keptKV struct {
	*KV
	double *valueDouble
	clock  *luatest.FakeClock
	log    *luatest.Lines
}

// open returns a new KV of the plugin with what the double has.
func (k *keptKV) open(t *testing.T, plugin string) *KV {
	t.Helper()
	h := &Host{Clock: k.clock, Services: Services{Values: k.double}}
	s := NewKV(k.clock.Now)
	if err := s.Persist(t.Context(), h, plugin, slog.New(slog.NewTextHandler(k.log, nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.StopPersisting(context.Background()) }) // tests check its error where it matters
	return s
}

func newKeptKV(t *testing.T) *keptKV {
	k := &keptKV{double: &valueDouble{values: map[matcher.ID][]byte{}}, clock: luatest.NewFakeClock(time.Unix(1000, 0)), log: luatest.NewLines()}
	k.KV = k.open(t, "p")
	return k
}

func (k *keptKV) set(t *testing.T, key string, v any, ttl time.Duration) {
	t.Helper()
	k.Lock()
	defer k.Unlock()
	if err := k.Set(key, v, ttl); err != nil {
		t.Fatal(err)
	}
}

// content returns the values of a KV by key.
func content(s *KV) map[string]any {
	s.Lock()
	defer s.Unlock()
	all := map[string]any{}
	for _, key := range s.Keys("") {
		all[key], _ = s.Get(key)
	}
	return all
}

// TestKVRecords: every value has the same value after it was written and read.
func TestKVRecords(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	var random func(depth int) any
	random = func(depth int) any {
		kinds := 9
		if depth == 0 {
			kinds = 7
		}
		switch r.IntN(kinds) {
		case 0:
			return r.IntN(2) == 0
		case 1:
			return math.Float64frombits(r.Uint64() &^ (1 << 62)) // no NaN
		case 2:
			return strings.Repeat("\x00\xffa", r.IntN(4))
		case 3:
			n, _ := vm.ParseInteger(fmt.Sprint("-1", strings.Repeat("7", 20+r.IntN(40))))
			return n
		case 4:
			return vm.Empty{}
		case 5:
			return vm.Null{}
		case 6:
			return float64(r.IntN(100))
		case 7:
			list := []any{}
			for range r.IntN(4) {
				list = append(list, random(depth-1))
			}
			return list
		default:
			m := map[string]any{}
			for range r.IntN(4) {
				m[strconv.Itoa(r.IntN(100))] = random(depth - 1)
			}
			return m
		}
	}
	for range 2000 {
		e := kvEntry{value: random(4)}
		if r.IntN(2) == 0 {
			e.expires = time.Unix(0, r.Int64())
		}
		key := strings.Repeat("k\x00", r.IntN(5))
		e.bytes = len(key) + weight(e.value)
		data := appendKVRecord(nil, "plugin", key, e)
		plugin, gotKey, got, err := readKVRecord(data)
		if err != nil || plugin != "plugin" || gotKey != key || !got.expires.Equal(e.expires) || got.bytes != e.bytes || !reflect.DeepEqual(got.value, e.value) {
			t.Fatalf("seed %d: %v: %v %q %+v", seed, e, err, gotKey, got)
		}
		for n := range data { // a part of a record is an error
			if _, _, _, err := readKVRecord(data[:n]); err == nil {
				t.Fatalf("seed %d: %d of %d bytes of %v were accepted", seed, n, len(data), e)
			}
		}
	}
	for _, wrong := range []string{"\x02", "\x01\x00\x00\x00\x09", "\x01\x00\x00\x00\x06\xff\xff\xff\xff\x0f", "\x01\x00\x00\x00\x05\x01x", "\x01\x00\x00\x00\x02\x02", "\x01\x00\x00\x00" + strings.Repeat("\x06\x01", 200) + "\x00"} {
		if _, _, _, err := readKVRecord([]byte(wrong)); err == nil {
			t.Errorf("%q was accepted", wrong)
		}
	}
}

// TestKVIsKept: changes are written together after a pause, and a new KV has the values of its
// plugin that have not expired.
func TestKVIsKept(t *testing.T) {
	k := newKeptKV(t)
	for i := range 2500 {
		k.set(t, strconv.Itoa(i), float64(i), 0)
	}
	k.set(t, "short", "x", time.Second)
	k.set(t, "removed", "x", 0)
	k.set(t, "removed", nil, 0)
	k.clock.WaitForSleepers(t, 1)
	if k.double.commits != 0 {
		t.Error("written at once")
	}
	k.clock.Advance(keepPause)
	luatest.WaitFor(t, func() bool { k.Lock(); defer k.Unlock(); return !k.keeper.running })
	if k.double.commits != 3 || len(k.double.values) != 2501 {
		t.Errorf("%d commits, %d values", k.double.commits, len(k.double.values))
	}
	k.clock.Advance(time.Minute)
	if got := content(k.open(t, "q")); len(got) != 0 {
		t.Errorf("another plugin has %v", got)
	}
	again := k.open(t, "p")
	if got := content(again); len(got) != 2500 || got["77"] != 77.0 {
		t.Errorf("%d values, %v", len(got), got["77"])
	}
	if err := again.StopPersisting(t.Context()); err != nil || len(k.double.values) != 2500 {
		t.Errorf("%v: %d values: the expired one is still stored", err, len(k.double.values))
	}
	if again.bytes != k.bytes-k.keys["short"].bytes {
		t.Errorf("%d bytes, want %d", again.bytes, k.bytes)
	}
}

// TestKVWritesFail: changes that cannot be written are tried again, shown, and logged once. An
// end without success is an error.
func TestKVWritesFail(t *testing.T) {
	k := newKeptKV(t)
	k.double.fail(errors.New("the disk is full"))
	k.set(t, "a", 1.0, 0)
	k.clock.WaitForSleepers(t, 1)
	k.clock.Advance(keepPause)
	for range 3 {
		k.clock.WaitForSleepers(t, 1)
		if err := k.Fault(); err == nil {
			t.Fatal("no fault")
		}
		k.set(t, "b", 2.0, 0)
		k.clock.Advance(keepRetry)
	}
	k.clock.WaitForSleepers(t, 1)
	if n := strings.Count(k.log.All(), "the disk is full"); n != 1 {
		t.Errorf("%d lines:\n%s", n, k.log.All())
	}
	if err := k.StopPersisting(t.Context()); err == nil || !strings.Contains(err.Error(), "kv of plugin p: 2 changes could not be written: the disk is full") {
		t.Error(err)
	}
	k.KV = k.open(t, "p") // empty
	k.double.fail(nil)
	k.set(t, "c", 3.0, 0)
	if err := k.StopPersisting(t.Context()); err != nil || len(k.double.values) != 1 {
		t.Errorf("%v, %d values", err, len(k.double.values))
	}
}

// TestKVIsKeptLater: values that a plugin had before it asked to keep them replace those of an
// earlier time.
func TestKVIsKeptLater(t *testing.T) {
	k := newKeptKV(t)
	k.set(t, "old", 1.0, 0)
	k.set(t, "both", 1.0, 0)
	if err := k.StopPersisting(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := NewKV(k.clock.Now)
	_ = s.Set("both", 2.0, 0) // there is room
	_ = s.Set("new", 2.0, 0)
	h := &Host{Clock: k.clock, Services: Services{Values: k.double}}
	if err := s.Persist(t.Context(), h, "p", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := s.StopPersisting(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"both": 2.0, "new": 2.0}
	if got := content(k.open(t, "p")); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
