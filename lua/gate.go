package lua

import (
	"context"
	"sync"

	"nearside/lua/ns/peer"
)

// A gate counts calls from requests, so that a plugin can be closed after they have
// ended. The zero gate is open.
type gate struct {
	host *Host

	mu     sync.Mutex
	n      int
	closed *peer.Flight // created by close; ends with the last call
}

// enter starts a call. It returns false if the gate is closed. After true, the caller
// must call leave.
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
		g.closed.End()
	}
}

// close makes enter fail and waits until all calls have ended or ctx ends.
func (g *gate) close(ctx context.Context) {
	g.mu.Lock()
	if g.closed != nil {
		g.mu.Unlock()
		return
	}
	inside := peer.NewFlight(g.host.o.Doubles.Counter)
	g.closed = inside
	if g.n == 0 {
		inside.End()
	}
	g.mu.Unlock()
	inside.Wait(ctx)
}
