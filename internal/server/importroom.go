package server

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"nearside/matcher"
)

// blocksSize is the bytes of blocks that all imports together hold between
// reading and storing. A client cannot hold any of it: what was read is stored
// within groupAge and the time of a commit. So the number of imports that are
// at work at once is bounded, too.
const blocksSize = 192 << 20

// importRoom is what one import holds of blocksSize. A nil importRoom bounds
// nothing.
type importRoom struct {
	of      *semaphore.Weighted
	ctx     context.Context
	timeout time.Duration // of a wait

	mu   sync.Mutex
	held int
}

// take waits until there is room for that many bytes, at most for all there is.
func (r *importRoom) take(bytes int) error {
	if r == nil {
		return nil
	}
	bytes = min(bytes, blocksSize)
	ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
	defer cancel()
	if err := r.of.Acquire(ctx, int64(bytes)); err != nil {
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		return matcher.Overloaded(0, "memory: no room for %d bytes of an import came in time, all imports together have %d", bytes, blocksSize)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += bytes
	return nil
}

// give gives bytes back.
func (r *importRoom) give(bytes int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	bytes = min(bytes, r.held)
	r.held -= bytes
	r.mu.Unlock()
	r.of.Release(int64(bytes))
}

// close gives everything back. Nothing of it is used any more.
func (r *importRoom) close() { r.give(blocksSize) }
