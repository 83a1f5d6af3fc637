package memory

import (
	"fmt"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"nearside/matcher"
	"nearside/simd"
)

// Options are what a Memory is made with.
type Options struct {
	Registry *matcher.Registry
	Kernel   *simd.Kernel
	Workers  int     // 0: one per core
	Cost     float64 // of a sub-request, to compare with other matchers
	BytesMax int64   // descriptors and fields together; 0: no limit
	// MetaFields are the fields of meta that events can be filtered on.
	MetaFields []matcher.MetaField
	Now        func() time.Time // the clock that objects expire by; nil: time.Now

	// Tests make chunks small, watch their memory, and stop sealing where they
	// like.
	chunkRows int     // 0: chunkRowsMax
	regions   regions // zero: newRegion and freeRegion
	sealStep  func(step string)
}

// Memory holds all objects in memory and matches against them. All methods are
// safe for concurrent use but Admit and Apply, which the store's writer calls.
type Memory struct {
	options   Options
	layouts   [matcher.Origins]*layout
	lexicons  lexicons
	scheduler *scheduler
	raw       *turnstile

	// mu guards the maps below and the change of snap; it is held for lookups
	// and for the publishing of a commit, never during a scan.
	mu       sync.RWMutex
	snap     *snapshot
	rows     [matcher.Origins]map[matcher.ID]uint32
	lists    map[matcher.ID]*list
	accounts map[matcher.ID]uint32 // ordinals
	misfits  map[uint32]int        // descriptors that their version does not fit, by its number

	// Of the writer alone.
	open     map[kind]uint32 // index of the chunk that takes new rows
	arenas   map[*chunk]*arena
	filled   []full            // since the last commit
	spare    map[kind][]*chunk // mapped by Admit, so that Apply cannot fail
	promised map[kind]int      // rows that Admit has made room for and Apply has not brought
	dropped  int               // bytes of dropped chunks since the last collection

	bytesMax  atomic.Int64
	bytes     atomic.Int64 // of all rows, the dead ones included
	deadBytes atomic.Int64 // of the dead ones
}

// New returns an empty Memory; Close ends its workers.
func New(o Options) (*Memory, error) {
	if o.chunkRows == 0 {
		o.chunkRows = chunkRowsMax
	}
	if o.regions.get == nil {
		o.regions = regions{newRegion, freeRegion}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	s, err := newScheduler(o.Workers, func() *scanner { return newScanner(o.Kernel) })
	if err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	m := &Memory{options: o, scheduler: s, raw: newTurnstile(o.Workers, rawWaitingMax)}
	m.reset()
	m.SetBytesMax(o.BytesMax)
	for o := range m.layouts {
		m.layouts[o] = newLayout(matcher.Origin(o), m.options.MetaFields)
	}
	return m, nil
}

// reset makes m empty. Nobody may use it meanwhile.
func (m *Memory) reset() {
	m.snap = &snapshot{epoch: 1}
	m.lexicons = newLexicons(m.options.MetaFields)
	for i := range m.rows {
		m.rows[i] = map[matcher.ID]uint32{}
	}
	m.lists = map[matcher.ID]*list{}
	m.accounts = map[matcher.ID]uint32{}
	m.misfits = map[uint32]int{}
	m.open = map[kind]uint32{}
	m.arenas = map[*chunk]*arena{}
	m.filled = nil
	m.spare = map[kind][]*chunk{}
	m.promised = map[kind]int{}
	m.bytes.Store(0)
	m.deadBytes.Store(0)
}

// Close ends the workers, when no match is under way any more.
func (m *Memory) Close() { m.scheduler.close() }

// SetBytesMax changes Options.BytesMax; what is there already stays.
func (m *Memory) SetBytesMax(n int64) { m.bytesMax.Store(n) }

// Misfits counts, by version, the descriptors that came with Apply and that
// the registry does not know, or knows with another length. They cannot be
// matched: whoever loads a store must not go on with them.
func (m *Memory) Misfits() map[uint32]int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return maps.Clone(m.misfits)
}

// Stats are figures for metrics and for cost.
type Stats struct {
	Rows    [matcher.Origins]int
	Lists   int
	Bytes   int64 // descriptors and fields of all rows
	Workers int
}

// Stats returns the figures of this moment.
func (m *Memory) Stats() Stats {
	m.mu.RLock()
	s := Stats{Lists: len(m.lists), Bytes: m.bytes.Load()}
	snap := m.snap
	m.mu.RUnlock()
	for o := range s.Rows {
		s.Rows[o] = snap.live(matcher.Origin(o))
	}
	s.Workers = m.scheduler.pool.Cap()
	return s
}
