package redis

import "sync"

// Holds records the stream entries that the readers of this process hold. A reader
// holds an entry while its handler runs and while it waits for a retry. A reader
// never takes over an entry that another reader holds. The other reader may belong
// to another state, or to the previous or next generation.
type Holds struct {
	mu      sync.Mutex
	holders map[entryKey]*groupReader
}

// An entryKey identifies an entry of a group.
type entryKey struct{ group, id string }

// tryHold makes g the holder of an entry. It returns false if the entry has a holder
// already.
func (h *Holds) tryHold(key entryKey, g *groupReader) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holders[key] != nil {
		return false
	}
	if h.holders == nil {
		h.holders = map[entryKey]*groupReader{}
	}
	h.holders[key] = g
	return true
}

func (h *Holds) isHeld(key entryKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.holders[key] != nil
}

func (h *Holds) release(key entryKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.holders, key)
}

// releaseAll releases all entries that g holds.
func (h *Holds) releaseAll(g *groupReader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, holder := range h.holders {
		if holder == g {
			delete(h.holders, key)
		}
	}
}
