package server

import "time"

// SetConnectionsMax changes the bound of connections.
func (s *Server) SetConnectionsMax(n int64) { s.listener.most.Store(n) }

// HoldBodies takes all room for bodies, HoldAnswers that for answers and
// HoldImports that for imports, until release is called. Without all of it
// there they return nil.
func (s *Server) HoldBodies() (release func()) { return hold(s.limits.Load().bodies) }

// HoldAnswers is like HoldBodies.
func (s *Server) HoldAnswers() (release func()) { return hold(s.answers.small, s.answers.large) }

// HoldImports is like HoldBodies.
func (s *Server) HoldImports() (release func()) {
	if !s.blocks.TryAcquire(blocksSize) {
		return nil
	}
	release = hold(s.limits.Load().lines)
	if release == nil {
		s.blocks.Release(blocksSize)
		return nil
	}
	return func() {
		s.blocks.Release(blocksSize)
		release()
	}
}

// HoldHeads is like HoldBodies.
func (s *Server) HoldHeads() (release func()) { return hold(s.heads) }

// SetPatience changes the time after which clients are slow.
func (s *Server) SetPatience(d time.Duration) {
	for _, b := range []*budget{s.heads, s.answers.small, s.answers.large, s.limits.Load().bodies, s.limits.Load().lines} {
		b.mu.Lock()
		b.slow = d
		b.mu.Unlock()
	}
}

// Holders is how many requests hold room for bodies, lines of imports, headers
// and answers.
func (s *Server) Holders() (bodies, lines, heads, answers int) {
	count := func(b *budget) int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.holders)
	}
	return count(s.limits.Load().bodies), count(s.limits.Load().lines), count(s.heads), count(s.answers.small) + count(s.answers.large)
}

// hold fills budgets that are empty.
func hold(all ...*budget) func() {
	for _, b := range all {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.used > 0 || b.favored != nil {
			return nil
		}
	}
	for _, b := range all {
		b.used, b.favored = b.size, &claim{of: b, held: b.reserve}
	}
	return func() {
		for _, b := range all {
			b.mu.Lock()
			b.used, b.favored = 0, nil
			b.admitWaiting()
			b.mu.Unlock()
		}
	}
}
