package lua

import "sync"

// redisHeld are the stream entries that readers of this process hold: those
// that a handler works on and those that wait for a retry. A reader never
// takes over what another one holds, be it of another state, or of the
// generation before or after its own.
type redisHeld struct {
	mu      sync.Mutex
	holders map[redisEntryKey]*groupReader
}

// A redisEntryKey names an entry of a group.
type redisEntryKey struct{ group, id string }

// take makes g the holder, unless the entry has one.
func (h *redisHeld) take(key redisEntryKey, g *groupReader) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holders[key] != nil {
		return false
	}
	if h.holders == nil {
		h.holders = map[redisEntryKey]*groupReader{}
	}
	h.holders[key] = g
	return true
}

func (h *redisHeld) isHeld(key redisEntryKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.holders[key] != nil
}

func (h *redisHeld) release(key redisEntryKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.holders, key)
}

// releaseAll ends the holds of a reader.
func (h *redisHeld) releaseAll(g *groupReader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, holder := range h.holders {
		if holder == g {
			delete(h.holders, key)
		}
	}
}
