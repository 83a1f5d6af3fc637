package memory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"nearside/matcher"
	"nearside/matcher/store"
)

// listsDeadMin and listsDeadShare bound the ordinals of deleted lists: with
// more of them, and more than this many per list, nothing is sealed, so that
// the next start reads the records and gives new ordinals.
const (
	listsDeadMin   = 1 << 16
	listsDeadShare = 4
)

// capture is a state that is to be sealed.
type capture struct {
	snap  *snapshot
	files map[*chunk]*file // of chunks that have rows in no segment
	step  func(string)
}

// Capture implements [store.Cache].
func (m *Memory) Capture() store.Seal {
	if len(m.misfits) > 0 {
		return func(context.Context, string, []byte, func(int64) error) error {
			return errors.New("there are descriptors that no version fits")
		}
	}
	c := &capture{snap: m.snap, files: map[*chunk]*file{}, step: m.options.sealStep}
	if c.step == nil {
		c.step = func(string) {}
	}
	for o := range c.snap.tables {
		for i := range c.snap.tables[o] {
			v := &c.snap.tables[o][i]
			if v.n == 0 {
				continue
			}
			if s := v.segment.Load(); s == nil || s.rows != v.n {
				c.files[v.chunk] = v.file()
			}
		}
	}
	return c.seal
}

// seal writes what has no file yet, then the manifest, and removes the files
// that it does not name. As long as the new manifest is not in place the old
// one holds, and all its files are there.
func (c *capture) seal(ctx context.Context, dir string, mark []byte, room func(bytes int64) error) error {
	need := int64(0)
	for _, f := range c.files {
		need += f.bytes()
	}
	if err := room(need); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mf, err := c.manifest(mark)
	if err != nil {
		return err
	}
	for o := range c.snap.tables {
		for i := range c.snap.tables[o] {
			v := &c.snap.tables[o][i]
			if v.n == 0 {
				continue
			}
			if f := c.files[v.chunk]; f != nil {
				c.step("segment")
				if err := f.write(ctx, dir, v.layout, v.versions, room); err != nil {
					return err
				}
				v.segment.Store(&f.segment)
			}
			mf.chunks = append(mf.chunks, sealedChunk{matcher.Origin(o), uint32(i), *v.segment.Load(), v.dead})
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	c.step("manifest")
	if err := mf.write(dir, c.step); err != nil {
		return err
	}
	c.step("clean")
	if err := mf.clean(dir); err != nil {
		return err
	}
	c.step("sealed")
	return nil
}

// manifest returns the manifest, but for the chunks.
func (c *capture) manifest(mark []byte) (*manifest, error) {
	mf := &manifest{mark: mark, accounts: c.snap.accounts}
	live := 0
	for _, l := range c.snap.lists {
		shown := c.snap.shows(l)
		mf.lists = append(mf.lists, sealedList{l.id, shown})
		if shown {
			live++
		}
	}
	if dead := len(mf.lists) - live; dead > listsDeadMin && dead > listsDeadShare*live {
		return nil, fmt.Errorf("%d lists were deleted since all was read from the database; they are forgotten at the next start", dead)
	}
	return mf, nil
}

// Drop implements [store.Cache].
func (m *Memory) Drop(dir string) error {
	m.mu.RLock()
	snap := m.snap
	m.mu.RUnlock()
	for o := range snap.tables {
		for i := range snap.tables[o] {
			if c := snap.tables[o][i].chunk; c != nil {
				c.segment.Store(nil)
			}
		}
	}
	if err := os.Remove(filepath.Join(dir, manifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return (&manifest{}).clean(dir)
}

// clean removes segments that mf does not name.
func (mf *manifest) clean(dir string) error {
	named := map[string]bool{}
	for i := range mf.chunks {
		named[mf.chunks[i].segment.name()] = true
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, segmentSuffix) && !named[name] {
			err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
		}
	}
	return err
}
