package lua

import (
	"context"
	"sync"
)

// A gate counts calls that come from requests, so that a plugin can be
// closed when they have ended. The zero gate is open.
type gate struct {
	host *Host

	mu     sync.Mutex
	n      int
	closed *flight // made by close; ends with the last call
}

// enter lets a call in unless the gate is closed; after true, leave has to be
// called.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return false
	}
	g.n++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.closed != nil {
		g.closed.end()
	}
}

// close lets no further call in and waits for those inside until ctx ends.
func (g *gate) close(ctx context.Context) {
	g.mu.Lock()
	if g.closed != nil {
		g.mu.Unlock()
		return
	}
	inside := newFlight(g.host)
	g.closed = inside
	if g.n == 0 {
		inside.end()
	}
	g.mu.Unlock()
	inside.wait(ctx)
}
