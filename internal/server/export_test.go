package server

import (
	"net/netip"
	"time"

	"golang.org/x/sync/semaphore"
)

// ConnectionsMax returns the limit of open connections.
func (s *Server) ConnectionsMax() int64 { return s.listener.most() }

// SetConnectionsMax changes the limit of open connections.
func (s *Server) SetConnectionsMax(n int64) { s.listener.connectionsMax.Store(n) }

// SetHandshakesMax changes the limit of unfinished handshakes.
func (s *Server) SetHandshakesMax(n int) {
	h := s.listener.handshakes
	h.mu.Lock()
	defer h.mu.Unlock()
	h.max = n
}

// Handshakes returns the number of unfinished handshakes.
func (s *Server) Handshakes() int {
	h := s.listener.handshakes
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open.Len()
}

// CountedFor returns how many connections are counted for the client with an address.
func (s *Server) CountedFor(ip string) int {
	l := s.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byAddress[networkOf(netip.MustParseAddr(ip))]
}

// Idle returns the addresses of the clients of idle connections, longest idle first.
func (s *Server) Idle() (clients []string) {
	l := s.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.idle.Front(); e != nil; e = e.Next() {
		clients = append(clients, e.Value.(*connection).RemoteAddr().String())
	}
	return clients
}

// HoldBodies takes all room for bodies until release is called. It returns nil if
// some of the room is in use.
func (s *Server) HoldBodies() (release func()) { return hold(s.limits.Load().bodies) }

// HoldAnswers is HoldBodies for answers.
func (s *Server) HoldAnswers() (release func()) { return hold(s.answers.small, s.answers.large) }

// HoldImports is HoldBodies for imports.
func (s *Server) HoldImports() (release func()) {
	rooms := []struct {
		shared *semaphore.Weighted
		size   int64
	}{{s.importTexts, textRoom}, {s.importLines, lineRoom}, {s.importCommits, commitRoom}}
	held := 0
	back := func() {
		for _, r := range rooms[:held] {
			r.shared.Release(r.size)
		}
	}
	for _, r := range rooms {
		if !r.shared.TryAcquire(r.size) {
			back()
			return nil
		}
		held++
	}
	if release = hold(s.limits.Load().unfinishedLines); release == nil {
		back()
		return nil
	}
	return func() {
		back()
		release()
	}
}

// HoldLines is HoldBodies for unfinished lines of imports.
func (s *Server) HoldLines() (release func()) { return hold(s.limits.Load().unfinishedLines) }

// HoldHeads is HoldBodies for heads.
func (s *Server) HoldHeads() (release func()) { return hold(s.heads) }

// SetPatience changes the time after which clients are slow.
func (s *Server) SetPatience(d time.Duration) {
	for _, b := range []*budget{s.heads, s.answers.small, s.answers.large, s.limits.Load().bodies, s.limits.Load().unfinishedLines} {
		b.mu.Lock()
		b.slowAfter = d
		b.mu.Unlock()
	}
}

// HoldWorkers waits until all workers are idle, and occupies them until release is called.
func (s *Server) HoldWorkers() (release func()) {
	for range cap(s.workers) {
		s.workers.enter()
	}
	return func() {
		for range cap(s.workers) {
			s.workers.leave()
		}
	}
}

// WaitingForLines returns how many imports wait for room for lines.
func (s *Server) WaitingForLines() int {
	b := s.limits.Load().unfinishedLines
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting.Len()
}

// AdmittedToLines returns how many imports hold room for lines and do not wait for more.
func (s *Server) AdmittedToLines() (n int) {
	b := s.limits.Load().unfinishedLines
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.holders {
		if !c.waiting {
			n++
		}
	}
	return n
}

// EndSlowImports searches for slow clients of imports, and counts every client that the
// server waits for as slow.
func (s *Server) EndSlowImports() {
	b := s.limits.Load().unfinishedLines
	b.mu.Lock()
	before := b.slowAfter
	b.slowAfter, b.checked = 0, time.Time{}
	b.mu.Unlock()
	b.notifySlow()
	b.mu.Lock()
	b.slowAfter = before
	b.mu.Unlock()
}

// Holders returns how many requests hold room for bodies, lines of imports, heads and
// answers.
func (s *Server) Holders() (bodies, lines, heads, answers int) {
	count := func(b *budget) int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.holders)
	}
	return count(s.limits.Load().bodies), count(s.limits.Load().unfinishedLines), count(s.heads), count(s.answers.small) + count(s.answers.large)
}

// hold takes all bytes of budgets, or returns nil if some are in use.
func hold(all ...*budget) func() {
	for _, b := range all {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.used > 0 || b.favored != nil {
			return nil
		}
	}
	for _, b := range all {
		b.used, b.favored = b.size, &claim{budget: b, held: b.reserve}
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

// OperationIDs returns the operationId of each operation that may have a line in the audit.
func OperationIDs() map[string]string { return operationIDs }
