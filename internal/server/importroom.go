package server

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"nearside/matcher"
)

// Memory of all imports together, in bytes. No client can block it: texts are decoded
// as soon as a core is free, and lines are stored within groupAge and the time of a
// commit, or at once when their import waits for room. An import may hold textRoom
// while it waits for lineRoom, and lineRoom while it waits for commitRoom, but never the
// other way round.
const (
	textRoom   = 8 << 20  // for buffers, until their lines are decoded
	lineRoom   = 16 << 20 // for objects, from before they are decoded until they are stored
	commitRoom = 16 << 20 // for what the store needs in addition while it commits lines
)

// importRoom is the part of textRoom, lineRoom or commitRoom that one import holds. A nil
// importRoom reserves nothing and never waits.
type importRoom struct {
	shared  *semaphore.Weighted // of all imports
	size    int                 // bytes for all imports
	ctx     context.Context
	timeout time.Duration // of a wait
	short   chan struct{} // receives a value when reserve has to wait; may be nil

	mu   sync.Mutex
	held int
}

// reserve waits until there is room for that many bytes and returns how many it has
// reserved, at most r.size.
func (r *importRoom) reserve(bytes int) (reserved int, err error) {
	if r == nil {
		return bytes, nil
	}
	bytes = min(bytes, r.size)
	if !r.shared.TryAcquire(int64(bytes)) {
		if err := r.wait(bytes); err != nil {
			return 0, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += bytes
	return bytes, nil
}

func (r *importRoom) wait(bytes int) error {
	select {
	case r.short <- struct{}{}:
	default:
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
	defer cancel()
	err := r.shared.Acquire(ctx, int64(bytes))
	if err != nil && r.ctx.Err() == nil {
		return matcher.Overloaded(0, "memory: %d bytes for an import did not become free in time; all imports share %d bytes", bytes, r.size)
	}
	return err
}

// release gives bytes back.
func (r *importRoom) release(bytes int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	bytes = min(bytes, r.held)
	r.held -= bytes
	r.mu.Unlock()
	r.shared.Release(int64(bytes))
}

// close gives everything back.
func (r *importRoom) close() { r.release(r.size) }
