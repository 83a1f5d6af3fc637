package memory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"nearside/matcher"
)

// pieceBytes is how much of a file is read, or written, between two looks at
// its checksum: it is in the processor's cache then.
const pieceBytes = 1 << 20

// restored is a chunk that comes from a segment.
type restored struct {
	sealedChunk
	view  view
	arena *arena
	lists map[uint32]*roaring.Bitmap // rows by ordinal
	bytes int64                      // of all rows
	known lexicons                   // of events: its texts
	err   error
}

// Restore implements [store.Cache]. Segments are read into the memory that
// serves, not mapped: each byte must be read before its first use anyway, for
// the checksums, so that a mapping would save little, and what was verified
// would stay at the mercy of the disk.
func (m *Memory) Restore(ctx context.Context, dir string) (mark []byte, err error) {
	defer func() {
		if r := recover(); r != nil { // its checksum is right, and it makes no sense
			err = fmt.Errorf("%s: %v", filepath.Join(dir, manifestName), r)
		}
		if err != nil {
			m.Discard()
		}
	}()
	mf, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := m.restore(ctx, dir, mf); err != nil {
		return nil, err
	}
	return mf.mark, nil
}

// Discard implements [store.Cache].
func (m *Memory) Discard() {
	m.reset()
	runtime.GC() // unmaps the chunks
}

// Records implements [store.Cache].
func (m *Memory) Records() uint64 {
	n := len(m.lists)
	for o := range matcher.Origins {
		n += m.snap.live(o)
	}
	return uint64(n)
}

func (m *Memory) restore(ctx context.Context, dir string, mf *manifest) error {
	m.restoreOrdinals(mf)
	all := make([]*restored, len(mf.chunks))
	var rows [matcher.Origins]int
	for i, c := range mf.chunks {
		all[i] = &restored{sealedChunk: c}
		rows[c.origin] += c.segment.rows
	}
	for o, n := range rows {
		m.rows[o] = make(map[matcher.ID]uint32, n)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan *restored, len(all))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(len(all), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := next.Add(1); int(i) <= len(all); i = next.Add(1) {
				r := all[i-1]
				r.err = m.read(ctx, dir, r)
				done <- r
			}
		})
	}
	var err error
	for range all {
		if r := <-done; err == nil {
			if err = r.err; err == nil {
				err = m.adopt(r)
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", filepath.Join(dir, r.segment.name()), err)
				cancel()
			}
		}
	}
	workers.Wait()
	return err
}

// restoreOrdinals makes the accounts and the lists. What lists are beside
// their ID comes with the next Apply.
func (m *Memory) restoreOrdinals(mf *manifest) {
	m.snap.accounts = mf.accounts
	for i, id := range mf.accounts {
		m.accounts[id] = uint32(i)
	}
	for i, s := range mf.lists {
		l := &list{id: s.id, ordinal: uint32(i)}
		m.snap.lists = append(m.snap.lists, l)
		if s.live {
			l.info, l.rows = &matcher.List{ID: s.id}, roaring.New()
			m.lists[s.id] = l
		} else {
			l.deleted.Store(m.snap.epoch)
		}
	}
}

// read reads a segment and verifies it. It runs beside others.
func (m *Memory) read(ctx context.Context, dir string, r *restored) (err error) {
	defer func() {
		if p := recover(); p != nil { // its checksums are right, and it makes no sense
			err = fmt.Errorf("%v", p)
		}
	}()
	f, err := os.Open(filepath.Join(dir, r.segment.name()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	header := make([]byte, segmentHeader)
	if _, err := f.ReadAt(header, 0); err != nil {
		return err
	}
	vs, sections, err := r.segment.parseHeader(header, m.layouts[r.origin], m.options.Registry)
	if err != nil {
		return err
	}
	c, err := m.newChunk(kind{r.origin, vs})
	if err != nil {
		return err
	}
	n := r.segment.rows
	if n > c.capacity {
		return fmt.Errorf("it has %d rows, a chunk can have %d", n, c.capacity)
	}
	in := &sectionReader{ctx: ctx, file: f, at: segmentHeader, sections: sections}
	for _, p := range c.sections(n) {
		in.read(p)
	}
	for t := range c.slabs {
		if copied := c.slabs[t].coarse; copied != nil {
			if b := in.next(0); in.err == nil {
				copied.restore(b, n)
			}
		}
	}
	r.arena = in.arena()
	if in.err != nil {
		return in.err
	}
	for i := range n {
		c.setTime(i, c.times[i]) // makes the zones
	}
	c.segment.Store(&r.segment)
	r.view = view{chunk: c, n: n, blocks: r.arena.blocks}
	if r.origin == matcher.Events {
		r.known = newLexicons(m.options.MetaFields)
	}
	r.survey(m.snap)
	return nil
}

// survey counts the dead rows and collects the rows of lists.
func (r *restored) survey(snap *snapshot) {
	v := &r.view
	if r.dead != nil {
		v.dead = make([]uint64, v.capacity/64)
		copy(v.dead, r.dead)
	}
	rows := map[uint32][]uint32{}
	size := int64(v.layout.rowOverhead() + v.versions.descriptorBytes())
	for i := range v.n {
		d, record := v.details(i), v.record(i)
		if v.events != nil {
			v.events.tags[i] = v.tagBits(record)
			r.known.addRow(v, i)
		}
		bytes := size + int64(len(record))
		r.bytes += bytes
		if !v.alive(i) {
			v.deaths++
			v.deadBytes += bytes
			continue
		}
		for ordinal := range d.ordinals {
			rows[ordinal] = append(rows[ordinal], r.index<<16|uint32(i))
		}
		_ = snap.accounts[:v.accounts[i]] // it must be there
	}
	r.lists = map[uint32]*roaring.Bitmap{}
	for ordinal, rows := range rows {
		_ = snap.lists[ordinal]
		r.lists[ordinal] = roaring.BitmapOf(rows...)
	}
}

// adopt makes r part of m.
func (m *Memory) adopt(r *restored) error {
	v, base := &r.view, r.index<<16
	rows := m.rows[r.origin]
	for i, id := range v.ids[:v.n] {
		if v.alive(i) {
			rows[id] = base | uint32(i)
		}
	}
	table := m.snap.tables[r.origin]
	for int(r.index) >= len(table) {
		table = append(table, view{})
	}
	table[r.index] = *v
	m.snap.tables[r.origin] = table
	if live := m.snap.live(r.origin); live != len(rows) {
		return fmt.Errorf("an object of it is there twice: %d rows, %d objects", live, len(rows))
	}
	m.arenas[v.chunk] = r.arena
	if v.n < v.capacity {
		m.open[kind{r.origin, v.versions}] = r.index
	}
	for ordinal, rows := range r.lists {
		if l := m.snap.lists[ordinal]; l.rows != nil {
			l.rows.Or(rows)
		}
	}
	m.lexicons.merge(&r.known)
	m.bytes.Add(r.bytes)
	m.deadBytes.Add(v.deadBytes)
	return nil
}
