package memory

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"nearside/matcher"
	"nearside/matcher/memory/scan"
	"nearside/matcher/memory/table"
	"nearside/simd"
)

// Options are the settings of a Memory.
type Options struct {
	Registry *matcher.Registry
	Kernel   *simd.Kernel
	Workers  int     // 0 means one per core
	Cost     float64 // cost of a sub-request, in the same unit as that of other matchers
	BytesMax int64   // limit of descriptors and fields together; 0: no limit
	// Refuse returns an error while the process lacks the memory for more objects. Tight
	// reports the same condition, but does not count a refusal. Both may be nil.
	Refuse func() error
	Tight  func() bool
	// MetaFields are the meta fields that events can be filtered on.
	MetaFields []matcher.MetaField
	Now        func() time.Time // clock for the expiry of objects; nil means time.Now

	// With these settings, tests make chunks small, watch their memory, and interrupt
	// sealing at any step.
	chunkRows  int           // 0 means table.ChunkRowsMax
	regions    table.Regions // zero value: mapped memory
	lexiconMax int           // maximum number of texts in a lexicon; 0 means the default
	sealStep   func(step string)
}

// Memory holds all objects in memory and matches against them. All methods are safe for
// concurrent use, except Admit and Apply, which only the writer of the store calls.
type Memory struct {
	options   Options
	tables    *table.Tables
	scheduler *scan.Scheduler
	raw       *scan.Raw
	bytesMax  atomic.Int64
}

// New returns an empty Memory. Close stops its workers.
func New(o Options) (*Memory, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	s, err := scan.NewScheduler(o.Workers, o.Kernel)
	if err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	m := &Memory{options: o, scheduler: s, raw: scan.NewRaw(o.Workers, o.Kernel)}
	m.tables = table.NewTables(table.Options{
		Registry: o.Registry, MetaFields: o.MetaFields, ChunkRows: o.chunkRows, Regions: o.regions, LexiconMax: o.lexiconMax,
	})
	m.SetBytesMax(o.BytesMax)
	return m, nil
}

// Close stops the workers. No match may be running.
func (m *Memory) Close() { m.scheduler.Close() }

// SetBytesMax changes Options.BytesMax. It does not remove existing objects.
func (m *Memory) SetBytesMax(n int64) { m.bytesMax.Store(n) }

// Misfits returns, by version number, how many descriptors passed to Apply do not fit:
// the registry does not know their version, or has another length for it. They cannot be
// matched. A caller that loads a store must stop if there are any.
func (m *Memory) Misfits() map[uint32]int { return m.tables.MisfitCounts() }

// Stats are figures for metrics and for the cost of a match.
type Stats struct {
	Rows    [matcher.Origins]int
	Lists   int
	Bytes   int64 // descriptors and fields of all rows
	Workers int
	Queue   int // references in jobs with rows that no worker has taken yet
}

// Stats returns the current figures.
func (m *Memory) Stats() Stats {
	m.tables.RLock()
	s := Stats{Lists: m.tables.ListCount(), Bytes: m.tables.Bytes.Load()}
	snap := m.tables.Newest
	m.tables.RUnlock()
	for o := range s.Rows {
		s.Rows[o] = snap.Live(matcher.Origin(o))
	}
	s.Workers, s.Queue = m.scheduler.Workers(), m.scheduler.Queued()
	return s
}
