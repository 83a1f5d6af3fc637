package table

import (
	"maps"
	"sync"
	"sync/atomic"

	"nearside/matcher"
	"nearside/matcher/idindex"
)

// Options are the settings of tables.
type Options struct {
	Registry   *matcher.Registry
	MetaFields []matcher.MetaField // fields that events can be filtered on
	ChunkRows  int                 // 0 means ChunkRowsMax
	Regions    Regions             // zero value: memory mapped outside the Go heap
	LexiconMax int                 // maximum number of texts in a lexicon; 0 means lexiconMax
}

// Tables holds the rows of all origins, one table for each, and the indexes that find
// rows. One goroutine, the writer, changes them; any goroutine may read.
//
// The lock guards the first block of fields, which show only the newest state. It is held
// for lookups and while a commit is published, never during a scan: readers take the
// newest snapshot, release the lock and then read rows. The writer reads these fields
// without the lock.
type Tables struct {
	sync.RWMutex
	Newest   *Snapshot
	Rows     [matcher.Origins]*RowMap
	rowViews [matcher.Origins][]View // of the rows in Rows: those of Newest, or of the update that replaces it
	Accounts map[matcher.ID]uint32   // ordinal by ID
	Tallies  [matcher.Origins]Tally
	Misfits  map[uint32]int // by version number: how many descriptors do not fit their version

	listIndex *idindex.Index[matcher.ID] // ordinals of lists
	lists     Lists                      // those that listIndex has or had
	large     map[uint32]*members        // rows of large lists, by ordinal; published ones never change

	options  Options
	Layouts  [matcher.Origins]*Layout
	Lexicons Lexicons // has its own lock

	// Only the writer uses these.
	Open     map[Kind]uint32 // index of the chunk that takes new rows
	Arenas   map[*Chunk]*Arena
	filled   []fullChunk       // chunks that became full since the last commit
	spare    map[Kind][]*Chunk // mapped by Promise, so that a commit cannot fail
	promised promise           // to the commit that is being prepared
	held     []promise         // to commits that are being written, in the order of Apply
	dropped  int               // bytes of chunks dropped since the last garbage collection
	adopted  adopted
	packing  []byte // scratch memory of packList

	Bytes     atomic.Int64 // of all rows, including dead ones
	DeadBytes atomic.Int64 // of dead rows

	breathe func() // called repeatedly while a chunk is rewritten, to give way to matches; nil: no call
}

// NewTables returns tables without rows.
func NewTables(o Options) *Tables {
	if o.ChunkRows == 0 {
		o.ChunkRows = ChunkRowsMax
	}
	if o.Regions.Allocate == nil {
		o.Regions = MappedRegions()
	}
	if o.LexiconMax == 0 {
		o.LexiconMax = lexiconMax
	}
	t := &Tables{options: o}
	for origin := range t.Layouts {
		t.Layouts[origin] = newLayout(matcher.Origin(origin), o.MetaFields)
	}
	t.reset()
	return t
}

// reset removes all rows, lists and accounts. Nothing else may use t while it runs.
func (t *Tables) reset() {
	t.Newest = &Snapshot{}
	t.Lexicons = newLexicons(t.options)
	for o := range t.Rows {
		t.rowViews[o] = nil
		t.Rows[o] = newRowMap(func(row uint32) *matcher.ID { return &t.rowViews[o][row>>16].IDs[row&0xffff] })
	}
	t.lists = Lists{}
	t.listIndex = idindex.New(func(ordinal uint32) matcher.ID { return t.lists.At(ordinal).ID })
	t.large = map[uint32]*members{}
	t.adopted = adopted{}
	t.Accounts = map[matcher.ID]uint32{}
	t.Tallies = [matcher.Origins]Tally{}
	t.Misfits = map[uint32]int{}
	t.Open = map[Kind]uint32{}
	t.Arenas = map[*Chunk]*Arena{}
	t.filled = nil
	t.spare = map[Kind][]*Chunk{}
	t.promised, t.held = promise{}, nil
	t.Bytes.Store(0)
	t.DeadBytes.Store(0)
}

// Snapshot returns the newest snapshot.
func (t *Tables) Snapshot() *Snapshot {
	t.RLock()
	defer t.RUnlock()
	return t.Newest
}

// Find returns the newest snapshot and the object's row in it.
func (t *Tables) Find(o matcher.Origin, id matcher.ID) (snap *Snapshot, row uint32, ok bool) {
	t.RLock()
	defer t.RUnlock()
	row, ok = t.Rows[o].Find(id)
	return t.Newest, row, ok
}

// RowsOf returns the rows of the objects with the given IDs. It skips unknown IDs. The
// caller must hold the lock, at least for reading.
func (t *Tables) RowsOf(o matcher.Origin, ids []matcher.ID) *Bitmap {
	rows := make([]uint32, 0, len(ids))
	for _, id := range ids {
		if row, ok := t.Rows[o].Find(id); ok {
			rows = append(rows, row)
		}
	}
	return bitmapOf(rows)
}

// RowsIn returns the rows of all faces that are in any of the lists. The caller must hold
// the lock, at least for reading.
func (t *Tables) RowsIn(lists []matcher.ID) *Bitmap {
	var found []*Bitmap
	for _, id := range lists {
		if ordinal, ok := t.FindList(id); ok {
			found = append(found, t.ListRows(ordinal))
		}
	}
	return Union(found)
}

// MisfitCounts returns, by version number, how many appended descriptors do not fit: the
// registry does not know their version, or has another length for it.
func (t *Tables) MisfitCounts() map[uint32]int {
	t.RLock()
	defer t.RUnlock()
	return maps.Clone(t.Misfits)
}

// versionsOf returns the versions of the descriptors of o. It leaves out descriptors that
// do not fit their version.
func (t *Tables) versionsOf(o *matcher.Object) Versions {
	var vs Versions
	for i, d := range o.Descriptors {
		if v := t.options.Registry.Version(d.Version); fits(v, i, d) {
			vs[i] = v
		}
	}
	return vs
}

// fits reports whether d, a descriptor of type t, fits v.
func fits(v *matcher.Version, t int, d matcher.Descriptor) bool {
	return v != nil && int(v.Type) == t && len(d.Data) == v.Size()
}

// Need returns the kind of chunk for a new row of o, and an approximate upper bound of
// the row's size in bytes.
func (t *Tables) Need(o *matcher.Object) (k Kind, bytes int64) {
	vs := t.versionsOf(o)
	return Kind{o.Origin, vs}, int64(t.Layouts[o.Origin].rowOverhead() + vs.descriptorBytes() + recordBytes(o))
}

// ChunkCount counts the chunks of an origin, including the spare ones.
func (t *Tables) ChunkCount(o matcher.Origin) int {
	n := 0
	for i := range t.Newest.Views[o] {
		if t.Newest.Views[o][i].Chunk != nil {
			n++
		}
	}
	for k, spare := range t.spare {
		if k.Origin == o {
			n += len(spare)
		}
	}
	return n
}

// NewChunk maps an empty chunk for rows of k.
func (t *Tables) NewChunk(k Kind) (*Chunk, error) {
	return newChunk(t.Layouts[k.Origin], k.Versions, t.options.ChunkRows, t.options.Regions)
}
