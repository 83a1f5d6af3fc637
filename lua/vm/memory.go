package vm

import (
	"sync"
	"sync/atomic"
)

// Memory bounds the live bytes of several states together. Each state counts
// what its scripts allocate. When that may exceed the limit, what is really
// alive is measured by a walk over all that the state can reach. A state that
// is over the limit is killed: its calls fail with ErrMemory, and its owner is
// told to replace it.
type Memory struct {
	limit int64
	slack int64        // of used: where states are measured
	used  atomic.Int64 // alive when last measured, and what was allocated since
	kills atomic.Uint64

	mu     sync.Mutex // of limit, slack, and states with their alive and since
	states map[*State]struct{}
}

// NewMemory makes an account of that many bytes; 0 is DefaultMemory.
func NewMemory(limit int64) *Memory {
	if limit <= 0 {
		limit = DefaultMemory
	}
	return &Memory{limit: limit, slack: limit + limit/8, states: map[*State]struct{}{}}
}

// SetLimit changes the bound.
func (m *Memory) SetLimit(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit, m.slack = bytes, bytes+bytes/8
}

// Limit returns the bound in bytes.
func (m *Memory) Limit() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limit
}

// Used returns how many bytes the states use. It includes garbage that was
// allocated since a state was last measured.
func (m *Memory) Used() int64 { return m.used.Load() }

// Kills returns how many states were killed because of their memory.
func (m *Memory) Kills() uint64 { return m.kills.Load() }

// settleBytes is how much a state allocates before it tells its account.
const settleBytes = 64 << 10

// settle tells the account what the state has allocated. It is called at the
// end of each slice, while the lock is held, and returns why the state has
// ended, if it has.
func (s *State) settle() error {
	if grown := s.allocated - s.settled; grown >= settleBytes {
		s.settled = s.allocated
		s.memory.settle(s, grown)
	}
	return s.endedBy()
}

func (m *Memory) settle(s *State, grown int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.states[s]; !ok {
		return
	}
	s.since += grown
	if m.used.Add(grown) > m.slack {
		m.reduce(s)
	}
}

// reduce measures states until the account is within its limit, and kills the
// largest while it is not. The lock of s is held.
func (m *Memory) reduce(s *State) {
	m.measure(s)
	for other := range m.states {
		if m.used.Load() <= m.slack {
			break
		}
		// A state that is in use is measured when its slice is over.
		if other != s && other.tryLock() {
			m.measure(other)
			<-other.lock
		}
	}
	for {
		sum, largest := int64(0), s
		for other := range m.states {
			sum += other.alive
			if other.alive > largest.alive {
				largest = other
			}
		}
		if sum <= m.limit {
			return
		}
		m.kill(largest)
	}
}

// measure walks a state, whose lock is held, unless little has changed.
func (m *Memory) measure(s *State) {
	if s.since < max(m.limit/256, settleBytes) {
		return
	}
	alive := s.reachable()
	m.used.Add(alive - s.alive - s.since)
	s.alive, s.since = alive, 0
}

// kill ends a state for its memory.
func (m *Memory) kill(s *State) {
	bytes := s.alive
	m.remove(s)
	m.kills.Add(1)
	s.over.Store(true)
	s.cancel()
	if s.exceeded != nil {
		s.exceeded(bytes)
	}
}

func (m *Memory) add(s *State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states[s] = struct{}{}
}

// forget takes a state that is closed out of the account.
func (m *Memory) forget(s *State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(s)
}

func (m *Memory) remove(s *State) {
	if _, ok := m.states[s]; ok {
		delete(m.states, s)
		m.used.Add(-s.alive - s.since)
		s.alive, s.since = 0, 0
	}
}

func (s *State) tryLock() bool {
	select {
	case s.lock <- struct{}{}:
		return true
	default:
		return false
	}
}
