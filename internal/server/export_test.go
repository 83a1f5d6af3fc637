package server

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
