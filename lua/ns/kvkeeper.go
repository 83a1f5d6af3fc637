package ns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"nearside/matcher/store"
)

// A ValueStore keeps values on disk. It is a *store.Store.
type ValueStore interface {
	PutValues(ctx context.Context, values []store.Value) error
	EachValue(ctx context.Context, f func(v store.Value) error) error
}

// Bounds of writes of kept values.
const (
	keepKeys  = 1000                   // keys of one commit
	keepBytes = 4 << 20                // bytes after which a commit gets no more keys
	keepPause = 100 * time.Millisecond // before changes are written, so that one commit has many of them
	keepRetry = 5 * time.Second        // after a write that failed
)

// A keeper writes the changes of a KV to the store, in the background. Its goroutine runs
// while there are changes to write, and ends with close.
type keeper struct {
	host   *Host
	kv     *KV
	plugin string
	values ValueStore
	log    *slog.Logger
	turn   turn // held by the write in progress

	// kv.mu protects the following fields.
	changed map[string]struct{} // keys to write
	running bool                // the goroutine runs
	closed  bool
	fault   error // of the last write; nil: it succeeded

	ctx  context.Context // of the goroutine
	stop context.CancelFunc
	work sync.WaitGroup
}

// Persistent reports whether the store's values are kept on disk.
func (s *KV) Persistent() bool {
	s.Lock()
	defer s.Unlock()
	return s.keeper != nil
}

// Persist makes a KV keep its values on disk. If it has no values yet, it gets those that a
// plugin of this name has kept before; otherwise its values replace them. The caller must
// call StopPersisting. Persist does nothing if the values are kept already.
func (s *KV) Persist(ctx context.Context, h *Host, plugin string, log *slog.Logger) error {
	if s.Persistent() {
		return nil
	}
	values := h.Services.Values
	if values == nil {
		return errors.New("kv.persist: this host has no store")
	}
	kept := map[string]kvEntry{}
	err := values.EachValue(ctx, func(v store.Value) error {
		name, key, e, err := readKVRecord(v.Data)
		if err == nil && name == plugin {
			kept[key] = e
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("kv.persist: the kept values cannot be read: %w", err)
	}
	k := &keeper{host: h, kv: s, plugin: plugin, values: values, log: log, turn: turn{host: h}, changed: map[string]struct{}{}}
	k.ctx, k.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.Lock()
	defer s.Unlock()
	s.keeper = k
	s.merge(kept)
	return nil
}

// merge adds kept values to an empty store, or removes them from the disk if the store has
// values. The caller holds the lock.
func (s *KV) merge(kept map[string]kvEntry) {
	if len(s.keys) > 0 {
		for key := range s.keys {
			s.keeper.mark(key)
		}
		for key := range kept {
			s.keeper.mark(key)
		}
		return
	}
	for key, e := range kept {
		s.keys[key] = e
		s.bytes += e.bytes
	}
	s.sweep() // marks expired values, so that they are removed from the disk
}

// StopPersisting writes the last changes and stops to keep values on disk. The values stay
// there and in memory.
func (s *KV) StopPersisting(ctx context.Context) error {
	s.Lock()
	k := s.keeper
	if k != nil {
		k.closed = true
	}
	s.Unlock()
	if k == nil {
		return nil
	}
	k.stop()
	k.work.Wait()
	err := k.flush(ctx)
	s.Lock()
	defer s.Unlock()
	s.keeper = nil
	if err != nil {
		return fmt.Errorf("kv of plugin %s: %d changes could not be written: %w", k.plugin, len(k.changed), err)
	}
	return nil
}

// Fault returns why changes cannot be written to disk; nil: they can.
func (s *KV) Fault() error {
	s.Lock()
	defer s.Unlock()
	if s.keeper == nil {
		return nil
	}
	return s.keeper.fault
}

// mark records that the value of a key must be written. The caller holds kv's lock. k may be
// nil.
func (k *keeper) mark(key string) {
	if k == nil {
		return
	}
	k.changed[key] = struct{}{}
	if k.running || k.closed {
		return
	}
	k.running = true
	k.host.Doubles.Counter.AddRunning(1)
	k.work.Go(func() {
		defer k.host.Doubles.Counter.AddRunning(-1)
		k.run()
	})
}

// run writes changes until there are none, or the keeper is closed.
func (k *keeper) run() {
	for pause := keepPause; k.host.Clock.Sleep(k.ctx, pause) == nil; {
		pause = keepPause
		if err := k.flush(k.ctx); err != nil && k.ctx.Err() == nil {
			pause = k.nextPause(err)
			continue
		}
		k.kv.Lock()
		if len(k.changed) == 0 {
			k.running, k.fault = false, nil
			k.kv.Unlock()
			return
		}
		k.kv.Unlock()
	}
}

// nextPause records a failed write, logs the first one, and returns the pause before the
// next attempt.
func (k *keeper) nextPause(err error) time.Duration {
	k.kv.Lock()
	first := k.fault == nil
	k.fault = err
	k.kv.Unlock()
	if first {
		k.log.Warn("plugins: values of ns.kv cannot be written; trying again", slog.String("error", err.Error()))
	}
	return keepRetry
}

// flush writes all changes that were made before the call.
func (k *keeper) flush(ctx context.Context) error {
	if err := k.turn.lock(ctx); err != nil {
		return err
	}
	defer k.turn.unlock()
	k.kv.Lock()
	left := len(k.changed)
	k.kv.Unlock()
	for left > 0 {
		keys, entries := k.takeChanged(min(left, keepKeys))
		if len(keys) == 0 {
			return nil
		}
		left -= len(keys)
		if err := k.write(ctx, keys, entries); err != nil {
			return err
		}
	}
	return nil
}

// takeChanged removes up to limit keys from changed, and returns them with their entries. An
// entry with a nil value was removed.
func (k *keeper) takeChanged(limit int) (keys []string, entries []kvEntry) {
	k.kv.Lock()
	defer k.kv.Unlock()
	bytes := 0
	for key := range k.changed {
		if len(keys) == limit || bytes > keepBytes {
			break
		}
		delete(k.changed, key)
		e := k.kv.keys[key]
		bytes += e.bytes
		keys, entries = append(keys, key), append(entries, e)
	}
	return keys, entries
}

// write writes entries. After an error, their keys are changed again.
func (k *keeper) write(ctx context.Context, keys []string, entries []kvEntry) error {
	values := make([]store.Value, len(keys))
	for i, key := range keys {
		values[i].Key = kvRecordKey(k.plugin, key)
		if entries[i].value != nil {
			values[i].Data = appendKVRecord(nil, k.plugin, key, entries[i])
		}
	}
	err := k.values.PutValues(ctx, values)
	if err != nil {
		k.kv.Lock()
		defer k.kv.Unlock()
		for _, key := range keys {
			k.changed[key] = struct{}{}
		}
	}
	return err
}
