package ns

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// HookBounds are the upper bounds of the buckets of HookTime, in seconds, ascending.
var HookBounds = []float64{0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30}

// HookTimes counts the calls of a plugin's hooks by their duration. The zero value is ready
// to use.
type HookTimes struct {
	mu     sync.Mutex
	byHook map[string]*HookTime
}

// HookTime has the durations of the calls of one hook.
type HookTime struct {
	Hook    string
	Count   uint64
	Seconds float64  // sum
	Buckets []uint64 // calls by the first bound that is not exceeded; longer calls are only in Count
}

// Observe counts a call.
func (t *HookTimes) Observe(hook string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.byHook[hook]
	if h == nil {
		if t.byHook == nil {
			t.byHook = map[string]*HookTime{}
		}
		h = &HookTime{Hook: hook, Buckets: make([]uint64, len(HookBounds))}
		t.byHook[hook] = h
	}
	h.Count++
	h.Seconds += took.Seconds()
	if i, _ := slices.BinarySearch(HookBounds, took.Seconds()); i < len(HookBounds) {
		h.Buckets[i]++
	}
}

// Snapshot returns the durations so far, sorted by hook.
func (t *HookTimes) Snapshot() []HookTime {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []HookTime
	for _, hook := range slices.Sorted(maps.Keys(t.byHook)) {
		h := *t.byHook[hook]
		h.Buckets = slices.Clone(h.Buckets)
		all = append(all, h)
	}
	return all
}
