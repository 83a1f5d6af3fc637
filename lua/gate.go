package lua

import (
	"context"
	"sync"
)

// A gate counts calls that come from requests, so that a plugin can be
// closed when they have ended. The zero gate is open.
type gate struct {
	mu     sync.Mutex
	n      int
	closed bool
	empty  chan struct{} // made by close; closed with the last call
}

// enter lets a call in unless the gate is closed; after true, leave has to be
// called.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.n++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.closed {
		close(g.empty)
	}
}

// close lets no further call in and waits for those inside until ctx ends.
func (g *gate) close(ctx context.Context) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.closed, g.empty = true, make(chan struct{})
	empty := g.empty
	if g.n == 0 {
		close(empty)
	}
	g.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}
