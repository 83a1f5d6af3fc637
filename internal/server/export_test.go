package server

// SetConnectionsMax changes the bound of connections.
func (s *Server) SetConnectionsMax(n int64) { s.listener.most.Store(n) }

// HoldBodies takes all room for bodies, HoldAnswers that for answers, until
// release is called. Without all of it there they return nil.
func (s *Server) HoldBodies() (release func()) { return s.limits.Load().bodies.hold() }

// HoldAnswers is like HoldBodies.
func (s *Server) HoldAnswers() (release func()) { return s.answers.hold() }

func (b *budget) hold() func() {
	if !b.TryAcquire(b.size) {
		return nil
	}
	return func() { b.Release(b.size) }
}
