package vm

import (
	"sync"
	"sync/atomic"
)

// Memory bounds the total live bytes of several states. Each state counts the
// bytes that its scripts allocate. When these may exceed the limit, the live bytes
// are measured by walking all values that the states can reach. If the total is
// over the limit, the largest state is killed: its calls fail with ErrMemory, and
// StateOptions.MemoryExceeded tells its owner to replace it. The methods of a Memory may
// be called by any goroutine.
type Memory struct {
	limit     int64        // bytes
	measureAt int64        // value of used above which states are measured
	used      atomic.Int64 // bytes that were live when last measured, and bytes allocated since then
	kills     atomic.Uint64

	mu     sync.Mutex // guards limit, measureAt, states, and State.liveBytes and State.sinceMeasured
	states map[*State]struct{}
}

// NewMemory returns a Memory with a limit in bytes. 0 means DefaultMemory.
func NewMemory(limit int64) *Memory {
	if limit <= 0 {
		limit = DefaultMemory
	}
	return &Memory{limit: limit, measureAt: limit + limit/8, states: map[*State]struct{}{}}
}

// SetLimit changes the limit to bytes, which must be more than 0.
func (m *Memory) SetLimit(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit, m.measureAt = bytes, bytes+bytes/8
}

// Limit returns the limit in bytes.
func (m *Memory) Limit() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.limit
}

// Used returns the bytes that the states use. It includes garbage that was
// allocated since a state was last measured.
func (m *Memory) Used() int64 { return m.used.Load() }

// Kills returns the number of states that were killed because of their memory.
func (m *Memory) Kills() uint64 { return m.kills.Load() }

// reportBytes is the number of bytes that a state allocates before it reports them
// to its Memory.
const reportBytes = 64 << 10

// reportAllocated reports the bytes that the state has allocated to its Memory. It
// is called at the end of each slice, while the state's lock is held. If the state
// has ended, it returns the reason.
func (s *State) reportAllocated() error {
	if grown := s.allocated - s.reported; grown >= reportBytes {
		s.reported = s.allocated
		s.memory.addAllocated(s, grown)
	}
	return s.endReason()
}

// addAllocated adds bytes that s has allocated.
func (m *Memory) addAllocated(s *State, grown int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.states[s]; !ok {
		return
	}
	s.sinceMeasured += grown
	if m.used.Add(grown) > m.measureAt {
		m.enforceLimit(s)
	}
}

// enforceLimit measures states until used is at most measureAt. While the total of
// the measured bytes exceeds the limit, it kills the largest state. The caller holds
// m.mu and the lock of s.
func (m *Memory) enforceLimit(s *State) {
	m.measure(s)
	for other := range m.states {
		if m.used.Load() <= m.measureAt {
			break
		}
		// A state that is in use is measured at the end of its slice.
		if other != s && other.tryLock() {
			m.measure(other)
			<-other.lock
		}
	}
	for {
		sum, largest := int64(0), s
		for other := range m.states {
			sum += other.liveBytes
			if other.liveBytes > largest.liveBytes {
				largest = other
			}
		}
		if sum <= m.limit {
			return
		}
		m.kill(largest)
	}
}

// measure measures the live bytes of a state, unless it has allocated only little
// since the last time. The caller holds the lock of s.
func (m *Memory) measure(s *State) {
	if s.sinceMeasured < max(m.limit/256, reportBytes) {
		return
	}
	alive := s.reachableBytes()
	m.used.Add(alive - s.liveBytes - s.sinceMeasured)
	s.liveBytes, s.sinceMeasured = alive, 0
}

// kill ends a state because of its memory.
func (m *Memory) kill(s *State) {
	bytes := s.liveBytes
	m.removeState(s)
	m.kills.Add(1)
	s.overLimit.Store(true)
	s.cancel()
	if s.memoryExceeded != nil {
		s.memoryExceeded(bytes)
	}
}

func (m *Memory) addState(s *State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states[s] = struct{}{}
}

// removeClosed removes a closed state.
func (m *Memory) removeClosed(s *State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removeState(s)
}

// removeState removes a state and its bytes. The caller holds m.mu.
func (m *Memory) removeState(s *State) {
	if _, ok := m.states[s]; ok {
		delete(m.states, s)
		m.used.Add(-s.liveBytes - s.sinceMeasured)
		s.liveBytes, s.sinceMeasured = 0, 0
	}
}

// tryLock takes the state's lock if it is free, and reports whether it did.
func (s *State) tryLock() bool {
	select {
	case s.lock <- struct{}{}:
		return true
	default:
		return false
	}
}
